"""Pieces of attacking programs, and the numbers of the system calls that they make."""

from __future__ import annotations

import platform

# name: (x86_64, aarch64)
CALLS = {
    "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "clone": (56, 220),
    "clone3": (435, 435), "delete_module": (176, 106), "execveat": (322, 281),
    "finit_module": (313, 273), "fsopen": (430, 430), "init_module": (175, 105),
    "io_uring_setup": (425, 425), "kexec_load": (246, 104), "keyctl": (250, 219),
    "memfd_create": (319, 279), "mlockall": (151, 230), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "mq_open": (240, 180),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pivot_root": (155, 41), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "ptrace": (101, 117), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138),
    "semget": (64, 190), "setns": (308, 268), "shmat": (30, 196), "shmget": (29, 194),
    "msgget": (68, 186), "tgkill": (234, 131), "tkill": (200, 130), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vfork": (58, 220),
}  # fmt: skip


def number_of(call: str) -> int:
    """On this machine; of x86_64 where the machine is unknown, as the rows are skipped there."""
    x86_64, aarch64 = CALLS[call]
    return aarch64 if platform.machine() == "aarch64" else x86_64


# `attempt(action, ...)`: the name of the error, or "done".
ATTEMPT = """
import errno, os, sys
def attempt(action, *arguments, **named):
    try:
        action(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, "refused")
    return "done"
"""

# `refused(action, ...)`: "refused" if every action fails, or else which ones did not.
REFUSED = """
import os, sys
def refused(*actions):
    done = []
    for number, action in enumerate(actions):
        try:
            action()
        except (OSError, ValueError):
            continue
        done.append(number)
    return "done: %s" % done if done else "refused"
"""

# `call(number, ...)`: a raw system call: its value, or the name of the error.
RAW = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    return errno.errorcode[ctypes.get_errno()] if answer < 0 else answer
"""

# `run(code)`: jumps to machine code.
MACHINE_CODE = """
import ctypes, mmap
def run(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""

# `hunt(first, second)`: whether the two, put together, lie anywhere in what can be read of this
# process: every page that the collector's objects or mapped files lead to. They are never put
# together here, and the pipe returns EFAULT where reading memory would be a crash.
HUNT = """
import ctypes, gc, os
libc = ctypes.CDLL(None, use_errno=True)
def pages():
    seen = set()
    for item in gc.get_objects():
        around = id(item) >> 16
        seen.update(range(around - 2, around + 3))
        for member in gc.get_referents(item):
            seen.add(id(member) >> 16)
    return sorted(seen)
def regions():
    try:
        with open("/proc/self/maps") as file:
            for line in file:
                span, rights = line.split()[:2]
                if "r" in rights and "vv" not in line:
                    low, high = (int(part, 16) for part in span.split("-"))
                    if high - low < 1 << 28:
                        yield from range(low, high, 1 << 16)
    except OSError:
        for page in pages():
            yield page << 16
def hunt(first, second):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    tail = b""
    for address in regions():
        size = libc.write(writer, ctypes.c_void_p(address), 1 << 16)
        if size <= 0:
            tail = b""
            continue
        data = tail + os.read(reader, 1 << 16)
        place = data.find(first)
        while place >= 0:
            if data.startswith(second, place + len(first)):
                return "found"
            place = data.find(first, place + 1)
        tail = data[-64:]
    return "absent"
"""


def tripping(call: str, *arguments: str) -> str:
    """A program that makes a call which only attacks make, and tells what came back."""
    given = ", ".join([str(number_of(call)), *arguments])
    return f"{RAW}print(call({given}))"


def forging(frame: bytes) -> str:
    """A program that writes to whatever descriptor may be the way back, and ends at once."""
    return (
        f"import os\ndef f(*_):\n    for descriptor in range(3, 64):\n"
        f"        try: os.write(descriptor, {frame!r})\n"
        f"        except OSError: pass\n    os._exit(0)"
    )
