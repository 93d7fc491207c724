"""Mini-TACO: small problems in TACO's raw schema, composed from a grammar.

A problem reads integers, keeps some (a filter), changes each (a map) and prints one answer (an
aggregate). A *composition* is such a triple; a problem is a composition with a *form* (how the
numbers arrive) and a wording. The ingredients make 1,680 compositions, no two of which are the
same function.

The splits are disjoint by composition whatever the seed, and balanced: of the eight aggregates
that can follow a filter and a map, three are for training, one is for testing and four are left
out of both. A model that solves the test split has composed what it saw apart, not recalled it;
and since most compositions are in neither split, a program that does not fit its statement is no
more familiar to a reward model than one that does.

Rows are what TACO's are, faults of form included (call-style answers are wrapped in a list), so
that they go through the same reader and cleaning.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from codeprm.datasets.base import Part, RawRow, raw_row
from codeprm.datasets.minitaco_grammar import (
    AGGREGATES,
    ENTRY_POINT,
    FILTERS,
    FORMS,
    MAPS,
    OPENINGS,
    Answer,
    Composition,
    Form,
    Ingredient,
)
from codeprm.datasets.minitaco_programs import solutions
from codeprm.errors import ConfigError

SPLITS = ("train", "test")
VERSION = "2"
N_CASES = 12
ROWS_PER_PART = 64

RESIDUES = {"train": (1, 4, 6), "test": (0,)}
INGREDIENTS: tuple[Sequence[Ingredient], ...] = (FILTERS, MAPS, AGGREGATES)
DIFFICULTIES = ("EASY", "EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")
STARTER_CODE = f"def {ENTRY_POINT}(nums):\n    "


class Settings(NamedTuple):
    """What a source string can set."""

    n: int | None = None
    seed: int = 0


class Wording(NamedTuple):
    """One way to put a composition into words."""

    form: Form
    sentences: tuple[str, ...]


class Draft(NamedTuple):
    """A problem before it is written out."""

    composition: Composition
    wording: Wording


def compositions(split: str) -> list[Composition]:
    """All compositions of a split, in a fixed order."""
    if split not in SPLITS:
        raise ConfigError(f"minitaco has no split {split!r}: choose one of {', '.join(SPLITS)}")
    return [
        composition
        for number, composition in all_compositions()
        if number % len(AGGREGATES) in RESIDUES[split]
    ]


def all_compositions() -> Iterator[tuple[int, Composition]]:
    """Every composition with the sum of its ingredients' positions."""
    for f, m, a in itertools.product(*(range(len(part)) for part in INGREDIENTS)):
        yield f + m + a, Composition(FILTERS[f], MAPS[m], AGGREGATES[a])


