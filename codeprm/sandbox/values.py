"""The result of a call on its way out of the sandbox: exact builtin types as tagged JSON.

    None, bool, str, float, int below 2**63   themselves (NaN and Infinity as Python's json does)
    larger int                                {"i": "-0x1f..."}
    list, tuple                               [...], {"t": [...]}
    dict                                      {"d": {...}}, keys by json's rule (1 -> "1")
    anything else, sets too: no order         {"x": "type name"}, decoded to an `Opaque`

Subclasses are unwrapped by the methods of their builtin base, numpy scalars and arrays by `item`
and `tolist`. Nothing is ever unpickled or evaluated; a program that forges the encoding has done
no more than return that value. Depth and number of nodes are bounded on the way in, bytes by
whoever reads the pipe.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 64
MAX_NODES = 2_000_000
BIG_INT = 1 << 63


@dataclass(frozen=True, slots=True)
class Opaque:
    """A returned value that has no encoding; it equals no expected value."""

    type_name: str


def encode(value: object) -> bytes:
    """Never raises for a value: what cannot be encoded becomes opaque as a whole."""
    try:
        # json is told to refuse nothing: all nodes are exact builtin types by now.
        text = json.dumps(_Encoder().node(value, 0), check_circular=False, separators=(",", ":"))
    except _TooMuch as error:
        text = json.dumps({"x": str(error)})
    return text.encode("ascii")


def decode(data: bytes) -> Any:
    """Inverse of `encode`; ValueError where the bytes are not an encoding."""
    try:
        return _decoded(json.loads(data))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the result of the call cannot be read") from error


class _TooMuch(Exception):
    """Deeper or larger than any honest result."""


class _Encoder:
    def __init__(self) -> None:
        self.nodes = 0

    def node(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _TooMuch("result too large")
        # type(), not isinstance(): a class can lie about __class__, not about its type.
        kind = type(value)
        if value is None or kind in (bool, str, float):
            return value
        if issubclass(kind, int):
            return _int_node(int.__index__(value))
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, str):
            return str.__str__(value)
        return self.container(value, kind, depth + 1)

    def container(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, list):
            return [self.node(item, depth) for item in list.__iter__(value)]
        if issubclass(kind, tuple):
            return {"t": [self.node(item, depth) for item in tuple.__iter__(value)]}
        if issubclass(kind, dict):
            return self.mapping(value, kind, depth)
        unwrapped = _from_numpy(value, kind)
        if unwrapped is not value:
            return self.node(unwrapped, depth)
        return {"x": kind.__name__}

    def mapping(self, value: dict[Any, Any], kind: type, depth: int) -> Any:
        members = {}
        for key, item in dict.items(value):
            name = _key_name(key)
            if name is None:
                return {"x": kind.__name__}
            members[name] = self.node(item, depth)
        return {"d": members}


def _int_node(value: int) -> Any:
    # Hexadecimal is read in linear time, and no limit on digits applies to it.
    return value if -BIG_INT < value < BIG_INT else {"i": hex(value)}


def _key_name(key: Any) -> str | None:
    kind = type(key)
    if kind is str:
        return str(key)
    if key is None or kind in (bool, int, float):
        return json.dumps(key)
    unwrapped = _from_numpy(key, kind)
    return None if unwrapped is key else _key_name(unwrapped)


def _from_numpy(value: Any, kind: type) -> Any:
    # Not imported: a value of numpy's can only come from a program that has numpy.
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return value
    if issubclass(kind, numpy.ndarray):
        # One value may pose as a thousand million: they would all be made.
        if numpy.ndarray.size.__get__(value) > MAX_NODES:
            raise _TooMuch("result too large")
        return numpy.ndarray.tolist(value)
    if issubclass(kind, numpy.generic):
        return numpy.generic.item(value)
    return value


def _decoded(node: Any) -> Any:
    if isinstance(node, list):
        return [_decoded(item) for item in node]
    if not isinstance(node, dict):
        return node
    ((tag, content),) = node.items()
    if tag == "t":
        return tuple(_decoded(item) for item in content)
    if tag == "d":
        return {name: _decoded(item) for name, item in content.items()}
    if tag == "i":
        return int(content, 16)
    if tag == "x":
        return Opaque(str(content))
    raise ValueError(f"unknown tag {tag[:20]!r} in an encoded result")
