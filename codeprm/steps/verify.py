"""A prepared dataset -> what was seen to execute: solutions that pass, problems that have one.

A problem's solutions run in their order until enough have passed. A problem whose solutions all
fail says that its tests or its limits are wrong and is dropped; a problem that came without
solutions cannot be checked and stays, since sampling needs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from codeprm.judge.grade import grade
from codeprm.records import Case, Label, Problem, Record, Solution, Verdict
from codeprm.sandbox.runner import Sandbox
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """How many solutions of a problem are tried and kept."""

    max_solutions: int = 100
    """Run at most so many solutions a problem."""
    max_kept: int = 75
    """Stop when so many have passed."""


class WholeProblem(NamedTuple):
    """A problem with all that belongs to it."""

    problem: Problem
    cases: tuple[Case, ...]
    solutions: tuple[Solution, ...]


def verify_stage(config: VerifyConfig, *, data: str, out: str, workers: Workers) -> Stage:
    """One unit a bucket of the dataset."""
    Directory(data).require_complete()
    buckets = Directory(data).buckets
    return Stage(
        job="verify",
        out=out,
        config=config,
        inputs={"data": data},
        tables=(Problem, Case, Solution, Verdict),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(VerifyStep, config, data),
        workers=workers,
    )


class VerifyStep:
    """One sandbox slot a worker."""

    spool_key: str | None = None

    def __init__(self, config: VerifyConfig, data: str) -> None:
        self._config = config
        self._data = Directory(data)
        self._sandbox = Sandbox()

    def items(self, unit: Unit) -> Sequence[Item]:
        whole = whole_problems(self._data, unit.bucket, self._data.buckets)
        return [Item(value.problem.problem_id, value.problem.problem_id, value) for value in whole]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            yield from self._verified(item.value)

    def close(self) -> None:
        self._sandbox.close()

    def _verified(self, whole: WholeProblem) -> Iterator[Record]:
        problem, cases, solutions = whole
        kept: list[Solution] = []
        for number, solution in enumerate(solutions):
            row_id = solution.solution_id
            if number >= self._config.max_solutions or len(kept) >= self._config.max_kept:
                detail = f"{len(kept)} solutions of the problem had passed by then"
                yield rejected(row_id, problem.problem_id, "not_run", detail, solution.program)
                continue
            verdict = grade(self._sandbox, problem, cases, solution.program, solution_id=row_id)
            yield verdict
            if verdict.label is Label.PASS:
                kept.append(solution)
            else:
                reason = f"solution_{verdict.outcome}"
                yield rejected(row_id, problem.problem_id, reason, verdict.detail, solution.program)
        if solutions and not kept:
            detail = f"none of its {len(solutions)} solutions passes its tests"
            problem_id = problem.problem_id
            yield rejected(problem_id, problem_id, "no_solution_passed", detail, problem.statement)
            return
        yield dataclasses.replace(problem, n_solutions=len(kept))
        yield from cases
        yield from kept


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
