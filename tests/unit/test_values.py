from __future__ import annotations

import collections
import enum
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.sandbox import values
from codeprm.sandbox.values import MAX_DEPTH, Opaque, decode, encode

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=50)
@given(PLAIN)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__

    def __index__(self) -> int:
        return 42


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Liar(7), 7),
        (Colour.RED, 1),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, {1: [2]}), {"1": [2]}),
        ({True: 0, None: 1, 1.5: 2}, {"true": 0, "null": 1, "1.5": 2}),
        (np.int64(5), 5),
        (np.bool_(True), True),
        (np.float64(0.5), 0.5),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ({np.int64(3): 1}, {"3": 1}),
        (2**5000, 2**5000),
        (-(2**64), -(2**64)),
    ],
)
def test_subclasses_and_numpy_become_what_they_hold(value: Any, plain: Any) -> None:
    decoded = decode(encode(value))
    assert decoded == plain
    assert type(decoded) is type(plain)


class Impostor:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return list

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("value", [{1, 2}, (i for i in "ab"), Impostor(), {(1, 2): 3}, b"ab", 1j])
def test_what_has_no_encoding_is_opaque(value: object) -> None:
    assert decode(encode(value)) == Opaque(type(value).__name__)


def test_depth_and_size_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_NODES", 1000)
    deep: list[Any] = []
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    wide: list[Any] = []
    for _ in range(40):
        wide = [wide, wide]
    assert isinstance(decode(encode(deep)), Opaque)
    assert isinstance(decode(encode(wide)), Opaque)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1",
        b"\xff",
        b'{"q": 1}',
        b"{}",
        b'{"t": 1}',
        b'{"d": [1]}',
        b'{"i": "zz"}',
        b'{"i": 5}',
        b'{"t": [], "d": {}}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 100_000,
    ],
)
def test_a_forged_encoding_is_a_value_error_at_worst(data: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        decode(data)


def test_the_encoding_is_ascii_json() -> None:
    assert json.loads(encode(("\ud800", 1))) == {"t": ["\ud800", 1]}
