"""The results of a program's tests -> its Verdict: pure, and by default up to the first failure.

    results -> judge_cases -> one Judged a test, lazily -> verdict_of -> Verdict

What a test shows is one thing, what may be believed of it another: `Problem.trust` turns a pass or
a wrong answer that is no label into `quarantined`. Other failures are the program's own whatever
the tests are worth, and faults of ours (`sandbox_error`, a checker's too) are unknown in any case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from codeprm.errors import SandboxError
from codeprm.judge import coderm
from codeprm.judge.compare import (
    GRADE_VERSION,
    CompareMode,
    compare_stdout,
    compare_value,
    squeezed,
)
from codeprm.judge.rules import parse_rules
from codeprm.records import Case, Outcome, Problem, Trust, Verdict, content_hash
from codeprm.sandbox.runs import RunResult, RunStatus
from codeprm.sandbox.values import Opaque, encode

MAX_DETAIL_CHARS = 300
MAX_EXCERPT_CHARS = 120
MAX_INT_DIGITS = 4000
MAX_NAMED_BYTES = 1 << 16

# No test can say more: the program does not run, or our machine does not.
LAST_WORDS = (Outcome.COMPILE_ERROR, Outcome.SANDBOX_ERROR)

Check = Callable[[Case, RunResult], bool]
"""A problem's checker: whether an output that is not the stored one is right, too.

SandboxError where it cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeOptions:
    """What decides a verdict besides program, problem and machine."""

    compare: str = GRADE_VERSION
    """`grade/1`: the problem's own rules. `coderm`: CodeRM's comparison, without trust or checker,
    for tables."""
    run_all: bool = False
    """Go on after a failure, to count the tests that pass."""
    max_cases: int = 0
    """Run at most so many tests, the first ones; 0 for all."""


class Failure(NamedTuple):
    """Why a test was not passed; `written` names a wrong output up to white space."""

    outcome: Outcome
    detail: str
    excerpt: str = ""
    written: str = ""


class Judged(NamedTuple):
    """One test, run and compared."""

    failure: Failure | None
    cpu_s: float
    wall_s: float


def judge(
    problem: Problem,
    cases: Sequence[Case],
    results: Iterable[RunResult],
    *,
    completion_id: str | None = None,
    solution_id: str | None = None,
    sandbox_level: str = "",
    options: GradeOptions | None = None,
    check: Check | None = None,
) -> Verdict:
    """`results` follow `cases`; none is asked for after the first that fails, unless told to.

    The verdict's times are sums over the tests that ran.
    """
    options = options or GradeOptions()
    return verdict_of(
        problem,
        cases[: options.max_cases or None],
        judge_cases(problem, cases, results, options=options, check=check),
        completion_id=completion_id,
        solution_id=solution_id,
        sandbox_level=sandbox_level,
        options=options,
    )


def judge_cases(
    problem: Problem,
    cases: Sequence[Case],
    results: Iterable[RunResult],
    *,
    options: GradeOptions | None = None,
    check: Check | None = None,
) -> Iterator[Judged]:
    """One a result, each made when it is asked for; `cases` are all of the problem's."""
    options = options or GradeOptions()
    expectations = Expectations(problem, cases, compare=options.compare, check=check)
    chosen = cases[: options.max_cases or None]
    for case, result in zip(chosen, results, strict=False):
        yield Judged(expectations.failure(case, result), result.cpu_s, result.wall_s)


def verdict_of(
    problem: Problem,
    cases: Sequence[Case],
    judged: Iterable[Judged],
    *,
    completion_id: str | None = None,
    solution_id: str | None = None,
    sandbox_level: str = "",
    options: GradeOptions | None = None,
) -> Verdict:
    """`judged` follow `cases`, the tests that were to be run."""
    options = options or GradeOptions()
    run: list[Judged] = []
    for _, test in zip(cases, judged, strict=False):
        run.append(test)
        if test.failure and (not options.run_all or test.failure.outcome in LAST_WORDS):
            break
    failed = [number for number, test in enumerate(run) if test.failure]
    failure = run[failed[0]].failure if failed else None
    if not cases:
        failure = Failure(Outcome.QUARANTINED, "the problem has no tests")
    elif failure is None and len(run) < len(cases):
        failure = Failure(Outcome.SANDBOX_ERROR, f"{len(run)} results for {len(cases)} tests")
    if options.compare != coderm.VERSION:
        failure = _believed(failure, problem.trust)
    outcome = failure.outcome if failure else Outcome.PASSED
    return Verdict(
        completion_id=completion_id,
        solution_id=solution_id,
        problem_id=problem.problem_id,
        outcome=outcome,
        label=outcome.label,
        cases_passed=len(run) - len(failed),
        cases_run=len(run),
        first_failure=cases[failed[0]].index if failed else None,
        detail=_storable(failure.detail[:MAX_DETAIL_CHARS]) if failure else "",
        cpu_s=sum(test.cpu_s for test in run),
        wall_s=sum(test.wall_s for test in run),
        grade_version=grade_version(problem, options.compare),
        sandbox_level=sandbox_level,
    )


