"""Completions -> verdicts: each program runs in the sandbox on the tests of its problem.

A part is graded problem by problem; a problem's tests are loaded by the worker and cached; programs
of a problem that are equal to the letter run once and share the verdict. Expected outputs stay on
this side of the sandbox.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from codeprm.judge.grade import grade
from codeprm.records import Completion, Record, Verdict
from codeprm.sandbox.runner import Sandbox
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.cases import CaseStore
from codeprm.steps.follow import SILENCE_S, part_units
from codeprm.steps.run import rejected
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class ExecuteConfig:
    """What decides a verdict besides problem and program."""

    max_cases: int = 0
    """Run at most so many tests a program, the first ones; 0 runs all (until one fails)."""


def execute_stage(
    config: ExecuteConfig,
    *,
    data: str,
    completions: str,
    out: str,
    workers: Workers,
    follow: bool = False,
    silence_s: float = SILENCE_S,
) -> Stage:
    """One unit a part of the completions; with `follow`, also those still to come."""
    Directory(data).require_complete()
    return Stage(
        job="execute",
        out=out,
        config=config,
        inputs={"data": data, "completions": completions},
        tables=(Verdict,),
        buckets=Directory(completions).buckets,
        units=partial(part_units, completions, follow=follow, silence_s=silence_s),
        step=partial(ExecuteStep, config, data, completions),
        workers=workers,
    )


class ExecuteStep:
    """One sandbox slot a worker."""

    spool_key: str | None = None

    def __init__(self, config: ExecuteConfig, data: str, completions: str) -> None:
        self._config = config
        self._completions = Directory(completions)
        self._store = CaseStore(data)
        self._sandbox = Sandbox()
        self._graded: dict[str, Verdict] = {}
        self._graded_problem = ""

    def items(self, unit: Unit) -> Sequence[Item]:
        self._store.open_bucket(unit.bucket, self._completions.buckets)
        rows = list(self._completions.read_records(Completion, [unit.source["part"]]))
        # a sampler writes them as they finish; problem by problem, tests and verdicts are shared
        rows.sort(key=lambda row: (row.problem_id, row.index))
        return [Item(row.completion_id, row.problem_id, row) for row in rows]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            yield self._verdict(item.value)

    def close(self) -> None:
        self._sandbox.close()

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
            known = grade(
                self._sandbox,
                problem,
                cases[: self._config.max_cases or None],
                completion.program,
                completion_id=completion.completion_id,
            )
            self._graded[completion.program] = known
        return dataclasses.replace(known, completion_id=completion.completion_id)
