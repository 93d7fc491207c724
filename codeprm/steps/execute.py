"""Completions -> verdicts: each program runs in the sandbox on the tests of its problem.

A part is graded problem by problem; a problem's tests are loaded by the worker and cached; programs
of a problem that are equal to the letter run once and share the verdict, unless that was a fault of
ours. Expected outputs stay on this side of the sandbox. How far the tests are believed is written
in the problem: give the directory that the verify job wrote.

With earlier verdicts only some completions are executed, those of the kinds that were asked for and
those that have no verdict. The others' verdicts are carried over as they are, grade version and
all, and are marked in `sandbox_level`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

from codeprm.judge.grade import grade
from codeprm.judge.slots import Slots
from codeprm.judge.verdict import GradeOptions
from codeprm.records import Case, Completion, Outcome, Problem, Record, Verdict
from codeprm.sandbox.levels import Level
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.cases import CaseStore
from codeprm.steps.follow import SILENCE_S, part_units
from codeprm.steps.previous import Kind, Previous, Standing
from codeprm.steps.run import rejected
from codeprm.steps.soundness import require_sound_machine
from codeprm.tables import Directory
from codeprm.tables.protocol import NOT_IDENTITY


@dataclass(frozen=True, kw_only=True)
class ExecuteConfig:
    """What decides a verdict besides problem and program."""

    max_cases: int = 0
    """Run at most so many tests a program, the first ones; 0 runs all (until one fails)."""
    run_all_tests: bool = False
    """Go on after a failure, to count the tests that pass."""
    compare: Literal["grade/1", "coderm"] = "grade/1"
    """Rules of comparison. "coderm" is CodeRM's, for tables beside its figures: no checkers, and
    every verdict is taken at its word."""
    sandbox_floor: Level = field(default=Level.F2, metadata=NOT_IDENTITY)
    """Refuse to run on a machine that holds programs less well; F3 is for development."""

    @property
    def options(self) -> GradeOptions:
        """As the judge takes them."""
        return GradeOptions(
            compare=self.compare, run_all=self.run_all_tests, max_cases=self.max_cases
        )


@dataclass(frozen=True, kw_only=True)
class ReexecuteIdentity:
    """What decides the rows where earlier verdicts are given."""

    execute: ExecuteConfig
    only: tuple[Kind, ...]


def execute_stage(
    config: ExecuteConfig,
    *,
    data: str,
    completions: str,
    out: str,
    workers: Workers,
    previous: Previous | None = None,
    follow: bool = False,
    silence_s: float = SILENCE_S,
) -> Stage:
    """One unit a part of the completions; with `follow`, also those still to come."""
    Directory(data).require_complete()
    inputs = {"data": data, "completions": completions}
    identity: ExecuteConfig | ReexecuteIdentity = config
    if previous is not None:
        previous.require_related(completions)
        inputs["previous"] = previous.verdicts
        identity = ReexecuteIdentity(execute=config, only=tuple(sorted(set(previous.only))))
    return Stage(
        job="execute",
        out=out,
        config=identity,
        inputs=inputs,
        tables=(Verdict,),
        buckets=Directory(completions).buckets,
        units=partial(part_units, completions, follow=follow, silence_s=silence_s),
        step=partial(ExecuteStep, config, data, completions, previous),
        workers=workers,
    )


class Work(NamedTuple):
    """A completion, and the earlier verdict on it that is kept, if there is one."""

    completion: Completion
    kept: Verdict | None


class ExecuteStep:
    """One sandbox slot a worker, and one more where problems have checkers."""

    spool_key: str | None = None

    def __init__(
        self,
        config: ExecuteConfig,
        data: str,
        completions: str,
        previous: Previous | None = None,
    ) -> None:
        self._completions = Directory(completions)
        buckets = self._completions.buckets
        self._standing = None if previous is None else Standing(previous, buckets)
        self._store = CaseStore(data)
        self._options = config.options
        self._floor = config.sandbox_floor
        self._slots = Slots(config.sandbox_floor)
        self._graded: dict[str, Verdict] = {}
        self._graded_problem = ""

    def items(self, unit: Unit) -> Sequence[Item]:
        self._store.open_bucket(unit.bucket, self._completions.buckets)
        rows = list(self._completions.read_records(Completion, [unit.source["part"]]))
        # a sampler writes them as they finish; problem by problem, tests and verdicts are shared
        rows.sort(key=lambda row: (row.problem_id, row.index))
        kept = {} if self._standing is None else self._standing.of_bucket(unit.bucket)
        return [
            Item(row.completion_id, row.problem_id, Work(row, kept.get(row.completion_id)))
            for row in rows
        ]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        require_sound_machine(self._floor)
        for item in items:
            work: Work = item.value
            yield work.kept or self._verdict(work.completion)

    def close(self) -> None:
        self._slots.close()

    def _verdict(self, completion: Completion) -> Record:
        problem = self._store.problem(completion.problem_id)
        cases = self._store.cases(completion.problem_id) if problem else ()
        if problem is None or not cases:
            reason = "no_cases" if problem else "no_problem"
            detail = f"problem {completion.problem_id} has no tests in --data"
            row_id = completion.completion_id
            return rejected(row_id, completion.problem_id, reason, detail, completion.program)
        if self._graded_problem != problem.problem_id:
            self._graded, self._graded_problem = {}, problem.problem_id
        known = self._graded.get(completion.program)
        if known is None:
            known = self._grade(problem, cases, completion)
            if known.outcome is not Outcome.SANDBOX_ERROR:
                self._graded[completion.program] = known
        return dataclasses.replace(known, completion_id=completion.completion_id)

    def _grade(self, problem: Problem, cases: Sequence[Case], completion: Completion) -> Verdict:
        return grade(
            self._slots.programs,
            problem,
            cases,
            completion.program,
            completion_id=completion.completion_id,
            options=self._options,
            checkers=self._slots.checkers,
        )
