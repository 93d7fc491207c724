"""A prepared dataset -> what was seen to execute, through the label gate (`codeprm.judge.gate`).

    solutions on all tests -> references -> tests without quarantined ones -> verdicts -> Audit

A problem's first solutions run on all of its tests, and those tests that its references do not
agree with are dropped. Then the solutions are judged on the tests that are left, in their order,
until enough have passed, and trivial programs are held against them. How far the tests may be
believed is written into the problem (`trust`), which all later verdicts keep to, and into `audits`.

A problem whose solutions all fail says that its tests or its limits are wrong and is dropped; so is
one without a test left. A problem that came without solutions cannot be checked and stays, since
sampling needs it; and so does one whose solutions only met faults of our machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from codeprm.errors import ConfigError
from codeprm.judge.gate import (
    TEST_QUARANTINED,
    Findings,
    GateConfig,
    Quarantined,
    Reason,
    Trial,
    conclude,
    quarantined,
    references,
)
from codeprm.records import (
    Audit,
    Case,
    Label,
    Outcome,
    Problem,
    Record,
    Rejected,
    Solution,
    Trust,
    Verdict,
)
from codeprm.sandbox.levels import Level
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.judging_files import read_wrong_programs
from codeprm.steps.run import EXCERPT_CHARS, rejected
from codeprm.steps.soundness import require_sound_machine
from codeprm.steps.trials import Right, Trials
from codeprm.tables import Directory
from codeprm.tables.protocol import NOT_IDENTITY

INFRASTRUCTURE = {Outcome.SANDBOX_ERROR, Outcome.FLAKY}


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """How many solutions of a problem are tried and kept, and when its tests are believed."""

    max_solutions: int = 100
    """Run at most so many solutions a problem."""
    max_kept: int = 75
    """Stop when so many have passed."""
    gate: GateConfig = field(default_factory=GateConfig)
    """The label gate's policy."""
    max_wrong: int = 50
    """Run at most so many programs of --wrong-programs a problem."""
    mutants: int = 0
    """Also run so many mutants of right solutions a problem, to estimate how many wrong programs
    pass; each costs about as much as a solution."""
    sandbox_floor: Level = field(default=Level.F2, metadata=NOT_IDENTITY)
    """Refuse to run on a machine that holds programs less well; F3 is for development."""

    def __post_init__(self) -> None:
        if min(self.max_solutions, self.max_kept) < 1 or min(self.max_wrong, self.mutants) < 0:
            raise ConfigError(
                "max_solutions and max_kept must be at least 1, max_wrong and mutants at least 0"
            )


class WholeProblem(NamedTuple):
    """A problem with all that belongs to it."""

    problem: Problem
    cases: tuple[Case, ...]
    solutions: tuple[Solution, ...]


class Evidence(NamedTuple):
    """What was found out by running a problem's first solutions on all of its tests."""

    left: tuple[Case, ...]
    dropped: Sequence[Quarantined]
    trials: Sequence[Trial]
    n_references: int
    trivial_passed: tuple[str, ...]


def verify_stage(
    config: VerifyConfig, *, data: str, out: str, workers: Workers, wrong_programs: str = ""
) -> Stage:
    """One unit a bucket of the dataset."""
    Directory(data).require_complete()
    buckets = Directory(data).buckets
    inputs = {"data": data}
    if wrong_programs:
        read_wrong_programs(wrong_programs)  # a fault in it is said before anything runs
        inputs["wrong_programs"] = wrong_programs
    return Stage(
        job="verify",
        out=out,
        config=config,
        inputs=inputs,
        tables=(Problem, Case, Solution, Verdict, Audit),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(VerifyStep, config, data, wrong_programs),
        workers=workers,
    )


