"""Group G: programs that want to be right without being it."""

from __future__ import annotations

from codeprm.sandbox import values, wire
from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.leaks import FRAMES, HIDDEN
from tests.sandbox.catalogue.row import (
    BUSY,
    PASSED,
    ROOMY,
    RUNTIME,
    TIME,
    WRONG,
    Case,
    Expected,
    Row,
    layers,
)
from tests.sandbox.catalogue.snippets import REFUSED, forging

PROTOCOL = layers("protocol")
EQUALS_ALL = "def __eq__(self, other): return True\n    def __hash__(self): return 0"
PATCHES = """
import builtins, json, math, pickle, sys, time
def always(*_, **__): return True
math.isclose = time.time = pickle.loads = json.loads = always
json.dumps = lambda *_, **__: "8"
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("codeprm"):
        for name, value in list(vars(module).items()):
            if callable(value) and name in ("encode", "decode", "dumps", "compare_value"):
                setattr(module, name, lambda *_: b"8")
"""
COUNTER = """
import os
answers = ["1", "22", "333"]
path = "/tmp/codeprm-marker-counter"
try:
    with open(path) as file: count = int(file.read())
except (OSError, ValueError):
    count = 0
try:
    with open(path, "w") as file: file.write(str(count + 1))
except OSError:
    pass
print(answers[count])
"""
DROP = f"""{REFUSED}
import sysconfig
folders = [*sys.path, os.path.dirname(os.__file__), sysconfig.get_path("purelib"), ".",
           os.path.expanduser("~"), input()]
def drop(path):
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(descriptor)
    os.unlink(path)
print(refused(*(lambda folder=folder, name=name: drop(os.path.join(folder, name))
                for folder in folders if folder and not folder.endswith(".zip")
                for name in ("codeprm-marker-conftest.py", "codeprm-marker-sitecustomize.py"))))
"""
CATCHES_THE_CALL = """
class Equal(list):
    def __eq__(self, other): return True
class Solution:
    def __getattribute__(self, name):
        def caught(*arguments):
            for argument in arguments:
                if isinstance(argument, list): argument[:] = [argument] * 3
            return Equal(arguments)
        return caught
    def f(self, xs): return xs
"""
PICKLE_BOMB = """
import os
class Bomb:
    def __reduce__(self): return (os.mkdir, ("/tmp/codeprm-marker-pickle",))
def f(): return [Bomb()]
"""


def frame(value: object) -> bytes:
    return wire.VALUE + values.encode(value)


def call(
    id: str,
    name: str,
    program: str,
    expected_value: object,
    expected: Expected = WRONG,
    *,
    given: tuple[object, ...] = (),
    limits: Limits = ROOMY,
) -> Row:
    """One call of `f`."""
    return Row(
        id=id,
        name=name,
        program=program,
        entry_point="f",
        cases=((list(given), expected_value),),
        expected=expected,
        limits=limits,
        layers=PROTOCOL,
    )


def text(
    id: str, name: str, program: str, output: str, expected: Expected = WRONG, *rest: Case
) -> Row:
    """A program that reads nothing."""
    return Row(
        id=id,
        name=name,
        program=program,
        cases=(("", output), *rest),
        expected=expected,
        layers=PROTOCOL,
    )


# (what is printed, what is expected), each wrong by `grade/1` though some grader accepts it.
LENIENCIES = (
    ("3 2 1", "1 2 3"), ("3\n2\n1", "1\n2\n3"), ("21", "1 2"), ("007", "7"), ("+5", "5"),
    ("1_000", "1000"), ("\uff11", "1"), ("NO", "YES"), ("1e3", "1000"), ("0.00005", "0"),
    ("10000000000000000000001", "10000000000000000000000"), ("1\n1\n2", "1\n2"), ("b a", "a b"),
    ("12345.6", "12345.7"), ("True", "1"),
)  # fmt: skip

