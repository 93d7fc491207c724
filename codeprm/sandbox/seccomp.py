"""Which system calls a program may make: an allowlist, as filters that the kernel runs.

`slot_filter` is installed once, in the zygote, and holds for all that it forks: what it does not
name fails with EPERM, as for a user without rights; calls that only an attack makes (`TRIPWIRES`)
kill the process, and the verdict is `security`; calls newer than the table fail with ENOSYS, so
that a libc that tries them falls back. `test_filter` is installed in each test's process on top of
it and is short, because the kernel walks a new filter once for each call that there is: no more
processes, signals to oneself only.

Both are binary searches over the numbers of the calls.
"""

from __future__ import annotations

import errno
import platform
import resource
import signal
import struct
from collections.abc import Mapping, Sequence

from codeprm.sandbox import kernel

Instruction = tuple[int, int, int, int]
Block = list[Instruction]

LOAD_WORD = 0x20
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER_OR_EQUAL = 0x35
JUMP_ANY_BIT = 0x45
RETURN = 0x06

NUMBER, ARCHITECTURE = 0, 4
ARGUMENTS = (16, 24, 32)

KILL = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000

X32_BIT = 0x40000000
# Calls are numbered up to here where this table was written; what is above is unknown to it.
FIRST_UNKNOWN = 451

CLONE_THREAD = 0x00010000
NAMESPACE_FLAGS = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWCGROUP | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
)  # fmt: skip
AF_UNIX = 1
# SOCK_STREAM, alone and with SOCK_NONBLOCK, SOCK_CLOEXEC or both.
STREAM_SOCKETS = (0x1, 0x801, 0x80001, 0x80801)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ: no locks, no owners.
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030, 1032)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA
PRCTL_OPTIONS = (3, 15, 16, 0x53564D41)
# By the older of two calls; libc makes the other one.
SETTABLE_LIMITS = (resource.RLIMIT_STACK, resource.RLIMIT_DATA, resource.RLIMIT_AS)
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
WRITE_FLAGS = 0x1 | 0x2 | 0x40 | 0x200

# Stands for the process's own id until the filter is installed.
OWN_PID = 0x7ABCDEF1


# Numbers of a call on x86_64 and on aarch64; None where it does not exist.
Calls = Mapping[str, tuple[int | None, int | None]]

HARMLESS: Calls = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "lseek": (8, 62),
    "close": (3, 57), "close_range": (436, 436), "fstat": (5, 80), "stat": (4, None),
    "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "getcwd": (79, 17), "open": (2, None), "openat": (257, 56),
    "getdents64": (217, 61), "getdents": (78, None), "statfs": (137, 43), "fstatfs": (138, 44),
    "fsync": (74, 82), "fdatasync": (75, 83), "fadvise64": (221, 223), "poll": (7, None),
    "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, None),
    "eventfd2": (290, 19), "timerfd_create": (283, 85), "timerfd_settime": (286, 86),
    "timerfd_gettime": (287, 87), "signalfd4": (289, 74), "pipe": (22, None), "pipe2": (293, 59),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "sendto": (44, 206),
    "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "shutdown": (48, 210),
    "getsockopt": (55, 209), "setsockopt": (54, 208), "getsockname": (51, 204),
    "getpeername": (52, 205), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226),
    "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "msync": (26, 227),
    "mincore": (27, 232), "futex": (202, 98), "futex_waitv": (449, 449),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293),
    "membarrier": (324, 283), "set_tid_address": (218, 96), "arch_prctl": (158, None),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getcpu": (309, 168), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132),
    "pause": (34, None), "alarm": (37, None), "getitimer": (36, 102), "setitimer": (38, 103),
    "timer_settime": (223, 110), "timer_gettime": (224, 108),
    "timer_getoverrun": (225, 109), "timer_delete": (226, 111), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getpid": (39, 172),
    "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158), "getpgid": (121, 155),
    "getpgrp": (111, None), "getsid": (124, 156), "getresuid": (118, 148),
    "getresgid": (120, 150), "getpriority": (140, 141), "getrlimit": (97, 163),
    "setrlimit": (160, 164), "getrusage": (98, 165), "sysinfo": (99, 179), "uname": (63, 160),
    "umask": (95, 166), "getrandom": (318, 278), "capget": (125, 90), "wait4": (61, 260),
    "waitid": (247, 95), "exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128),
}  # fmt: skip

