"""Group C: output and files."""

from __future__ import annotations

from codeprm.records import Outcome
from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.row import (
    BUSY,
    OUTPUT,
    PASSED,
    READABLE_AT_F2,
    RUNTIME,
    Repeat,
    Row,
    always,
    layers,
)
from tests.sandbox.catalogue.snippets import RAW, REFUSED, number_of

ONE_MB = Limits(cpu_time_s=4, memory_mb=256, output_bytes=1 << 20)

WRITE_IN = f"""{REFUSED}
folder = input()
def write(mode):
    with open(folder + "/codeprm-marker", mode) as file:
        file.write("x")
print(refused(
    lambda: write("w"), lambda: write("a"), lambda: write("x"),
    lambda: os.mkdir(folder + "/codeprm-marker-dir"),
    lambda: os.open(folder, os.O_TMPFILE | os.O_WRONLY),
    lambda: os.mkfifo(folder + "/codeprm-marker-fifo"),
))
"""
READ = f"""{REFUSED}
path = input()
print(refused(lambda: open(path).read(), lambda: os.open(path, os.O_RDONLY)))
"""
LIST = f"{REFUSED}folder = input()\nprint(refused(lambda: os.listdir(folder)))"
SMALL_FILES = """
import os
made = 0
for number in range(10**6):
    try:
        os.close(os.open("/tmp/codeprm-marker-%d" % number, os.O_CREAT | os.O_WRONLY))
    except OSError:
        break
    made += 1
print(made)
"""
SPARSE = f"""{REFUSED}
def grow(path):
    with open(path, "r+b") as file:
        file.truncate(1 << 40)
path = input()
print(refused(lambda: grow(path), lambda: os.truncate(path, 1 << 40)))
"""
# Standard input is a file in memory: a program must not be able to make it grow.
GROW_INPUT = f"""{REFUSED}
print(refused(
    lambda: os.ftruncate(0, 1 << 40), lambda: os.posix_fallocate(0, 0, 1 << 30),
    lambda: os.pwrite(0, b"x" * 4096, 1 << 30), lambda: os.write(0, b"x"),
))
"""
OPEN_FOR_WRITING = f"""{REFUSED}
import json
import importlib.util
def touch(path):
    status = os.stat(path)
    # The same times again: nothing is harmed where it works.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
paths = [os.__file__, json.__file__, importlib.util.cache_from_source(json.__file__), input()]
print(refused(
    *(lambda path=path: os.open(path, os.O_WRONLY) for path in paths),
    *(lambda path=path: os.open(path, os.O_RDWR | os.O_APPEND) for path in paths),
    *(lambda path=path: touch(path) for path in paths),
))
"""
CHANGE_RIGHTS = f"""{REFUSED}
path = input()
print(refused(
    lambda: os.chmod(path, 0o4777), lambda: os.chown(path, 12345, 12345),
    lambda: os.fchmod(0, 0o4755), lambda: os.utime(path, (1, 1)),
    lambda: os.setxattr(path, "user.codeprm", b"x"), lambda: os.setxattr(0, "user.codeprm", b"x"),
))
"""
LINKS = f"""{REFUSED}
path = input()
print(refused(
    lambda: os.symlink(path, "/tmp/codeprm-marker"), lambda: os.symlink(path, "codeprm-marker"),
    lambda: os.link(path, "/tmp/codeprm-marker"), lambda: os.link(path, "codeprm-marker"),
    lambda: os.rename(path, path + "-codeprm-marker"), lambda: os.unlink(path),
))
"""
WAYS_AROUND = f"""{REFUSED}
path = input()
up = "/.." * 12
print(refused(*(
    lambda way=way: open(way + path).read()
    for way in (up, os.path.dirname(os.__file__) + up, "/proc/self/root", "/proc/self/cwd" + up,
                "/proc/1/root", "/dev/fd/.." + up, "/proc/self/task/../root")
)))
"""
LOOK_AROUND = """
import os
first, second = input().split()
found = []
def look(path):
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if (first + second).encode() in os.read(file, 10**5): found.append(path)
        os.close(file)
    except OSError:
        pass
for folder in (".", "/tmp", "/var/tmp", "/dev/shm", "/run"):
    looked = 0
    for base, _, names in os.walk(folder):
        looked += len(names)
        if looked > 1000: break
        for name in names: look(os.path.join(base, name))
for number in range(64):
    try:
        data = os.pread(number, 10**7, 0)
    except OSError:
        continue
    if (first + second).encode() in data: found.append(number)
print(found or "absent")
"""
KEEPS_ITS_SECRET = "secret = '@first@@second@'\nprint(input())\n#" + "x" * 100_000

