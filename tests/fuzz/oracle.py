"""The rule set `grade/1` said a second time, slowly and exactly, from the text of the rules.

It shares no code with the judge: text and not bytes, fractions and not floats. Where the rules
leave room (within a rounding error of the tolerance, literals that nobody means as numbers) the
answer is EITHER: the judge may say what it likes. Everywhere else it must say the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import IntEnum
from fractions import Fraction
from typing import Any, NamedTuple

from codeprm.sandbox.values import Opaque

TOLERANCE = Fraction(1, 10**6)
# Doubles are off by 1e-16 of the value, which is 1e-10 of the tolerance.
ROUNDING = Fraction(1, 10**8)
EXACT_BELOW = 10**15
HUGE_EXPONENT = 300
LONG_LITERAL = 400
# What comes after so many digits changes no comparison within a tolerance.
MAX_DIGITS = 2000
VERDICTS = {"yes", "no", "possible", "impossible", "true", "false"}
DIGITS = frozenset("0123456789")


class Same(IntEnum):
    """Ordered so that the least of the parts is the answer for the whole."""

    NO = 0
    EITHER = 1
    YES = 2


class Mode(NamedTuple):
    """How a problem is compared; `tolerance` holds in float mode."""

    is_float: bool = False
    ignore_case: bool = False
    tolerance: Fraction = TOLERANCE


class Number(NamedTuple):
    """A literal as written, and its exact value as `coefficient` times 10 to the `exponent`."""

    coefficient: int
    exponent: int
    is_integer: bool

    @property
    def magnitude(self) -> int:
        """Power of ten just above it, roughly what a float could hold or not."""
        return len(str(abs(self.coefficient))) + self.exponent


def same_output(actual: bytes, expected: str, mode: Mode) -> Same:
    try:
        text = actual.decode("utf-8")
    except UnicodeDecodeError:
        equal = actual == expected.encode("utf-8", "surrogatepass")
        return Same.EITHER if equal else Same.NO
    mine, theirs = lines(text), lines(expected)
    if [len(line) for line in mine] != [len(line) for line in theirs]:
        return Same.NO
    return least(
        same_token(token, other, mode)
        for line, other_line in zip(mine, theirs, strict=True)
        for token, other in zip(line, other_line, strict=True)
    )


def least(answers: Iterable[Same]) -> Same:
    return min(answers, default=Same.YES)


def lines(text: str) -> list[list[str]]:
    found = [
        [token for token in re.split("[ \t\x0b\x0c]+", line) if token]
        for line in re.split("\r\n|\r|\n", text)
    ]
    return [line for line in found if line]


def mode_of(outputs: Iterable[str]) -> Mode:
    """Of a problem, from all its expected outputs."""
    tokens = [token for output in outputs for line in lines(output) for token in line]
    literals = [number(token) for token in tokens]
    is_float = any(found is not None and not found.is_integer for found in literals)
    words = [
        token
        for token, found in zip(tokens, literals, strict=True)
        if found is None and any(char.isascii() and char.isalpha() for char in token)
    ]
    ignore_case = bool(words) and all(ascii_lower(word) in VERDICTS for word in words)
    return Mode(is_float, ignore_case)


def same_token(actual: str, expected: str, mode: Mode) -> Same:
    if actual == expected:
        return Same.YES
    if mode.ignore_case and ascii_lower(actual) == ascii_lower(expected):
        return Same.YES
    signs = infinity(actual), infinity(expected)
    if any(signs):
        return Same.YES if signs[0] == signs[1] else Same.NO
    mine, theirs = number(actual), number(expected)
    if mine is None or theirs is None:
        return Same.NO
    if mode.is_float:
        distance = closeness(mine, theirs, mode.tolerance)
        return same_float(actual, expected, mine, theirs, distance)
    if plain(actual) != plain(expected):
        return Same.NO
    # Whether "5." is written as an integer is nobody's concern.
    return Same.EITHER if actual.endswith(".") or expected.endswith(".") else Same.YES


def same_float(actual: str, expected: str, mine: Number, theirs: Number, distance: Same) -> Same:
    integral = DIGITS.issuperset(plain(expected).lstrip("+-"))
    if integral and (
        mine.is_integer or abs(theirs.coefficient) >= EXACT_BELOW * 10 ** -min(0, theirs.exponent)
    ):
        if plain(actual) == plain(expected):
            return Same.YES
        if digits_of(actual) == digits_of(expected):
            return Same.EITHER
        # "7.0" may be taken for an integer or for a float.
        return Same.NO if theirs.is_integer else min(distance, Same.EITHER)
    extreme = max(mine.magnitude, theirs.magnitude) > HUGE_EXPONENT
    unusual = extreme or max(len(actual), len(expected)) > LONG_LITERAL
    return min(distance, Same.EITHER) if unusual else distance


def digits_of(token: str) -> tuple[bool, str]:
    """An integral literal without what does not change its value."""
    digits = plain(token).lstrip("+-").lstrip("0")
    return token[0] == "-" and bool(digits), digits


def closeness(actual: Number, expected: Number, tolerance: Fraction) -> Same:
    """Exact whatever the exponents: a common power of ten is taken out of numbers too large."""
    exponents = [n.exponent for n in (actual, expected) if n.coefficient]
    shift = 0
    if exponents and max(n.magnitude for n in (actual, expected) if n.coefficient) > 5000:
        # Beyond any absolute tolerance: only the ratio counts.
        shift = min(exponents)
        if max(exponents) - shift > 20_000:
            return Same.NO
    a, b = (_scaled(n, shift) for n in (actual, expected))
    one = Fraction(0) if shift else Fraction(1)
    return within(a, b, tolerance, one)


def within(a: Fraction, b: Fraction, tolerance: Fraction, one: Fraction | int = 1) -> Same:
    """|a - b| against the tolerance, of `one` or of b."""
    allowed = tolerance * max(one, abs(b))
    distance = abs(a - b)
    if distance <= allowed * (1 - ROUNDING):
        return Same.YES
    return Same.EITHER if distance <= allowed * (1 + ROUNDING) else Same.NO


def _scaled(value: Number, shift: int) -> Fraction:
    exponent = value.exponent - shift
    if value.coefficient == 0 or value.magnitude - shift < -5000:
        return Fraction(0)
    return value.coefficient * Fraction(10) ** exponent


def number(token: str) -> Number | None:
    """Sign, digits with at most one point, exponent; nothing else is a number."""
    body = token[1:] if token[:1] in ("+", "-") else token
    mantissa, power = body, ""
    has_power = False
    for letter in "eE":
        if letter in body:
            mantissa, _, power = body.partition(letter)
            has_power = True
            break
    unsigned = power[1:] if power[:1] in ("+", "-") else power
    if has_power and not (unsigned and DIGITS.issuperset(unsigned)):
        return None
    whole, point, fraction = mantissa.partition(".")
    if not (whole or fraction) or not DIGITS.issuperset(whole + fraction):
        return None
    digits = (whole + fraction).lstrip("0")
    dropped = max(0, len(digits) - MAX_DIGITS)
    coefficient = int(digits[:MAX_DIGITS] or "0") * (-1 if token[0] == "-" else 1)
    # An exponent of thousands of digits is no other than one of hundreds.
    scale = int(unsigned[-MAX_DIGITS:] or "0") * (-1 if power[:1] == "-" else 1)
    exponent = scale - len(fraction) + dropped
    return Number(coefficient, exponent, is_integer=not point and not has_power)


def plain(token: str) -> str:
    """Without a fraction of zeros and without the sign of zero: all that integers may differ in."""
    whole, _, fraction = token.partition(".")
    unsigned = whole.removeprefix("-")
    if unsigned and DIGITS.issuperset(unsigned) and set(fraction) <= {"0"}:
        token = whole
    return "0" if token == "-0" else token


def infinity(token: str) -> str:
    """Its sign, or nothing where it is something else."""
    sign, body = (token[0], token[1:]) if token[:1] in ("+", "-") else ("+", token)
    return sign if ascii_lower(body) in ("inf", "infinity") else ""


def ascii_lower(text: str) -> str:
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def same_value(actual: Any, expected: Any, mode: Mode) -> Same:
    if isinstance(actual, Opaque):
        return Same.NO
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        if len(actual) != len(expected):
            return Same.NO
        return least(same_value(a, b, mode) for a, b in zip(actual, expected, strict=True))
    if isinstance(actual, dict) and isinstance(expected, dict):
        if set(actual) != set(expected):
            return Same.NO
        return least(same_value(actual[key], expected[key], mode) for key in actual)
    kinds = {type(actual), type(expected)}
    if kinds <= {int, float}:
        return same_quantity(actual, expected, mode)
    if kinds == {str} and mode.ignore_case and ascii_lower(actual) == ascii_lower(expected):
        return Same.YES
    equal = len(kinds) == 1 and kinds <= {bool, str, type(None)} and actual == expected
    return Same.YES if equal else Same.NO


def same_quantity(actual: float, expected: float, mode: Mode) -> Same:
    if any(not math.isfinite(value) for value in (actual, expected) if isinstance(value, float)):
        both_floats = type(actual) is type(expected)
        return Same.YES if both_floats and actual == expected else Same.NO
    a, b = Fraction(actual), Fraction(expected)
    if a == b:
        return Same.YES
    both_integers = isinstance(actual, int) and isinstance(expected, int)
    exact = isinstance(expected, int) and abs(expected) >= EXACT_BELOW
    if not mode.is_float or both_integers or exact:
        return Same.NO
    answer = within(a, b, mode.tolerance)
    extreme = max(abs(a), abs(b)) > Fraction(10) ** HUGE_EXPONENT
    return min(answer, Same.EITHER) if extreme else answer


def has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_float(item) for item in value.values())
    if isinstance(value, list):
        return any(has_float(item) for item in value)
    return isinstance(value, float)