# Only an attack makes these.
TRIPWIRES: Calls = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "iopl": (172, None), "ioperm": (173, None),
    "acct": (163, 89), "quotactl": (179, 60), "fanotify_init": (300, 262),
}  # fmt: skip

# Allowed or not by their arguments.
BY_ARGUMENT: Calls = {
    "clone": (56, 220), "clone3": (435, 435), "fcntl": (72, 25), "ioctl": (16, 29),
    "socketpair": (53, 199),
}  # fmt: skip

# What the processes of a slot need besides: forking, waiting, hardening their children.
SERVICE: Calls = {
    "fork": (57, None), "vfork": (58, None), "kill": (62, 129), "tgkill": (234, 131),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "prctl": (157, 167),
    "prlimit64": (302, 261), "seccomp": (317, 277), "setsid": (112, 157),
}  # fmt: skip

ALL_CALLS = (HARMLESS, TRIPWIRES, BY_ARGUMENT, SERVICE)
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class OwnFilter:
    """The filter of one test, which knows the id of the process that installs it."""

    def __init__(self, code: bytes) -> None:
        self._made = kernel.make_filter(code)
        self._places = [
            offset + 4
            for offset in range(0, len(code), 8)
            if struct.unpack_from("<I", code, offset + 4)[0] == OWN_PID
        ]

    def install(self, pid: int) -> bool:
        """On the calling process, whose id is given; for good."""
        for place in self._places:
            struct.pack_into("<I", self._made.code, place, pid)
        return kernel.install_filter(self._made)


def slot_filter(*, writes_denied: bool = False) -> bytes | None:
    """The allowlist, for all processes of a slot; None where the tables lack the architecture.

    `writes_denied` refuses to open files for writing, for machines without Landlock; it refuses
    /dev/null too.
    """
    rules = {
        # The flags of clone3 lie in memory that a filter cannot read; libc falls back to clone.
        "clone3": NOT_THERE,
        "clone": _unless_bits(0, NAMESPACE_FLAGS),
        "fcntl": _if_any(1, FCNTL_COMMANDS),
        "ioctl": _if_any(1, IOCTL_REQUESTS, otherwise=errno.ENOTTY),
        "socketpair": _STREAM_PAIRS,
    }
    if writes_denied:
        rules["open"] = _unless_bits(1, WRITE_FLAGS)
        rules["openat"] = _unless_bits(2, WRITE_FLAGS)
    blocks = _blocks([(HARMLESS, ALLOWED), (SERVICE, ALLOWED), (TRIPWIRES, KILLED)], rules)
    if not blocks:
        return None
    audit = AUDIT_ARCHITECTURES[platform.machine()]
    return _assembled([
        (LOAD_WORD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, audit),
        *KILLED,
        (LOAD_WORD, 0, 0, NUMBER),
        (JUMP_GREATER_OR_EQUAL, 0, 1, X32_BIT),
        *KILLED,
        *_search(_ranges(blocks, REFUSED, beyond=NOT_THERE)),
    ])  # fmt: skip


def test_filter() -> bytes | None:
    """What the process of a test loses besides: processes, and the power over other ones."""
    blocks = _blocks([(SERVICE, REFUSED)], {
        "clone": [
            (LOAD_WORD, 0, 0, ARGUMENTS[0]),
            (JUMP_ANY_BIT, 1, 0, CLONE_THREAD),
            *REFUSED,
            *ALLOWED,
        ],
        # A test that ended by SIGKILL was ended by someone else: nor may it ask the kernel for it.
        "kill": _if_own((OWN_PID,), 1, refused=signal.SIGKILL),
        "tgkill": _if_own((OWN_PID,), 2, refused=signal.SIGKILL),
        "prlimit64": _if_own((0, OWN_PID), 1, refused=resource.RLIMIT_CPU),
        "setrlimit": _if_any(0, SETTABLE_LIMITS),
        "prctl": _if_any(0, PRCTL_OPTIONS),
    })  # fmt: skip
    if not blocks:
        return None
    return _assembled([(LOAD_WORD, 0, 0, NUMBER), *_search(_ranges(blocks, ALLOWED, ALLOWED))])


