"""The ingredients of mini-TACO: filters, maps, aggregates and input forms.

An ingredient is its meaning (a Python callable, the reference), its sentences and its idioms. The
two are written apart on purpose: a solution that is wrong does not agree with the reference.
Idioms are written of the variables `a` (the numbers), `x` (one of them), `y` (its new value),
`v` (the list of new values) and `r` (the result).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

ENTRY_POINT = "solve"

Answer = int | list[int]


class Filter(NamedTuple):
    """Which numbers count. `conditions` are ways to write it of a variable `x`."""

    name: str
    weight: int
    sentences: tuple[str, ...]
    conditions: tuple[str, ...]
    keep: Callable[[int], bool]


class Map(NamedTuple):
    """What becomes of each kept number. `expressions` are ways to write it of a variable `x`."""

    name: str
    weight: int
    sentences: tuple[str, ...]
    expressions: tuple[str, ...]
    apply: Callable[[int], int]


class Aggregate(NamedTuple):
    """What is printed. `expressions` are of a list `v`; `guarded` ones stand an empty list.

    `fold` holds the statements that do it without a list: from `r = 0`, for each value `y`.
    """

    name: str
    weight: int
    sentences: tuple[str, ...]
    expressions: tuple[str, ...]
    guarded: tuple[str, ...]
    fold: tuple[str, ...]
    of: Callable[[list[int]], Answer]

    @property
    def is_list(self) -> bool:
        """Whether it prints several numbers (none if nothing is kept) and not one (0)."""
        return isinstance(self.of([]), list)


Ingredient = Filter | Map | Aggregate


class Composition(NamedTuple):
    """The part of a problem that decides its answers."""

    filter: Filter
    map: Map
    aggregate: Aggregate

    @property
    def name(self) -> str:
        """Example: `even-square-sum`."""
        return "-".join(part.name for part in self)

    def answer(self, numbers: list[int]) -> Answer:
        """The reference evaluator, independent of the solutions' text."""
        return self.aggregate.of([self.map.apply(x) for x in numbers if self.filter.keep(x)])


class Form(NamedTuple):
    """How numbers arrive; `readers` are ways to write it, for a list `a` and an item `x`."""

    name: str
    sentence: str
    readers: tuple[str, ...]
    encode: Callable[[list[int]], str]


def _multiple(k: int) -> Filter:
    return Filter(
        f"multiple{k}", 1,
        (f"Keep only the multiples of {k}.", f"Skip all numbers not divisible by {k}."),
        (f"x % {k} == 0",), lambda x: x % k == 0,
    )  # fmt: skip


def _above(k: int) -> Filter:
    return Filter(
        f"above{k}", 1,
        (f"Keep only the numbers greater than {k}.", f"Skip all numbers up to {k}."),
        (f"x > {k}",), lambda x: x > k,
    )  # fmt: skip


def _below(k: int) -> Filter:
    return Filter(
        f"below{k}", 1, (f"Keep only the numbers less than {k}.", f"Skip all numbers from {k} up."),
        (f"x < {k}",), lambda x: x < k,
    )  # fmt: skip


def _add(k: int) -> Map:
    return Map(f"add{k}", 1, (f"Add {k} to each of them.", f"Increase each by {k}."),
               (f"x + {k}",), lambda x: x + k)  # fmt: skip


def _subtract(k: int) -> Map:
    return Map(f"subtract{k}", 1, (f"Subtract {k} from each of them.", f"Decrease each by {k}."),
               (f"x - {k}",), lambda x: x - k)  # fmt: skip


def _modulo(k: int) -> Map:
    return Map(f"modulo{k}", 2,
               (f"Take each modulo {k}.", f"Replace each by its remainder modulo {k}."),
               (f"x % {k}",), lambda x: x % k)  # fmt: skip


