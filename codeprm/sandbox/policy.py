"""The system calls that shut a process in, by ctypes; each says whether the kernel agreed.

`enter_namespaces` is for the launcher, once a slot. `confine` is for the process of one test, just
before it runs the program. Resource limits always hold; all else is taken where it is given, and
what was given is told by its name, so that a verdict can say how it was made.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36
SECCOMP_MODE_FILTER = 2
SIGKILL = 9

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_THREAD = 0x00010000
NAMESPACES = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS

MS_REC_PRIVATE = 0x4000 | 0x40000
SYS_MOUNT_SETATTR = 442
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 1
CAPABILITY_VERSION_3 = 0x20080522

BPF_LOAD_WORD = 0x20
BPF_JUMP_EQUAL = 0x15
BPF_JUMP_ANY_BIT = 0x45
BPF_RETURN = 0x06
SECCOMP_KILL = 0x80000000
SECCOMP_ALLOW = 0x7FFF0000
SECCOMP_ERRNO = 0x00050000
EPERM = 1
ENOSYS = 38

# Above the program's memory limit: threads with stacks of half a gigabyte are common in contests
# and touch little of it. What was touched is checked against the limit afterwards.
STACK_ROOM_BYTES = 1 << 30
MAX_FILES = 64


class Architecture(NamedTuple):
    """Numbers of the system calls that start processes; `forks` are refused outright."""

    audit: int
    clone: int
    clone3: int
    forks: tuple[int, ...]


ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 56, 435, (57, 58)),
    "aarch64": Architecture(0xC00000B7, 220, 435, ()),
}

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """SIGKILL when the thread that forked this process ends; call it first thing after a fork."""
    _libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Grandchildren whose parent died become children of this process."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter_namespaces() -> list[str]:
    """Names of what was entered; the process namespace begins with the next fork."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(NAMESPACES) != 0:
        if _libc.unshare(NAMESPACES | CLONE_NEWUSER) != 0:
            return []
        _map_itself(user, group)
    names = ["pid", "net", "ipc"]
    if _libc.mount(None, b"/", None, MS_REC_PRIVATE, None) == 0 and _freeze_mounts():
        names.append("mnt")
    return names


def filter_bytes() -> bytes | None:
    """A seccomp program that refuses new processes and allows threads; None if never tried here."""
    arch = ARCHITECTURES.get(platform.machine())
    if arch is None:
        return None
    refuse, allow = (BPF_RETURN, 0, 0, SECCOMP_ERRNO | EPERM), (BPF_RETURN, 0, 0, SECCOMP_ALLOW)
    steps = [
        (BPF_LOAD_WORD, 0, 0, 4),
        (BPF_JUMP_EQUAL, 1, 0, arch.audit),
        (BPF_RETURN, 0, 0, SECCOMP_KILL),
        (BPF_LOAD_WORD, 0, 0, 0),
    ]
    for number in arch.forks:
        steps += [(BPF_JUMP_EQUAL, 0, 1, number), refuse]
    # The flags of clone3 lie in memory that a filter cannot read; glibc falls back to clone.
    steps += [(BPF_JUMP_EQUAL, 0, 1, arch.clone3), (BPF_RETURN, 0, 0, SECCOMP_ERRNO | ENOSYS)]
    steps += [(BPF_JUMP_EQUAL, 1, 0, arch.clone), allow]
    steps += [(BPF_LOAD_WORD, 0, 0, 16), (BPF_JUMP_ANY_BIT, 1, 0, CLONE_THREAD), refuse, allow]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def confine(*, cpu_time_s: float, address_space: int, seccomp: bytes | None) -> bool:
    """Limits, no capabilities, no way back; True if starting processes is refused from now on."""
    # CPU time is measured and stopped by the supervisor; this is for the case that it cannot.
    cpu = int(cpu_time_s) + 2
    _lower(resource.RLIMIT_CPU, cpu)
    _lower(resource.RLIMIT_AS, address_space)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, MAX_FILES)
    _lower(resource.RLIMIT_MEMLOCK, 0)
    _lower(resource.RLIMIT_MSGQUEUE, 0)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _drop_capabilities()
    if seccomp is None:
        return False
    code = ctypes.create_string_buffer(seccomp, len(seccomp))
    program = struct.pack("@HP", len(seccomp) // 8, ctypes.addressof(code))
    return bool(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _drop_capabilities() -> None:
    header = struct.pack("@Ii", CAPABILITY_VERSION_3, 0)
    _libc.capset(header, bytes(24))


def _map_itself(user: int, group: int) -> None:
    for path, line in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"{user} {user} 1"),
        ("/proc/self/gid_map", f"{group} {group} 1"),
    ):
        with open(path, "w", encoding="ascii") as file:
            file.write(line)


def _freeze_mounts() -> bool:
    attributes = struct.pack("@QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
    answer = _libc.syscall(
        SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, len(attributes)
    )
    return bool(answer == 0)
