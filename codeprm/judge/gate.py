"""The label gate: what may be believed of a problem's tests, before anything is labelled by them.

    trials (known-good solutions, run on all tests)  -> references -> quarantined tests
    tests that are left, trivial programs            -> Findings: trust and its reasons

A *reference* is a solution that passes most tests. A test on which many references write something
else is wrong itself, or has several right answers; it is dropped. Only what was written counts: a
crash or a limit says nothing about a test, a fault of ours nothing about anything. One dissenter
never outvotes a test: it may simply be a wrong program.

Trust only shrinks. It loses the fails where right answers may differ from the stored ones (the
problem is listed so and has no checker, or too many tests had to go), and the passes where the
tests that are left are passed by a trivial program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from codeprm.errors import ConfigError
from codeprm.judge.trivial import CONSTANT
from codeprm.judge.verdict import Failure, Judged
from codeprm.records import Case, Outcome, Problem, Solution, Trust

MAX_VARIANTS_SHOWN = 3
# why a test is among the rejected rows
TEST_QUARANTINED = "test_quarantined"


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """When tests are believed.

    The defaults suit data sets whose solutions were accepted somewhere (TACO). Where a problem has
    a handful of public tests and solutions known to be right (LiveCodeBench), the same rules hold:
    one faulty test of three takes the fails away, and two tests that expect the same the passes;
    `--weak-tests flag` keeps those passes as labels and only reports them.
    """

    max_references: int = 12
    """Solutions that run on all tests; later ones stop at their first failure."""
    min_reference_share: float = 0.5
    """A solution that passes at least this share of the tests is a reference."""
    min_dissent_share: float = 0.5
    """A test is quarantined where at least this share of the references that gave an answer gave
    another than the stored one."""
    min_dissenters: int = 2
    """... and at least so many did."""
    max_quarantined_share: float = 0.2
    """Where more of a problem's tests are quarantined, its fails are no labels."""
    min_cases: int = 2
    """With fewer tests left, passes are no labels: a constant passes a single test. With 1 that
    constant is not tried."""
    weak_tests: Literal["trust", "flag"] = "trust"
    """Where trivial programs pass, or tests are too few: take the trust in passes away, or say so
    and leave it."""
    require_references: bool = False
    """Trust nothing of problems that no known-good solution speaks for; else they are believed."""

    def __post_init__(self) -> None:
        shares = (self.min_reference_share, self.min_dissent_share, self.max_quarantined_share)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("shares of tests and references lie between 0 and 1")
        if min(self.max_references, self.min_dissenters, self.min_cases) < 1:
            raise ConfigError("max_references, min_dissenters and min_cases must be at least 1")


class Reason(StrEnum):
    """Why a problem is trusted less, or what is noted of it all the same."""

    MANY_ANSWERS = "many_answers"
    MANY_QUARANTINED = "many_quarantined"
    WEAK_TESTS = "weak_tests"
    FEW_TESTS = "few_tests"
    NO_SOLUTIONS = "no_solutions"
    NOT_CHECKED = "not_checked"
    NO_SOLUTION_PASSED = "no_solution_passed"
    NO_TEST_LEFT = "no_test_left"

    @property
    def drops_problem(self) -> bool:
        """Whether nothing is left to work with."""
        return self in (Reason.NO_SOLUTION_PASSED, Reason.NO_TEST_LEFT)


DOUBTS = {
    Reason.NO_SOLUTIONS: "it came without solutions",
    Reason.NOT_CHECKED: "its solutions met faults of the machine: verify it again",
    Reason.NO_SOLUTION_PASSED: "none of its solutions passes its tests",
    Reason.NO_TEST_LEFT: "its solutions agree with none of its tests, or it has none",
}


class Trial(NamedTuple):
    """A known-good solution on the tests of its problem, in order; shorter if it was given up."""

    solution: Solution
    judged: tuple[Judged, ...]

    @property
    def n_passed(self) -> int:
        return sum(test.failure is None for test in self.judged)