# Marks are left by one test and looked for by the next; `leave` or `look` is the input.
FILE_MARK = """
import os
def leave():
    for folder in ("/tmp", "/dev/shm", ".", "/var/tmp"):
        try:
            open(folder + "/codeprm-marker", "w").write("x")
        except OSError:
            pass
def look():
    return any(os.path.exists(folder + "/codeprm-marker")
               for folder in ("/tmp", "/dev/shm", ".", "/var/tmp"))
"""
SYSV_MARK = f"""{RAW}
KEY = 0x434F4445
def leave():
    for number in ({number_of("shmget")}, {number_of("msgget")}):
        call(number, KEY, 4096, 0o1666) if number == {number_of("shmget")} else call(
            number, KEY, 0o1666)
    call({number_of("semget")}, KEY, 1, 0o1666)
def look():
    answers = [call({number_of("shmget")}, KEY, 0, 0), call({number_of("msgget")}, KEY, 0),
               call({number_of("semget")}, KEY, 0, 0)]
    return any(isinstance(answer, int) for answer in answers)
"""
QUEUE_MARK = f"""{RAW}
def leave():
    call({number_of("mq_open")}, b"codeprm-marker", 0o102, 0o666, ctypes.c_void_p())
def look():
    return isinstance(call({number_of("mq_open")}, b"codeprm-marker", 0, 0, ctypes.c_void_p()), int)
"""
SOCKET_MARK = """
import socket
kept = []
def leave():
    try:
        server = socket.socket(socket.AF_UNIX)
        server.bind("\\0codeprm-marker")
        server.listen()
        kept.append(server)
    except OSError:
        pass
def look():
    try:
        socket.socket(socket.AF_UNIX).connect("\\0codeprm-marker")
    except OSError:
        return False
    return True
"""
# All tests of a slot use the same descriptors: what stays on them is a way to the next test.
DESCRIPTOR_MARK = """
import fcntl, os
def leave():
    os.lseek(0, 3, 0)
    for number in range(4):
        for act in (
            lambda: os.set_blocking(number, False),
            lambda: fcntl.ioctl(number, 0x5421, b"\\1\\0\\0\\0"),
            lambda: fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND | 0o40000),
            lambda: fcntl.fcntl(number, 1031, 4096),
        ):
            try:
                act()
            except OSError:
                pass
def look():
    os.write(1, b" " * (1 << 20))
    marks = os.O_NONBLOCK | os.O_APPEND | 0o40000
    return fcntl.fcntl(1, 1032) == 4096 or any(
        fcntl.fcntl(number, fcntl.F_GETFL) & marks for number in range(3))
"""
MAPPING_MARK = """
import mmap
def leave():
    try:
        page = mmap.mmap(0, 4, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        page[:4] = b"mark"
    except (OSError, ValueError):
        pass
def look():
    return False
"""


def marks(source: str) -> str:
    """A program that leaves a mark, or looks for one."""
    return f"""{source}
if input() == "leave":
    leave()
    print("left")
else:
    print("found" if look() else "nothing")
"""


LEAVE_AND_LOOK = (("leave\n", "left"), ("look\n", "nothing"), ("look\n", "nothing"))

