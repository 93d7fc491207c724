"""TACO's raw schema from files: JSONL, JSONL.gz and Parquet, local, on a store, or on the Hub.

A source is a file, a folder, any fsspec URI, or a Hub dataset id (`BAAI/TACO`), whose Parquet
files are read at a pinned revision: TACO's loading script is not needed and never run. Where file
or folder names tell splits apart (`train-00000.parquet`, `test/...`), only the asked one is
read; where a folder `ALL` stands beside its subsets, only `ALL`.

A line that is no JSON, text that is not UTF-8, a missing column: a rejected row. A missing path,
an unknown format, an unreadable file, a file none of whose rows has the columns: `DataError`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from codeprm.datasets.base import COLUMNS, NEEDED_COLUMNS, Part, RawRow, raw_row, rejected_row
from codeprm.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TACO = "BAAI/TACO"
TACO_REVISION = "d593ed0a2becbbc952230bb89be09189bf1056dc"

ROWS_PER_PART = 128
ROWS_PER_BATCH = 16
LINES_TO_PROBE = 1000

FORMATS = (".jsonl", ".jsonl.gz", ".parquet")

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SPLIT_IN_NAME = re.compile(r"(?:^|[/_.-])(train|validation|valid|val|dev|test)(?=[/_.-])")


class Place(NamedTuple):
    """Where a source really is: the URI to open, and what provenance calls it."""

    uri: str
    dataset: str
    revision: str


class Lines(NamedTuple):
    """A run of lines of a JSONL file."""

    start: int
    n_lines: int


def plan(source: str = TACO, split: str = "train", revision: str | None = None) -> list[Part]:
    """The parts of a split, in the order of their files' names."""
    place = _place(source or TACO, revision)
    parts: list[Part] = []
    first_row = 0
    for path in _files(place, split):
        with _readable(path):
            shares = _parquet_shares(path) if path.endswith(".parquet") else _line_shares(path)
        for start, n_rows in shares:
            parts.append(
                Part(
                    dataset=place.dataset,
                    revision=f"{split}@{place.revision}",
                    path=path,
                    start=start,
                    first_row=first_row,
                    n_rows=n_rows,
                )
            )
            first_row += n_rows
    return parts


def read(part: Part) -> Iterator[RawRow]:
    """The rows of one part, streaming; blank lines are no rows."""
    with _readable(part.path):
        yield from _read_parquet(part) if part.path.endswith(".parquet") else _read_lines(part)


def _place(source: str, revision: str | None) -> Place:
    is_local = source.startswith((".", "/", "~")) or source.endswith(FORMATS)
    if "://" in source or is_local or Path(source).exists() or not _HUB_ID.fullmatch(source):
        name = source.rstrip("/").rsplit("/", 1)[-1]
        return Place(
            str(Path(source).expanduser()) if "://" not in source else source, name, "local"
        )
    revision = revision or (TACO_REVISION if source == TACO else "main")
    return Place(f"hf://datasets/{source}@{revision.replace('/', '%2F')}", source, revision)


def _files(place: Place, split: str) -> list[str]:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(place.uri)
        paths = sorted(str(path) for path in fs.find(root))
        found = [str(fs.unstrip_protocol(path)) for path in paths if path.endswith(FORMATS)]
    except Exception as error:  # each fsspec store raises errors of its own
        raise DataError(f"cannot list {place.dataset} ({place.uri}): {_short(error)}") from error
    if not paths:
        raise DataError(f"no such file or folder: {place.uri}")
    if not found:
        raise DataError(f"nothing to read in {place.uri}: known formats are {', '.join(FORMATS)}")
    if len(found) == 1 and paths[0] == root:
        return found
    return _of_split(found, str(fs.unstrip_protocol(root)), split)


def _of_split(paths: list[str], root: str, split: str) -> list[str]:
    names = {path: path.removeprefix(root).lstrip("/") for path in paths}
    names = {path: name for path, name in names.items() if name.startswith("ALL/")} or names
    splits = {path: match[1] if (match := _SPLIT_IN_NAME.search(name)) else None
              for path, name in names.items()}  # fmt: skip
    if not any(splits.values()):
        return list(names)
    chosen = [path for path, found in splits.items() if found == split]
    if not chosen:
        known = ", ".join(sorted({found for found in splits.values() if found}))
        raise DataError(f"no split {split} in {root}: its files are of {known}")
    return chosen


