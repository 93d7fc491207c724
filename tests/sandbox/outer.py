"""A weaker machine around a command: what the sandbox finds there is what it can use.

    python -m tests.sandbox.outer --level F1 [--user 65534] [--readable] [--open] -- COMMAND ...

First the command is put into a small world of its own, where the machine allows that: it sees only
its own processes, /tmp and /dev/shm are empty and small, and an attack that gets out of the sandbox
ends there. Then a system-call filter takes away what the level lacks: F1 has no namespaces, F2 no
Landlock either. Then it becomes the user. With `--readable` any user can read the interpreter, as
is usual, even if it lies in a closed home. `--open` leaves out the small world.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from codeprm.sandbox.levels import LANDLOCK_WITH_SCOPES, Level

ROOT = Path(__file__).parents[2]
CANNOT = 77  # exit status: this machine cannot play the part; the reason is on stderr

STRANGER = 65534

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
ALL_NAMESPACES = 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV = 0x1000, 0x4000, 0x40000, 2, 4
LANDLOCK_CALLS = (444, 445, 446)

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000

libc = ctypes.CDLL(None, use_errno=True)


class Numbers(NamedTuple):
    """Of the system calls that make namespaces."""

    audit: int
    clone: int
    unshare: int
    setns: int
    clone3: int = 435


NUMBERS = {
    "x86_64": Numbers(0xC000003E, 56, 272, 308),
    "aarch64": Numbers(0xC00000B7, 220, 97, 268),
}


def missing(level: Level) -> str:
    """What keeps this machine from giving the level; empty if nothing does."""
    if platform.machine() not in NUMBERS:
        return f"system calls of {platform.machine()} are not known here"
    landlock = libc.syscall(LANDLOCK_CALLS[0], None, 0, 1)
    if level in (Level.F0, Level.F1) and landlock < LANDLOCK_WITH_SCOPES:
        return f"Landlock is {max(landlock, 0)} here, not {LANDLOCK_WITH_SCOPES}"
    if level is Level.F0 and not _in_a_child(_enter_all_namespaces):
        return "this machine refuses namespaces"
    return ""


def weaken(level: Level) -> None:
    """Of this process and all that it starts; for good."""
    if level is Level.F0:
        return
    numbers = NUMBERS[platform.machine()]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, numbers.audit), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 0)]
    for number in (numbers.unshare, numbers.setns):
        steps += _refusal(number, errno.EPERM)
    # The flags of clone3 cannot be read by a filter; container engines answer the same.
    steps += _refusal(numbers.clone3, errno.ENOSYS)
    if level is Level.F2:
        for number in LANDLOCK_CALLS:
            steps += _refusal(number, errno.ENOSYS)
    steps += [
        (EQUAL, 1, 0, numbers.clone), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 16),
        (ANY_BIT, 0, 1, ALL_NAMESPACES), (RETURN, 0, 0, REFUSE | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
    code = b"".join(struct.pack("<HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    _demand(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _demand(libc.prctl(PR_SET_SECCOMP, 2, program, 0, 0), "seccomp")


def contain() -> bool:
    """This process goes on as the first of a world of its own; False if that is impossible."""
    if not _in_a_child(_make_world):
        return False
    _demand(libc.unshare(_world_flags()), "unshare")
    _map_own_ids(os.getuid(), os.getgid())
    pid = os.fork()
    if pid:
        os._exit(_wait_for(pid))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount_world()
    return True


def show_interpreter(user: int, *, contained: bool) -> None:
    """The user can read it, if need be by a view of its own."""
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT.resolve()]
    for closed in _closed_directories(needed, user):
        if not contained:
            _give_up(f"user {user} cannot read {closed}, where the interpreter lies")
        _show_through(closed, [path for path in needed if path.is_relative_to(closed)])


def become(user: int) -> None:
    """An ordinary user, for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    level: Level = options.level
    if reason := missing(level):
        _give_up(reason)
    contained = not options.open and contain()
    if options.user is not None and os.geteuid() != 0:
        _give_up("only root becomes another user")
    # Without a world of its own there is no changing its view, and only a user must have it.
    readable = options.readable and contained and os.geteuid() == 0
    if options.user is not None or readable:
        show_interpreter(options.user or STRANGER, contained=contained)
    if options.user is not None:
        become(options.user)
    weaken(level)
    os.environ["CODEPRM_CONTAINED"] = str(int(contained))
    pid = os.fork() if contained else 0
    if pid:
        # The first process of a world must bury what others leave.
        os._exit(_wait_for(pid))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execvp(options.command[0], options.command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=Level, default=Level.F0)
    parser.add_argument("--user", type=int)
    parser.add_argument("--readable", action="store_true")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("command", nargs="+")
    return parser


def _refusal(number: int, code: int) -> list[tuple[int, int, int, int]]:
    return [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | code)]


def _demand(answer: int, what: str) -> None:
    if answer != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _give_up(reason: str) -> None:
    os.write(2, f"{reason}\n".encode())
    os._exit(CANNOT)


def _in_a_child(attempt: object) -> bool:
    """Whether it works, tried where it changes nothing for us."""
    assert callable(attempt)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            attempt()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _enter_all_namespaces() -> None:
    flags = _world_flags() | CLONE_NEWNET
    _demand(libc.unshare(flags), "unshare")
    _map_own_ids(os.getuid(), os.getgid())
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("none", "/dev/shm", "tmpfs", 0)


def _make_world() -> None:
    """In a process of its own: the new namespace of processes begins with a child."""
    user, group = os.getuid(), os.getgid()
    _demand(libc.unshare(_world_flags()), "unshare")
    _map_own_ids(user, group)
    if not _in_a_child(_mount_world):
        raise OSError("mounts are refused")


def _world_flags() -> int:
    flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC
    return flags if os.geteuid() == 0 else flags | CLONE_NEWUSER


def _map_own_ids(user: int, group: int) -> None:
    if user == 0 or os.geteuid() == 0:
        return
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_text(line)


def _mount_world() -> None:
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT.resolve()]
    for folder in ("/tmp", "/dev/shm"):
        if not any(path.is_relative_to(folder) for path in needed):
            _mount("none", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,mode=1777")


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _demand(libc.mount(texts[0], texts[1], texts[2], flags, texts[3]), f"mount {target}")


def _closed_directories(needed: Sequence[Path], user: int) -> list[Path]:
    """The uppermost ones on the way to what is needed; by their mode, owners apart."""
    found = set()
    for path in needed:
        for folder in (*reversed(path.parents), path):
            status = folder.stat()
            if not status.st_mode & 0o001 and status.st_uid != user:
                found.add(folder)
                break
    return sorted(found)


def _show_through(closed: Path, needed: Sequence[Path]) -> None:
    """An empty directory in its place, with nothing but what is needed below it."""
    sources = {path: os.open(path, os.O_PATH) for path in needed}
    _mount("none", str(closed), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=711")
    for path, source in sources.items():
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{source}", str(path), None, MS_BIND | MS_REC)
        os.close(source)


def _wait_for(pid: int) -> int:
    """Its exit status; whatever else ends here is buried."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(sys.argv[1:])
