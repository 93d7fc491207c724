"""From a program and a problem's cases to a verdict, with real processes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codeprm.judge.grade import grade
from codeprm.records import Outcome, Problem, Verdict
from codeprm.sandbox.runner import Sandbox
from tests.rows import case_rows, judged_problem


def problem(entry_point: str | None) -> Problem:
    return dataclasses.replace(judged_problem(entry_point), time_limit_s=1.0)


def verdict(
    sandbox: Sandbox, program: str, pairs: list[tuple[Any, Any]], entry_point: str | None = None
) -> Verdict:
    cases = case_rows("p", pairs)
    return grade(sandbox, problem(entry_point), cases, program, solution_id="s")


SUMS = [("1 2", "3\n"), ("2\r\n3", "5"), ("10 20\n", "30\n")]
ADD = "print(sum(map(int, open(0).read().split())))"


@pytest.mark.parametrize(
    ("program", "outcome", "passed", "first_failure"),
    [
        (ADD, Outcome.PASSED, 3, None),
        (ADD + "(", Outcome.COMPILE_ERROR, 0, 0),
        (f"{ADD[:6]}min(9, {ADD[6:]})", Outcome.WRONG_ANSWER, 2, 2),
        (ADD + "\n1 / 0", Outcome.RUNTIME_ERROR, 0, 0),
        (ADD + "\nwhile True: pass", Outcome.TIME_LIMIT, 0, 0),
        (ADD + "\nx = [0] * 10**10", Outcome.MEMORY_LIMIT, 0, 0),
        (ADD + "\nwhile True: print('x' * 10**6)", Outcome.OUTPUT_LIMIT, 0, 0),
        ("", Outcome.NO_PROGRAM, 0, None),
    ],
)
def test_stdin_style(
    sandbox: Sandbox, program: str, outcome: Outcome, passed: int, first_failure: int | None
) -> None:
    result = verdict(sandbox, program, SUMS)
    assert result.outcome is outcome, result
    assert (result.cases_passed, result.first_failure) == (passed, first_failure)


def test_call_style(sandbox: Sandbox) -> None:
    program = "class Solution:\n    def half(self, x: int) -> List[float]: return (x / 2,)"
    result = verdict(sandbox, program, [([1], [0.5]), ([2], [1])], "half")
    assert result.outcome is Outcome.PASSED, result
    assert result.sandbox_level == sandbox.level
    assert result.cpu_s > 0
    assert verdict(sandbox, program, [([1], [0])], "half").outcome is Outcome.WRONG_ANSWER
