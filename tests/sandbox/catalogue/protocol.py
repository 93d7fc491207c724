"""Group H: protocol and encoding."""

from __future__ import annotations

from codeprm.records import Outcome
from codeprm.sandbox import wire
from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.cheating import call, text
from tests.sandbox.catalogue.row import (
    ASLEEP,
    BUSY,
    COMPILE,
    PASSED,
    RUNTIME,
    TIME,
    Expected,
    Repeat,
    Row,
    always,
    layers,
)
from tests.sandbox.catalogue.snippets import forging

ROOM = Limits(cpu_time_s=6, memory_mb=1024)


def raw(id: str, name: str, code: str, output: str) -> Row:
    """A program that writes bytes."""
    return text(id, name, f"import sys; sys.stdout.buffer.write({code})", output)


def source(id: str, name: str, program: str, output: str, expected: Expected = PASSED) -> Row:
    return text(id, f"source: {name}", program, output, expected)


ROWS = (
    raw("94a", "a lone surrogate", r"'7\ud800'.encode('utf-8', 'surrogatepass')", "7"),
    raw("94b", "invalid UTF-8", r"b'7\xff\xfe'", "7"),
    raw("94c", "UTF-16 with its mark", "'7'.encode('utf-16')", "7"),
    raw("95a", "a NUL", r"b'7\0'", "7"),
    raw("95b", "terminal colours", r"b'\x1b[31m7\x1b[0m'", "7"),
    raw("95c", "an integer of a million digits", "b'9' * 10**6", "7"),
    raw("95d", "an integer of a million digits for a float", "b'9' * 10**6", "0.5"),
    Row(
        id="95e",
        name="a million right digits",
        program="print('1' + '0' * 999_999)",
        cases=(("", "1" + "0" * 999_999),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    call("95f", "an integer of a million digits, returned",
         "def f(): return 10**1_000_000", 7, limits=ROOM),
    call("95g", "an exponent of a million digits", "def f(): return '1e' + '9' * 10**6", 1.5),
    call("96a", "a list within 100,000 lists",
         "def f():\n    x = 1\n    for _ in range(10**5): x = [x]\n    return x", [1]),
    # Nothing honest writes this: as a wrong value, or as no value at all (79, 102).
    call("96b", "the same, forged",
         "import os\ndef f():\n    data = b'V' + b'[' * 10**5 + b'1' + b']' * 10**5\n"
         "    while data: data = data[os.write(3, data):]\n    os._exit(0)",
         [1], always(Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR)),
    call("97a", "a dict of three million keys",
         "def f(): return dict.fromkeys(range(3 * 10**6), 0)", {"0": 0}, limits=ROOM),
    call("97b", "forged keys that collide as numbers",
         "import os\ndef f():\n    text = ','.join('\"%d\":0' % (k * (2**61 - 1))"
         " for k in range(10**5))\n"
         f"    data = {wire.VALUE!r} + b'{{\"d\":{{' + text.encode() + b'}}}}'\n"
         "    while data: data = data[os.write(3, data):]\n    os._exit(0)",
         {"0": 0}),
    text("98a", "closes its output", "import os; os.close(1)", "7"),
    text("98b", "closes sys.stdout", "import sys; sys.stdout.close(); sys.exit(0)", "7"),
    Row(
        id="99",
        name="never reads 100 MB of input",
        program="print(7)",
        cases=((Repeat("123456789\n", 10**7), "7"),),
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="100",
        name="reads byte by byte",
        program="import os\nwhile os.read(0, 1): pass\nprint(7)",
        cases=((Repeat("1234567\n", 10**6), "7"),),
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    source("101a", "rot13 is no encoding of text", "# coding: rot13\nprint(7)", "7", COMPILE),
    source("101b", "byte order mark", "\ufeffprint(7)", "7"),
    source("101c", "carriage returns", "if 1:\r\n    print(7)\r\n", "7"),
    source("101d", "tabs and form feeds", "\x0cif 1:\n\tprint(7)", "7"),
    source("101e", "latin-1", "# coding: latin-1\nprint(len('\u00e9'))", "2"),
    source("101f", "no such encoding", "# coding: no-such-codec\nprint(7)", "7", COMPILE),
    source("101g", "a NUL", "print(7)\0", "7", COMPILE),
    call("102a", "announces four gigabytes",
         forging(wire.VALUE + b"\xff\xff\xff\xff7"), 7, RUNTIME),
    call("102b", "ends in the middle of a value", forging(wire.VALUE + b'{"t":[7'), 7, RUNTIME),
    call("102c", "a tag of its own", forging(wire.VALUE + b'{"z":7}'), 7, RUNTIME),
    call("102d", "no value but a kind", forging(b"Z7"), 7, RUNTIME),
    Row(
        id="103",
        name="half a value, then silence",
        program=forging(wire.VALUE + b"[7,").replace(
            "os._exit(0)", "import time; time.sleep(3600)"
        ),
        entry_point="f",
        cases=(([], [7]),),
        expected=TIME,
        limits=ASLEEP,
        layers=layers("protocol zygote"),
    ),
)  # fmt: skip
