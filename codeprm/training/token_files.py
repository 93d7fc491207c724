"""Rows of tokens in files: written once, their facts read whole, their tokens a few at a time.

    TokenRow -> OUT/work/tokens/tokens/PART.parquet, a row group a problem

A run's rows are those of all parts, in the order of parts. Every worker holds the facts of all rows
(`StoredCorpus`, 49 bytes a row), because the order of training follows from them; the tokens, some
dozens of times as many bytes, stay in the files. A problem's rows lie together and are read
together: programs of a problem meet in a step, and what was read lately is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from codeprm.encoding import Encoded
from codeprm.records import Record
from codeprm.tables import Directory
from codeprm.training.corpus import Corpus, Index, Ints, require_rows
from codeprm.training.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

CACHE_BYTES = 256 << 20
# Of a row in memory besides its tokens, about.
ROW_BYTES = 1000
# Of a hundred row groups each they take some 50 MB.
OPEN_FILES = 64
# What is known of a row besides its id and its tokens.
FACTS = ("problem_id", "n_tokens", "n_prompt", "passed", "weight", "held_out", "target")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow(Record):
    """A row that is learnt from or looked at; `ids` are little-endian, two or four bytes each."""

    table: ClassVar[str] = "tokens"
    grouped: ClassVar[bool] = True

    row_id: str
    problem_id: str
    ids: bytes
    n_tokens: int
    n_prompt: int
    passed: bool
    weight: float
    held_out: bool
    target: float


def token_row(row: Row, encoded: Encoded, dtype: np.dtype[np.unsignedinteger]) -> TokenRow:
    """A row and its ids as they are stored."""
    ids = np.array(encoded.ids, dtype=dtype.newbyteorder("<"))
    return TokenRow(
        row_id=row.row_id,
        problem_id=row.problem_id,
        ids=ids.tobytes(),
        n_tokens=len(ids),
        n_prompt=len(encoded.prompt_ids),
        passed=row.passed,
        weight=row.weight,
        held_out=row.held_out,
        target=float(row.passed) if row.target is None else row.target,
    )


class _Place(NamedTuple):
    """Where a row is."""

    part: int
    group: int
    offset: int


class TokenFiles:
    """The rows of a complete directory of `TokenRow`s by number; one thread at a time."""

    def __init__(self, directory: Directory, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._directory = directory
        self._cache_bytes = cache_bytes
        counts = {part: directory.commit_of(part).rows for part in directory.committed()}
        sizes = {part: rows.get(TokenRow.table, 0) for part, rows in counts.items()}
        self.parts = [part for part, size in sizes.items() if size]
        self._firsts = np.cumsum([0, *(sizes[part] for part in self.parts)])
        self._files: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        # where the row groups of a part begin, also when its file is closed again
        self._starts: dict[int, Ints] = {}
        self._groups: OrderedDict[tuple[int, int], list[TokenRow]] = OrderedDict()
        self._held_bytes = 0

    def __reduce__(self) -> tuple[type[TokenFiles], tuple[Directory]]:
        return TokenFiles, (self._directory,)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def facts(self) -> pa.Table:
        """`FACTS` of all rows, in their order."""
        return self._directory.read_table(TokenRow, self.parts, FACTS)

    def take(self, rows: Ints) -> Corpus:
        """Rows with their tokens, numbered in the order that they are asked for in."""
        return corpus_of(list(self._rows(rows)))

    def names(self, rows: Ints) -> list[str]:
        """The ids of what the rows were made of."""
        return [row.row_id for row in self._rows(rows)]

    def _rows(self, rows: Ints) -> Iterator[TokenRow]:
        places = [self._place(int(row)) for row in rows]
        # group by group, so that a cache that is too small is still used well
        found: dict[_Place, TokenRow] = {}
        for place in sorted(set(places)):
            found[place] = self._group(place.part, place.group)[place.offset]
        return (found[place] for place in places)

    def _place(self, row: int) -> _Place:
        part = int(np.searchsorted(self._firsts, row, side="right")) - 1
        starts = self._starts_of(part)
        local = row - int(self._firsts[part])
        group = int(np.searchsorted(starts, local, side="right")) - 1
        return _Place(part, group, local - int(starts[group]))

    def _starts_of(self, part: int) -> Ints:
        if part not in self._starts:
            metadata = self._file(part).metadata
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self._starts[part] = np.cumsum([0, *sizes])
        return self._starts[part]

    def _file(self, part: int) -> pq.ParquetFile:
        if part not in self._files:
            file = self._directory.parquet_file(TokenRow, self.parts[part])
            assert file is not None, "a part with rows has a file"
            self._files[part] = file
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(part)
        return self._files[part]

    def _group(self, part: int, group: int) -> list[TokenRow]:
        key = (part, group)
        if key not in self._groups:
            rows = self._file(part).read_row_group(group).to_pylist()
            self._groups[key] = [TokenRow.from_row(row) for row in rows]
            self._held_bytes += _bytes_of(self._groups[key])
            while self._held_bytes > self._cache_bytes and len(self._groups) > 1:
                self._held_bytes -= _bytes_of(self._groups.popitem(last=False)[1])
        self._groups.move_to_end(key)
        return self._groups[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCorpus(Index):
    """Facts of all rows; their tokens are read where they are taken."""

    files: TokenFiles

    def take(self, rows: Ints) -> Corpus:
        return self.files.take(rows)


def open_corpus(directory: Directory) -> StoredCorpus:
    """Of a complete directory of `TokenRow`s; a user error where it has none."""
    files = TokenFiles(directory)
    require_rows(len(files))
    facts = files.facts()
    names = facts.column("problem_id").combine_chunks().dictionary_encode()
    columns = {name: facts.column(name).to_numpy() for name in FACTS[1:]}
    return StoredCorpus(
        problems=names.indices.to_numpy().astype(np.int64),
        files=files,
        **_arrays(columns),
    )


def corpus_of(rows: Sequence[TokenRow]) -> Corpus:
    """Rows in memory; problems are numbered as they come."""
    numbers: dict[str, int] = {}
    problems = [numbers.setdefault(row.problem_id, len(numbers)) for row in rows]
    width = len(rows[0].ids) // rows[0].n_tokens if rows else 2
    ids = np.frombuffer(b"".join(row.ids for row in rows), dtype=f"<u{width}")
    return Corpus(
        ids=ids.astype(f"u{width}"),
        problems=np.array(problems, dtype=np.int64),
        **_arrays({name: np.array([getattr(row, name) for row in rows]) for name in FACTS[1:]}),
    )


def _bytes_of(rows: Sequence[TokenRow]) -> int:
    return sum(len(row.ids) + ROW_BYTES for row in rows)


def _arrays(columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "lengths": columns["n_tokens"].astype(np.int64),
        "prompt_lengths": columns["n_prompt"].astype(np.int64),
        "labels": columns["passed"].astype(np.int64),
        "weights": columns["weight"].astype(np.float64),
        "held_out": columns["held_out"].astype(np.bool_),
        "targets": columns["target"].astype(np.float64),
    }
