"""Which files a slot may open: a rule of the kernel that also holds without namespaces.

Put on once, by the zygote when it has imported everything; what it forks inherits it. Readable are
the interpreter's libraries, writable only /dev/null. No TCP port may be bound or connected to, and
signals and abstract sockets end at the slot (from Landlock 4 and 6 on).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from codeprm.sandbox import kernel

WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
# Kinds of access that each version knows, files first: refer, truncate and ioctl came later.
FILE_ACCESS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
NET_VERSION, SCOPES_VERSION = 4, 6
BIND_AND_CONNECT = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

READABLE_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")


def restrict(libraries: Iterable[str]) -> int:
    """Version of Landlock that holds from now on; 0 if none does."""
    version = kernel.landlock_abi()
    if version == 0:
        return 0
    bits = FILE_ACCESS_BITS[min(version, max(FILE_ACCESS_BITS))]
    ruleset = kernel.landlock_ruleset(
        (1 << bits) - 1,
        BIND_AND_CONNECT if version >= NET_VERSION else 0,
        ABSTRACT_SOCKETS_AND_SIGNALS if version >= SCOPES_VERSION else 0,
    )
    if ruleset < 0:
        return 0
    for path in libraries:
        kernel.landlock_allow(ruleset, path, _fitting(path, READ_FILE | READ_DIR))
    for path in READABLE_DEVICES:
        kernel.landlock_allow(ruleset, path, READ_FILE)
    kernel.landlock_allow(ruleset, "/dev/null", READ_FILE | WRITE_FILE)
    return version if kernel.landlock_restrict(ruleset) else 0


def _fitting(path: str, access: int) -> int:
    """A rule for a file may not speak of directories."""
    return access if os.path.isdir(path) else access & READ_FILE
