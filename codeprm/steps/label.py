"""Completions + verdicts -> examples: balanced programs of known label, problem by problem.

A problem gives at most `cap` programs of each class, and of the larger class at most `max_ratio`
times as many as of the smaller one, drawn by a shuffle that depends on the seed and the problem.
Programs equal to the letter count once. What is not drawn goes to `rejected/` with its reason, so
the rows in are the rows out and the rejected ones:

    no_verdict, unknown_label    nothing is known of it, or not by this problem's tests
    conflicting_verdicts         equal programs with different labels
    no_program, duplicate_program
    one_class                    all programs of the problem pass, or all fail
    not_drawn                    over the balance or the cap

Whole problems are held out for calibration, chosen by hash, so that no problem is in both splits.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from codeprm.errors import ConfigError, DataError
from codeprm.judge.verdict import trusted
from codeprm.prompts import docstring_prompt
from codeprm.records import (
    Completion,
    Example,
    Label,
    Problem,
    Record,
    Rejected,
    Trust,
    Verdict,
    content_hash,
    solution_id_of,
)
from codeprm.steps.base import Item, Stage, Unit, Workers
from codeprm.steps.follow import bucket_units
from codeprm.steps.run import rejected
from codeprm.tables import Directory

TRAIN, CALIBRATION = "train", "calibration"


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """What decides which programs become examples."""

    cap: int = 50
    """At most so many programs of each class a problem."""
    max_ratio: float = 1.0
    """At most so many programs of the larger class for each of the smaller one, in a problem."""
    calibration_fraction: float = 0.1
    """Share of the problems that is held out to calibrate the reward model."""
    seed: int = 0
    """Decides the draw and the held-out problems."""

    def __post_init__(self) -> None:
        if self.cap < 1 or not self.max_ratio >= 1:
            raise ConfigError("cap and max_ratio must be at least 1")


class Labelled(NamedTuple):
    """A completion with what the judge said of it, if it did."""

    completion: Completion
    verdict: Verdict | None


def label_stage(
    config: LabelConfig, *, data: str, completions: str, verdicts: str, out: str, workers: Workers
) -> Stage:
    """One unit a bucket of problems."""
    inputs = {"data": data, "completions": completions, "verdicts": verdicts}
    for uri in inputs.values():
        Directory(uri).require_complete()
    buckets = Directory(completions).buckets
    return Stage(
        job="label",
        out=out,
        config=config,
        inputs=inputs,
        tables=(Example,),
        buckets=buckets,
        units=partial(bucket_units, buckets),
        step=partial(LabelStep, config, data=data, completions=completions, verdicts=verdicts),
        workers=workers,
    )


class LabelStep:
    """Joins the three tables of a bucket; an item is a problem with its completions."""

    spool_key: str | None = None

    def __init__(self, config: LabelConfig, *, data: str, completions: str, verdicts: str) -> None:
        self._config = config
        self._data = Directory(data)
        self._completions = Directory(completions)
        self._verdicts = Directory(verdicts)
        self._problems: dict[str, Problem] = {}

    def items(self, unit: Unit) -> Sequence[Item]:
        buckets = self._completions.buckets
        problems = self._data.read_bucket(Problem, unit.bucket, buckets)
        self._problems = {problem.problem_id: problem for problem in problems}
        verdicts = {
            verdict.completion_id: verdict
            for verdict in self._verdicts.read_bucket(Verdict, unit.bucket, buckets)
        }
        rows: dict[str, list[Labelled]] = {}
        for completion in self._completions.read_bucket(Completion, unit.bucket, buckets):
            verdict = verdicts.get(completion.completion_id)
            rows.setdefault(completion.problem_id, []).append(Labelled(completion, verdict))
        return [
            Item(problem_id, problem_id, sorted(own, key=lambda row: row.completion.index))
            for problem_id, own in rows.items()
        ]

    def process(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            problem = self._problems.get(item.problem_id)
            if problem is None:
                detail = f"{len(item.value)} completions of a problem that is not in --data"
                yield rejected(item.problem_id, item.problem_id, "no_problem", detail, "")
            else:
                yield from label_problem(problem, item.value, self._config)

    def close(self) -> None:
        """Nothing is held."""


def label_problem(
    problem: Problem, rows: Iterable[Labelled], config: LabelConfig
) -> Iterator[Example | Rejected]:
    """Examples of one problem, and every completion that gives none."""
    dropped: list[Rejected] = []
    passing, failing = _by_class(rows, problem.trust, dropped)
    if not passing or not failing:
        detail = f"{len(passing)} programs pass, {len(failing)} fail, trust {problem.trust}"
        dropped += [_drop(row, "one_class", detail) for row in (*passing, *failing)]
    else:
        rng = random.Random(content_hash("label", str(config.seed), problem.problem_id))
        smaller = min(len(passing), len(failing), config.cap)
        most = min(config.cap, int(smaller * config.max_ratio))
        for own in (passing, failing):
            rng.shuffle(own)
            size = min(len(own), most)
            dropped += [_drop(row, "not_drawn", f"{size} of {len(own)}") for row in own[size:]]
            yield from (_example(problem, row, config) for row in own[:size])
    yield from dropped


def split_of(problem_id: str, config: LabelConfig) -> str:
    """The problem's split, whatever else is in the table."""
    draw = int(content_hash("calibration", str(config.seed), problem_id, length=12), 16) / 16**12
    return CALIBRATION if draw < config.calibration_fraction else TRAIN


