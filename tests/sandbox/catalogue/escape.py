"""Group E: escape and privilege."""

from __future__ import annotations

from codeprm.records import Outcome
from tests.sandbox.catalogue.row import (
    KILLED,
    PASSED,
    ROOMY,
    RUNTIME,
    WRONG,
    Row,
    always,
    layers,
)
from tests.sandbox.catalogue.snippets import (
    ATTEMPT,
    MACHINE_CODE,
    RAW,
    REFUSED,
    number_of,
    tripping,
)

NULL = "ctypes.c_void_p()"
BUFFER = "ctypes.create_string_buffer(256)"

SIGNAL_EVERYBODY = f"{REFUSED}print(refused(lambda: os.kill(-1, int(input()))))"
# A parent outside of what is seen here has the id 0, which would mean one's own group.
SIGNAL_PARENTS = f"""{REFUSED}
parents = {{os.getppid() or 1, 1, 2, os.getpid() - 1}} - {{os.getpid(), 0}}
print(refused(*(lambda pid=pid: os.kill(pid, 9) for pid in parents)))
"""
SIGNAL_GROUP = f"""{REFUSED}
print(refused(lambda: os.kill(0, 9), lambda: os.killpg(os.getpgid(0) or 1, 9)))
"""
OTHER_SIGNALS = f"""{RAW}
parent = os.getppid() or 1
info = ctypes.create_string_buffer(128)
info[0], info[8] = 9, 255
print(*(isinstance(answer, str) for answer in (
    call({number_of("tkill")}, parent, 9), call({number_of("tgkill")}, parent, parent, 9),
    call({number_of("rt_sigqueueinfo")}, parent, 9, info),
    call({number_of("pidfd_open")}, parent, 0),
)))
"""
# The kernel sends a signal to the owner of a pipe when something arrives.
OWNED_PIPE = f"""{ATTEMPT}
import fcntl, time
reader, writer = os.pipe()
owner = os.getppid() or 1
answers = [attempt(fcntl.fcntl, reader, fcntl.F_SETOWN, pid) for pid in (owner, -owner, 1)]
attempt(fcntl.fcntl, reader, 10, 9)
attempt(fcntl.fcntl, reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
os.write(writer, b"x")
time.sleep(0.05)
print(*answers)
"""
PARENTS_FILES = f"""{REFUSED}
pids = {{str(os.getppid() or 1), "1", "2", input()}}
def look(pid, name):
    path = "/proc/%s/%s" % (pid, name)
    if name == "fd":
        return os.listdir(path)
    # Nothing is mapped at the start of a memory: opening is what counts.
    return os.open(path, os.O_RDONLY) if name == "mem" else open(path, "rb").read(1)
print(refused(*(
    lambda pid=pid, name=name: look(pid, name)
    for pid in pids for name in ("mem", "environ", "fd", "maps")
)))
"""
# The expected output, from where it must be: the memory of whoever compares.
MEMORY_OF_THE_PARENT = """
import os
first, second, owner = input().split()
wanted = (first.encode(), second.encode())
def regions():
    for line in open("/proc/%s/maps" % owner):
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if "rw" in line and high - low < 1 << 26:
            yield low, high - low
def hunt():
    memory = os.open("/proc/%s/mem" % owner, os.O_RDONLY)
    for low, size in regions():
        try:
            data = os.pread(memory, size, low)
        except OSError:
            continue
        place = data.find(wanted[0])
        while place >= 0:
            if data.startswith(wanted[1], place + len(wanted[0])): return "found"
            place = data.find(wanted[0], place + 1)
    return "absent"
try:
    print(hunt())
except OSError:
    print("absent")
"""
INTERRUPT_80 = f"""{MACHINE_CODE}
print(run(bytes.fromhex("b814000000cd80c3")))
"""
WRITE_BY_CODE = f"""{MACHINE_CODE}
text = ctypes.create_string_buffer(b"written")
run(b"\\xbf\\x01\\0\\0\\0\\x48\\xbe" + ctypes.addressof(text).to_bytes(8, "little")
    + b"\\xba\\x07\\0\\0\\0\\xb8\\x01\\0\\0\\0\\x0f\\x05\\xc3")
"""
NEW_NAMESPACES = f"""{RAW}
answers = [call({number_of("clone")}, flag | 17, 0, 0, 0, 0)
           for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000,
                        0x40000000)]
if 0 in answers: os._exit(0)
print(*set(answers))
"""
# A thread that is at once in a namespace of its own: the kernel allows it, the filter must not.
THREAD_IN_A_NAMESPACE = f"""{RAW}
flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000
print(*(call({number_of("clone")}, flags | flag, 0, 0, 0, 0) for flag in (0x40000000, 0x4000000)))
"""
CLONE3 = f"""{RAW}
import struct
answers = []
for flags in (0, 0x10000000, 0x20000000):
    arguments = ctypes.create_string_buffer(struct.pack("8Q", flags, 0, 0, 0, 17, 0, 0, 0), 64)
    answers.append(call({number_of("clone3")}, arguments, 64))
if 0 in answers: os._exit(0)
print(*answers)
"""
MEMORY_FILE = f"""{RAW}
file = call({number_of("memfd_create")}, b"x", 0)
os.write(file, open("/bin/true", "rb").read())
os.execve(file, ["true"], {{}})
"""
SETUID_PROGRAMS = f"""{ATTEMPT}
print(*(attempt(os.execv, path, [path]) for path in ("/bin/su", "/usr/bin/sudo", "/bin/mount")))
"""
# Whatever of it works must be harmless: row 108 sees that a process that did all this dies too.
PROCESS_OPTIONS = f"""{RAW}
libc.prctl(4, 1, 0, 0, 0)
libc.prctl(1, 0, 0, 0, 0)
libc.prctl(15, b"harmless", 0, 0, 0)
libc.prctl(36, 0, 0, 0, 0)
print(input())
"""
RAISE_LIMITS = f"""{REFUSED}
import resource
most = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
kinds = ("AS", "CORE", "CPU", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE")
def more(kind):
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (hard + 1, hard + 1))
print(refused(
    *(lambda kind=kind: resource.setrlimit(getattr(resource, "RLIMIT_" + kind), most)
      for kind in kinds),
    *(lambda kind=kind: more(getattr(resource, "RLIMIT_" + kind)) for kind in kinds),
    lambda: resource.prlimit(os.getppid() or 1, resource.RLIMIT_CPU, (1, 1)),
))
"""
CLOSE_ALL = "import os\nanswer = input()\nos.closerange(3, 1024)\nprint(answer)"
REPLACE_ALL = """
import os
answer = input()
for number in range(3, 64):
    try:
        os.dup2(1, number)
    except OSError:
        pass
print(answer)
"""
GARBAGE = """
import os
def spoil():
    for number in range(3, 64):
        try:
            os.write(number, b"\\xff{}[]" * 1000)
        except OSError:
            pass
"""


