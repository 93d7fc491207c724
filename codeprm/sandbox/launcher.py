"""First process of a slot: enters namespaces, starts the zygote in them, waits for its end.

It holds no descriptor of the slot, so the caller sees the end of the zygote as the end of the
control socket; and the zygote dies with it, so killing it is killing the slot.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import sys
from typing import Any

from codeprm.sandbox import kernel, namespaces
from codeprm.sandbox.wire import FILES

STACK_BYTES = 1 << 30
MAX_FILES = 1 << 16

BOOT = (
    "import sys, json; told = json.loads(sys.argv[1]); sys.path += told['paths']; "
    "from codeprm.sandbox.{module} import main; main(told)"
)


def command(python: str, module: str, told: dict[str, Any]) -> list[str]:
    """An interpreter that sees only `told["paths"]` and its own library, and runs `module.main`."""
    flags = ["-P", "-s", "-S", "-X", "utf8"]
    return [python, *flags, "-c", BOOT.format(module=module), json.dumps(told)]


def main(told: dict[str, Any]) -> None:
    """Enter, fork and wait.

    `told`: "paths" (codeprm's own first), "report" and "control" (descriptors), "preload" (what
    the zygote imports), "without" (layers to leave out).
    """
    python = os.path.realpath(sys.executable)
    package = os.path.join(told["paths"][0], "codeprm")
    processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    told["namespaces"] = []
    if "namespaces" not in told["without"]:
        told["namespaces"] = namespaces.enter([package, *told["paths"][1:]])
    told["slot"] = os.getpid()
    pid = os.fork()
    if pid:
        os.closerange(0, MAX_FILES)
        sys.exit(_wait(pid, told["owner"]))
    kernel.die_with_parent()
    _allow_deep_stacks()
    _arrange_files(told, os.open("self/statm", os.O_RDONLY, dir_fd=processes))
    os.execv(python, command(python, "zygote", told))


def _wait(zygote: int, owner: int) -> int:
    """Exit code. The owner's end is ours, and so the zygote's, whatever it is busy with."""
    try:
        ends = [os.pidfd_open(zygote), os.pidfd_open(owner)]
    except ProcessLookupError:
        return 1
    poller = select.poll()
    for end in ends:
        poller.register(end, select.POLLIN)
    while os.getppid() == owner:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if ends[0] in ready:
            return int(os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1]) != 0)
    return 1


def _arrange_files(told: dict[str, Any], size: int) -> None:
    """Descriptors 0, 1 and 2 are in place; the others go where `FILES` says."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    wanted = {
        FILES.report: told["report"],
        FILES.control: told["control"],
        FILES.nothing: nothing,
        FILES.size: size,
    }
    # Out of the way first: one may lie where another belongs.
    aside = {target: _moved_up(given) for target, given in wanted.items()}
    for target, given in aside.items():
        os.dup2(given, target, inheritable=True)
    os.closerange(FILES.size + 1, MAX_FILES)


def _moved_up(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, FILES.size + 1)


def _allow_deep_stacks() -> None:
    # The kernel places the main thread's stack, and the gap below it, by this limit at exec.
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    soft = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