FILTERS = (
    Filter("all", 0, ("",), ("",), lambda x: True),
    Filter(
        "even", 1, ("Keep only the even numbers.", "Skip all numbers that are not even."),
        ("x % 2 == 0",), lambda x: x % 2 == 0,
    ),
    Filter(
        "odd", 1, ("Keep only the odd numbers.", "Skip all numbers that are not odd."),
        ("x % 2 == 1", "x % 2 != 0"), lambda x: x % 2 == 1,
    ),
    Filter(
        "positive", 1,
        ("Keep only the positive numbers.", "Skip all numbers that are not positive."),
        ("x > 0",), lambda x: x > 0,
    ),
    Filter(
        "negative", 1,
        ("Keep only the negative numbers.", "Skip all numbers that are not negative."),
        ("x < 0",), lambda x: x < 0,
    ),
    *map(_multiple, (3, 4, 6)),
    *map(_above, (3, 6, 9)),
    *map(_below, (3, 5, 8)),
)  # fmt: skip

MAPS = (
    Map("same", 0, ("",), ("x",), lambda x: x),
    Map("square", 1, ("Square each of them.", "Replace each by its square."),
        ("x * x", "x ** 2"), lambda x: x * x),
    Map("double", 1, ("Double each of them.", "Multiply each by 2."),
        ("x * 2", "2 * x"), lambda x: 2 * x),
    Map("negate", 1, ("Negate each of them.", "Change the sign of each."),
        ("-x",), lambda x: -x),
    Map("half", 2, ("Halve each of them, rounding down.", "Divide each by 2, rounding down."),
        ("x // 2",), lambda x: x // 2),
    Map("cube", 2, ("Cube each of them.", "Replace each by its cube."),
        ("x ** 3", "x * x * x"), lambda x: x**3),
    *map(_add, (3, 5, 8)),
    *map(_subtract, (2, 4, 7)),
    *map(_modulo, (5, 7, 9)),
)  # fmt: skip

AGGREGATES = (
    Aggregate("sum", 0, ("Print the sum.", "Print the total."),
              ("sum(v)",), ("sum(v)",), ("r += y",), sum),
    Aggregate("max", 1, ("Print the largest value.", "Print the maximum."),
              ("max(v)",), ("max(v, default=0)", "max(v) if v else 0"), (),
              lambda v: max(v, default=0)),
    Aggregate("min", 1, ("Print the smallest value.", "Print the minimum."),
              ("min(v)",), ("min(v, default=0)", "min(v) if v else 0"), (),
              lambda v: min(v, default=0)),
    Aggregate("ends", 2, ("Print the largest plus the smallest value.",
                          "Print the maximum plus the minimum."),
              ("max(v) + min(v)",), ("max(v) + min(v) if v else 0",), (),
              lambda v: max(v) + min(v) if v else 0),
    Aggregate("first", 1, ("Print the first value.", "Print the value that comes first."),
              ("v[0]",), ("v[0] if v else 0",), ("r = y", "break"),
              lambda v: v[0] if v else 0),
    Aggregate("last", 1, ("Print the last value.", "Print the value that comes last."),
              ("v[-1]",), ("v[-1] if v else 0",), ("r = y",),
              lambda v: v[-1] if v else 0),
    Aggregate("sorted", 1, ("Print the values in increasing order.", "Print the sorted values."),
              ("sorted(v)",), ("sorted(v)",), (), sorted),
    Aggregate("reversed", 1, ("Print the values in reverse order.",
                              "Print the values from back to front."),
              ("v[::-1]",), ("v[::-1]",), (), lambda v: v[::-1]),
)  # fmt: skip

OPENINGS = ("You are given some integers.", "Read a list of integers.", "Here are integers.")

FORMS = (
    Form("counted", "Input: n on the first line, n integers on the second.",
         ("n = int(input())\na = list(map(int, input().split()))",
          "n = int(input())\na = [int(x) for x in input().split()]"),
         lambda numbers: f"{len(numbers)}\n{' '.join(map(str, numbers))}\n"),
    Form("lines", "Input: n on the first line, then n integers, one a line.",
         ("n = int(input())\na = [int(input()) for _ in range(n)]",
          "a = []\nfor _ in range(int(input())):\n    a.append(int(input()))"),
         lambda numbers: "\n".join(map(str, [len(numbers), *numbers])) + "\n"),
    Form("line", "Input: one line of integers.",
         ("a = list(map(int, input().split()))", "a = [int(x) for x in input().split()]"),
         lambda numbers: " ".join(map(str, numbers)) + "\n"),
    Form("call", f"Write a function {ENTRY_POINT}(nums).", (), json.dumps),
)  # fmt: skip
