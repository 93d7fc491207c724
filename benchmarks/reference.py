"""The reference path: one shell and one interpreter a program, as CodeRM's executor starts them.

    program + tests -> one script in shared memory -> bash -c "ulimit -v KIB; python3 FILE"

The script imports what the reference's header imports. For stdin tests it wraps the program in a
function, calls that once a test with stdin replaced, and prints a sentinel after each; for call
tests it appends one assertion a test. All tests share the process and one time limit, which is
`(int(limit) + 1) * 2` seconds of wall time.

Written from a description, to be timed against: the interpreter is ours, output goes to a file and
so never blocks the program, memory is ample. Each of these is in the reference's favour; none of
its verdicts is used as a label.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks.programs import Program
from codeprm.judge.coderm import TOLERANCE, compare_stdout
from codeprm.judge.grade import encode_input
from codeprm.judge.verdict import read_json
from codeprm.sandbox.runs import CallInput

SHARED_MEMORY = "/dev/shm"
PYTHON = shlex.quote(sys.executable)
MEMORY_KIB = 4 << 20
# A program that prints for ever must not fill the shared memory.
MAX_OUTPUT_KIB = 64 << 10
SENTINEL = "<<<end of test>>>"
FUNCTION = "__program__"

HEADER = """\
import sys
import time
import itertools
from itertools import accumulate, product, permutations, combinations
import collections
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache
import math
from math import sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2
import fractions
from typing import *
import numpy as np
import random
import heapq
from heapq import *
sys.set_int_max_str_digits(0)
sys.setrecursionlimit(10**6)
"""

STDIN_TEST = """\
sys.stdin = __io.TextIOWrapper(__io.BytesIO({data!r}))
{function}()
print({sentinel!r})
"""

SAME_VALUE = f"""
def __same__(given, wanted):
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(__same__, given, wanted))
    if isinstance(given, (int, float)) and isinstance(wanted, (int, float)):
        return given == wanted or abs(given - wanted) < {TOLERANCE}
    return given == wanted

"""


class ReferenceRun(NamedTuple):
    """`finished` is False where the time limit ended it."""

    finished: bool
    passed: bool
    seconds: float


def run_all(
    programs: Iterable[Program],
    *,
    slots: int,
    unstated_limit_s: float,
    python: str = sys.executable,
) -> list[ReferenceRun]:
    """All programs, `slots` at once; results in their order."""
    with ThreadPoolExecutor(slots) as threads:
        return list(
            threads.map(
                lambda program: run(program, timeout_s(program, unstated_limit_s)), programs
            )
        )


def timeout_s(program: Program, unstated_limit_s: float) -> float:
    """Of all tests together; `unstated_limit_s` where the problem states no limit."""
    stated = program.stated_limit_s
    return unstated_limit_s if stated is None else float((int(stated) + 1) * 2)


def run(program: Program, limit_s: float) -> ReferenceRun:
    started = time.monotonic()
    with (
        tempfile.NamedTemporaryFile("w", suffix=".py", dir=SHARED_MEMORY, encoding="utf-8") as file,
        tempfile.TemporaryFile(dir=SHARED_MEMORY) as output,
    ):
        file.write(script(program))
        file.flush()
        limits = f"ulimit -v {MEMORY_KIB}; ulimit -f {MAX_OUTPUT_KIB}"
        code = _run_shell(
            f"{limits}; {shlex.quote(sys.executable)} {file.name}", output.fileno(), limit_s
        )
        seconds = time.monotonic() - started
        output.seek(0)
        passed = code == 0 and _is_right(program, output.read())
    return ReferenceRun(finished=code is not None, passed=passed, seconds=seconds)


def script(program: Program) -> str:
    """The file that the reference path would run."""
    tests = [(encode_input(program.problem, case), case.expected) for case in program.cases]
    if program.problem.entry_point is not None:
        return HEADER + program.source + SAME_VALUE + "".join(_assertions(program, tests))
    body = textwrap.indent(f"pass\n{program.source}", "    ")
    calls = "".join(
        STDIN_TEST.format(data=given.data, function=FUNCTION, sentinel=SENTINEL)
        for given, _ in tests
        if not isinstance(given, CallInput)
    )
    return f"{HEADER}import io as __io\n\ndef {FUNCTION}():\n{body}\n\n{calls}"


def _assertions(program: Program, tests: Iterable[tuple[object, str]]) -> Iterator[str]:
    owner = "Solution()." if "class Solution" in program.source else ""
    for given, expected in tests:
        assert isinstance(given, CallInput)
        arguments = ", ".join(map(repr, read_json(given.arguments.decode())))
        call = f"{owner}{given.entry_point}({arguments})"
        yield f"assert __same__({call}, {read_json(expected)!r})\n"


def _run_shell(command: str, output: int, limit_s: float) -> int | None:
    """Exit code, None where the time limit came first."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    process = subprocess.Popen(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    # Popen.wait with a limit sleeps up to 50 ms too long, which would be counted against it.
    watched = os.pidfd_open(process.pid)
    poller = select.poll()
    poller.register(watched, select.POLLIN)
    ended = bool(poller.poll(limit_s * 1000))
    os.close(watched)
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if ended else None


def _is_right(program: Program, output: bytes) -> bool:
    if program.problem.entry_point is not None:
        return True
    parts = output.split(f"{SENTINEL}\n".encode())[:-1]
    expected = [str(read_json(case.expected)) for case in program.cases]
    return len(parts) == len(expected) and all(map(compare_stdout, parts, expected))
