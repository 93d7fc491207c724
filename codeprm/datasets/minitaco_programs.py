"""Mini-TACO's solutions: one composition written as several different programs.

The text is put together from the grammar's idioms; nothing here knows what a program computes.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from codeprm.datasets.minitaco_grammar import ENTRY_POINT, Composition, Form

N_SOLUTIONS = 8


class Names(NamedTuple):
    """What a solution calls things."""

    numbers: str
    item: str
    kept: str
    values: str
    result: str


NAMES = (
    Names("nums", "x", "kept", "values", "result"),
    Names("a", "v", "b", "c", "ans"),
    Names("numbers", "num", "chosen", "out", "total"),
)


class Idioms(NamedTuple):
    """One way to write each ingredient, in the names of one program. Empty: nothing to do."""

    names: Names
    condition: str
    expression: str
    answer: str
    fold: tuple[str, ...]

    @property
    def is_identity(self) -> bool:
        return self.expression == self.names.item


def solutions(composition: Composition, form: Form, rng: random.Random) -> list[str]:
    """Differently written programs, all right, in random order."""
    programs: dict[str, None] = {}
    for names in NAMES:
        if form.name == "call":
            names = names._replace(numbers="nums")
        for body in (_comprehension, _two_steps, _append_loop, _fold_loop):
            lines = body(_idioms(composition, names, rng))
            if lines:
                programs[_program(composition, form, names, lines, rng)] = None
    return rng.sample(list(programs), min(N_SOLUTIONS, len(programs)))


def _idioms(composition: Composition, names: Names, rng: random.Random) -> Idioms:
    filter_, map_, aggregate = composition
    answers = aggregate.expressions if filter_.name == "all" else aggregate.guarded
    return Idioms(
        names,
        _renamed(rng.choice(filter_.conditions), names),
        _renamed(rng.choice(map_.expressions), names),
        rng.choice(answers),
        aggregate.fold,
    )


def _comprehension(idioms: Idioms) -> list[str]:
    names = idioms.names
    if idioms.is_identity and not idioms.condition:
        return [f"{names.result} = {_answer(idioms, of=names.numbers)}"]
    condition = f" if {idioms.condition}" if idioms.condition else ""
    return [
        f"{names.values} = [{idioms.expression} for {names.item} in {names.numbers}{condition}]",
        f"{names.result} = {_answer(idioms, of=names.values)}",
    ]


def _two_steps(idioms: Idioms) -> list[str]:
    names = idioms.names
    if idioms.is_identity or not idioms.condition:
        return []
    return [
        f"{names.kept} = [{names.item} for {names.item} in {names.numbers} if {idioms.condition}]",
        f"{names.values} = [{idioms.expression} for {names.item} in {names.kept}]",
        f"{names.result} = {_answer(idioms, of=names.values)}",
    ]


def _append_loop(idioms: Idioms) -> list[str]:
    names = idioms.names
    return [
        f"{names.values} = []",
        *_loop(idioms, [f"{names.values}.append({idioms.expression})"]),
        f"{names.result} = {_answer(idioms, of=names.values)}",
    ]


def _fold_loop(idioms: Idioms) -> list[str]:
    names = idioms.names
    steps = [re.sub(r"\by\b", idioms.expression, _renamed(step, names)) for step in idioms.fold]
    return [f"{names.result} = 0", *_loop(idioms, steps)] if steps else []


def _loop(idioms: Idioms, steps: list[str]) -> list[str]:
    names = idioms.names
    head = [f"for {names.item} in {names.numbers}:"]
    if not idioms.condition:
        return [*head, *_indented(steps)]
    return [*head, *_indented([f"if {idioms.condition}:", *_indented(steps)])]


def _program(
    composition: Composition, form: Form, names: Names, body: list[str], rng: random.Random
) -> str:
    if form.name == "call":
        return "\n".join(
            [f"def {ENTRY_POINT}(nums):", *_indented([*body, f"return {names.result}"])]
        )
    star = "*" if composition.aggregate.is_list else ""
    reader = _renamed(rng.choice(form.readers), names).splitlines()
    return "\n".join([*reader, *body, f"print({star}{names.result})"])


def _answer(idioms: Idioms, *, of: str) -> str:
    return re.sub(r"\bv\b", of, idioms.answer)


def _renamed(idiom: str, names: Names) -> str:
    renames = {"a": names.numbers, "x": names.item, "r": names.result}
    return re.sub(r"\b[axr]\b", lambda match: renames[match[0]], idiom)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