ROWS = (
    Row(
        id="31",
        name="prints without end",
        program="while True: print('x' * 1000)",
        expected=OUTPUT,
        limits=ONE_MB,
        layers=layers("protocol"),
    ),
    Row(
        id="32",
        name="one line of a gigabyte",
        program="import os\nfor _ in range(1000): os.write(1, b'x' * 10**6)",
        expected=OUTPUT,
        parent_mb=64,
        layers=layers("protocol"),
    ),
    # The catalogue allows both: ignored until time is up, or a limit of its own.
    Row(
        id="33a",
        name="errors without end",
        program="import sys\nwhile True: sys.stderr.write('x' * 10**4)",
        expected=always(Outcome.TIME_LIMIT, Outcome.OUTPUT_LIMIT),
        limits=BUSY,
        parent_mb=64,
        layers=layers("protocol"),
    ),
    Row(
        id="33b",
        name="10 MB of errors before a right answer",
        program="import sys\nfor _ in range(10): sys.stderr.write('x' * 10**6)\nprint(input())",
        cases=(("7\n", "7"),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="34a",
        name="70 KB of right output",
        program="print('x' * 70_000)",
        cases=(("", Repeat("x", 70_000)),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="34b",
        name="10 MB of right output",
        program="import sys\nfor _ in range(10**6): sys.stdout.write('123456789\\n')",
        cases=(("", Repeat("123456789\n", 10**6)),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    *(
        Row(
            id=f"35{letter}",
            name=f"writes to {folder}",
            program=WRITE_IN,
            cases=((folder + "\n", "refused"),),
            expected=PASSED,
            layers=layers("mnt landlock seccomp rlimit"),
            works_outside=letter == "a",
        )
        for letter, folder in (("a", "/tmp"), ("b", "/dev/shm"), ("c", "."), ("d", "@arena@"))
    ),
    Row(
        id="36a",
        name="a sparse file of a terabyte",
        program=SPARSE,
        cases=(("@victim@\n", "refused"),),
        expected=PASSED,
        layers=layers("rlimit mnt landlock seccomp"),
    ),
    Row(
        id="36b",
        name="standard input of a terabyte",
        program=GROW_INPUT,
        cases=(("x\n", "refused"), ("x\n", "refused")),
        expected=PASSED,
        layers=layers("rlimit seccomp"),
    ),
    Row(
        id="37",
        name="a million small files",
        program=SMALL_FILES,
        cases=(("", "0"),),
        expected=PASSED,
        layers=layers("mnt landlock seccomp"),
        dangerous=True,
    ),
    Row(
        id="38",
        name="100,000 open files",
        program="files = [open('/dev/null') for _ in range(10**5)]",
        expected=RUNTIME,
        layers=layers("rlimit"),
    ),
    Row(
        id="39a",
        name="reads what everybody may",
        program=READ,
        cases=(("@secret@\n", "refused"),),
        expected=READABLE_AT_F2,
        layers=layers("mnt landlock"),
        works_outside=True,
    ),
    Row(
        id="39b",
        name="reads /etc/passwd",
        program=READ,
        cases=(("/etc/passwd\n", "refused"),),
        expected=READABLE_AT_F2,
        layers=layers("mnt landlock"),
        works_outside=True,
    ),
    Row(
        id="39c",
        name="reads what only the owner may",
        program=READ,
        cases=(("@private@\n", "refused"),),
        expected=PASSED,
        same_user_at_f2=Outcome.WRONG_ANSWER,
        layers=layers("mnt landlock uid"),
        works_outside=True,
    ),
    Row(
        id="39d",
        name="lists root's home",
        program=LIST,
        cases=(("/root\n", "refused"),),
        expected=PASSED,
        layers=layers("mnt landlock uid"),
        works_outside=True,
    ),
    Row(
        id="39e",
        name="lists homes",
        program=LIST,
        cases=(("/home\n", "refused"),),
        expected=READABLE_AT_F2,
        layers=layers("mnt landlock"),
        works_outside=True,
    ),
    Row(
        id="40",
        name="writes over libraries",
        program=OPEN_FOR_WRITING,
        cases=(("@victim@\n", "refused"),),
        expected=PASSED,
        layers=layers("mnt landlock seccomp uid"),
        works_outside=True,
    ),
    Row(
        id="41a",
        name="source and input of the program before",
        program=LOOK_AROUND,
        before=((KEEPS_ITS_SECRET, "@first@@second@\n" * 100),),
        cases=(("@first@ @second@\n", "absent"),),
        expected=PASSED,
        layers=layers("zygote mnt landlock"),
    ),
    Row(
        id="41b",
        name="input of the test before",
        program=LOOK_AROUND.replace("input().split()", "input().ljust(20).split(' ', 1)"),
        cases=(("@first@@second@\n" * 100, "absent"), ("@first@ @second@\n", "absent")),
        expected=PASSED,
        layers=layers("zygote mnt landlock"),
    ),
    Row(
        id="42a",
        name="links, renames and removes",
        program=LINKS,
        cases=(("@movable@\n", "refused"),),
        expected=PASSED,
        layers=layers("mnt landlock seccomp uid"),
        works_outside=True,
    ),
    Row(
        id="42b",
        name="paths that lead out",
        program=WAYS_AROUND,
        cases=(("@secret@\n", "refused"),),
        expected=READABLE_AT_F2,
        layers=layers("mnt landlock"),
        works_outside=True,
    ),
    Row(
        id="43",
        name="rights, owners and the setuid bit",
        program=CHANGE_RIGHTS,
        cases=(("@victim@\n", "refused"),),
        expected=PASSED,
        layers=layers("mnt seccomp uid"),
        works_outside=True,
    ),
    *(
        Row(
            id=f"44{letter}",
            name=f"a mark for the next test: {name}",
            program=marks(source),
            cases=LEAVE_AND_LOOK,
            expected=PASSED,
            layers=layers(held_by),
        )
        for letter, name, source, held_by in (
            ("a", "a file", FILE_MARK, "mnt landlock seccomp"),
            ("b", "System V objects", SYSV_MARK, "ipc seccomp"),
            ("c", "a message queue", QUEUE_MARK, "ipc seccomp rlimit"),
            ("d", "an abstract socket", SOCKET_MARK, "net landlock seccomp"),
            ("e", "flags of descriptors", DESCRIPTOR_MARK, "zygote seccomp"),
            ("f", "its input, mapped", MAPPING_MARK, "zygote"),
        )
    ),
    Row(
        id="44g",
        name="a file lock, seen from another slot",
        check="lock_across_slots",
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    *(
        Row(
            id=f"44{letter}",
            name=f"a mark for the next program: {name}",
            program=marks(source),
            before=((marks(source) + "# another program", "leave\n"),),
            cases=(("look\n", "nothing"),),
            expected=PASSED,
            layers=layers(held_by),
        )
        for letter, name, source, held_by in (
            ("h", "System V objects", SYSV_MARK, "ipc seccomp"),
            ("i", "flags of descriptors", DESCRIPTOR_MARK, "zygote seccomp"),
        )
    ),
)
