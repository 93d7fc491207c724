"""The results of a program's tests -> its Verdict: pure, and no further than the first failure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from codeprm.judge.compare import (
    GRADE_VERSION,
    CompareMode,
    compare_stdout,
    compare_value,
    stdout_mode,
    value_mode,
)
from codeprm.records import Case, Outcome, Problem, Verdict
from codeprm.sandbox.runs import RunResult, RunStatus
from codeprm.sandbox.values import Opaque, encode

MAX_DETAIL_CHARS = 300
MAX_EXCERPT_CHARS = 120
MAX_INT_DIGITS = 4000


def judge(
    problem: Problem,
    cases: Sequence[Case],
    results: Iterable[RunResult],
    *,
    completion_id: str | None = None,
    solution_id: str | None = None,
    sandbox_level: str = "",
) -> Verdict:
    """`results` follow `cases`; none is asked for after the first that fails.

    The verdict's times are sums over the tests that ran.
    """
    expectations = Expectations(problem, cases)
    run: list[RunResult] = []
    failure = None if cases else Failure(Outcome.QUARANTINED, "the problem has no tests")
    for case, result in zip(cases, results, strict=False):
        run.append(result)
        failure = expectations.failure(case, result)
        if failure:
            break
    if failure is None and len(run) < len(cases):
        failure = Failure(Outcome.SANDBOX_ERROR, f"{len(run)} results for {len(cases)} tests")
    outcome = failure.outcome if failure else Outcome.PASSED
    return Verdict(
        completion_id=completion_id,
        solution_id=solution_id,
        problem_id=problem.problem_id,
        outcome=outcome,
        label=outcome.label,
        cases_passed=len(run) - bool(failure and run),
        cases_run=len(run),
        first_failure=cases[len(run) - 1].index if failure and run else None,
        detail=failure.detail[:MAX_DETAIL_CHARS] if failure else "",
        cpu_s=sum(result.cpu_s for result in run),
        wall_s=sum(result.wall_s for result in run),
        grade_version=GRADE_VERSION,
        sandbox_level=sandbox_level,
    )


class Failure(NamedTuple):
    """Why a test was not passed."""

    outcome: Outcome
    detail: str


class Expectations:
    """What the tests of one problem expect."""

    def __init__(self, problem: Problem, cases: Sequence[Case]) -> None:
        self.is_call = problem.entry_point is not None
        self.cases = cases

    def failure(self, case: Case, result: RunResult) -> Failure | None:
        if result.status is not RunStatus.OK:
            return Failure(Outcome(result.status.value), _describe(result))
        expected = read_json(case.expected)
        actual: Any = result.value if self.is_call else result.stdout
        # Most outputs are equal in the strictest mode: then the problem's need not be known.
        if self._same(actual, expected, CompareMode()) or (
            self.mode != CompareMode() and self._same(actual, expected, self.mode)
        ):
            return None
        detail = f"expected {_excerpt(expected)}, not {_excerpt(actual)}"
        return Failure(Outcome.WRONG_ANSWER, detail)

    @cached_property
    def mode(self) -> CompareMode:
        expected = [read_json(case.expected) for case in self.cases]
        return value_mode(expected) if self.is_call else stdout_mode(expected)

    def _same(self, actual: Any, expected: Any, mode: CompareMode) -> bool:
        if self.is_call:
            return compare_value(actual, expected, mode)
        return compare_stdout(actual, expected, mode)


def read_json(text: str) -> Any:
    """As `json.loads`, for integers of any length too."""
    return json.loads(text, parse_int=_read_int)


def _read_int(digits: str) -> int:
    # Python refuses to read long integers, for fear of time; ours come from our own data.
    return int(digits) if len(digits) < MAX_INT_DIGITS else int(Decimal(digits))


def _describe(result: RunResult) -> str:
    lines = result.stderr_tail.strip().splitlines()
    if result.status is RunStatus.TIME_LIMIT:
        return f"stopped after {result.cpu_s:.2f} s of CPU time, {result.wall_s:.2f} s in all"
    if lines:
        return lines[-1].strip()
    return f"exit status {result.exit_code}"


def _excerpt(value: Any) -> str:
    """Text is shown as Python writes it, other values as the sandbox encodes them."""
    if isinstance(value, bytes):
        value = value[: 4 * MAX_EXCERPT_CHARS].decode("utf-8", "replace")
    if isinstance(value, str):
        shown = repr(value[:MAX_EXCERPT_CHARS])
    elif isinstance(value, Opaque):
        shown = f"a value of type {value.type_name}"
    else:
        # Not repr: it refuses integers of more than 4300 digits.
        shown = encode(value).decode("ascii")
    return shown if len(shown) <= MAX_EXCERPT_CHARS else shown[: MAX_EXCERPT_CHARS - 3] + "..."
