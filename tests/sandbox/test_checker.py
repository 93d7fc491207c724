"""Checkers run in the sandbox like the programs that they judge, and their faults are ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from codeprm.judge.grade import grade
from codeprm.records import Case, Label, Outcome, Problem, Verdict
from codeprm.sandbox.runner import Sandbox
from tests.rows import case_rows, problem_row

# Any two numbers with the given sum.
SUM = """
def check(input, output, expected):
    a, b = map(int, output.split())
    return a + b == int(input)
"""
PROGRAM = "n = int(input())\nprint(n - 1, 1)"
CASES = (("5", "2 3"), ("9\n", "4 5"), ("2", "1 1"))


@pytest.fixture(scope="module")
def checkers() -> Iterator[Sandbox]:
    with Sandbox() as slot:
        yield slot


def problem(checker: str, *, entry_point: str | None = None) -> Problem:
    return dataclasses.replace(problem_row("sum"), checker=checker, entry_point=entry_point)


def some_cases(*pairs: tuple[object, object]) -> list[Case]:
    return case_rows("p", pairs)


@pytest.fixture(params=["slot of its own", "taking turns"])
def judged(request: pytest.FixtureRequest, sandbox: Sandbox, checkers: Sandbox):  # type: ignore[no-untyped-def]
    second = checkers if request.param == "slot of its own" else None

    def run(problem: Problem, program: str) -> Verdict:
        cases = some_cases(*CASES)
        return grade(sandbox, problem, cases, program, solution_id="s", checkers=second)

    return run


def test_another_right_answer_passes_and_a_wrong_one_fails(judged) -> None:  # type: ignore[no-untyped-def]
    right = judged(problem(SUM), PROGRAM)
    assert (right.label, right.cases_passed) == (Label.PASS, 3), right
    assert right.grade_version == "grade/1+checker"
    wrong = judged(problem(SUM), "n = int(input())\nprint(n - 1, 1 + (n > 8))")
    assert (wrong.outcome, wrong.first_failure) == (Outcome.WRONG_ANSWER, 1)
    without = judged(problem(""), PROGRAM)
    assert (without.outcome, without.first_failure) == (Outcome.WRONG_ANSWER, 0)


@pytest.mark.parametrize(
    ("checker", "said"),
    [
        ("def check(i, o, e): return 1", "not a bool"),
        ("def check(i, o, e): raise ValueError('mine')", "ValueError: mine"),
        ("def check(i, o, e):\n    import os\n    os._exit(3)", "runtime_error"),
        ("def check(i, o, e) return", "compile_error"),
    ],
)
def test_a_fault_of_the_checker_is_never_a_fail(judged, checker: str, said: str) -> None:  # type: ignore[no-untyped-def]
    verdict = judged(problem(checker), PROGRAM)
    assert (verdict.outcome, verdict.label) == (Outcome.SANDBOX_ERROR, Label.UNKNOWN)
    assert said in verdict.detail
    # the slots are as good as new
    assert judged(problem(SUM), PROGRAM).label is Label.PASS


def test_output_that_breaks_the_checker_is_unknown_and_no_text_is_wrong(judged) -> None:  # type: ignore[no-untyped-def]
    assert judged(problem(SUM), "print('x')").outcome is Outcome.SANDBOX_ERROR
    no_text = "import sys\nsys.stdout.buffer.write(b'1 \\xff')"
    assert judged(problem(SUM), no_text).outcome is Outcome.WRONG_ANSWER


def test_a_checker_of_calls_reads_json(sandbox: Sandbox) -> None:
    checker = (
        "import json\n"
        "def check(input, output, expected):\n"
        "    (numbers,) = json.loads(input)\n"
        "    return sorted(json.loads(output)) == sorted(numbers) and expected[0] == '['\n"
    )
    cases = some_cases(([[1, 2]], [2, 1]), ([[3, 1]], [1, 3]))
    call = problem(checker, entry_point="f")
    assert grade(sandbox, call, cases, "def f(a): return a").label is Label.PASS
    assert grade(sandbox, call, cases, "def f(a): return a[:1]").label is Label.FAIL
    assert grade(sandbox, call, cases, "def f(a): return set(a)").label is Label.FAIL


def test_a_checker_keeps_nothing_from_one_test_for_the_next(sandbox: Sandbox) -> None:
    checker = "seen = []\ndef check(i, o, e):\n    seen.append(o)\n    return len(seen) == 1\n"
    cases = some_cases(*CASES)
    assert grade(sandbox, problem(checker), cases, PROGRAM).cases_passed == 3
