"""Running programs for the label gate: on all tests, on those that are left, to see what passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from codeprm.judge.checker import CheckerRun
from codeprm.judge.gate import Trial
from codeprm.judge.grade import grade, run_cases
from codeprm.judge.mutants import mutants
from codeprm.judge.slots import Slots
from codeprm.judge.trivial import NAMES, trivial_results
from codeprm.judge.verdict import LAST_WORDS, GradeOptions, Judged, judge_cases, verdict_of
from codeprm.records import Case, Label, Outcome, Problem, Solution, Trust, Verdict
from codeprm.sandbox.levels import Level

RUN_ALL = GradeOptions(run_all=True)
# A program that runs into limits says nothing about tests, and each of them costs its whole limit.
MAX_LIMITS = 3
LIMITS = (Outcome.TIME_LIMIT, Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT, Outcome.FLAKY)
MUTANT_EXTRA_S = 1.0


class Tally(NamedTuple):
    """Programs whose verdict is known, and how many of them pass."""

    n: int
    n_passed: int


class Right(NamedTuple):
    """A solution that passes, and how."""

    solution: Solution
    verdict: Verdict


class Trials:
    """One slot for programs, one that starts when a problem has a checker."""

    def __init__(self, floor: Level) -> None:
        self._slots = Slots(floor)

    def close(self) -> None:
        """End the processes."""
        self._slots.close()

    def trial(self, problem: Problem, cases: Sequence[Case], solution: Solution) -> Trial:
        """A solution on all tests, given up where it only runs into limits."""
        judged: list[Judged] = []
        n_limits = 0
        run = run_cases(
            self._slots.programs,
            problem,
            cases,
            solution.program,
            options=RUN_ALL,
            checkers=self._slots.checkers,
        )
        with closing(run):
            for test in run:
                judged.append(test)
                outcome = test.failure.outcome if test.failure else Outcome.PASSED
                n_limits += outcome in LIMITS
                if n_limits == MAX_LIMITS or outcome in LAST_WORDS:
                    break
        return Trial(solution, tuple(judged))

    def verdict(
        self,
        problem: Problem,
        cases: Sequence[Case],
        left: Sequence[Case],
        solution: Solution,
        trial: Trial | None,
    ) -> Verdict:
        """On the tests that are left; a complete trial on all `cases` need not run again."""
        row_id = solution.solution_id
        if trial is None or len(trial.judged) < len(cases):
            return grade(
                self._slots.programs,
                problem,
                left,
                solution.program,
                solution_id=row_id,
                checkers=self._slots.checkers,
            )
        stay = {case.index for case in left}
        judged = [
            test for case, test in zip(cases, trial.judged, strict=True) if case.index in stay
        ]
        level = self._slots.programs.level
        return verdict_of(problem, left, judged, solution_id=row_id, sandbox_level=level)

    def trivial_passed(self, problem: Problem, cases: Sequence[Case]) -> tuple[str, ...]:
        """Names of the trivial programs that pass all of the tests."""
        return tuple(name for name in NAMES if cases and self._passes(name, problem, cases))

    def passing(self, problem: Problem, cases: Sequence[Case], programs: Sequence[str]) -> Tally:
        """How many programs pass, by the tests alone."""
        believed = dataclasses.replace(problem, trust=Trust.BOTH)
        labels = [
            grade(
                self._slots.programs, believed, cases, program, checkers=self._slots.checkers
            ).label
            for program in programs
        ]
        n_passed = labels.count(Label.PASS)
        return Tally(n_passed + labels.count(Label.FAIL), n_passed)

    def passing_mutants(
        self, problem: Problem, cases: Sequence[Case], right: Sequence[Right], n: int
    ) -> Tally:
        """Of `n` mutants of right solutions, about as many of each.

        One that takes much longer than its original is wrong, which saves waiting for loops
        without an end.
        """
        tallies = [Tally(0, 0)]
        chosen = right[:n]
        for number, (solution, verdict) in enumerate(chosen):
            share = n // len(chosen) + (number < n % len(chosen))
            limit_s = min(problem.time_limit_s, MUTANT_EXTRA_S + verdict.cpu_s)
            made = mutants(solution.program, share, seed=solution.solution_id)
            hasty = dataclasses.replace(problem, time_limit_s=limit_s)
            tallies.append(self.passing(hasty, cases, made))
        return Tally(*map(sum, zip(*tallies, strict=True)))

    def _passes(self, name: str, problem: Problem, cases: Sequence[Case]) -> bool:
        checker = CheckerRun(self._slots.checkers, problem) if problem.checker else None
        try:
            results = trivial_results(name, problem, cases)
            tests = judge_cases(problem, cases, results, check=checker)
            return all(test.failure is None for test in tests)
        finally:
            if checker is not None:
                checker.close()
