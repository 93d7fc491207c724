"""What a slot sees of the machine: itself, no network, and the libraries that Python reads.

Entered once a slot, by the launcher: making and ending a network namespace takes a lock of the
whole kernel, so a namespace for each program would not scale. Root may do it by right, others
inside of a user namespace in which they are themselves. All are asked for at once; where only the
private file system cannot be made, "mnt" is missing from the names.

That file system is a small read-only one in memory, into which the interpreter, its libraries and
a few devices are bound. There is no /proc, no /tmp, no home, and of /etc only the loader's cache.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable

from codeprm.sandbox import kernel

NAMESPACES = (
    kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP
)  # fmt: skip
# Any directory will do: what is mounted on it is only seen in here.
NEW_ROOT = "/tmp"
ROOT_OPTIONS = "size=1m,nr_inodes=4096,mode=755"
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")
SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")


def enter(libraries: Iterable[str]) -> list[str]:
    """Names of what was entered; the process namespace begins with the next fork."""
    user, group = os.getuid(), os.getgid()
    if not kernel.unshare(NAMESPACES):
        if not kernel.unshare(NAMESPACES | kernel.CLONE_NEWUSER):
            return []
        kernel.map_own_ids(user, group)
    names = ["pid", "net", "ipc"]
    try:
        _enter_view(readable_paths(libraries))
    except OSError:
        return names
    return [*names, "mnt"]


def readable_paths(libraries: Iterable[str]) -> list[str]:
    """What the interpreter and its modules are made of; parents before what lies below them."""
    paths = {
        os.path.realpath(sys.executable),
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        sysconfig.get_config_var("LIBDIR") or "/usr/lib",
        *SYSTEM_LIBRARIES,
        *libraries,
    }
    kept: list[str] = []
    for path in sorted(path for path in paths if os.path.exists(path)):
        if not any(path.startswith(f"{parent}/") for parent in kept if not os.path.islink(parent)):
            kept.append(path)
    return kept


def _enter_view(paths: Iterable[str]) -> None:
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # Bound from where they are now, so before anything covers them.
    sources = {path: os.open(path, os.O_PATH) for path in (*paths, *DEVICES)}
    kernel.mount("none", NEW_ROOT, "tmpfs", kernel.MS_NOSUID, ROOT_OPTIONS)
    for path, source in sources.items():
        _bind(path, source)
        os.close(source)
    kernel.freeze_mounts(NEW_ROOT)
    kernel.enter_root(NEW_ROOT)


def _bind(path: str, source: int) -> None:
    target = f"{NEW_ROOT}{path}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and not path.startswith(NEW_ROOT):
        os.symlink(os.readlink(path), target)
        return
    here = f"/proc/self/fd/{source}"
    if os.path.isdir(here):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_RDONLY, 0o644))
    kernel.mount(here, target, None, kernel.MS_BIND | kernel.MS_REC)
