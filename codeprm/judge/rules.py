r"""Which rules a problem is judged by, as `Problem.compare` writes them.

    grade/1                 the rule set, modes decided from the expected outputs
    grade/1+case            case never counts
    grade/1+float           float mode, whatever the expected outputs look like
    grade/1+eps=0.0001      in float mode, this tolerance in place of 1e-6

Options add up, in this order. They come from a list of special judges (`prepare --special-judge`)
and, for the tolerance, from a statement that allows more than 1e-6; what a statement demands beyond
that is not asked for, since expected outputs are often no more exact themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from codeprm.errors import DataError
from codeprm.judge.compare import GRADE_VERSION, TOLERANCE, CompareMode, stdout_mode, value_mode

MAX_TOLERANCE = 1e-2

# "absolute or relative error ... 10^{-4}", "an error of less than 1e-4", "within an error of 0.001"
_STATED = re.compile(
    r"\b(?:error|toleran\w*|precision|accura\w*)\b[^\n]{0,120}?"
    r"(?:10\s*\^?\s*\{?\s*[-\u2212\u2013]\s*(?P<power>\d{1,2})\b"
    r"|\b1[eE][-\u2212](?P<exponent>\d{1,2})\b"
    r"|\b0\.(?P<zeros>0{1,8})1\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a problem asks for beyond its expected outputs."""

    ignore_case: bool = False
    is_float: bool = False
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        options = [
            "case" if self.ignore_case else "",
            "float" if self.is_float else "",
            f"eps={self.tolerance:g}" if self.tolerance != TOLERANCE else "",
        ]
        return "+".join([GRADE_VERSION, *filter(None, options)])

    def mode(self, expected: Iterable[Any], *, is_call: bool) -> CompareMode:
        """The problem's mode, from all its expected outputs or values."""
        found = value_mode(expected) if is_call else stdout_mode(expected)
        return CompareMode(
            is_float=found.is_float or self.is_float,
            ignore_case=found.ignore_case or self.ignore_case,
            tolerance=self.tolerance,
        )


def parse_rules(compare: str) -> Rules:
    """Of `Problem.compare`; another rule set than ours is a user error."""
    version, *options = compare.split("+")
    rules = Rules()
    if version != GRADE_VERSION:
        raise DataError(f"problems are compared by {GRADE_VERSION}, not {compare!r}: prepare anew")
    for option in options:
        name, _, value = option.partition("=")
        if option == "case":
            rules = replace(rules, ignore_case=True)
        elif option == "float":
            rules = replace(rules, is_float=True)
        elif name == "eps" and _is_tolerance(value):
            rules = replace(rules, tolerance=float(value))
        else:
            raise DataError(f"unknown option {option!r} in the rule set {compare!r}: prepare anew")
    return rules


def stated_tolerance(statement: str) -> float:
    """What a statement allows, where that is more than the rule set's own; else that."""
    match = _STATED.search(statement)
    if match is None:
        return TOLERANCE
    if match["zeros"]:
        tolerance = 10.0 ** -(len(match["zeros"]) + 1)
    else:
        tolerance = 10.0 ** -int(match["power"] or match["exponent"])
    return tolerance if TOLERANCE < tolerance <= MAX_TOLERANCE else TOLERANCE


def _is_tolerance(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
