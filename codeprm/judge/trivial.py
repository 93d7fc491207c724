"""Trivial programs: tests that one of them passes say nothing for a program that passes too.

    nothing    prints nothing; returns None
    echo       prints its input; returns its first argument
    constant   prints, or returns, what the first test expects

What they would write is known without running them, so these are results, not programs. The
constant passes wherever all tests expect the same, and so wherever there is only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codeprm.judge.verdict import read_json
from codeprm.records import Case, Problem
from codeprm.sandbox.runs import RunResult, RunStatus

NOTHING, ECHO, CONSTANT = "nothing", "echo", "constant"
NAMES = (NOTHING, ECHO, CONSTANT)


def trivial_results(name: str, problem: Problem, cases: Sequence[Case]) -> Iterator[RunResult]:
    """What the program of that name would give, test by test."""
    is_call = problem.entry_point is not None
    first = read_json(cases[0].expected) if cases else None
    for case in cases:
        if name == NOTHING:
            answer = None if is_call else ""
        elif name == ECHO:
            given = read_json(case.input)
            answer = next(iter(given), None) if is_call else given
        else:
            answer = first
        if is_call:
            yield RunResult(status=RunStatus.OK, value=answer, exit_code=0)
        else:
            data = str(answer).encode("utf-8", "surrogatepass")
            yield RunResult(status=RunStatus.OK, stdout=data, exit_code=0)
