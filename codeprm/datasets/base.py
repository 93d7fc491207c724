"""What a dataset is: a plan of parts, and a reader of one part.

    (source, split, revision) -> plan -> [Part, ...]     in the driver, reads no row's content
    Part -> read -> RawRow, RawRow, ...                  in a worker, streaming

A raw row is one row of TACO's schema: every column a string. What cannot be read as that becomes
a `Rejected` row in its place, so that one bad line neither stops a part nor vanishes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from codeprm.records import Provenance, Rejected

NEEDED_COLUMNS = ("question", "solutions", "input_output")
COLUMNS = (
    *NEEDED_COLUMNS, "starter_code", "difficulty", "raw_tags", "name", "source", "tags",
    "skill_types", "url", "Expected Auxiliary Space", "time_limit", "date", "picture_num",
    "memory_limit", "Expected Time Complexity",
)  # fmt: skip

EXCERPT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Consecutive rows of one file; all fields are JSON values.

    `first_row` counts over all files of the split and names rows. `start` is where the part
    begins in its file: a byte (JSONL, uncompressed) or a row (Parquet, minitaco).
    """

    dataset: str
    revision: str
    path: str
    start: int
    first_row: int
    n_rows: int

    def provenance(self, offset: int) -> Provenance:
        """Of the part's row number `offset`."""
        return Provenance(dataset=self.dataset, revision=self.revision, row=self.first_row + offset)


class RawRow(NamedTuple):
    """One row as it came, or the reason why it cannot be read."""

    provenance: Provenance
    value: Mapping[str, str] | Rejected


class Dataset(NamedTuple):
    """How to read one dataset. `plan(source, split, revision)`; "" is the default source."""

    plan: Callable[[str, str, str | None], list[Part]]
    read: Callable[[Part], Iterator[RawRow]]


def row_id_of(provenance: Provenance) -> str:
    """Names a raw row in `rejected/`. Example: `BAAI/TACO:train@a1b2c3:17`."""
    return f"{provenance.dataset}:{provenance.revision}:{provenance.row}"


def raw_row(provenance: Provenance, columns: Mapping[str, Any]) -> RawRow:
    """The row in TACO's schema: null is "", a bare number its text, other columns are left out."""
    missing = [name for name in NEEDED_COLUMNS if name not in columns]
    if missing:
        detail = f"no column {', '.join(missing)}"
        return RawRow(provenance, rejected_row(provenance, "missing_column", detail))
    value = {}
    for name in COLUMNS:
        column = columns.get(name)
        if isinstance(column, bytes):
            try:
                column = column.decode()
            except UnicodeDecodeError as error:
                detail = f"column {name} is not UTF-8: {error.reason} at byte {error.start}"
                return RawRow(provenance, rejected_row(provenance, "bad_encoding", detail))
        if isinstance(column, list | dict) and name in NEEDED_COLUMNS:
            detail = f"column {name} is a {type(column).__name__}, not text"
            return RawRow(provenance, rejected_row(provenance, "not_text", detail))
        value[name] = _as_text(column)
    return RawRow(provenance, value)


def rejected_row(
    provenance: Provenance, reason: str, detail: str, *, excerpt: str = ""
) -> Rejected:
    """A raw row that cannot be read; bounded, and always storable as UTF-8."""
    return Rejected(
        row_id=row_id_of(provenance),
        problem_id="",
        reason=reason,
        detail=bounded(detail),
        excerpt=bounded(excerpt),
    )


def bounded(text: str) -> str:
    """The beginning of a text, with lone surrogates made visible."""
    return text[:EXCERPT_CHARS].encode("utf-8", "backslashreplace").decode()


def _as_text(column: Any) -> str:
    if column is None:
        return ""
    return column if isinstance(column, str) else json.dumps(column)
