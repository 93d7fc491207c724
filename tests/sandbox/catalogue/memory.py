"""Group B: memory, stack and compiler."""

from __future__ import annotations

from codeprm.records import Outcome
from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.row import (
    COMPILE,
    MEMORY,
    PASSED,
    ROOMY,
    RUNTIME,
    Repeat,
    Row,
    always,
    layers,
)
from tests.sandbox.catalogue.snippets import RAW, number_of

SMALL = Limits(cpu_time_s=4, memory_mb=64)
TINY = Limits(cpu_time_s=2, memory_mb=16)
DEEP = Limits(cpu_time_s=4, memory_mb=2048)

MAP_A_TERABYTE = """
import mmap
mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
"""
# Equality of an object with itself by its own equality: recursion that goes through C.
OVERFLOW = """
import sys, threading
sys.setrecursionlimit(10**9)
class Deep:
    def __eq__(self, other): return self == other
def dive(): return Deep() == 1
"""
# Ten megabytes of zeros, a thousand times over, with room made for them at once: growing by and by
# is row 19.
INFLATE = """
import zlib
packer = zlib.compressobj(1, zlib.DEFLATED, -15)
piece = packer.compress(bytes(10**7)) + packer.flush(zlib.Z_FULL_FLUSH)
zlib.decompress(piece * 1000, -15, 10**10)
"""
HUGE_PAGES = """
import mmap
try:
    mmap.mmap(-1, 1 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
    print("mapped")
except (OSError, ValueError):
    print("refused")
"""

ROWS = (
    Row(
        id="18",
        name="a list of 80 GB",
        program="x = [0] * 10**10",
        expected=MEMORY,
        layers=layers("rlimit"),
    ),
    Row(
        id="19",
        name="grows until it is stopped",
        program="x = []\nwhile True: x.append('x' * 10**6)",
        expected=MEMORY,
        limits=SMALL,
        layers=layers("rlimit"),
    ),
    Row(
        id="20",
        name="an array of 100 GB",
        program="import numpy; numpy.empty(10**11, dtype=numpy.int8)",
        expected=MEMORY,
        layers=layers("rlimit"),
    ),
    # The catalogue allows both: the refusal is an OSError of the program's own call.
    Row(
        id="21",
        name="maps a terabyte",
        program=MAP_A_TERABYTE,
        expected=always(Outcome.MEMORY_LIMIT, Outcome.RUNTIME_ERROR),
        layers=layers("rlimit"),
        works_outside=True,
    ),
    Row(
        id="22a",
        name="numpy with next to no memory",
        program="import numpy; print(numpy.arange(4).sum())",
        cases=(("", "6"),),
        expected=PASSED,
        limits=TINY,
        layers=layers("zygote rlimit"),
    ),
    Row(
        id="22b",
        name="numpy by another name",
        program="print(getattr(__import__('num' + 'py'), 'arange')(4).sum())",
        cases=(("", "6"),),
        expected=PASSED,
        limits=Limits(cpu_time_s=4, memory_mb=128),
        layers=layers("zygote rlimit"),
    ),
    Row(
        id="23",
        name="endless recursion",
        program="def f(): f()\nf()",
        expected=RUNTIME,
        limits=DEEP,
        layers=layers("zygote"),
    ),
    Row(
        id="24a",
        name="stack overflow",
        program=f"{OVERFLOW}dive()",
        expected=RUNTIME,
        limits=DEEP,
        layers=layers("zygote"),
    ),
    Row(
        id="24b",
        name="stack overflow of a thread",
        program=f"""{OVERFLOW}
threading.stack_size(1 << 20)
threading.Thread(target=dive).start()
""",
        expected=RUNTIME,
        layers=layers("zygote"),
    ),
    Row(
        id="25",
        name="reads address zero",
        program="import ctypes; ctypes.string_at(0)",
        expected=RUNTIME,
        layers=layers("zygote"),
    ),
    Row(
        id="26a",
        name="100,000 parentheses",
        program="x = " + "(" * 100_000 + ")" * 100_000,
        expected=COMPILE,
        layers=layers("zygote"),
    ),
    Row(
        id="26b",
        name="300,000 minus signs",
        program="x = " + "-" * 300_000 + "1",
        expected=COMPILE,
        layers=layers("zygote"),
    ),
    Row(
        id="26c",
        name="200,000 summands",
        program="x = " + "1 + " * 200_000 + "1",
        expected=COMPILE,
        layers=layers("zygote"),
    ),
    Row(
        id="27a",
        name="source of 200 MB",
        program=Repeat("x = 1\n", 35 << 20),
        expected=COMPILE,
        layers=layers("protocol"),
    ),
    Row(
        id="27b",
        name="one line of 50 MB",
        program=Repeat("x", 50 << 20),
        expected=COMPILE,
        layers=layers("protocol"),
    ),
    Row(
        id="27c",
        name="as long as a source may be",
        program=Repeat("print(1) #" + "x" * 990 + "\n", 4000),
        cases=(("", "1\n" * 4000),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    # The catalogue allows both: the compiler may fold the constant, or leave it to the program.
    Row(
        id="28a",
        name="a constant of 125 MB",
        program="x = 1 << 10**9\ny = x | 1",
        expected=always(Outcome.COMPILE_ERROR, Outcome.MEMORY_LIMIT),
        limits=SMALL,
        layers=layers("zygote rlimit"),
    ),
    Row(
        id="28b",
        name="a constant of 10 GB",
        program="x = 'a' * 10**10",
        expected=always(Outcome.COMPILE_ERROR, Outcome.MEMORY_LIMIT),
        limits=SMALL,
        layers=layers("zygote rlimit"),
    ),
    Row(
        id="29",
        name="decompression bomb",
        program=INFLATE,
        expected=MEMORY,
        limits=ROOMY,
        layers=layers("rlimit"),
    ),
    Row(
        id="30a",
        name="locks its memory",
        program=f"{RAW}print(call({number_of('mlockall')}, 3))",
        cases=(("", "EPERM"),),
        expected=PASSED,
        layers=layers("seccomp rlimit"),
        works_outside=True,
    ),
    Row(
        id="30b",
        name="huge pages",
        program=HUGE_PAGES,
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("rlimit"),
    ),
)
