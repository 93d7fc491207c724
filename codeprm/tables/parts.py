"""Writing one unit's parts, and what survives a killed worker before they are committed.

    PartWriter   records -> DIR/TABLE/UNIT.parquet, then DIR/commits/UNIT.json
    Spool        finished records of expensive items, kept in DIR/spool/UNIT/ until the commit
    Attempts     which item was in work when a worker died, in DIR/attempts/UNIT.json

A worker that dies leaves its attempt behind. The second attempt works in groups of about the root
of the items and notes each group before it starts, the third takes the suspect group one by one,
and the item in work at the third death is condemned: rejected, not retried for ever. An end of the
whole run is nobody's fault: a new session does not count what was in work when the old one ended.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from codeprm.columns import schema_of
from codeprm.records import (
    RECORDS,
    Audit,
    Record,
    Rejected,
    Row,
    Verdict,
)
from codeprm.tables.directory import ROW_GROUP_BYTES, Commit, Directory

if TYPE_CHECKING:
    import pyarrow.parquet as pq

RECORD_OF_TABLE: dict[str, type[Record]] = {record.table: record for record in RECORDS}
MAX_DEATHS = 3


class PartWriter:
    """Streams a unit's records into its parts; nothing counts before `commit`."""

    def __init__(self, directory: Directory, unit: str, tables: Sequence[type[Record]]) -> None:
        self._directory = directory
        self._unit = unit
        records: list[type[Record]] = [*tables, Rejected]
        self._buffers = {r.table: _Buffer(directory, unit, r) for r in records}
        self._counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for buffer in self._buffers.values():
            buffer.close()

    def write(self, record: Record) -> None:
        """Add a record to its table."""
        self._buffers[record.table].add(record)
        if isinstance(record, Verdict):
            self._counts[f"outcome:{record.outcome}"] += 1
        elif isinstance(record, Rejected):
            self._counts[f"rejected:{record.reason}"] += 1
        elif isinstance(record, Audit):
            self._counts[f"trust:{record.trust}"] += 1
            self._counts.update(f"audit:{reason}" for reason in record.reasons)

    def commit(self, *, seconds: float, attempts: int) -> Commit:
        """Close the parts and make them count."""
        for buffer in self._buffers.values():
            buffer.close()
        commit = Commit(
            unit=self._unit,
            rows={table: buffer.rows for table, buffer in self._buffers.items()},
            counts=dict(self._counts),
            seconds=round(seconds, 3),
            attempts=attempts,
        )
        value = {name: getattr(commit, name) for name in Commit.__dataclass_fields__}
        self._directory.write_json(value, "commits", f"{self._unit}.json")
        return commit


class _Buffer:
    """Rows of one part, written a row group at a time.

    Records that are `grouped` get one row group a problem: a reader finds a problem's rows by the
    statistics in the file's footer and reads no others.
    """

    def __init__(self, directory: Directory, unit: str, record: type[Record]) -> None:
        self.rows = 0
        self._directory = directory
        self._record = record
        self._names = (record.table, f"{unit}.parquet")
        self._pending: list[Row] = []
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None
        # a killed attempt may have left rows that this one does not write
        directory.delete(*self._names)

    def add(self, record: Record) -> None:
        row = record.to_row()
        grouped = record.grouped
        if grouped and self._pending and self._pending[-1]["problem_id"] != row["problem_id"]:
            self._flush()
        self._pending.append(row)
        self._bytes += sum(len(v) for v in row.values() if isinstance(v, str | bytes)) + 64
        self.rows += 1
        if self._bytes >= ROW_GROUP_BYTES and not grouped:
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._pending:
            return
        schema = schema_of(self._record)
        if self._writer is None:
            self._directory.fs.create_dir(self._directory.path(self._names[0]), recursive=True)
            self._writer = pq.ParquetWriter(
                self._directory.path(*self._names),
                schema,
                filesystem=self._directory.fs,
                compression="zstd",
            )
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=schema))
        self._pending, self._bytes = [], 0


class Spool:
    """Finished records of a unit that is still in work, in small files of `every` records."""

    def __init__(self, directory: Directory, unit: str, *, every: int = 32) -> None:
        self._directory = directory
        self._unit = unit
        self._every = every
        self._pending: list[tuple[str, Row]] = []
        self._next = len(directory.list_names("spool", unit, suffix=".json"))

    def read(self) -> Iterator[Record]:
        """What earlier attempts finished."""
        for name in self._directory.list_names("spool", self._unit, suffix=".json"):
            for table, row in self._directory.read_json("spool", self._unit, f"{name}.json") or []:
                yield RECORD_OF_TABLE[table].from_row(row)

    def add(self, record: Record) -> None:
        """Keep a finished record."""
        self._pending.append((record.table, record.to_row()))
        if len(self._pending) >= self._every:
            data = json.dumps(self._pending).encode()
            self._directory.write_bytes(data, "spool", self._unit, f"{self._next:06d}.json")
            self._next += 1
            self._pending = []

    def clear(self) -> None:
        """The unit is committed."""
        self._directory.delete("spool", self._unit)


class Attempts:
    """The unit's deaths so far, and how to work through its items now; counts this attempt."""

    def __init__(self, directory: Directory, unit: str, session: str) -> None:
        self._directory = directory
        self._names = ("attempts", f"{unit}.json")
        self._session = session
        state = directory.read_json(*self._names) or {}
        self.number: int = state.get("number", 0) + 1
        self.condemned: set[str] = set(state.get("condemned", ()))
        self._deaths: int = state.get("deaths", 0)
        self._suspects: set[str] = set(state.get("suspects", ()))
        if state.get("session") == session:
            self._bury(state.get("in_work") or ())
        self._save(())

    def groups(self, item_ids: Sequence[str]) -> list[Sequence[str]]:
        """Items to work on together: all; then about the root of them; then suspects alone."""
        if self._deaths == 0:
            return [item_ids]
        size = max(1, math.isqrt(len(item_ids)))
        if self._deaths == 1:
            return _chunks(item_ids, size)
        others = [item for item in item_ids if item not in self._suspects]
        alone = [[item] for item in item_ids if item in self._suspects]
        return [*_chunks(others, size), *alone]

    @property
    def careful(self) -> bool:
        """A worker died on this unit: note each group before it is worked on."""
        return self._deaths > 0

    def enter(self, item_ids: Sequence[str]) -> None:
        """Note a group before it is worked on."""
        self._save(item_ids)

    def clear(self) -> None:
        """The unit is committed."""
        self._directory.delete(*self._names)

    def _bury(self, in_work: Sequence[str]) -> None:
        self._deaths += 1
        if not in_work and self._deaths > 1:
            # another unit of the worker was at work when it died
            self._deaths -= 1
            return
        if in_work:
            self._suspects = set(in_work)
        if self._deaths >= MAX_DEATHS and len(self._suspects) == 1:
            self.condemned |= self._suspects
            self._deaths, self._suspects = 0, set()

    def _save(self, in_work: Sequence[str]) -> None:
        state = {
            "session": self._session,
            "number": self.number,
            "deaths": self._deaths,
            "suspects": sorted(self._suspects),
            "condemned": sorted(self.condemned),
            "in_work": list(in_work),
        }
        self._directory.write_json(state, *self._names)


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
