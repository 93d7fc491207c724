"""The largest reports that a pipe lets through: the owner's time and memory stay bounded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from codeprm.judge.compare import CompareMode, compare_stdout, compare_value
from codeprm.sandbox import values
from codeprm.sandbox.runs import Limits
from tests.fuzz import returned
from tests.fuzz.engine import Broken

MAX_BYTES = Limits(cpu_time_s=1).output_bytes
# Of the owner, for one report or output; a worker has this much room beside its tests.
MAX_GROWTH_MB = 1024


def case(rng: Random) -> None:
    size = min(MAX_BYTES, rng.choice((1 << 10, 1 << 16, 1 << 20, MAX_BYTES)))
    make = rng.choice(REPORTS)
    data = make(size)[:MAX_BYTES]
    reset_peak()
    before_mb = peak_mb()
    try:
        value = values.decode(data)
    except ValueError:
        pass
    else:
        if size <= 1 << 20:
            returned.check_exact(value)
        compare_value(value, [1, [2]], CompareMode(is_float=True))
    for mode in (CompareMode(), CompareMode(is_float=True, ignore_case=True)):
        compare_stdout(data, "1 2\n3", mode)
        compare_stdout(data + b"7", data.decode("latin-1") + "8", mode)
    grown_mb = peak_mb() - before_mb
    if grown_mb > MAX_GROWTH_MB:
        raise Broken(f"{grown_mb} MB for {len(data)} bytes like {data[:40]!r}")


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


def repeated(unit: bytes, *, opening: bytes = b"", closing: bytes = b"") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        count = max(1, (size - len(opening) - len(closing)) // len(unit))
        return opening + unit * count + closing

    return make


def many_keys(size: int) -> bytes:
    members = ",".join(f'"{number:x}":0' for number in range(size // 12))
    return f'{{"d":{{{members}}}}}'.encode()


def full_tree(size: int) -> bytes:
    """Twenty deep and two wide at each level would be a million nodes."""
    node = b"0"
    while 2 * len(node) + 3 <= size:
        node = b"[%b,%b]" % (node, node)
    return node


REPORTS: tuple[Callable[[int], bytes], ...] = (
    repeated(b"0,", opening=b"[", closing=b"0]"),
    repeated(b"[],", opening=b"[", closing=b"[]]"),
    repeated(b'{"t":[]},', opening=b"[", closing=b"0]"),
    repeated(b'{"x":""},', opening=b"[", closing=b"0]"),
    repeated(b"1.5,", opening=b'{"t":[', closing=b"0]}"),
    repeated(b"9"),
    repeated(b"9", opening=b"1.", closing=b"e-5"),
    repeated(b"9", opening=b"1e"),
    repeated(b"f", opening=b'{"i":"0x', closing=b'"}'),
    repeated(b"f_f", opening=b'{"i":"0x', closing=b'"}'),
    repeated(b"\\ud83d", opening=b'"', closing=b'"'),
    repeated(b"\\u0000", opening=b'{"x":"', closing=b'"}'),
    repeated(b"[", closing=b""),
    repeated(b'{"d":{"a":', closing=b""),
    repeated(b" "),
    repeated(b"\n"),
    repeated(b"1 "),
    repeated(b"1.5 2e3\n"),
    repeated(b"yes\r"),
    repeated(b"-"),
    repeated(b"0", opening=b"-"),
    repeated(b"\xff"),
    repeated("\u0660".encode()),
    many_keys,
    full_tree,
)
