"""Group F: what can be learned. The expected output of a later test is a word that only the
trusted parent has: a program passes every test but that one.
"""

from __future__ import annotations

from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.row import PASSED, READABLE_AT_F2, ROOMY, WRONG, Row, layers
from tests.sandbox.catalogue.snippets import HUNT, RAW, REFUSED

HIDDEN = (("@first@ @second@\n", "absent"), ("@first@ @second@\n", "@first@@second@"))
KNOWN_VARIABLES = (
    "HOME LANG LC_ALL LC_CTYPE MKL_NUM_THREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS PATH "
    "PYTHONDONTWRITEBYTECODE PYTHONHASHSEED"
)

# os.environ is a copy: the C library's own list counts too.
ENVIRONMENT = f"""{RAW}
first, second = input().split()
names = set(os.environ)
listed = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
index = 0
while listed and listed[index]:
    names.add(listed[index].partition(b"=")[0].decode())
    if (first + second).encode() in listed[index]: names.add("leaked")
    index += 1
print(sorted(names - set("{KNOWN_VARIABLES}".split())))
"""
# Halves are put together only inside of `in`, by a search for the one just before the other.
SOURCES = """
import gc, inspect, sys
first, second = input().split()
def has(text):
    place = text.find(first)
    while place >= 0:
        if text.startswith(second, place + len(first)): return True
        place = text.find(first, place + 1)
    return False
texts = [*map(str, sys.argv), *map(str, sys.orig_argv), *map(str, sys.path)]
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith(("codeprm", "__main__")):
        try:
            texts.append(inspect.getsource(module))
        except (OSError, TypeError):
            pass
        texts += [str(value) for value in vars(module).values()]
print("found" if any(map(has, texts)) else "absent")
"""
OBJECTS = """
import gc, sys
first, second = input().split()
def has(text):
    place = text.find(first)
    while place >= 0:
        if text.startswith(second, place + len(first)): return True
        place = text.find(first, place + 1)
    return False
gc.unfreeze()
texts = {}
def look(item):
    for member in gc.get_referents(item):
        if isinstance(member, str):
            texts[id(member)] = member
        elif isinstance(member, (bytes, bytearray)):
            texts[id(member)] = bytes(member).decode("latin-1")
        elif isinstance(member, (tuple, dict)) and not gc.is_tracked(member):
            look(member)
for item in gc.get_objects(): look(item)
frames = list(sys._current_frames().values())
while frames:
    frame = frames.pop()
    look(dict(frame.f_locals))
    if frame.f_back is not None: frames.append(frame.f_back)
print("found" if any(map(has, texts.values())) else "absent")
"""
# For row 83.
FRAMES = """
import sys
def look():
    frame, names = sys._getframe(), set()
    while frame is not None:
        names |= set(frame.f_locals) | set(frame.f_globals)
        frame = frame.f_back
    return names
wanted = {"expected", "gt_out", "cases", "case", "answers", "outputs", "verdict", "judge"}
input()
print("found" if look() & wanted else "absent")
"""
MEMORY = f"{HUNT}first, second = input().encode().split()\nprint(hunt(first, second))"
# One word is the victim's input, two are a search for it.
MEMORY_OF_OTHERS = f"""{HUNT}
import sys
words = sys.stdin.buffer.read().split(None, 2)
print(hunt(words[0], words[1]) if len(words) == 2 else "absent")
"""
FACTS = """
import os, sys, time
facts = [os.uname(), os.getpid(), os.cpu_count(), time.clock_gettime(time.CLOCK_BOOTTIME),
         os.times(), os.getuid(), os.getgroups(), sys.flags, os.getcwd()]
print("done")
"""
READ_PROC = f"""{REFUSED}
print(refused(*(lambda name=name: open("/proc/" + name).read(1)
                for name in ("stat", "uptime", "loadavg", "meminfo", "cpuinfo", "self/status"))))
"""

ROWS = (
    Row(
        id="68",
        name="environment",
        program=ENVIRONMENT,
        cases=(("@first@ @second@\n", "[]"),),
        expected=PASSED,
        layers=layers("zygote"),
        works_outside=True,
    ),
    Row(
        id="69",
        name="arguments, paths and sources of the harness",
        program=SOURCES,
        cases=HIDDEN,
        cases_passed=1,
        expected=WRONG,
        layers=layers("protocol zygote"),
    ),
    Row(
        id="70",
        name="objects and frames",
        program=OBJECTS,
        cases=HIDDEN,
        cases_passed=1,
        expected=WRONG,
        limits=ROOMY,
        layers=layers("protocol zygote"),
    ),
    Row(
        id="71",
        name="memory: expected outputs",
        program=MEMORY,
        cases=HIDDEN,
        cases_passed=1,
        expected=WRONG,
        limits=ROOMY,
        layers=layers("protocol zygote"),
    ),
    Row(
        id="72a",
        name="memory: input of the test before",
        program=MEMORY_OF_OTHERS,
        cases=(("@first@@second@\n" * 1000, "absent"), ("@first@ @second@", "absent")),
        expected=PASSED,
        limits=ROOMY,
        layers=layers("zygote"),
    ),
    Row(
        id="72b",
        name="memory: source and input of the program before",
        program=MEMORY_OF_OTHERS,
        before=(("x = '@first@@second@'\nprint(input())", "@first@@second@\n" * 1000),),
        cases=(("@first@ @second@", "absent"),),
        expected=PASSED,
        limits=ROOMY,
        layers=layers("zygote"),
    ),
    Row(
        id="73",
        name="random numbers and hashes",
        check="random_numbers",
        expected=PASSED,
        layers=layers("zygote"),
    ),
    Row(
        id="74",
        name="facts of the machine",
        program=FACTS,
        cases=(("", "done"),),
        expected=PASSED,
        limits=Limits(cpu_time_s=2, memory_mb=256),
        layers=layers("pid"),
    ),
    Row(
        id="75",
        name="what others do, in /proc",
        program=READ_PROC,
        cases=(("", "refused"),),
        expected=READABLE_AT_F2,
        layers=layers("mnt landlock"),
        works_outside=True,
    ),
)