class VerifyStep:
    """One sandbox slot a worker, and one more where problems have checkers."""

    spool_key: str | None = None

    def __init__(self, config: VerifyConfig, data: str, wrong_programs: str = "") -> None:
        self._config = config
        self._data = Directory(data)
        self._wrong: Mapping[str, Sequence[str]] = {}
        if wrong_programs:
            self._wrong = read_wrong_programs(wrong_programs)
        self._trials = Trials(config.sandbox_floor)

    def items(self, unit: Unit) -> Sequence[Item]:
        whole = whole_problems(self._data, unit.bucket, self._data.buckets)
        return [Item(value.problem.problem_id, value.problem.problem_id, value) for value in whole]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        require_sound_machine(self._config.sandbox_floor)
        for item in items:
            yield from self._verified(item.value)

    def close(self) -> None:
        self._trials.close()

    def _verified(self, whole: WholeProblem) -> Iterator[Record]:
        evidence, problem = self._evidence(whole), whole.problem
        left = evidence.left
        yield from (_dropped_test(test) for test in evidence.dropped)
        judged = list(self._judge_solutions(whole, evidence))
        yield from _solution_rows(judged)
        kept = [Right(own, verdict) for own, verdict in judged if verdict and _passed(verdict)]
        doubt = _doubt(whole, evidence, judged)
        findings = self._findings(problem, evidence, doubt)
        yield self._audit(whole, evidence, findings, kept)
        if doubt is not None and doubt.drops_problem:
            problem_id = problem.problem_id
            detail = "; ".join([findings.detail, *self._disagreement(whole, evidence)])
            yield rejected(problem_id, problem_id, doubt.value, detail, problem.statement)
            return
        yield dataclasses.replace(
            problem, n_cases=len(left), n_solutions=len(kept), trust=findings.trust
        )
        yield from left
        yield from (own.solution for own in kept)

    def _evidence(self, whole: WholeProblem) -> Evidence:
        problem, cases, solutions = whole
        gate = self._config.gate
        n_trials = min(gate.max_references, self._config.max_solutions)
        trials = [self._trials.trial(problem, cases, own) for own in solutions[:n_trials]]
        speakers = references(trials, cases, gate)
        dropped = quarantined(speakers, cases, gate)
        out = {test.case.index for test in dropped}
        left = tuple(case for case in cases if case.index not in out)
        trivial = self._trials.trivial_passed(problem, left)
        return Evidence(left, dropped, trials, len(speakers), trivial)

    def _findings(self, problem: Problem, evidence: Evidence, doubt: Reason | None) -> Findings:
        return conclude(
            problem,
            evidence.left,
            n_quarantined=len(evidence.dropped),
            trivial_passed=evidence.trivial_passed,
            doubt=doubt,
            config=self._config.gate,
        )

    def _disagreement(self, whole: WholeProblem, evidence: Evidence) -> Iterator[str]:
        """What its solutions write, where they speak against the tests of a dropped problem."""
        for test in quarantined(evidence.trials, whole.cases, self._config.gate)[:1]:
            yield f"test {test.case.index}: {test.detail}"

    def _judge_solutions(
        self, whole: WholeProblem, evidence: Evidence
    ) -> Iterator[tuple[Solution, Verdict | None]]:
        """None for a solution that is not run, since enough have passed."""
        # Tests can refute what is known to be good; that they are too weak is no word against it.
        fails = self._findings(whole.problem, evidence, None).trust.in_fails
        problem = dataclasses.replace(whole.problem, trust=Trust.of(passes=True, fails=fails))
        trials = {trial.solution.solution_id: trial for trial in evidence.trials}
        n_kept = 0
        for number, solution in enumerate(whole.solutions):
            if number >= self._config.max_solutions or n_kept >= self._config.max_kept:
                yield solution, None
                continue
            trial = trials.get(solution.solution_id)
            verdict = self._trials.verdict(problem, whole.cases, evidence.left, solution, trial)
            n_kept += _passed(verdict)
            yield solution, verdict

    def _audit(
        self,
        whole: WholeProblem,
        evidence: Evidence,
        findings: Findings,
        kept: Sequence[Right],
    ) -> Audit:
        problem, config = whole.problem, self._config
        is_kept = not any(reason.drops_problem for reason in findings.reasons)
        wrong: Sequence[str] = ()
        if is_kept:
            wrong = self._wrong.get(problem.problem_id) or self._wrong.get(problem.name, ())
        n_mutants = config.mutants if is_kept else 0
        told = self._trials.passing(problem, evidence.left, wrong[: config.max_wrong])
        mutants = self._trials.passing_mutants(problem, evidence.left, kept, n_mutants)
        return Audit(
            problem_id=problem.problem_id,
            name=problem.name,
            kept=is_kept,
            trust=findings.trust,
            reasons=tuple(reason.value for reason in findings.reasons),
            detail=findings.detail[:EXCERPT_CHARS],
            n_cases=len(whole.cases),
            n_quarantined=len(evidence.dropped),
            n_references=evidence.n_references,
            trivial_passed=evidence.trivial_passed,
            n_wrong=told.n,
            n_wrong_passed=told.n_passed,
            n_mutants=mutants.n,
            n_mutants_passed=mutants.n_passed,
        )


def whole_problems(data: Directory, bucket: int, buckets: int) -> Iterator[WholeProblem]:
    """The problems of a bucket with their cases and solutions; the bucket's rows are in memory."""
    cases: dict[str, list[Case]] = {}
    solutions: dict[str, list[Solution]] = {}
    for case in data.read_bucket(Case, bucket, buckets):
        cases.setdefault(case.problem_id, []).append(case)
    for solution in data.read_bucket(Solution, bucket, buckets):
        solutions.setdefault(solution.problem_id, []).append(solution)
    for problem in data.read_bucket(Problem, bucket, buckets):
        own = sorted(cases.get(problem.problem_id, ()), key=lambda case: case.index)
        yield WholeProblem(problem, tuple(own), tuple(solutions.get(problem.problem_id, ())))


def _passed(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.label is Label.PASS


def _doubt(
    whole: WholeProblem, evidence: Evidence, judged: Sequence[tuple[Solution, Verdict | None]]
) -> Reason | None:
    """Why no known-good solution speaks for the problem; None if one does."""
    if not evidence.left:
        return Reason.NO_TEST_LEFT
    if not whole.solutions:
        return Reason.NO_SOLUTIONS
    if any(_passed(verdict) for _, verdict in judged):
        return None
    outcomes = {verdict.outcome for _, verdict in judged if verdict is not None}
    # our own fault is no word against a problem
    return Reason.NOT_CHECKED if outcomes & INFRASTRUCTURE else Reason.NO_SOLUTION_PASSED


def _dropped_test(test: Quarantined) -> Rejected:
    case = test.case
    row_id = f"{case.problem_id}#case-{case.index}"
    return rejected(row_id, case.problem_id, TEST_QUARANTINED, test.detail, case.input)


def _solution_rows(judged: Iterable[tuple[Solution, Verdict | None]]) -> Iterator[Record]:
    """The verdicts, and the solutions that are not kept."""
    n_kept = 0
    for solution, verdict in judged:
        if verdict is not None:
            yield verdict
        if _passed(verdict):
            n_kept += 1
            continue
        reason, detail = "not_run", f"{n_kept} solutions of the problem had passed by then"
        if verdict is not None:
            reason, detail = f"solution_{verdict.outcome}", verdict.detail
        yield rejected(solution.solution_id, solution.problem_id, reason, detail, solution.program)