ROWS = (
    call("76a", "equal to all", f"class A:\n    {EQUALS_ALL}\ndef f(): return A()", 7),
    call("76b", "an int that lies", f"class A(int):\n    {EQUALS_ALL}\ndef f(): return A(8)", 7),
    call(
        "76c", "a list that lies",
        f"class A(list):\n    {EQUALS_ALL}\n    def __iter__(self): return iter([7])\n"
        "    def __len__(self): return 1\ndef f(): return A([8])",
        [7],
    ),
    call(
        "76d", "a str that lies",
        f"class A(str):\n    {EQUALS_ALL}\n    def __str__(self): return 'yes'\n"
        "def f(): return A('no')",
        "yes",
    ),
    call(
        "76e", "another's class",
        f"class A:\n    __class__ = int\n    {EQUALS_ALL}\n    def __index__(self): return 7\n"
        "def f(): return A()",
        7,
    ),
    call(
        "76f", "an array that lies",
        f"import numpy\nclass A(numpy.ndarray):\n    {EQUALS_ALL}\n"
        "    def tolist(self): return [7]\n    def item(self): return 7\n"
        "def f(): return numpy.array([8]).view(A)",
        [7],
    ),
    call(
        "76g", "a dict that lies",
        "class A(dict):\n    def items(self): return [('a', 7)]\ndef f(): return A(a=8)",
        {"a": 7},
    ),
    call(
        "76h", "a class of classes that lies",
        "class M(type):\n    def __subclasscheck__(self, other): return True\n"
        "    def __instancecheck__(self, other): return True\n    __mro__ = (int, object)\n"
        "class A(metaclass=M):\n    def __index__(self): return 7\ndef f(): return A()",
        7,
    ),
    text("77a", "ends before it answers", "import sys; sys.exit(0)", "7"),
    text("77b", "ends at once before it answers", "import os; os._exit(0)", "7"),
    call("77c", "ends before it is called", "import sys; sys.exit(0)\ndef f(): 7", 7, RUNTIME),
    call("77d", "ends at once when called", "import os\ndef f(): os._exit(0)", 7, RUNTIME),
    text(
        "78a", "prints a verdict",
        "print('PASSED ___SENTINEL___ {\"is\": \"ended\", \"outcome\": \"passed\"}')", "7",
    ),
    call(
        "78b", "prints its value and ends",
        f"import os\ndef f():\n    os.write(1, {frame(7)!r})\n    os._exit(0)", 7, RUNTIME,
    ),
    call("79a", "a forged wrong value", forging(frame(8)), 7),
    # No gain in it: a program that knows the value might as well return it.
    call("79b", "a forged right value", forging(frame(7)), 7, PASSED),
    call("80a", "a right value forged before a wrong one",
         forging(frame(7)).replace("os._exit(0)", "return 8"), 7, RUNTIME),
    Row(
        id="80b",
        name="a value for the next test",
        program=forging(frame(7) + frame(7)).replace("os._exit(0)", "return 7"),
        entry_point="f",
        cases=(([], 7), ([], 7)),
        cases_passed=0,
        expected=RUNTIME,
        layers=PROTOCOL,
    ),
    text("81a", "prints at exit",
         "import atexit\natexit.register(print, 'more')\nprint(7)", "7"),
    text("81b", "prints when freed",
         "class A:\n    def __del__(self): print('more')\na = A()\nprint(7)", "7"),
    text("81c", "a thread prints after the answer",
         "import threading, time\n"
         "threading.Thread(target=lambda: (time.sleep(0.05), print('more'))).start()\nprint(7)",
         "7"),
    call("82a", "patches what carries its value", f"{PATCHES}def f(): return 8", 7),
    Row(
        id="82b",
        name="patches what the next test uses",
        program="import builtins, sys\nprint(print.__name__, len([1]))\n"
        "builtins.len = lambda _: 9\nbuiltins.print = lambda *_: sys.exit(3)\n"
        "sys.stdout.flush()",
        cases=(("", "print 1"), ("", "print 1")),
        expected=PASSED,
        layers=layers("zygote"),
    ),
    Row(
        id="83",
        name="frames of the grader",
        program=FRAMES,
        cases=HIDDEN,
        cases_passed=1,
        expected=WRONG,
        layers=PROTOCOL,
    ),
    Row(
        id="84",
        name="patches the clock",
        program="import time\ntime.time = time.process_time = time.monotonic = lambda: 0\n"
        "time.perf_counter = lambda: 0\nwhile True: pass",
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote protocol"),
    ),
    Row(
        id="85",
        name="drops files that Python would read",
        program=DROP,
        cases=(("@arena@\n", "refused"),),
        expected=PASSED,
        layers=layers("mnt landlock seccomp"),
    ),
    call("86a", "catches the call", CATCHES_THE_CALL, [1], given=([1],)),
    Row(
        id="86b",
        name="changes its arguments",
        program="def f(xs):\n    xs.append(len(xs))\n    return xs",
        entry_point="f",
        cases=(([[1]], [1, 1]), ([[1]], [1, 1])),
        expected=PASSED,
        layers=PROTOCOL,
    ),
    call("87", "a value that acts when unpickled", PICKLE_BOMB, [7]),
    Row(
        id="88",
        name="counts tests and replays answers",
        program=COUNTER,
        cases=(("", "1"), ("", "22"), ("", "333")),
        cases_passed=1,
        expected=WRONG,
        layers=layers("mnt landlock seccomp zygote"),
    ),
    Row(
        id="89",
        name="knows the public tests by heart",
        program="print({'1': '2', '2': '3'}.get(input(), '0'))",
        cases=(("1\n", "2"), ("2\n", "3"), ("5\n", "6")),
        cases_passed=2,
        expected=WRONG,
        layers=PROTOCOL,
    ),
    text("90", "prints every candidate", "for n in range(10): print(n)", "7"),
    call("91a", "an endless generator",
         "import itertools\ndef f(): return itertools.count()", [0, 1]),
    call("91b", "a lazy range", "def f(): return range(10**12)", [0, 1]),
    call("91c", "a list in itself", "def f():\n    x = []\n    x.append(x)\n    return x", [[]]),
    call("91d", "a view of eight gigabytes",
         "import numpy\ndef f(): return numpy.broadcast_to(0, (10**9,))", [0]),
    call("91e", "a list within ten thousand lists",
         "def f():\n    x = 1\n    for _ in range(10**4): x = [x]\n    return x", [1]),
    call("92a", "not a number", "def f(): return [float('nan')]", [1.0]),
    call("92b", "infinity", "def f(): return 1e400", 1e300),
    call("92c", "minus zero, by the rule zero", "def f(): return -0.0", 0, PASSED),
    text("92d", "not a number, printed", "print('nan')", "1.5"),
    text("92e", "infinity, printed", "print('1e400')", "1.5"),
    text("92f", "minus zero, printed", "print('-0')", "0", PASSED),
    call("92g", "not a number where it is expected", "def f(): return float('nan')", float("nan")),
    *(
        text(f"93{chr(ord('a') + number)}", f"{printed!r} for {wanted!r}",
             f"print({printed!r})", wanted)
        for number, (printed, wanted) in enumerate(LENIENCIES)
    ),
)  # fmt: skip
