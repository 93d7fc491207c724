"""Natural and synthetic solutions -> one dataset directory, each problem once.

    dataset directory + (completions, verdicts), ... -> problems, cases, solutions, rejected

Synthetic solutions are the programs that passed; their origin is the model that wrote them. Every
solution's comments are brought in order, and a program that is the same to the letter afterwards
stays once, as a natural one if it is one. Problems that only the sampled dataset holds come in with
their cases when a program of theirs has passed.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from codeprm.errors import ConfigError
from codeprm.reasoning import clean_reasoning
from codeprm.records import (
    Case,
    Completion,
    Label,
    Problem,
    Record,
    Rejected,
    Solution,
    Verdict,
    content_hash,
    solution_id_of,
)
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.steps.verify import WholeProblem, whole_problems
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """What decides which solutions are kept."""

    max_solutions: int = 100
    """At most so many solutions a problem: natural ones first, the rest drawn by the seed."""
    require_reasoning: bool = True
    """Drop solutions that have too few comments or too many; else they stay as they are."""
    seed: int = 0
    """Decides the draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeInputs:
    """Directories; `completions` and `verdicts` go in pairs."""

    data: str
    completions: tuple[str, ...]
    verdicts: tuple[str, ...]
    sampled_from: str | None = None

    def named(self) -> dict[str, str]:
        """For the stage's record of its inputs."""
        named = {"data": self.data}
        for number, (completions, verdicts) in enumerate(
            zip(self.completions, self.verdicts, strict=True)
        ):
            named |= {f"completions_{number}": completions, f"verdicts_{number}": verdicts}
        return named | ({"sampled_from": self.sampled_from} if self.sampled_from else {})


def merge_stage(config: MergeConfig, inputs: MergeInputs, *, out: str, workers: Workers) -> Stage:
    """One unit a bucket of the natural dataset's division."""
    if len(inputs.completions) != len(inputs.verdicts):
        raise ConfigError(
            f"{len(inputs.completions)} directories of completions and {len(inputs.verdicts)} of "
            "verdicts: give --completions and --verdicts in pairs"
        )
    for uri in inputs.named().values():
        Directory(uri).require_complete()
    buckets = Directory(inputs.data).buckets
    return Stage(
        job="merge",
        out=out,
        config=config,
        inputs=inputs.named(),
        tables=(Problem, Case, Solution),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(MergeStep, config, inputs),
        workers=workers,
    )


class MergeStep:
    """An item is a problem with its natural solutions and the programs that passed."""

    spool_key: str | None = None

    def __init__(self, config: MergeConfig, inputs: MergeInputs) -> None:
        self._config = config
        self._data = Directory(inputs.data)
        self._sampled_from = Directory(inputs.sampled_from) if inputs.sampled_from else None
        self._pairs = [
            (Directory(completions), Directory(verdicts))
            for completions, verdicts in zip(inputs.completions, inputs.verdicts, strict=True)
        ]

    def items(self, unit: Unit) -> Sequence[Item]:
        buckets = self._data.buckets
        written = self._passing(unit.bucket, buckets)
        items = []
        for whole in whole_problems(self._data, unit.bucket, buckets):
            problem_id = whole.problem.problem_id
            items.append(Item(problem_id, problem_id, (whole, written.pop(problem_id, []))))
        if self._sampled_from is not None:
            for whole in whole_problems(self._sampled_from, unit.bucket, buckets):
                problem_id = whole.problem.problem_id
                if problem_id in written:
                    # its natural solutions were left out of --data on purpose
                    bare = whole._replace(solutions=())
                    items.append(Item(problem_id, problem_id, (bare, written.pop(problem_id))))
        items += [Item(problem_id, problem_id, (None, own)) for problem_id, own in written.items()]
        return items

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            whole, written = item.value
            if whole is None:
                detail = f"{len(written)} passing programs of a problem that no input holds"
                yield rejected(item.problem_id, item.problem_id, "no_problem", detail, "")
            else:
                yield from merge_problem(whole, written, self._config)

    def close(self) -> None:
        """Nothing is held."""

    def _passing(self, bucket: int, buckets: int) -> dict[str, list[Solution]]:
        written: dict[str, list[Solution]] = {}
        for completions, verdicts in self._pairs:
            passed = {
                verdict.completion_id
                for verdict in verdicts.read_bucket(Verdict, bucket, buckets)
                if verdict.label is Label.PASS
            }
            for completion in completions.read_bucket(Completion, bucket, buckets):
                if completion.completion_id in passed:
                    own = written.setdefault(completion.problem_id, [])
                    own.append(_solution(completion))
        return written


def merge_problem(
    whole: WholeProblem, written: Sequence[Solution], config: MergeConfig
) -> Iterator[Record]:
    """The problem with its cases, its united solutions, and those that were dropped."""
    dropped: list[Rejected] = []
    kept: dict[str, Solution] = {}
    for solution in (*whole.solutions, *_shuffled(written, whole.problem, config)):
        ready = _clean(solution, whole.problem, config)
        if ready is None:
            detail = "it does not parse, or has too few comments or too many"
            dropped.append(_drop(solution, "unfit_comments", detail))
        elif ready.program in kept:
            dropped.append(_drop(solution, "duplicate_solution", kept[ready.program].solution_id))
        elif len(kept) >= config.max_solutions:
            dropped.append(_drop(solution, "over_cap", f"{config.max_solutions} a problem"))
        else:
            kept[ready.program] = ready
    yield dataclasses.replace(whole.problem, n_solutions=len(kept))
    yield from whole.cases
    yield from kept.values()
    yield from dropped


def _shuffled(written: Sequence[Solution], problem: Problem, config: MergeConfig) -> list[Solution]:
    order = list(written)
    random.Random(content_hash("merge", str(config.seed), problem.problem_id)).shuffle(order)
    return order


def _clean(solution: Solution, problem: Problem, config: MergeConfig) -> Solution | None:
    program = clean_reasoning(solution.program, problem.starter_code)
    if program is None:
        return None if config.require_reasoning else solution
    return dataclasses.replace(
        solution,
        solution_id=solution_id_of(problem.problem_id, program),
        program=program,
        has_reasoning=True,
    )


def _solution(completion: Completion) -> Solution:
    return Solution(
        solution_id=solution_id_of(completion.problem_id, completion.program),
        problem_id=completion.problem_id,
        program=completion.program,
        origin=completion.model,
        has_reasoning=False,
    )


def _drop(solution: Solution, reason: str, detail: str) -> Rejected:
    return rejected(solution.solution_id, solution.problem_id, reason, detail, solution.program)
