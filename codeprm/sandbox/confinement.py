"""Shutting a slot in, layer by layer, and seeing whether each layer holds.

`enter` is for the zygote, once, when all is imported; `confine_test` for the process of each test,
which has little left to do. Which layers hold is found out by canaries: processes confined like a
test that try what a program must not be able to do.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from codeprm.sandbox import kernel, landlock, seccomp, users
from codeprm.sandbox.levels import Level, level_of

# Above the program's memory limit: threads with stacks of half a gigabyte are common in contests
# and touch little of it. What was touched is checked against the limit afterwards.
STACK_ROOM_BYTES = 1 << 30
MAX_FILES = 64
LIMITS = {
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: MAX_FILES,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_MSGQUEUE: 0,
}


@dataclass(slots=True)
class Confinement:
    """What holds the processes of a slot."""

    layers: set[str] = field(default_factory=set)
    landlock: int = 0
    test_filter: seccomp.OwnFilter | None = None

    @property
    def level(self) -> Level:
        return level_of(self.layers, self.landlock)

    @property
    def names(self) -> list[str]:
        """Of the layers, Landlock with its version."""
        extra = [f"landlock{self.landlock}"] if self.landlock else []
        return sorted([*self.layers, *extra])


def enter(
    namespaces: Collection[str], *, slot: int, libraries: Sequence[str], without: Collection[str]
) -> Confinement:
    """Everything that can be put on here, on the calling process and all that it will fork.

    `without` names layers to leave out, for measuring what they cost and what the others hold.
    """
    confinement = Confinement(set(namespaces))
    if "uid" not in without and users.become_stranger(slot):
        confinement.layers.add("uid")
    # A new user forgets it.
    kernel.die_with_parent()
    kernel.forbid_new_privileges()
    kernel.hide_memory()
    kernel.drop_capabilities()
    for kind, value in LIMITS.items():
        kernel.lower_limit(kind, value)
    if "landlock" not in without:
        confinement.landlock = landlock.restrict(libraries)
    if confinement.landlock and not _fails(lambda: os.listdir("/")):
        confinement.landlock = 0
    if "seccomp" not in without:
        _filter_calls(confinement)
    return confinement


def confine_test(confinement: Confinement, *, cpu_time_s: float, address_space: int) -> None:
    """For the process of one test, just before it runs the program."""
    # CPU time is measured and stopped by the supervisor; this is for the case that it cannot.
    kernel.lower_limit(resource.RLIMIT_CPU, int(cpu_time_s) + 2)
    kernel.lower_limit(resource.RLIMIT_AS, address_space)
    if confinement.test_filter is not None:
        confinement.test_filter.install(os.getpid())


def _filter_calls(confinement: Confinement) -> None:
    for_slot = seccomp.slot_filter(writes_denied=confinement.landlock == 0)
    for_test = seccomp.test_filter()
    if for_slot is None or for_test is None:
        return
    if not kernel.install_filter(kernel.make_filter(for_slot)):
        return
    confinement.test_filter = seccomp.OwnFilter(for_test)
    if _in_a_test(confinement, _all_refused) == 0 and (
        _in_a_test(confinement, _trip) == -signal.SIGSYS
    ):
        confinement.layers.add("seccomp")


def _in_a_test(confinement: Confinement, attempt: Callable[[], bool]) -> int:
    """Exit code of a process confined like a test: 0 if the attempt says so, 1 if not."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            confine_test(confinement, cpu_time_s=1, address_space=resource.RLIM_INFINITY)
            code = 0 if attempt() else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGKILL:
        # Killed from outside, it proved nothing: a layer is not missing because a canary died.
        raise ChildProcessError("a canary was killed")
    return code


def _all_refused() -> bool:
    attempts: list[Callable[[], object]] = [
        os.fork,
        lambda: os.kill(os.getppid(), 0),
        lambda: os.open("/tmp/canary", os.O_CREAT | os.O_WRONLY),
        lambda: os.mkdir("/tmp/canary"),
        lambda: os.nice(-1),
        lambda: os.execv("/bin/true", ["true"]),
        socket.socket,
    ]
    return all(_fails(attempt) for attempt in attempts)


def _trip() -> bool:
    kernel.unshare(0)
    return False


def _fails(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False
