"""The programs that are measured, each with its problem and its tests.

    mini-TACO      solutions of its problems, and solutions of other problems of the same form
    DIR            problems.jsonl.gz (TACO's raw schema) and attempts.jsonl.gz (one program a line:
                   `problem`, `code`, `passing`, `output`), programs that are equal taken as one

Problems go through the project's own reader and cleaning; nothing is executed here.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from codeprm.cleaning import CleanConfig, Cleaned, clean
from codeprm.datasets import minitaco, taco
from codeprm.datasets.base import RawRow
from codeprm.errors import ConfigError, DataError
from codeprm.raw_columns import time_limit_s
from codeprm.records import Case, Problem, Rejected

PROBLEMS = "problems.jsonl.gz"
ATTEMPTS = "attempts.jsonl.gz"
# Public examples alone are a problem's tests here: one is enough.
ANY_TESTS = CleanConfig(min_tests=1)
# `time_limit_s` gives programs twice what the problem states.
STATED_SHARE = 0.5


class Task(NamedTuple):
    """A problem, its tests and solutions, and the time limit that its text states (None: none)."""

    cleaned: Cleaned
    stated_limit_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program to run. `is_right` and `message` are what the data says of it."""

    problem: Problem
    cases: tuple[Case, ...]
    source: str
    is_right: bool
    message: str = ""
    attempts: int = 1
    """How many rows of the data are this very program."""
    stated_limit_s: float | None = None


def chosen(data: str, n: int, *, seed: int) -> list[Program]:
    """`n` programs at random, of the folder or of mini-TACO ("")."""
    if n < 1:
        raise ConfigError("at least one program must be measured")
    if not data:
        return mini_programs(n, seed=seed)
    programs = attempts(data)
    return random.Random(seed).sample(programs, min(n, len(programs)))


def mini_programs(n: int, *, seed: int, right_share: float = 0.5) -> list[Program]:
    """Different programs of mini-TACO, a share of them right, in random order."""
    tasks = list(mini_tasks(n, seed=seed))
    rng = random.Random(seed)
    found: list[Program] = []
    for number in range(n):
        task = tasks[number % len(tasks)]
        is_right = rng.random() < right_share
        source = rng.choice((task if is_right else _other(task, tasks, rng)).cleaned.solutions)
        found.append(_program(task, f"{source.program}\n_serial = {number}\n", is_right=is_right))
    rng.shuffle(found)
    return found


def mini_tasks(n_programs: int, *, seed: int) -> Iterator[Task]:
    """So many problems that each has a few dozen programs at most."""
    n = min(500, max(16, n_programs // 40))
    for part in minitaco.plan(f"n={n},seed={seed}"):
        yield from _tasks(minitaco.read(part))


def read_tasks(folder: str) -> dict[str, Task]:
    """The problems of a folder by name."""
    path = str(Path(folder) / PROBLEMS)
    rows = (row for part in taco.plan(path) for row in taco.read(part))
    return {task.cleaned.problem.name: task for task in _tasks(rows)}


def attempts(folder: str) -> list[Program]:
    """The different programs of a folder's attempts, in the order of their first row."""
    path = Path(folder) / ATTEMPTS
    if not path.exists():
        raise DataError(f"no {ATTEMPTS} in {folder}: give a folder with {PROBLEMS} and {ATTEMPTS}")
    tasks = read_tasks(folder)
    found: dict[tuple[str, str], Program] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            key = (row["problem"], row["code"])
            known = found.get(key)
            if known is not None:
                found[key] = _joined(known, bool(row["passing"]), row["output"])
            elif row["problem"] in tasks:
                task = tasks[row["problem"]]
                found[key] = _program(task, row["code"], row["passing"], row["output"])
    return list(found.values())


def n_tests(programs: Iterable[Program]) -> int:
    """Tests of all programs, run to the last."""
    return sum(len(program.cases) for program in programs)


def _joined(known: Program, is_right: bool, message: str) -> Program:
    """The same program judged twice by the data: it is right where it ever was."""
    return replace(
        known,
        is_right=known.is_right or is_right,
        message="" if known.is_right or is_right else known.message or message,
        attempts=known.attempts + 1,
    )


def _tasks(rows: Iterable[RawRow]) -> Iterator[Task]:
    for provenance, raw in rows:
        if isinstance(raw, Rejected):
            continue
        cleaned = clean(raw, provenance=provenance, config=ANY_TESTS)
        if not isinstance(cleaned, Rejected):
            text = raw["time_limit"]
            yield Task(cleaned, time_limit_s(text) * STATED_SHARE if text else None)


def _other(task: Task, tasks: list[Task], rng: random.Random) -> Task:
    """Another problem of the same form, so that its solutions run and are wrong."""
    form = task.cleaned.problem.name.rpartition("-")[2]
    others = [
        other
        for other in tasks
        if other is not task and other.cleaned.problem.name.rpartition("-")[2] == form
    ]
    return rng.choice(others or [task])


def _program(task: Task, source: str, is_right: bool, message: str = "") -> Program:
    return Program(
        problem=task.cleaned.problem,
        cases=task.cleaned.cases,
        source=source,
        is_right=is_right,
        message=message,
        stated_limit_s=task.stated_limit_s,
    )
