"""What calls return: encodings, forged ones too, and the judge's word against the oracle's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from random import Random
from typing import Any

from codeprm.judge.compare import compare_value, value_mode
from codeprm.sandbox import values
from codeprm.sandbox.values import Opaque
from tests.fuzz.engine import Broken, WrongAcceptance
from tests.fuzz.oracle import Same, has_float, same_value
from tests.fuzz.outputs import MODES, oracle_mode

TEXTS = (
    "", "a", "A", "1", "true", "None", "\u00e9", "\u00c9", "\ud800", "\x00", "yes", "YES", "1.0",
    "k", "\u212a", "ss", "\u00df", "x" * 40,
)  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, 1.0, 1e15, 1e16, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
INTEGERS = (0, 1, -1, 10**15 - 1, 10**15, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**25, 10**400)
FRAGMENTS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b'{"t":', b'{"d":', b'{"i":', b'{"x":',
    b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-", b"0", b"\\ud800", b"\xff", b'"0x',
    b"9" * 5000, b'{"i":"-0x8000000000000000"}', b'{"t":"ab"}', b'{"q":1}', b" ", b"\n", b"\x00",
)  # fmt: skip
EXACT_TYPES = (bool, int, float, str, type(None))


def comparison(rng: Random) -> None:
    """A stored value, what a program returned in its place, and both judges."""
    expected = stored(rng, 0)
    mode = value_mode([expected])
    if mode.is_float != has_float([expected]):
        raise Broken(f"{mode} of {shown(expected)}")
    mode = rng.choice((mode, *MODES))
    if not compare_value(copy.deepcopy(expected), expected, mode) and not has_nan(expected):
        raise Broken(f"{shown(expected)} is not equal to itself")
    actual = returned(rng, expected)
    answer = same_value(actual, expected, oracle_mode(mode))
    accepted = compare_value(actual, expected, mode)
    if accepted and answer is Same.NO:
        raise WrongAcceptance(f"{shown(actual)} for {shown(expected)} in {mode}")
    if not accepted and answer is Same.YES:
        raise Broken(f"refused {shown(actual)} for {shown(expected)} in {mode}")


def round_trip(rng: Random) -> None:
    """What a program returns arrives as it is, with its exact types."""
    value = returned(rng, stored(rng, 0))
    arrived = values.decode(values.encode(value))
    # The order of a dict is its own, and Opaque is encoded as what it is: a foreign type.
    if not identical(arrived, as_sent(value)):
        raise Broken(f"{shown(value)} arrived as {shown(arrived)}")


def forgery(rng: Random) -> None:
    """Bytes that no encoder made: refused, or no more than returning a value."""
    data = forged(rng)
    try:
        value = values.decode(data)
    except ValueError:
        return
    check_exact(value)
    if size_of(value) > values.MAX_NODES or depth_of(value) > values.MAX_DEPTH:
        return
    again = values.decode(values.encode(value))
    if not identical(again, as_sent(value)):
        raise Broken(f"{data[:200]!r} is {shown(value)}, which arrives as {shown(again)}")
    for mode in MODES:
        if has_opaque(value) and compare_value(value, again, mode):
            raise WrongAcceptance(
                f"a value of a foreign type is equal to something: {data[:200]!r}"
            )


def stored(rng: Random, depth: int) -> Any:
    """What JSON holds: an expected value, with little that is not a number."""
    kind = rng.random()
    if depth < 4 and kind < 0.3:
        return [stored(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 2, 3, 6)))]
    if depth < 3 and kind < 0.4:
        return {rng.choice(TEXTS): stored(rng, depth + 1) for _ in range(rng.randrange(4))}
    return leaf(rng)


def leaf(rng: Random) -> Any:
    kind = rng.random()
    if kind < 0.35:
        return rng.randrange(-20, 20)
    if kind < 0.5:
        return rng.choice(INTEGERS) + rng.randrange(-2, 3)
    if kind < 0.75:
        return rng.choice((*FLOATS, rng.random(), rng.uniform(-1e9, 1e9), rng.gauss(0, 1e-6)))
    return rng.choice((None, True, False, *TEXTS))


def returned(rng: Random, expected: Any) -> Any:
    """The same value, changed in a few places or in none; tuples for lists, floats for integers."""
    if rng.random() < 0.05:
        return stored(rng, 0)
    if isinstance(expected, list):
        items = [returned(rng, item) for item in expected]
        if rng.random() < 0.1:
            rng.choice(LIST_CHANGES)(rng, items)
        return tuple(items) if rng.random() < 0.3 else items
    if isinstance(expected, dict):
        members = {key: returned(rng, item) for key, item in expected.items()}
        if members and rng.random() < 0.1:
            members.pop(rng.choice(list(members)))
        if rng.random() < 0.1:
            members[rng.choice(TEXTS)] = leaf(rng)
        return dict(rng.sample(list(members.items()), len(members)))
    if rng.random() < 0.7:
        return expected
    return other_leaf(rng, expected)


def _shuffle(rng: Random, items: list[Any]) -> None:
    rng.shuffle(items)


def _cut(rng: Random, items: list[Any]) -> None:
    del items[rng.randint(0, len(items)) :]


def _grow(rng: Random, items: list[Any]) -> None:
    items.insert(rng.randint(0, len(items)), leaf(rng))


LIST_CHANGES: tuple[Callable[[Random, list[Any]], None], ...] = (_shuffle, _cut, _grow)


def other_leaf(rng: Random, value: Any) -> Any:
    """Close to it in one way or another."""
    if isinstance(value, int | float) and rng.random() < 0.7:
        step = rng.choice((0.5, 0.99999999, 1.0, 1.00000001, 2.0)) * 1e-6
        try:
            near = value + rng.choice((-1, 1)) * step * rng.choice((1.0, abs(float(value))))
            return rng.choice((near, float(value), int(value), value + 1, -value, [value]))
        except (OverflowError, ValueError):
            return value + 1
    if isinstance(value, str) and rng.random() < 0.7:
        changes = value.swapcase(), value.upper(), value.replace("k", "\u212a"), f" {value}"
        return rng.choice(changes)
    return rng.choice((leaf(rng), str(value), [value], Opaque("set"), bool(value), None))


def forged(rng: Random) -> bytes:
    data = bytearray(values.encode(returned(rng, stored(rng, 0))))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 12))):
        at = rng.randint(0, len(data))
        if rng.random() < 0.6:
            data[at:at] = rng.choice(FRAGMENTS)
        elif rng.random() < 0.5:
            del data[at : at + rng.randrange(1, 5)]
        else:
            data[at : at + 1] = rng.randbytes(1)
    if rng.random() < 0.02:
        nested = rng.choice((b"[", b'{"t":[', b'{"d":{"a":'))
        return bytes(data) + nested * rng.choice((60, 300, 1100, 100_000))
    if rng.random() < 0.02:
        depth = rng.choice((40, 64, 65, 200, 330, 480, 900, 1100))
        opening, closing = rng.choice(((b"[", b"]"), (b'{"t":[', b"]}"), (b'{"d":{"a":', b"}}")))
        return opening * depth + b"1" + closing * depth
    return bytes(data)


def check_exact(value: Any) -> None:
    """Nothing but builtin types comes out, whatever went in."""
    todo = [value]
    while todo:
        node = todo.pop()
        if type(node) in (list, tuple):
            todo += node
        elif type(node) is dict:
            if any(type(key) is not str for key in node):
                raise Broken("a key is no string")
            todo += node.values()
        elif type(node) is Opaque:
            if type(node.type_name) is not str:
                raise Broken("the name of a type is no string")
        elif type(node) not in EXACT_TYPES:
            raise Broken(f"a value of type {type(node)}")


def as_sent(value: Any) -> Any:
    """A value as the encoder documents it: a foreign type is told by its name alone."""
    if type(value) is list:
        return [as_sent(item) for item in value]
    if type(value) is tuple:
        return tuple(as_sent(item) for item in value)
    if type(value) is dict:
        return {key: as_sent(item) for key, item in value.items()}
    return Opaque(Opaque.__name__) if type(value) is Opaque else value


def identical(one: Any, other: Any) -> bool:
    """The same types at every place, the same order, NaN for NaN and -0.0 for -0.0."""
    pairs = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if type(a) is not type(b) or len(members(a)) != len(members(b)):
            return False
        if isinstance(a, dict) and list(a) != list(b):
            return False
        if isinstance(a, list | tuple | dict):
            pairs += zip(members(a), members(b), strict=True)
        elif not same_leaf(a, b):
            return False
    return True


def same_leaf(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        both_nan = one != one and other != other
        return both_nan or (one == other and math.copysign(1, one) == math.copysign(1, other))
    return bool(one == other)


def shown(value: Any) -> str:
    try:
        return repr(value)[:400]
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a value with a very long integer"


def has_nan(value: Any) -> bool:
    return value != value or any(map(has_nan, members(value)))


def has_opaque(value: Any) -> bool:
    return isinstance(value, Opaque) or any(map(has_opaque, members(value)))


def size_of(value: Any) -> int:
    return 1 + sum(map(size_of, members(value)))


def depth_of(value: Any) -> int:
    return 1 + max(map(depth_of, members(value)), default=-1)


def members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []
