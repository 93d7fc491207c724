"""Dataclasses as rows of tables: plain values, and the Arrow schema, from the annotations.

Types that a field may have: str and enums of it, bytes, bool, int, float, `X | None`,
`tuple[X, ...]` and dataclasses of these.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


def row_of(value: Any) -> dict[str, Any]:
    """Column -> plain value: strings, numbers, booleans, None, lists and dicts of them."""
    return {name: _plain(getattr(value, name)) for name in _field_types(type(value))}


def value_of(cls: type[T], row: Mapping[str, Any]) -> T:
    """Inverse of `row_of`; columns that the class does not know are ignored.

    A column that is not there (an older directory) has the field's default, if it has one.
    """
    hints, defaults = _field_types(cls), field_defaults(cls)
    known = {name for name in hints if name in row or name not in defaults}
    return cls(**{name: _parsed(hints[name], row[name]) for name in known})


def field_defaults(cls: type) -> Mapping[str, Any]:
    """Fields that rows of older directories may lack, with what they then are."""
    return _cached_defaults(typing.cast(Hashable, cls))


def schema_of(cls: type) -> pa.Schema:
    """The Arrow schema of the class's table; only `X | None` fields are nullable."""
    import pyarrow as pa

    return pa.schema([_arrow_field(name, hint) for name, hint in _field_types(cls).items()])


@cache
def _cached_defaults(cls: Any) -> Mapping[str, Any]:
    fields = dataclasses.fields(cls)
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def _field_types(cls: type) -> dict[str, Any]:
    return _cached_field_types(typing.cast(Hashable, cls))


@cache
def _cached_field_types(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if isinstance(value, str):
        return str.__str__(value) if isinstance(value, StrEnum) else value
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return row_of(value)


def _parsed(hint: Any, value: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return value
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_parsed(inner, item) for item in value)
    if dataclasses.is_dataclass(hint):
        known = _field_types(typing.cast(type, hint))
        return typing.cast(type, hint)(**{name: value[name] for name in known})
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return value


def _arrow_field(name: str, hint: Any) -> pa.Field:
    import pyarrow as pa

    nullable = isinstance(hint, types.UnionType)
    if nullable:
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return pa.field(name, _arrow_type(hint), nullable=nullable)


def _arrow_type(hint: Any) -> pa.DataType:
    import pyarrow as pa

    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        members = _field_types(typing.cast(type, hint)).items()
        return pa.struct([_arrow_field(name, member) for name, member in members])
    if issubclass(hint, str):
        return pa.string()
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}[hint]