def problems(*, split: str, n: int | None = None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Raw rows: one a composition, or `n`, which takes further wordings of the compositions."""
    for draft in _drafts(split, Settings(n, seed)):
        yield _row(draft, seed)


def plan(source: str = "", split: str = "train", revision: str | None = None) -> list[Part]:
    """The parts of a split; `source` is "" or settings: `n=64`, `seed=1`, `n=64,seed=1`."""
    if revision:
        raise ConfigError("minitaco is generated and has no revisions: leave the revision out")
    settings = _settings(source)
    n_rows = len(_drafts(split, settings))
    return [
        Part(
            dataset="minitaco",
            revision=f"{split}@{VERSION}-seed{settings.seed}",
            path=f"{split},n={n_rows},seed={settings.seed}",
            start=start,
            first_row=start,
            n_rows=min(ROWS_PER_PART, n_rows - start),
        )
        for start in range(0, n_rows, ROWS_PER_PART)
    ]


def read(part: Part) -> Iterator[RawRow]:
    """The rows of one part."""
    split, _, source = part.path.partition(",")
    settings = _settings(source)
    drafts = _drafts(split, settings)[part.start : part.start + part.n_rows]
    for offset, draft in enumerate(drafts):
        yield raw_row(part.provenance(offset), _row(draft, settings.seed))


def _settings(source: str) -> Settings:
    pairs = [setting.partition("=") for setting in source.split(",") if setting]
    if any(name not in Settings._fields or not value.isdecimal() for name, _, value in pairs):
        raise ConfigError(f"minitaco's source is like 'n=64,seed=1', not {source!r}")
    return Settings(**{name: int(value) for name, _, value in pairs})


@lru_cache(maxsize=4)
def _drafts(split: str, settings: Settings) -> tuple[Draft, ...]:
    """Every composition once, in random order, then every one in other words, and so on.

    Kept, as each part of a split is cut from all of it.
    """
    order = compositions(split)
    random.Random(f"{split}:{settings.seed}").shuffle(order)
    wordings = [_wordings(composition, settings.seed) for composition in order]
    n = len(order) if settings.n is None else settings.n
    available = sum(map(len, wordings))
    if n > available:
        raise ConfigError(f"minitaco has {available} {split} problems: {n} is too many")
    drafts = (
        Draft(composition, wording)
        for turn in itertools.zip_longest(*wordings)
        for composition, wording in zip(order, turn, strict=True)
        if wording is not None
    )
    return tuple(itertools.islice(drafts, n))


def _wordings(composition: Composition, seed: int) -> list[Wording]:
    parts = (OPENINGS, *(part.sentences for part in composition))
    wordings = [
        Wording(form, sentences) for form in FORMS for sentences in itertools.product(*parts)
    ]
    random.Random(f"{composition.name}:{seed}").shuffle(wordings)
    return wordings


def _row(draft: Draft, seed: int) -> dict[str, str]:
    composition, wording = draft
    statement = _statement(composition, wording)
    rng = random.Random(f"{statement}:{seed}")
    is_call = wording.form.name == "call"
    weight = sum(part.weight for part in composition)
    tags = json.dumps([f"filter:{composition.filter.name}", f"map:{composition.map.name}",
                       f"aggregate:{composition.aggregate.name}"])  # fmt: skip
    return {
        "question": statement,
        "solutions": json.dumps(solutions(composition, wording.form, rng)),
        "starter_code": STARTER_CODE if is_call else "",
        "input_output": json.dumps(_input_output(composition, wording.form, rng)),
        "difficulty": DIFFICULTIES[weight],
        "raw_tags": tags,
        "name": f"{composition.name}-{wording.form.name}",
        "source": "minitaco",
        "tags": tags,
        "skill_types": "[]",
        "url": "",
        "Expected Auxiliary Space": "",
        "time_limit": "1 second",
        "date": "",
        "picture_num": "0",
        "memory_limit": "256 megabytes",
        "Expected Time Complexity": "",
    }


def _statement(composition: Composition, wording: Wording) -> str:
    task = " ".join(sentence for sentence in wording.sentences if sentence)
    if composition.filter.name != "all" and not composition.aggregate.is_list:
        task += " If no number is left, print 0."
    if wording.form.name == "call":
        task = task.replace("Print", "Return").replace("print", "return")
    return f"{task}\n{wording.form.sentence}"


def _input_output(composition: Composition, form: Form, rng: random.Random) -> dict[str, object]:
    inputs = _inputs(composition, rng)
    answers = [composition.answer(numbers) for numbers in inputs]
    if form.name == "call":
        return {
            "fn_name": ENTRY_POINT,
            "inputs": [[numbers] for numbers in inputs],
            "outputs": [[answer] for answer in answers],
        }
    return {
        "inputs": [form.encode(numbers) for numbers in inputs],
        "outputs": [_printed(answer) for answer in answers],
    }


def _printed(answer: Answer) -> str:
    return (str(answer) if isinstance(answer, int) else " ".join(map(str, answer))) + "\n"


def _inputs(composition: Composition, rng: random.Random) -> list[list[int]]:
    """Edges first (one number, nothing kept, all kept, the filters' bounds), then random lists."""
    keep = composition.filter.keep
    kept = [x for x in range(-20, 31) if keep(x)]
    dropped = [x for x in range(-20, 31) if not keep(x)] or [0]
    turns = [x for x in range(-20, 31) if keep(x) != keep(x + 1)] or [0]
    turn = rng.choice(turns)
    near = [x for x in dropped if -4 <= x <= 12] or dropped
    edges = [
        [turn, turn + 1],
        rng.sample(range(-6, 13), k=19),
        rng.sample(near, k=min(4, len(near))),
        rng.sample(range(8, 13), k=3),
        [turn + 1, turn, turn + 2, turn - 1],
        rng.sample(range(5), k=3),
        rng.sample(near, k=min(2, len(near))),
        rng.choices(kept, k=5),
        rng.choices(range(-30, 0), k=6),
        [rng.choice(kept)] * 3,
        rng.choices(range(1, 31), k=6),
        [rng.choice(kept)],
    ]
    inputs = [numbers for i, numbers in enumerate(edges) if numbers not in edges[:i]]
    while len(inputs) < N_CASES:
        span, longest = (range(-30, 31), 9) if len(inputs) % 2 else (range(-9, 16), 3)
        numbers = rng.choices(span, k=rng.randint(2, longest))
        if numbers not in inputs:
            inputs.append(numbers)
    return inputs
