from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from codeprm.errors import DataError, SandboxError
from codeprm.judge.checker import checker_fault, output_text
from codeprm.judge.grade import encode_input, grade
from codeprm.judge.verdict import MAX_DETAIL_CHARS, GradeOptions, judge
from codeprm.records import Case, Label, Outcome, Trust
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, RunResult, RunStatus, StdinInput
from codeprm.sandbox.values import Opaque
from tests.rows import judged_problem as problem


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


ALL = GradeOptions(run_all=True)


def test_all_cases_are_run_and_counted_when_asked() -> None:
    results = [wrote("1"), wrote("0"), wrote("3"), wrote("0")]
    four = cases(("", "1"), ("", "2"), ("", "3"), ("", "4"))
    verdict = judge(problem(), four, results, options=ALL)
    assert verdict.outcome is Outcome.WRONG_ANSWER
    assert (verdict.cases_passed, verdict.cases_run, verdict.first_failure) == (2, 4, 11)
    assert verdict.detail == "expected '2', not '0'"


@pytest.mark.parametrize("status", [RunStatus.COMPILE_ERROR, RunStatus.SANDBOX_ERROR])
def test_what_no_further_test_can_change_is_not_run_again(status: RunStatus) -> None:
    def results() -> Iterator[RunResult]:
        yield wrote("1")
        yield RunResult(status=status)
        pytest.fail("a third test was run")

    verdict = judge(problem(), cases(*[("", "1")] * 3), results(), options=ALL)
    assert (verdict.outcome.value, verdict.cases_run) == (status.value, 2)


@pytest.mark.parametrize(
    ("trust", "right", "wrong"),
    [
        (Trust.BOTH, Outcome.PASSED, Outcome.WRONG_ANSWER),
        (Trust.PASSES, Outcome.PASSED, Outcome.QUARANTINED),
        (Trust.FAILS, Outcome.QUARANTINED, Outcome.WRONG_ANSWER),
        (Trust.NONE, Outcome.QUARANTINED, Outcome.QUARANTINED),
    ],
)
def test_a_verdict_says_no_more_than_the_tests_can_decide(
    trust: Trust, right: Outcome, wrong: Outcome
) -> None:
    doubted = dataclasses.replace(problem(), trust=trust)
    one = cases(("", "1"))
    crash = RunResult(status=RunStatus.RUNTIME_ERROR, exit_code=1)
    assert judge(doubted, one, [wrote("1")]).outcome is right
    failed = judge(doubted, one, [wrote("2")])
    assert (failed.outcome, failed.first_failure) == (wrong, 10)
    assert "expected '1', not '2'" in failed.detail
    assert judge(doubted, one, [crash]).label is Label.FAIL
    # for tables beside CodeRM's figures, which knew of no doubt
    coderm = GradeOptions(compare="coderm")
    assert judge(doubted, one, [wrote("1")], options=coderm).outcome is Outcome.PASSED
    assert judge(doubted, one, [wrote("2")], options=coderm).outcome is Outcome.WRONG_ANSWER


def test_the_rule_set_of_a_verdict_is_written_into_it() -> None:
    loose = dataclasses.replace(problem(), compare="grade/1+case", checker="def check(): ...")
    spaced = cases(("", "1 a"))
    ours = judge(loose, spaced, [wrote("1  A")])
    assert (ours.label, ours.grade_version) == (Label.PASS, "grade/1+case+checker")
    theirs = judge(loose, spaced, [wrote("1  A")], options=GradeOptions(compare="coderm"))
    assert (theirs.label, theirs.grade_version) == (Label.FAIL, "coderm")


def test_a_problem_can_ask_for_floats_and_for_any_case() -> None:
    floats = dataclasses.replace(problem(), compare="grade/1+float+eps=0.001")
    assert judge(floats, cases(("", "3")), [wrote("3.0009")]).label is Label.PASS
    assert judge(problem(), cases(("", "3")), [wrote("3.0009")]).label is Label.FAIL


def test_a_checker_decides_what_the_rules_refuse() -> None:
    asked: list[int] = []

    def check(case: Case, result: RunResult) -> bool:
        asked.append(case.index)
        if result.stdout == b"broken":
            raise SandboxError("the checker failed")
        return result.stdout == b"other"

    one, two = cases(("", "1")), cases(("", "1"), ("", "2"))
    assert judge(problem(), two, [wrote("1"), wrote("other")], check=check).label is Label.PASS
    assert judge(problem(), one, [wrote("0")], check=check).outcome is Outcome.WRONG_ANSWER
    assert asked == [11, 10]
    fault = judge(problem(), one, [wrote("broken")], check=check)
    assert (fault.outcome, fault.label) == (Outcome.SANDBOX_ERROR, Label.UNKNOWN)
    assert fault.detail == "the checker failed"
    # a program that crashed is not shown to it, and CodeRM had none
    crash = RunResult(status=RunStatus.RUNTIME_ERROR, stdout=b"other")
    assert judge(problem(), one, [crash], check=check).outcome is Outcome.RUNTIME_ERROR
    coderm = GradeOptions(compare="coderm")
    verdict = judge(problem(), one, [wrote("other")], options=coderm, check=check)
    assert verdict.outcome is Outcome.WRONG_ANSWER


def test_fewer_cases_can_be_run_but_all_decide_the_mode() -> None:
    both = cases(("", "2"), ("", "0.5"))
    verdict = judge(problem(), both, [wrote("2.0000000001")], options=GradeOptions(max_cases=1))
    assert (verdict.label, verdict.cases_run) == (Label.PASS, 1)


@pytest.mark.parametrize(
    ("result", "is_call", "text"),
    [
        (wrote("1\n"), False, "1\n"),
        (RunResult(status=RunStatus.OK, stdout=b"\xff"), False, None),
        (returned((1, [None, 0.5])), True, "[1, [null, 0.5]]"),
        (returned([Opaque("set")]), True, None),
    ],
)
def test_what_a_checker_is_shown(result: RunResult, is_call: bool, text: str | None) -> None:
    assert output_text(result, is_call=is_call) == text


def test_an_integer_that_json_cannot_write_is_no_fail() -> None:
    with pytest.raises(SandboxError):
        output_text(returned(7**9000), is_call=True)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def check(input, output, expected):\n    return True", ""),
        ("import re\ndef check(a, b, c, /): return bool(a)", ""),
        ("def check(a, b): return True", "does not take 3"),
        ("def judge(a, b, c): return True", "defines no function"),
        ("def check(a, b, c) return", "not Python"),
        ("", "defines no function"),
    ],
)
def test_a_text_that_is_no_checker_is_told(source: str, fault: str) -> None:
    assert fault in checker_fault(source)
    assert bool(fault) == bool(checker_fault(source))


@pytest.mark.parametrize("status", [s for s in RunStatus if s is not RunStatus.OK])
def test_a_failed_run_has_the_outcome_of_its_status(status: RunStatus) -> None:
    result = RunResult(status=status, stdout=b"1", stderr_tail="Traceback\n  ValueError: bad\n")
    verdict = judge(problem(), cases(("", "1")), [result])
    assert verdict.outcome.value == status.value
    unknown = (RunStatus.SANDBOX_ERROR, RunStatus.FLAKY)
    assert verdict.label is (Label.UNKNOWN if status in unknown else Label.FAIL)
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


def test_a_detail_can_be_stored_whatever_a_program_said() -> None:
    half = RunResult(status=RunStatus.RUNTIME_ERROR, stderr_tail="half \ud800", exit_code=1)
    verdict = judge(problem(), cases(("", "1")), [half])
    assert verdict.detail == "half ?"