def trusted(outcome: Outcome, trust: Trust) -> Outcome:
    """What may be believed of an outcome: `quarantined` where the tests cannot decide it."""
    if outcome is Outcome.PASSED and not trust.in_passes:
        return Outcome.QUARANTINED
    if outcome is Outcome.WRONG_ANSWER and not trust.in_fails:
        return Outcome.QUARANTINED
    return outcome


def grade_version(problem: Problem, compare: str) -> str:
    """What stands in verdicts: the rule set with its options, and whether a checker decides."""
    if compare == coderm.VERSION:
        return coderm.VERSION
    return problem.compare + ("+checker" if problem.checker else "")


class Expectations:
    """What the tests of one problem expect."""

    def __init__(
        self,
        problem: Problem,
        cases: Sequence[Case],
        *,
        compare: str = GRADE_VERSION,
        check: Check | None = None,
    ) -> None:
        self.is_call = problem.entry_point is not None
        self.cases = cases
        self.is_coderm = compare == coderm.VERSION
        self.rules = parse_rules(problem.compare)
        self.check = None if self.is_coderm else check

    def failure(self, case: Case, result: RunResult) -> Failure | None:
        if result.status is not RunStatus.OK:
            return Failure(Outcome(result.status.value), _describe(result))
        expected = read_json(case.expected)
        actual: Any = result.value if self.is_call else result.stdout
        if self._same(actual, expected):
            return None
        try:
            if self.check is not None and self.check(case, result):
                return None
        except SandboxError as error:
            return Failure(Outcome.SANDBOX_ERROR, str(error))
        shown = _excerpt(actual)
        detail = f"expected {_excerpt(expected)}, not {shown}"
        return Failure(Outcome.WRONG_ANSWER, detail, shown, _digest(actual))

    @cached_property
    def mode(self) -> CompareMode:
        expected = (read_json(case.expected) for case in self.cases)
        return self.rules.mode(list(expected), is_call=self.is_call)

    def _same(self, actual: Any, expected: Any) -> bool:
        if self.is_coderm:
            compare = coderm.compare_value if self.is_call else coderm.compare_stdout
            return compare(actual, expected)
        # Most outputs are equal in the strictest mode: then the problem's need not be known.
        return self._equal(actual, expected, CompareMode()) or (
            self.mode != CompareMode() and self._equal(actual, expected, self.mode)
        )

    def _equal(self, actual: Any, expected: Any, mode: CompareMode) -> bool:
        if self.is_call:
            return compare_value(actual, expected, mode)
        return compare_stdout(actual, expected, mode)


def read_json(text: str) -> Any:
    """As `json.loads`, for integers of any length too."""
    return json.loads(text, parse_int=_read_int)


def _read_int(digits: str) -> int:
    # Python refuses to read long integers, for fear of time; ours come from our own data.
    return int(digits) if len(digits) < MAX_INT_DIGITS else int(Decimal(digits))


def _believed(failure: Failure | None, trust: Trust) -> Failure | None:
    outcome = failure.outcome if failure else Outcome.PASSED
    if trusted(outcome, trust) is outcome:
        return failure
    if failure is None:
        reason = "the tests are passed, but they are too weak for that to be a label"
        return Failure(Outcome.QUARANTINED, reason)
    return Failure(Outcome.QUARANTINED, f"another answer may be right: {failure.detail}")


def _describe(result: RunResult) -> str:
    lines = result.stderr_tail.strip().splitlines()
    if result.status is RunStatus.TIME_LIMIT:
        return f"stopped after {result.cpu_s:.2f} s of CPU time, {result.wall_s:.2f} s in all"
    if lines:
        return lines[-1].strip()
    return f"exit status {result.exit_code}"


def _digest(actual: Any) -> str:
    if isinstance(actual, bytes):
        return content_hash(squeezed(actual[:MAX_NAMED_BYTES]).decode("latin-1"))
    return content_hash(encode(actual).decode("ascii"))


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


def _storable(text: str) -> str:
    """A program's words may hold halves of characters, which no table takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