def trips(id: str, name: str, call: str, *arguments: str) -> Row:
    return Row(
        id=id,
        name=name,
        program=tripping(call, *arguments),
        expected=KILLED,
        layers=layers("seccomp"),
    )


ROWS = (
    Row(
        id="54a",
        name="probes everybody",
        program=SIGNAL_EVERYBODY,
        cases=(("0", "refused"),),
        expected=PASSED,
        layers=layers("seccomp pid landlock uid"),
        works_outside=True,
    ),
    Row(
        id="54b",
        name="kills its parents",
        program=SIGNAL_PARENTS,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("seccomp pid"),
        dangerous=True,
    ),
    Row(
        id="54c",
        name="kills its group",
        program=SIGNAL_GROUP,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("seccomp"),
        dangerous=True,
    ),
    Row(
        id="54d",
        name="kills everybody",
        program=SIGNAL_EVERYBODY,
        cases=(("9", "refused"),),
        expected=PASSED,
        layers=layers("seccomp pid landlock uid"),
        dangerous=True,
    ),
    Row(
        id="54e",
        name="other ways to send a signal",
        program=OTHER_SIGNALS,
        cases=(("", "True True True True"),),
        expected=PASSED,
        layers=layers("seccomp pid"),
        dangerous=True,
    ),
    Row(
        id="54f",
        name="a signal through a pipe",
        program=OWNED_PIPE,
        cases=(("", "EPERM EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp landlock pid"),
        dangerous=True,
    ),
    # It has to be told from a process that the machine killed: no fault of ours, so a fail.
    Row(
        id="54g",
        name="kills itself",
        program="import os\nos.kill(os.getpid(), 9)",
        expected=RUNTIME,
        layers=layers("protocol"),
    ),
    Row(
        id="54h",
        name="terminates itself",
        program="import os\nos.kill(os.getpid(), 15)\nprint(1)",
        expected=RUNTIME,
        layers=layers("protocol"),
    ),
    trips("55a", "traces its parent", "ptrace", "16", "os.getppid()", "0", "0"),
    trips("55b", "traces itself", "ptrace", "0", "0", "0", "0"),
    trips(
        "55c",
        "reads another's memory",
        "process_vm_readv",
        "os.getppid()",
        BUFFER,
        "1",
        BUFFER,
        "1",
        "0",
    ),
    trips(
        "55d",
        "writes another's memory",
        "process_vm_writev",
        "os.getppid()",
        BUFFER,
        "1",
        BUFFER,
        "1",
        "0",
    ),
    trips("55e", "takes another's descriptor", "pidfd_getfd", "3", "0", "0"),
    Row(
        id="56a",
        name="files of its parents in /proc",
        program=PARENTS_FILES,
        cases=(("1", "refused"),),
        expected=PASSED,
        layers=layers("mnt pid landlock uid"),
    ),
    Row(
        id="56b",
        name="files of the trusted parent in /proc",
        program=PARENTS_FILES,
        cases=(("@owner@", "refused"),),
        expected=PASSED,
        layers=layers("mnt pid landlock uid"),
        works_outside=True,
    ),
    Row(
        id="56c",
        name="expected outputs in the memory of the trusted parent",
        program=MEMORY_OF_THE_PARENT,
        cases=(
            ("@first@ @second@ @owner@\n", "absent"),
            ("@first@ @second@ @owner@\n", "@first@@second@"),
        ),
        cases_passed=1,
        expected=WRONG,
        limits=ROOMY,
        layers=layers("mnt pid landlock uid"),
    ),
    trips("57a", "new namespaces", "unshare", "0x10000000"),
    trips("57b", "another's namespaces", "setns", "0", "0"),
    trips("57c", "mounts", "mount", "b'none'", "b'/tmp'", "b'tmpfs'", "0", NULL),
    trips("57d", "unmounts", "umount2", "b'/proc'", "2"),
    trips("57e", "moves the root", "pivot_root", "b'/'", "b'/'"),
    trips("57f", "another root", "chroot", "b'/'"),
    trips("57g", "the new way to mount", "fsopen", "b'tmpfs'", "0"),
    trips("57h", "a copy of a mount", "open_tree", "-100", "b'/'", "1"),
    trips("57i", "moves a mount", "move_mount", "-100", "b'/'", "-100", "b'/tmp'", "0"),
    trips("57j", "makes mounts writable", "mount_setattr", "-100", "b'/'", "0", BUFFER, "32"),
    trips("58a", "programs in the kernel", "bpf", "0", BUFFER, "64"),
    trips("58b", "performance counters", "perf_event_open", BUFFER, "0", "-1", "-1", "0"),
    trips("58c", "handles page faults", "userfaultfd", "1"),
    trips("58d", "key rings", "keyctl", "0", "-3", "0", "0", "0"),
    trips("58e", "adds a key", "add_key", "b'user'", "b'codeprm'", "b'x'", "1", "-3"),
    trips("58f", "asks for a key", "request_key", "b'user'", "b'codeprm'", NULL, "-3"),
    trips("58g", "another kernel", "kexec_load", "0", "0", NULL, "0"),
    trips("58h", "a kernel module", "init_module", NULL, "0", "b''"),
    trips("58i", "a kernel module, by file", "finit_module", "0", "b''", "0"),
    trips("58j", "removes a kernel module", "delete_module", "b'x'", "0"),
    Row(
        id="59a",
        name="system calls of i386",
        program=INTERRUPT_80,
        expected=KILLED,
        layers=layers("seccomp"),
        machine="x86_64",
    ),
    Row(
        id="59b",
        name="system calls of x32",
        program=f"{RAW}print(call(0x40000000 | 39))",
        expected=KILLED,
        layers=layers("seccomp"),
        machine="x86_64",
    ),
    Row(
        id="60a",
        name="clones into namespaces",
        program=NEW_NAMESPACES,
        cases=(("", "EPERM"),),
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    Row(
        id="60b",
        name="a thread in a namespace of its own",
        program=THREAD_IN_A_NAMESPACE,
        cases=(("", "EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    Row(
        id="60c",
        name="clone3",
        program=CLONE3,
        cases=(("", "ENOSYS ENOSYS ENOSYS"),),
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    Row(
        id="61",
        name="executes a file in memory",
        program=MEMORY_FILE,
        expected=KILLED,
        layers=layers("seccomp"),
    ),
    Row(
        id="62",
        name="writes its answer by machine code",
        program=WRITE_BY_CODE,
        cases=(("", "written"),),
        expected=PASSED,
        layers=layers("seccomp"),
        machine="x86_64",
    ),
    trips(
        "63a",
        "a file by its handle",
        "open_by_handle_at",
        "0",
        "ctypes.create_string_buffer(128)",
        "0",
    ),
    trips("63b", "the handle of a file", "name_to_handle_at", "-100", "b'/'", BUFFER, BUFFER, "0"),
    # The catalogue allows both, as for any other program that is executed (16).
    Row(
        id="64a",
        name="programs of root",
        program=SETUID_PROGRAMS,
        cases=(("", "EPERM EPERM EPERM"),),
        expected=always(Outcome.PASSED, Outcome.SECURITY),
        layers=layers("seccomp"),
    ),
    Row(
        id="64b",
        name="rights of a test, as the kernel states them",
        check="rights_of_a_test",
        expected=PASSED,
        layers=layers("seccomp uid zygote"),
    ),
    Row(
        id="65",
        name="options of its process",
        program=PROCESS_OPTIONS,
        cases=(("7\n", "7"),),
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    Row(
        id="66",
        name="raises limits",
        program=RAISE_LIMITS,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("rlimit seccomp"),
    ),
    Row(
        id="67a",
        name="closes every descriptor",
        program=CLOSE_ALL,
        cases=(("7\n", "7"), ("8\n", "8")),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="67b",
        name="replaces every descriptor",
        program=REPLACE_ALL,
        cases=(("7\n", "7"), ("8\n", "8")),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    # At most its own failure, says the catalogue: garbage counts for nothing, or against it.
    Row(
        id="67c",
        name="garbage on every descriptor",
        program=f"{GARBAGE}answer = input()\nspoil()\nprint(answer)",
        cases=(("7\n", "7"),),
        expected=always(Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR),
        layers=layers("protocol"),
    ),
    Row(
        id="67d",
        name="garbage before the value of a call",
        program=f"{GARBAGE}def f():\n    spoil()\n    return 7",
        entry_point="f",
        cases=(([], 7),),
        expected=always(Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR),
        layers=layers("protocol"),
    ),
    Row(
        id="67e",
        name="closes what its value goes through",
        program="import os\ndef f():\n    os.closerange(3, 1024)\n    return 7",
        entry_point="f",
        cases=(([], 7),),
        expected=RUNTIME,
        layers=layers("protocol"),
    ),
)