class Quarantined(NamedTuple):
    """A test that is dropped, and what the references wrote in place of the stored output."""

    case: Case
    detail: str


class Findings(NamedTuple):
    """The gate's conclusion about a problem that stays."""

    trust: Trust
    reasons: tuple[Reason, ...]
    detail: str


def references(trials: Sequence[Trial], cases: Sequence[Case], config: GateConfig) -> list[Trial]:
    """The solutions that speak for the problem."""
    needed = max(1.0, config.min_reference_share * len(cases))
    return [trial for trial in trials if trial.n_passed >= needed]


def quarantined(
    speakers: Sequence[Trial], cases: Sequence[Case], config: GateConfig
) -> list[Quarantined]:
    """Tests that too many references do not agree with, or not with each other."""
    dropped = []
    for position, case in enumerate(cases):
        ends = [trial.judged[position] for trial in speakers if position < len(trial.judged)]
        wrong = [e.failure for e in ends if e.failure and e.failure.outcome is Outcome.WRONG_ANSWER]
        n_answers = len(wrong) + sum(end.failure is None for end in ends)
        if len(wrong) < max(config.min_dissenters, config.min_dissent_share * n_answers):
            continue
        share = f"{len(wrong)} of {n_answers} known-good solutions"
        dropped.append(Quarantined(case, f"{share} {_said(wrong)}"))
    return dropped


def conclude(
    problem: Problem,
    cases: Sequence[Case],
    *,
    n_quarantined: int,
    trivial_passed: Sequence[str],
    doubt: Reason | None,
    config: GateConfig,
) -> Findings:
    """Trust in the tests that are left; `doubt` says why no solution was seen to pass them."""
    notes: list[tuple[Reason, str]] = []
    fails, passes = problem.trust.in_fails, problem.trust.in_passes
    if not fails:
        notes.append((Reason.MANY_ANSWERS, "listed as having several right answers, no checker"))
    n_cases = len(cases) + n_quarantined
    if n_quarantined > config.max_quarantined_share * n_cases:
        fails = False
        notes.append((Reason.MANY_QUARANTINED, f"{n_quarantined} of {n_cases} tests quarantined"))
    weakness = _weakness(cases, trivial_passed, config)
    if weakness:
        passes = passes and config.weak_tests == "flag"
        notes.append(weakness)
    if doubt is not None:
        if doubt.drops_problem or config.require_references:
            passes = fails = False
        notes.append((doubt, DOUBTS[doubt]))
    return Findings(
        trust=Trust.of(passes=passes, fails=fails),
        reasons=tuple(reason for reason, _ in notes),
        detail="; ".join(text for _, text in notes),
    )


def _weakness(
    cases: Sequence[Case], trivial_passed: Sequence[str], config: GateConfig
) -> tuple[Reason, str] | None:
    if len(cases) < config.min_cases:
        return Reason.FEW_TESTS, f"{len(cases)} tests left, at least {config.min_cases} can vouch"
    others = [name for name in trivial_passed if name != CONSTANT]
    if others:
        return Reason.WEAK_TESTS, f"passed by the trivial programs {', '.join(trivial_passed)}"
    if trivial_passed and len(cases) > 1:
        return Reason.WEAK_TESTS, f"what the first of {len(cases)} tests expects passes all of them"
    return None


def _said(wrong: Sequence[Failure]) -> str:
    """`agree on another output: expected '4', not '5'`; or what they write, and how often."""
    variants = Counter(failure.written for failure in wrong)
    if len(variants) == 1:
        return f"agree on another output: {wrong[0].detail}"
    first = {failure.written: failure for failure in reversed(wrong)}
    shown = [
        f"{first[written].excerpt} ({n})" for written, n in variants.most_common(MAX_VARIANTS_SHOWN)
    ]
    return f"wrote {len(variants)} other outputs, among them {', '.join(shown)}"