def require_both_classes(out: str, manifest: Mapping[str, Any]) -> None:
    """A table that nothing can be learned from is a user error, which says what was there."""
    if manifest["rows"].get(Example.table, 0):
        return
    reasons = ", ".join(
        f"{n} {key.removeprefix('rejected:')}" for key, n in sorted(manifest["counts"].items())
    )
    raise DataError(
        f"no problem has both passing and failing programs, so {out} holds no example "
        f"({reasons or 'there were no completions'}): sample more completions a problem, or "
        "problems that are neither too easy nor too hard for the generator"
    )


def _by_class(
    rows: Iterable[Labelled], trust: Trust, dropped: list[Rejected]
) -> tuple[list[Labelled], list[Labelled]]:
    groups: dict[str, list[Labelled]] = {}
    for row in rows:
        if row.verdict is None:
            dropped.append(_drop(row, "no_verdict", "not in --verdicts"))
        elif row.verdict.label is Label.UNKNOWN:
            dropped.append(_drop(row, "unknown_label", row.verdict.outcome.value))
        elif trusted(row.verdict.outcome, trust) is not row.verdict.outcome:
            # judged before the label gate had its say
            detail = f"{row.verdict.outcome}, but trust {trust}"
            dropped.append(_drop(row, "unknown_label", detail))
        elif not row.completion.program.strip():
            dropped.append(_drop(row, "no_program", row.verdict.outcome.value))
        else:
            groups.setdefault(row.completion.program, []).append(row)
    classes: dict[Label, list[Labelled]] = {Label.PASS: [], Label.FAIL: []}
    for group in groups.values():
        labels = {_label(row) for row in group}
        if len(labels) > 1:
            dropped += [_drop(row, "conflicting_verdicts", _label(row).value) for row in group]
            continue
        first, *others = group
        classes[_label(first)].append(first)
        dropped += [
            _drop(row, "duplicate_program", first.completion.completion_id) for row in others
        ]
    return classes[Label.PASS], classes[Label.FAIL]


def _label(row: Labelled) -> Label:
    assert row.verdict is not None
    return row.verdict.label


def _example(problem: Problem, row: Labelled, config: LabelConfig) -> Example:
    program = row.completion.program
    return Example(
        example_id=solution_id_of(problem.problem_id, program),
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, problem.starter_code),
        program=program,
        label=_label(row),
        weight=1.0,
        split=split_of(problem.problem_id, config),
    )


def _drop(row: Labelled, reason: str, detail: str) -> Rejected:
    # no excerpt: most completions end here, and each stands in the completions' own table
    completion = row.completion
    return rejected(completion.completion_id, completion.problem_id, reason, detail, "")
