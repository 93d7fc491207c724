from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from codeprm.errors import DataError
from codeprm.judge.grade import encode_input, grade
from codeprm.judge.verdict import MAX_DETAIL_CHARS, judge
from codeprm.records import Case, Label, Outcome, Problem
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, RunResult, RunStatus, StdinInput


def problem(entry_point: str | None = None) -> Problem:
    return Problem(
        problem_id="p",
        name="p",
        statement="",
        starter_code="",
        entry_point=entry_point,
        difficulty="",
        source="",
        date=None,
        time_limit_s=2.0,
        memory_limit_mb=256,
        compare="grade/1",
        n_cases=0,
        n_solutions=0,
        provenance=(),
    )


def cases(*pairs: tuple[Any, Any]) -> list[Case]:
    return [
        Case(
            problem_id="p",
            index=10 + index,
            input=json.dumps(given),
            expected=json.dumps(expected),
            public=True,
        )
        for index, (given, expected) in enumerate(pairs)
    ]


def wrote(text: str) -> RunResult:
    return RunResult(status=RunStatus.OK, stdout=text.encode(), exit_code=0, cpu_s=0.5, wall_s=1.0)


def returned(value: Any) -> RunResult:
    return RunResult(status=RunStatus.OK, value=value, exit_code=0)


def test_all_tests_passed() -> None:
    verdict = judge(
        problem(),
        cases(("", "1"), ("", "2")),
        [wrote("1\n"), wrote("2\n")],
        solution_id="s",
        sandbox_level="F3",
    )
    assert (verdict.outcome, verdict.label) == (Outcome.PASSED, Label.PASS)
    assert (verdict.cases_passed, verdict.cases_run, verdict.first_failure) == (2, 2, None)
    assert (verdict.cpu_s, verdict.wall_s) == (1.0, 2.0)
    assert (verdict.solution_id, verdict.completion_id) == ("s", None)
    assert (verdict.sandbox_level, verdict.grade_version) == ("F3", "grade/1")
    assert verdict.detail == ""


def test_nothing_is_asked_after_the_first_failure() -> None:
    def results() -> Iterator[RunResult]:
        yield wrote("1")
        yield wrote("0")
        pytest.fail("a third test was run")

    verdict = judge(problem(), cases(("", "1"), ("", "2"), ("", "3")), results())
    assert verdict.outcome is Outcome.WRONG_ANSWER
    assert (verdict.cases_passed, verdict.cases_run, verdict.first_failure) == (1, 2, 11)
    assert verdict.detail == "expected '2', not '0'"


def test_no_result_is_asked_for_beyond_the_last_case() -> None:
    def results() -> Iterator[RunResult]:
        yield wrote("1")
        pytest.fail("a second test was run")

    assert judge(problem(), cases(("", "1")), results()).outcome is Outcome.PASSED


@pytest.mark.parametrize("status", [s for s in RunStatus if s is not RunStatus.OK])
def test_a_failed_run_has_the_outcome_of_its_status(status: RunStatus) -> None:
    result = RunResult(status=status, stdout=b"1", stderr_tail="Traceback\n  ValueError: bad\n")
    verdict = judge(problem(), cases(("", "1")), [result])
    assert verdict.outcome.value == status.value
    assert verdict.label is (Label.UNKNOWN if status is RunStatus.SANDBOX_ERROR else Label.FAIL)
    if status is not RunStatus.TIME_LIMIT:
        assert verdict.detail == "ValueError: bad"


def test_the_mode_comes_from_all_cases_of_the_problem() -> None:
    both = cases(("", "2"), ("", "0.5"))
    assert judge(problem(), both, [wrote("2.0000000001"), wrote("0.5")]).label is Label.PASS
    assert judge(problem(), both[:1], [wrote("2.0000000001")]).label is Label.FAIL


def test_returned_values_are_compared_by_value() -> None:
    call = problem("f")
    assert judge(call, cases(([1], [1, [2]])), [returned((1, (2,)))]).label is Label.PASS
    assert judge(call, cases(([1], None)), [returned(None)]).label is Label.PASS
    wrong = judge(call, cases(([1], True)), [returned(1)])
    assert wrong.detail == "expected true, not 1"


def test_integers_of_any_length() -> None:
    expected = 7**9000
    call = problem("f")
    text = Case(problem_id="p", index=0, input="[]", expected=decimal(expected), public=False)
    assert judge(call, [text], [returned(expected)]).label is Label.PASS
    assert judge(call, [text], [returned(expected + 1)]).label is Label.FAIL


def decimal(value: int) -> str:
    from decimal import Context, Decimal

    return format(Context(prec=10_000).create_decimal(Decimal(value)), "f")


def test_detail_is_bounded() -> None:
    long = "x" * 100_000
    verdict = judge(problem(), cases(("", long + "y")), [wrote(long)])
    assert len(verdict.detail) <= MAX_DETAIL_CHARS


def test_a_problem_without_tests_decides_nothing() -> None:
    verdict = judge(problem(), [], [])
    assert (verdict.outcome, verdict.label) == (Outcome.QUARANTINED, Label.UNKNOWN)


def test_missing_results_are_our_fault() -> None:
    verdict = judge(problem(), cases(("", "1"), ("", "2")), [wrote("1")])
    assert verdict.outcome is Outcome.SANDBOX_ERROR
    assert verdict.label is Label.UNKNOWN


def test_an_empty_program_is_not_run() -> None:
    no_sandbox = cast(Sandbox, None)
    verdict = grade(no_sandbox, problem(), cases(("", "1")), " \n\t", completion_id="c")
    assert (verdict.outcome, verdict.label) == (Outcome.NO_PROGRAM, Label.FAIL)
    assert (verdict.cases_run, verdict.completion_id) == (0, "c")


@pytest.mark.parametrize(
    ("text", "data"),
    [("1 2", b"1 2\n"), ("1\r\n2\n", b"1\n2\n"), ("", b""), ("\u00e9\n", b"\xc3\xa9\n")],
)
def test_input_text_is_stored_as_judges_do(text: str, data: bytes) -> None:
    assert encode_input(problem(), cases((text, ""))[0]) == StdinInput(data)


def test_arguments_stay_json() -> None:
    call = CallInput(entry_point="f", arguments=b"[[1], 2]")
    assert encode_input(problem("f"), cases(([[1], 2], 0))[0]) == call


def test_input_that_is_no_text_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="case 10 of problem p"):
        encode_input(problem(), cases((5, ""))[0])
