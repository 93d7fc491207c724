"""Results of tests, honest and not, against the verdict that is made of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

from codeprm.judge.verdict import GradeOptions, judge
from codeprm.records import Case, Label, Outcome, Problem, Trust, Verdict
from codeprm.sandbox.runs import RunResult, RunStatus
from codeprm.sandbox.values import Opaque
from tests.fuzz import outputs, returned, words
from tests.fuzz.engine import Broken, WrongAcceptance
from tests.fuzz.oracle import (
    TOLERANCE,
    Mode,
    Same,
    has_float,
    least,
    mode_of,
    same_output,
    same_value,
)
from tests.fuzz.returned import shown
from tests.rows import problem_row

MAX_DETAIL_CHARS = 300
UNKNOWN = {RunStatus.FLAKY, RunStatus.SANDBOX_ERROR}
ERRORS = ("", "Traceback:\nValueError: no", "\ud800", "\x00", "x" * 1000, "\n\n", "\ufffd")
COMPARES = ("grade/1+case", "grade/1+float", "grade/1+eps=0.0001", "grade/1+case+float+eps=0.01")
STDIN = problem_row("printed")
CALL = dataclasses.replace(problem_row("returned"), entry_point="solve")


def case(rng: Random) -> None:
    problem = dataclasses.replace(
        rng.choice((STDIN, CALL)),
        compare=rng.choice(("grade/1", "grade/1", *COMPARES)),
        trust=rng.choice((Trust.BOTH, Trust.BOTH, *Trust)),
    )
    expected = [_expected(rng, problem) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
    cases = [_case(problem, i, value) for i, value in enumerate(expected)]
    results = [_result(rng, problem, value) for value in expected]
    if rng.random() < 0.05:
        del results[rng.randint(0, len(results)) :]
    options = GradeOptions(run_all=rng.random() < 0.3)
    judged = Judging(problem, cases, expected, results, options)
    verdict = judged.verdict(iter(results))
    check_storable(verdict)
    check_sense(verdict, judged)
    check_label(verdict, judged)
    check_laziness(verdict, judged)


def check_storable(verdict: Verdict) -> None:
    """A verdict that cannot be written would stop the whole job."""
    for name, value in verdict.to_row().items():
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise Broken(f"{name} of a verdict cannot be stored: {value!r}") from error
    if len(verdict.detail) > MAX_DETAIL_CHARS:
        raise Broken(f"a detail of {len(verdict.detail)} characters")
    if Verdict.from_row(verdict.to_row()) != verdict:
        raise Broken(f"{verdict} does not come back from its row")


def check_sense(verdict: Verdict, judged: Judging) -> None:
    n_cases, n_results = len(judged.cases), len(judged.results)
    passed = verdict.outcome is Outcome.PASSED
    sane = (
        verdict.label is verdict.outcome.label
        and 0 <= verdict.cases_passed <= verdict.cases_run <= min(n_cases, n_results)
        and (not passed or verdict.cases_passed == n_cases > 0)
        and (not passed or verdict.first_failure is None)
    )
    if not sane:
        raise Broken(f"{verdict} of {n_results} results for {n_cases} tests")


def check_label(verdict: Verdict, judged: Judging) -> None:
    """Pass where the oracle passes every test; fail only where a test failed; else unknown.

    And neither where the problem's tests cannot decide it.
    """
    answers, trust = judged.answers(), judged.problem.trust
    complete = bool(judged.cases) and len(judged.results) == len(judged.cases)
    deserved = complete and least(answers) is not Same.NO and trust.in_passes
    if verdict.label is Label.PASS and not deserved:
        raise WrongAcceptance(f"{verdict} of {judged}")
    right = complete and least(answers) is Same.YES
    if right and verdict.label is not (Label.PASS if trust.in_passes else Label.UNKNOWN):
        raise Broken(f"refused: {verdict} of {judged}")
    if verdict.label is not Label.FAIL or Same.EITHER in answers:
        return
    pairs = zip(judged.results, answers, strict=False)
    first = next((result for result, answer in pairs if answer is Same.NO), None)
    if first is None or first.status in UNKNOWN:
        raise Broken(f"an unknown became a fail: {verdict} of {judged}")
    if first.status is RunStatus.OK and not trust.in_fails:
        raise Broken(f"tests that cannot decide it made a fail: {verdict} of {judged}")


def check_laziness(verdict: Verdict, judged: Judging) -> None:
    """No test is run after the first that fails."""
    asked = 0

    def counted() -> Iterator[RunResult]:
        nonlocal asked
        for result in judged.results:
            asked += 1
            yield result

    again = judged.verdict(counted())
    if again != verdict or asked > verdict.cases_run:
        raise Broken(f"{asked} tests were run for {verdict}, then {again}")


class Judging(NamedTuple):
    """All that a verdict is made of."""

    problem: Problem
    cases: list[Case]
    expected: list[Any]
    results: list[RunResult]
    options: GradeOptions

    def verdict(self, results: Iterator[RunResult]) -> Verdict:
        return judge(
            self.problem,
            self.cases,
            results,
            completion_id="c",
            sandbox_level="F0",
            options=self.options,
        )

    def answers(self) -> list[Same]:
        """The oracle's, one a result."""
        mode = _oracle_mode(self.problem, self.expected)
        pairs = zip(self.results, self.expected, strict=False)
        return [_answer(self.problem, result, expected, mode) for result, expected in pairs]

    def __str__(self) -> str:
        results = [(r.status.value, r.stdout[:300], shown(r.value)) for r in self.results]
        return f"{results} for {shown(self.expected)} by {self.problem.compare}"


def _answer(problem: Problem, result: RunResult, expected: Any, mode: Mode) -> Same:
    if result.status is not RunStatus.OK:
        return Same.NO
    if problem.entry_point is not None:
        return same_value(result.value, expected, mode)
    return same_output(result.stdout, expected, mode)


def _oracle_mode(problem: Problem, expected: list[Any]) -> Mode:
    """From the problem's rules, read by hand."""
    is_call = problem.entry_point is not None
    own = Mode(is_float=has_float(expected)) if is_call else mode_of(expected)
    eps = problem.compare.partition("eps=")[2]
    return Mode(
        is_float=own.is_float or "+float" in problem.compare,
        ignore_case=own.ignore_case or "+case" in problem.compare,
        tolerance=Fraction(eps) if eps else TOLERANCE,
    )


def _case(problem: Problem, index: int, expected: Any) -> Case:
    return Case(
        problem_id=problem.problem_id,
        index=index,
        input="[]" if problem.entry_point else '""',
        expected=json.dumps(expected),
        public=False,
    )


def _expected(rng: Random, problem: Problem) -> Any:
    if problem.entry_point is None:
        return words.written(rng, words.table(rng))
    return returned.stored(rng, 0)


def _result(rng: Random, problem: Problem, expected: Any) -> RunResult:
    status = RunStatus.OK if rng.random() < 0.85 else rng.choice(list(RunStatus))
    stdout, value = b"", None
    if problem.entry_point is not None:
        value = returned.returned(rng, expected) if rng.random() < 0.5 else expected
        if rng.random() < 0.05:
            value = Opaque(rng.choice(returned.TEXTS))
    elif rng.random() < 0.5:
        stdout = expected.encode()
    else:
        rows = [line.split() for line in expected.split("\n")]
        stdout = outputs.actual_output(rng, rows)
    return RunResult(
        status=status,
        stdout=stdout,
        value=value,
        stderr_tail=rng.choice(ERRORS),
        exit_code=rng.choice((0, 0, 1, -9, -31, None)),
        cpu_s=rng.random(),
        wall_s=rng.random(),
    )
