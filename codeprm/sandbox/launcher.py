"""First process of a slot: enters namespaces, starts the zygote in them, waits for its end.

It holds no descriptor of the slot, so the caller sees the end of the zygote as the end of the
control socket; and the zygote dies with it, so killing it is killing the slot.
"""

from __future__ import annotations

import os
import resource
import sys

from codeprm.sandbox import policy

STACK_BYTES = 1 << 30

BOOT = (
    "import sys; sys.path += sys.argv[3:]; "
    "from codeprm.sandbox.{module} import main; main(int(sys.argv[1]), sys.argv[2])"
)


def command(python: str, module: str, control: int, level: str, paths: list[str]) -> list[str]:
    """An interpreter that sees only `paths` and its own library, and runs `module.main`."""
    flags = ["-P", "-s", "-S", "-X", "utf8"]
    return [python, *flags, "-c", BOOT.format(module=module), str(control), level, *paths]


def main(control: int, level: str) -> None:
    names = policy.enter_namespaces()
    pid = os.fork()
    if pid:
        os.close(control)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0)
    policy.die_with_parent()
    _allow_deep_stacks()
    os.set_inheritable(control, True)
    arguments = command(sys.executable, "zygote", control, "+".join([level, *names]), sys.argv[3:])
    os.execv(sys.executable, arguments)


def _allow_deep_stacks() -> None:
    # The kernel places the main thread's stack, and the gap below it, by this limit at exec.
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    soft = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
