"""Completions -> scores: the reward model's margin and probability for each program.

A unit is a part of the completions and writes the part of the same name. Its completions are taken
problem by problem, so that a problem's prompt is computed once, and a program that a model wrote
several times for a problem is scored once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from codeprm.backends.checkpoint import model_name
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.errors import BackendError
from codeprm.prompts import docstring_prompt
from codeprm.records import Completion, Problem, Record, Score
from codeprm.scoring import Scorer, Unfit, scorer_input
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.bounded import as_finished
from codeprm.steps.follow import part_units
from codeprm.steps.run import rejected
from codeprm.steps.sample import model_lineage
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class ScoreIdentity:
    """What decides the rows; the model's name covers its calibration."""

    model: str
    max_length: int


class ProblemPrompt(NamedTuple):
    """A problem's prompt, tokenised once a problem."""

    problem_id: str
    ids: list[int]


class Scored(NamedTuple):
    """Equal programs of a problem, and their margin or why they have none."""

    items: list[Item]
    margin: float | Unfit


def score_stage(
    engine: VllmConfig,
    *,
    data: str,
    completions: str,
    out: str,
    workers: Workers,
    follow: bool = False,
) -> Stage:
    """One unit a part of the completions; with `follow`, also those still to come."""
    Directory(data).require_complete()
    identity = ScoreIdentity(
        model=model_name(engine.model, engine.revision), max_length=engine.max_model_len
    )
    return Stage(
        job="score",
        out=out,
        config=identity,
        inputs={"data": data, "completions": completions, **model_lineage(engine)},
        tables=(Score,),
        buckets=Directory(completions).buckets,
        units=partial(part_units, completions, follow=follow),
        step=partial(vllm_score_step, engine, data, completions),
        workers=workers,
    )


def vllm_score_step(engine: VllmConfig, data: str, completions: str) -> ScoreStep:
    """The step with a vLLM engine; called in the worker."""
    from codeprm.backends.vllm_scorer import VllmScorer

    return ScoreStep(VllmScorer(engine), data, completions)


class ScoreStep:
    """One engine a worker."""

    spool_key: str | None = None

    def __init__(self, scorer: Scorer, data: str, completions: str) -> None:
        self._data = Directory(data)
        self._completions = Directory(completions)
        self._scorer = scorer

    def items(self, unit: Unit) -> Sequence[Item]:
        buckets = self._completions.buckets
        problems = {
            problem.problem_id: problem
            for problem in self._data.read_bucket(Problem, unit.bucket, buckets)
        }
        rows = self._completions.read_records(Completion, [unit.source["part"]])
        # samples are written as they finish
        ordered = sorted(rows, key=lambda row: (row.problem_id, row.index))
        return [
            Item(row.completion_id, row.problem_id, (row, problems.get(row.problem_id)))
            for row in ordered
        ]

    async def process(self, items: Sequence[Item]) -> AsyncIterator[Record]:
        calls = (self._score(group, prompt) for group, prompt in self._groups(items))
        async for scored in as_finished(calls, self._scorer.in_flight):
            for item in scored.items:
                yield self._row(item, scored.margin)

    def close(self) -> None:
        self._scorer.close()

    def _groups(self, items: Sequence[Item]) -> Iterator[tuple[list[Item], list[int] | Unfit]]:
        """Items of one problem and one program, with the problem's prompt."""
        groups: dict[tuple[str, str], list[Item]] = {}
        for item in items:
            groups.setdefault((item.problem_id, item.value[0].program), []).append(item)
        last = ProblemPrompt("", [])
        for (problem_id, _), group in groups.items():
            problem: Problem | None = group[0].value[1]
            if problem is None:
                yield group, Unfit("no_problem", f"problem {problem_id} is not in --data")
                continue
            if last.problem_id != problem_id:
                text = docstring_prompt(problem.statement, problem.starter_code)
                last = ProblemPrompt(problem_id, self._scorer.encode(text))
            yield group, last.ids

    async def _score(self, group: list[Item], prompt: list[int] | Unfit) -> Scored:
        if isinstance(prompt, Unfit):
            return Scored(group, prompt)
        ids = scorer_input(self._scorer, prompt, group[0].value[0].program)
        if isinstance(ids, Unfit):
            return Scored(group, ids)
        try:
            return Scored(group, await self._scorer.margin(ids))
        except BackendError as error:
            return Scored(group, Unfit("backend_error", str(error)))

    def _row(self, item: Item, margin: float | Unfit) -> Record:
        completion: Completion = item.value[0]
        if isinstance(margin, Unfit):
            return rejected(item.id, item.problem_id, *margin, completion.program)
        calibration = self._scorer.calibration
        probability = calibration.probability(np.array([margin]))[0]
        return Score(
            completion_id=item.id,
            problem_id=item.problem_id,
            margin=margin,
            probability=float(probability),
            model=self._scorer.model,
            calibration=calibration.name,
        )
