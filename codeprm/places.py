"""Where things lie, as command lines name it: local paths, URIs, names on the Hub.

A relative path means the directory that the command was started in. Workers run elsewhere (Ray
Train gives each a directory of its own, a cluster's nodes have others), so paths are made absolute
once, where flags are read: mark a field with `Place` or `ModelPlace` and `cli.run` sees to it.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

T = TypeVar("T")


class _Kind(Enum):
    PLACE = "path or URI"
    MODEL = "path, or a name that someone else resolves"


Place = Annotated[str, _Kind.PLACE]
"""A local path or a URI."""
ModelPlace = Annotated[str, _Kind.MODEL]
"""A directory, or a repository's name on the Hub: a path only where such a path exists."""


def absolute(place: str) -> str:
    """A local path from the root, spelled one way; URIs as they are."""
    if not place or "://" in place:
        return place
    return os.path.abspath(Path(place).expanduser())


def with_absolute_places(args: T) -> T:
    """The dataclass with all its marked fields absolute, nested ones and tuples too."""
    hints = typing.get_type_hints(type(args), include_extras=True)
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(args):  # type: ignore[arg-type]
        value = getattr(args, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = with_absolute_places(value)
        elif (kind := _kind(hints[field.name])) is not None:
            changes[field.name] = _resolved(value, kind)
    return dataclasses.replace(args, **changes)  # type: ignore[type-var]


def _kind(hint: Any) -> _Kind | None:
    """The mark of a field, wherever it stands: `Place`, `Place | None`, `tuple[Place, ...]`."""
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, _Kind):
            return mark
    kinds = [kind for inner in typing.get_args(hint) if (kind := _kind(inner)) is not None]
    return kinds[0] if kinds else None


def _resolved(value: Any, kind: _Kind) -> Any:
    if isinstance(value, tuple):
        return tuple(_resolved(item, kind) for item in value)
    if not isinstance(value, str) or (kind is _Kind.MODEL and not Path(value).exists()):
        return value
    return absolute(value)