@contextmanager
def _readable(path: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read {path}: {_short(error)}") from error


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@contextmanager
def _open(path: str) -> Iterator[IO[bytes]]:
    import fsspec

    with fsspec.open(path, "rb") as file:
        if not path.endswith(".gz"):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield cast("IO[bytes]", unzipped)


def _line_shares(path: str) -> list[Lines]:
    shares: list[Lines] = []
    start, n_lines, n_seen, is_known = 0, 0, 0, False
    with _open(path) as file:
        for line in file:
            if not is_known and n_seen < LINES_TO_PROBE:
                is_known = _has_columns(line)
            n_seen += 1
            n_lines += 1
            if n_lines == ROWS_PER_PART:
                shares.append(Lines(start, n_lines))
                start, n_lines = file.tell(), 0
    if n_lines:
        shares.append(Lines(start, n_lines))
    if not is_known:
        raise DataError(f"{path} has no row with the columns {', '.join(NEEDED_COLUMNS)}")
    return shares


def _has_columns(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and all(name in row for name in NEEDED_COLUMNS)


def _read_lines(part: Part) -> Iterator[RawRow]:
    with _open(part.path) as file:
        file.seek(part.start)
        for offset in range(part.n_rows):
            line = file.readline()
            if line.strip():
                yield _parsed_line(part, offset, line)


def _parsed_line(part: Part, offset: int, line: bytes) -> RawRow:
    provenance = part.provenance(offset)
    excerpt = line[:300].decode(errors="backslashreplace")
    try:
        columns = json.loads(line.decode())
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: {error.reason} at byte {error.start}"
        rejected = rejected_row(provenance, "bad_encoding", detail, excerpt=excerpt)
        return RawRow(provenance, rejected)
    except (ValueError, RecursionError) as error:
        rejected = rejected_row(provenance, "bad_json", _short(error), excerpt=excerpt)
        return RawRow(provenance, rejected)
    if not isinstance(columns, dict):
        detail = f"the line is a JSON {type(columns).__name__}, not an object"
        return RawRow(provenance, rejected_row(provenance, "bad_json", detail, excerpt=excerpt))
    return raw_row(provenance, columns)


def _parquet_shares(path: str) -> list[Lines]:
    """Whole row groups, as many as make a part."""
    with _open(path) as file:
        parquet = _parquet_file(file)
        missing = [name for name in NEEDED_COLUMNS if name not in parquet.schema_arrow.names]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}")
        metadata = parquet.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    shares: list[Lines] = []
    start, n_rows = 0, 0
    for size in sizes:
        n_rows += size
        if n_rows >= ROWS_PER_PART:
            shares.append(Lines(start, n_rows))
            start, n_rows = start + n_rows, 0
    return shares + ([Lines(start, n_rows)] if n_rows else [])


def _read_parquet(part: Part) -> Iterator[RawRow]:
    with _open(part.path) as file:
        parquet = _parquet_file(file)
        first, groups = 0, []
        for group in range(parquet.metadata.num_row_groups):
            if part.start <= first < part.start + part.n_rows:
                groups.append(group)
            first += parquet.metadata.row_group(group).num_rows
        columns = [name for name in COLUMNS if name in parquet.schema_arrow.names]
        batches = parquet.iter_batches(ROWS_PER_BATCH, row_groups=groups, columns=columns)
        rows = (row for batch in batches for row in _undecoded(batch))
        for offset, row in enumerate(rows):
            yield raw_row(part.provenance(offset), row)


def _parquet_file(file: IO[bytes]) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file)


def _undecoded(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows whose text is still bytes: Arrow does not check UTF-8, and one bad row is only one."""
    import pyarrow as pa

    arrays = []
    for array in batch.columns:
        if pa.types.is_string(array.type):
            array = array.cast(pa.binary())
        elif pa.types.is_large_string(array.type):
            array = array.cast(pa.large_binary())
        arrays.append(array)
    rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(arrays, batch.schema.names).to_pylist()
    return rows
