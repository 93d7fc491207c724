"""System calls that Python lacks, by ctypes; nothing here decides anything."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SIGKILL = 9

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
CAPABILITY_VERSION_3 = 0x20080522

# The same on every architecture: system calls are numbered alike since 5.1.
SYS_MOUNT_SETATTR = 442
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1

PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

libc = ctypes.CDLL(None, use_errno=True)
# Keeps the interpreter's lock, so that a process forked by it holds the lock as well.
_libc_with_lock = ctypes.PyDLL(None)


class Filter(NamedTuple):
    """A seccomp program as the kernel takes it; `code` must stay alive."""

    code: ctypes.Array[ctypes.c_char]
    program: bytes


def bare_fork() -> int:
    """fork(2) without what Python runs after it, which touches many pages that are then copied.

    For processes of one thread. The child starts with the random numbers of its parent.
    """
    pid = int(_libc_with_lock.fork())
    if pid < 0:
        raise OSError(errno.EAGAIN, "fork")
    return pid


def die_with_parent() -> None:
    """SIGKILL when the thread that forked this process ends; call it first thing after a fork.

    A change of the user forgets it.
    """
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Grandchildren whose parent died become children of this process."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def forbid_new_privileges() -> None:
    """Nothing that is executed from here on gains rights."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def hide_memory() -> None:
    """Other processes of the same user can no longer look into this one through /proc.

    Nor does it leave core dumps, nor can a debugger attach to it.
    """
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def drop_capabilities() -> None:
    """All of them, for good."""
    libc.capset(struct.pack("@Ii", CAPABILITY_VERSION_3, 0), bytes(24))


def lower_limit(kind: int, value: int) -> None:
    """Soft and hard limit of this process, where it is not lower already."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def unshare(flags: int) -> bool:
    """Whether the kernel gave the namespaces."""
    return bool(libc.unshare(flags) == 0)


def map_own_ids(user: int, group: int) -> None:
    """In a new user namespace: this user and group are themselves, nobody else is anybody."""
    for path, line in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"{user} {user} 1"),
        ("/proc/self/gid_map", f"{group} {group} 1"),
    ):
        with open(path, "w", encoding="ascii") as file:
            file.write(line)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """The system call of that name."""
    answer = libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        flags,
        data.encode() or None,
    )
    _check(answer, f"mount {target}")


def freeze_mounts(path: str) -> None:
    """All mounts below become read-only and lose set-user-id bits."""
    attributes = struct.pack("@QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    answer = libc.syscall(
        SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), AT_RECURSIVE, attributes, len(attributes)
    )
    _check(answer, f"mount_setattr {path}")


def enter_root(path: str) -> None:
    """The directory becomes `/`; what was there is out of reach."""
    os.chdir(path)
    number = PIVOT_ROOT.get(platform.machine())
    _check(-1 if number is None else libc.syscall(number, b".", b"."), f"pivot_root {path}")
    _check(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")


def landlock_abi() -> int:
    """Version of Landlock; 0 where there is none."""
    answer = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    return max(0, int(answer))


def landlock_ruleset(fs: int, net: int, scoped: int) -> int:
    """Descriptor of a ruleset that handles these accesses; -1 if the kernel refuses."""
    attributes = struct.pack("@QQQ", fs, net, scoped)
    # An older kernel knows a shorter structure, and refuses a longer one unless it ends in zeros.
    return int(libc.syscall(SYS_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))


def landlock_allow(ruleset: int, path: str, access: int) -> None:
    """What is below the path may be accessed so; paths that are not there are left out."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = struct.pack("<Qi", access, beneath)
    libc.syscall(SYS_LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    os.close(beneath)


def landlock_restrict(ruleset: int) -> bool:
    """From now on, this process and its children."""
    return bool(libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)


def make_filter(code: bytes) -> Filter:
    """Ready to be installed, once or often."""
    buffer = ctypes.create_string_buffer(code, len(code))
    return Filter(buffer, struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))


def install_filter(made: Filter) -> bool:
    """From now on, this process and its children."""
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, made.program, 0, 0) == 0)


def _check(answer: int, what: str) -> None:
    if answer != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