def _answer(value: int) -> Block:
    return [(RETURN, 0, 0, value)]


ALLOWED = _answer(ALLOW)
KILLED = _answer(KILL)
REFUSED = _answer(ERRNO | errno.EPERM)
NOT_THERE = _answer(ERRNO | errno.ENOSYS)


def _if_any(argument: int, values: Sequence[int], otherwise: int = errno.EPERM) -> Block:
    """Allowed if the argument is one of these; its lower half, which is all the kernel looks at."""
    block: Block = [(LOAD_WORD, 0, 0, ARGUMENTS[argument])]
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        block.append((JUMP_EQUAL, left, 0, value))
    return [*block, *_answer(ERRNO | otherwise), *_answer(ALLOW)]


# Not datagrams: those may be sent on to any socket that has a name.
_STREAM_PAIRS: Block = [
    (LOAD_WORD, 0, 0, ARGUMENTS[0]),
    (JUMP_EQUAL, 1, 0, AF_UNIX),
    *REFUSED,
    *_if_any(1, STREAM_SOCKETS),
]


def _if_own(values: Sequence[int], argument: int, refused: int) -> Block:
    """If the first argument is one of these and another one is not `refused`."""
    return [
        (LOAD_WORD, 0, 0, ARGUMENTS[0]),
        *(
            (JUMP_EQUAL, left, 0, value)
            for left, value in zip(range(len(values), 0, -1), values, strict=True)
        ),
        *REFUSED,
        (LOAD_WORD, 0, 0, ARGUMENTS[argument]),
        (JUMP_EQUAL, 0, 1, refused),
        *REFUSED,
        *ALLOWED,
    ]


def _unless_bits(argument: int, bits: int) -> Block:
    return [
        (LOAD_WORD, 0, 0, ARGUMENTS[argument]),
        (JUMP_ANY_BIT, 0, 1, bits),
        *_answer(ERRNO | errno.EPERM),
        *_answer(ALLOW),
    ]


def _blocks(groups: Sequence[tuple[Calls, Block]], rules: Mapping[str, Block]) -> dict[int, Block]:
    """Answers by the numbers that this machine gives the calls."""
    if platform.machine() not in AUDIT_ARCHITECTURES:
        return {}
    column = list(AUDIT_ARCHITECTURES).index(platform.machine())
    answers = {name: block for table, block in groups for name in table}
    numbers = {name: pair[column] for table in ALL_CALLS for name, pair in table.items()}
    answers = {**answers, **rules}
    return {
        number: block for name, block in answers.items() if (number := numbers[name]) is not None
    }


def _assembled(code: Block) -> bytes:
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _ranges(
    blocks: Mapping[int, Block], otherwise: Block, beyond: Block
) -> list[tuple[int, Block]]:
    """First number of each run of calls with the same answer, and the answer."""
    ranges: list[tuple[int, Block]] = []
    for number in range(FIRST_UNKNOWN):
        block = blocks.get(number, otherwise)
        if not ranges or ranges[-1][1] != block:
            ranges.append((number, block))
    return [*ranges, (FIRST_UNKNOWN, beyond)]


def _search(ranges: Sequence[tuple[int, Block]]) -> Block:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    # A conditional jump reaches 255 instructions only, a plain one any number.
    return [
        (JUMP_GREATER_OR_EQUAL, 0, 1, ranges[middle][0]),
        (JUMP, 0, 0, len(below)),
        *below,
        *above,
    ]
