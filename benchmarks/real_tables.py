"""Attempts of a folder, folded by problem, as the tables that the product's jobs hand on.

    attempts of the other folds -> Problem + Solution (the right ones)    train_generator
                                -> Example, as they come                  train_orm
    attempts of the fold        -> Problem + Completion                   score

Programs that are equal are learnt from once; every attempt is scored. Examples are a problem's
programs at random, right and wrong as often as they come, and problems of one class stay in: what
a program of an unseen problem is worth depends first of all on how hard the problem looks, and
only these tell. Which source's problems are hard must not be learnt from so few (`balanced`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.directories import write_directory
from benchmarks.programs import ATTEMPTS, PROBLEMS, read_tasks
from codeprm.errors import DataError
from codeprm.prompts import docstring_prompt
from codeprm.records import (
    Completion,
    Example,
    Label,
    Problem,
    Record,
    Solution,
    completion_id_of,
    solution_id_of,
)

GENERATION = "attempts"
TIMEOUT = "Timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A program that someone wrote and another executor judged; `index` is its row."""

    problem: Problem
    index: int
    program: str
    passed: bool
    timed_out: bool

    @property
    def problem_id(self) -> str:
        """Of its problem."""
        return self.problem.problem_id

    @property
    def completion_id(self) -> str:
        """What its score is found by."""
        return completion_id_of(self.problem_id, GENERATION, self.index)


def read_attempts(folder: str) -> list[Attempt]:
    """All rows of a folder whose problem is there."""
    path = Path(folder) / ATTEMPTS
    if not path.exists():
        raise DataError(f"no {ATTEMPTS} in {folder}: give a folder with {PROBLEMS} and {ATTEMPTS}")
    tasks = read_tasks(folder)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Attempt(
            problem=tasks[row["problem"]].cleaned.problem,
            index=index,
            program=row["code"],
            passed=bool(row["passing"]),
            timed_out=TIMEOUT in row["output"],
        )
        for index, row in enumerate(rows)
        if row["problem"] in tasks
    ]


def fold_of(name: str, folds: int, first_bit: int) -> int:
    """md5 of a problem's name without its last `first_bit` bits, modulo `folds`."""
    return (int(hashlib.md5(name.encode()).hexdigest(), 16) >> first_bit) % folds


def write_solutions(path: str, attempts: Sequence[Attempt], *, most: int, seed: int) -> str:
    """Problems, and at most so many different right programs of each, at random."""
    rng = random.Random(seed)
    records: list[Record] = []
    for own in by_problem(attempts):
        problem = own[0].problem
        records.append(problem)
        records += [
            _solution(problem, attempt.program)
            for attempt in _some([one for one in different(own) if one.passed], most, rng)
        ]
    return write_directory(path, records, (Problem, Solution), job="prepare")


def write_examples(
    path: str, attempts: Sequence[Attempt], *, most: int, held_out: Collection[str], seed: int
) -> str:
    """At most so many different programs of each problem, at random, weighed by `balanced`.

    Those of the problems `held_out` are the calibration split.
    """
    rng = random.Random(seed)
    chosen = [_some(different(own), most, rng) for own in by_problem(attempts)]
    weights = balanced(chosen)
    records = [
        _example(attempt, weight=weight, is_held_out=attempt.problem_id in held_out)
        for own, its_weights in zip(chosen, weights, strict=True)
        for attempt, weight in zip(own, its_weights, strict=True)
    ]
    return write_directory(path, records, (Example,), job="label")


def balanced(problems: Sequence[Sequence[Attempt]]) -> list[list[float]]:
    """Weights of mean 1: problems of a source count alike, and so do its right and wrong programs.

    Few dozen problems of a source are as hard as chance has it. Without the second rule the first
    thing that a model learns is which source's problems were the easy ones, and it is wrong of
    others.
    """
    mass: dict[tuple[str, bool], float] = defaultdict(float)
    of_source: dict[str, float] = defaultdict(float)
    for own in problems:
        for attempt in own:
            mass[attempt.problem.source, attempt.passed] += 1 / len(own)
            of_source[attempt.problem.source] += 1 / len(own)

    def weight(attempt: Attempt, n: int) -> float:
        source = attempt.problem.source
        return of_source[source] / mass[source, attempt.passed] / n

    weights = [[weight(attempt, len(own)) for attempt in own] for own in problems]
    flat = [value for own in weights for value in own]
    mean = sum(flat) / len(flat)
    return [[value / mean for value in own] for own in weights]


def drawn_problems(attempts: Iterable[Attempt], share: float, *, seed: int) -> set[str]:
    """A share of the problems, at random, by id."""
    problems = [own[0].problem_id for own in by_problem(attempts)]
    return set(random.Random(seed).sample(problems, round(share * len(problems))))


def write_completions(path: str, attempts: Iterable[Attempt]) -> str:
    """Every attempt."""
    return write_directory(path, map(_completion, attempts), (Completion,), job="sample")


def write_problems(path: str, attempts: Sequence[Attempt]) -> str:
    """The problems alone."""
    problems = (own[0].problem for own in by_problem(attempts))
    return write_directory(path, problems, (Problem,), job="prepare")


def by_problem(attempts: Iterable[Attempt]) -> list[list[Attempt]]:
    """Attempts of each problem, in the order of the first."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.problem_id].append(attempt)
    return list(found.values())


def different(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The first of equal programs of a problem, empty ones left out."""
    found: dict[str, Attempt] = {}
    for attempt in attempts:
        if attempt.program.strip():
            found.setdefault(attempt.program, attempt)
    return list(found.values())


def _some(attempts: list[Attempt], most: int, rng: random.Random) -> list[Attempt]:
    return rng.sample(attempts, min(most, len(attempts)))


def _solution(problem: Problem, program: str) -> Solution:
    return Solution(
        solution_id=solution_id_of(problem.problem_id, program),
        problem_id=problem.problem_id,
        program=program,
        origin="natural",
        has_reasoning=False,
    )


def _example(attempt: Attempt, *, weight: float, is_held_out: bool) -> Example:
    problem = attempt.problem
    return Example(
        example_id=attempt.completion_id,
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, problem.starter_code),
        program=attempt.program,
        label=Label.PASS if attempt.passed else Label.FAIL,
        weight=weight,
        split="calibration" if is_held_out else "train",
    )


def _completion(attempt: Attempt) -> Completion:
    return Completion(
        completion_id=attempt.completion_id,
        problem_id=attempt.problem_id,
        index=attempt.index,
        text=attempt.program,
        program=attempt.program,
        model=GENERATION,
        generation_id=GENERATION,
        seed=0,
        cumulative_logprob=None,
        num_tokens=0,
        finish_reason="stop",
    )
