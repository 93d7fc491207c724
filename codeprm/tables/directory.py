"""One directory of tables, wherever it lies: small files, part names, rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from codeprm.columns import field_defaults, schema_of
from codeprm.errors import ConfigError, DataError
from codeprm.places import absolute
from codeprm.records import Record, bucket_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.fs as pafs
    import pyarrow.parquet as pq

R = TypeVar("R", bound=Record)

FORMAT = 1
ROW_GROUP_BYTES = 8 << 20
BATCH_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What one unit wrote. `counts` keys: `outcome:passed`, `rejected:too_short`, `trust:both`."""

    unit: str
    rows: dict[str, int]
    counts: dict[str, int]
    seconds: float
    attempts: int


class Directory:
    """One directory of tables; cheap to make and to pickle, opens files when asked."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/") if uri != "/" else uri

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.uri,)

    @cached_property
    def _location(self) -> tuple[pafs.FileSystem, str]:
        return filesystem(self.uri)

    @property
    def fs(self) -> pafs.FileSystem:
        """The file system that holds it."""
        return self._location[0]

    def path(self, *names: str) -> str:
        """Path inside `fs`."""
        return "/".join([self._location[1], *names])

    # -- the protocol's small files ---------------------------------------------------------------

    def read_bytes(self, *names: str) -> bytes:
        """The whole file; an OSError where there is none."""
        with self.fs.open_input_stream(self.path(*names)) as stream:
            return bytes(stream.read())

    def read_json(self, *names: str) -> Any | None:
        """The file's value, None where there is no such file."""
        try:
            return json.loads(self.read_bytes(*names))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and self._is_absent(*names):
                return None
            raise DataError(
                f"{'/'.join([self.uri, *names])} cannot be read ({error}): delete the directory "
                "and run its job again"
            ) from error

    def write_json(self, value: Any, *names: str) -> None:
        """Write whole or not at all: beside the place first, then moved into it."""
        data = json.dumps(value, indent=1, sort_keys=True).encode()
        self.write_bytes(data, *names)

    def write_bytes(self, data: bytes, *names: str) -> None:
        """Like `write_json`, for bytes."""
        self.fs.create_dir(self.path(*names[:-1]), recursive=True)
        target = self.path(*names)
        with self.fs.open_output_stream(f"{target}.tmp") as stream:
            stream.write(data)
        self.fs.move(f"{target}.tmp", target)

    def list_names(self, *names: str, suffix: str = "") -> list[str]:
        """Sorted names (without suffix) of the files of a sub-folder."""
        import pyarrow.fs as pafs

        selector = pafs.FileSelector(self.path(*names), allow_not_found=True)
        infos = self.fs.get_file_info(selector)
        found = [info.base_name for info in infos if info.type == pafs.FileType.File]
        return sorted(n.removesuffix(suffix) for n in found if n.endswith(suffix))

    def copy_to(self, target: Directory, *names: str) -> None:
        """Every file below it, as it is, into another directory or a sub-folder of it."""
        import pyarrow.fs as pafs

        target.fs.create_dir(target.path(*names), recursive=True)
        pafs.copy_files(
            self.path(),
            target.path(*names),
            source_filesystem=self.fs,
            destination_filesystem=target.fs,
        )

    def delete(self, *names: str) -> None:
        """Remove a file or a folder; nothing there is fine."""
        import pyarrow.fs as pafs

        path = self.path(*names)
        kind = self.fs.get_file_info(path).type
        if kind == pafs.FileType.Directory:
            self.fs.delete_dir(path)
        elif kind == pafs.FileType.File:
            self.fs.delete_file(path)

    @property
    def started(self) -> dict[str, Any] | None:
        """`started.json`, None where no job began here."""
        value: dict[str, Any] | None = self.read_json("started.json")
        return value

    @property
    def manifest(self) -> dict[str, Any] | None:
        """`manifest.json`, None while the directory is not complete."""
        value: dict[str, Any] | None = self.read_json("manifest.json")
        return value

    @property
    def identity(self) -> str:
        """Hash of the configuration and, through it, of all that went in."""
        started = self.require_started()
        return str(started["config_hash"])

    @property
    def buckets(self) -> int:
        """Into how many parts its problems are divided."""
        return int(self.require_started()["buckets"])

    def require_started(self) -> dict[str, Any]:
        """`started.json`; a user error where there is none."""
        started = self.started
        if started is None:
            raise DataError(f"no tables in {self.uri}: give the --out directory of an earlier job")
        return started

    def require_complete(self) -> dict[str, Any]:
        """`manifest.json`; a user error where the directory is not complete."""
        started = self.require_started()
        manifest = self.manifest
        if manifest is None:
            raise DataError(
                f"no manifest in {self.uri}: the {started['job']} job did not finish; run it again "
                "with the same flags, it continues where it stopped"
            )
        return manifest

    # -- rows -------------------------------------------------------------------------------------

    def committed(self) -> list[str]:
        """Names of the complete parts, in order."""
        return self.list_names("commits", suffix=".json")

    def commit_of(self, part: str) -> Commit:
        """What a part holds."""
        value = self.read_json("commits", f"{part}.json")
        if value is None:
            raise DataError(f"{self.uri} has no part {part}: run its job again")
        return Commit(**value)

    def parts_of_bucket(self, bucket: int) -> list[str]:
        """Complete parts about the problems of a bucket of this directory's own division."""
        prefix = f"part-{bucket:05d}"
        return [name for name in self.committed() if name.startswith(prefix)]

    def read_table(
        self,
        record: type[Record],
        parts: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Parts as one Arrow table: for few columns or few parts, it is all in memory."""
        import pyarrow as pa

        schema = schema_of(record)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        batches = list(self.read_batches(record, parts, columns))
        return pa.Table.from_batches(batches, schema=schema)

    def read_batches(
        self,
        record: type[Record],
        parts: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of complete parts, part by part, a bounded batch at a time."""
        for part in self.committed() if parts is None else parts:
            file = self.parquet_file(record, part)
            if file is None:
                continue
            with file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=_list(columns)):
                    yield _conformed(batch, record, columns)

    def read_records(self, record: type[R], parts: Sequence[str] | None = None) -> Iterator[R]:
        """The rows of complete parts as records, in order."""
        for batch in self.read_batches(record, parts):
            for row in batch.to_pylist():
                yield record.from_row(row)

    def read_bucket(self, record: type[R], bucket: int, buckets: int) -> Iterator[R]:
        """Records of the problems of a bucket of any division, whatever the directory's own."""
        if buckets == self.buckets:
            yield from self.read_records(record, self.parts_of_bucket(bucket))
            return
        for part in self.committed():
            yield from self.read_part_bucket(record, part, bucket, buckets)

    def read_part_bucket(
        self, record: type[R], part: str, bucket: int, buckets: int
    ) -> Iterator[R]:
        """A part's records of a bucket of any division; other problems' row groups are skipped."""
        file = self.parquet_file(record, part)
        if file is None:
            return
        with file:
            for group, only in enumerate(problems_of_row_groups(file)):
                if only is not None and bucket_of(only, buckets) != bucket:
                    continue
                for row in file.read_row_group(group).to_pylist():
                    if bucket_of(row["problem_id"], buckets) == bucket:
                        yield record.from_row(row)

    def parquet_file(self, record: type[Record], part: str) -> pq.ParquetFile | None:
        """The part's file of a table, None where the unit wrote no such rows."""
        import pyarrow.parquet as pq

        names = (record.table, f"{part}.parquet")
        try:
            return pq.ParquetFile(self.path(*names), filesystem=self.fs, pre_buffer=False)
        except OSError:
            if not self._is_absent(*names):
                raise
        commit = self.read_json("commits", f"{part}.json")
        if commit is not None and commit["rows"].get(record.table):
            raise DataError(
                f"{'/'.join([self.uri, *names])} is gone though its part is complete: delete "
                f"{self.uri} and run its job again"
            )
        return None

    def _is_absent(self, *names: str) -> bool:
        """Whether there is no such file; s3 and gs answer reads of one with a plain OSError."""
        import pyarrow.fs as pafs

        try:
            return bool(self.fs.get_file_info(self.path(*names)).type == pafs.FileType.NotFound)
        except NotADirectoryError:
            return True


def open_directory(uri: str) -> Directory:
    """The directory at a path or URI, whether or not it exists yet."""
    return Directory(uri)


def problems_of_row_groups(file: pq.ParquetFile) -> list[str | None]:
    """The problem of each row group, None for a group of several; read from the footer."""
    column = file.schema_arrow.get_field_index("problem_id")
    found: list[str | None] = []
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        alone = statistics is not None and statistics.has_min_max
        same = alone and statistics.min == statistics.max
        found.append(str(statistics.min) if same else None)
    return found


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """File system and path of a local path or a URI."""
    import pyarrow as pa
    import pyarrow.fs as pafs

    if "://" not in uri:
        return pafs.LocalFileSystem(), absolute(uri)
    try:
        fs, path = pafs.FileSystem.from_uri(uri)
        return fs, path
    except pa.ArrowInvalid:
        pass
    import fsspec

    try:
        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"cannot open {uri}: {error}") from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(other)), path


def _conformed(
    batch: pa.RecordBatch, record: type[Record], columns: Sequence[str] | None
) -> pa.RecordBatch:
    """The record's columns, whatever else there is; defaults for what an older writer left out."""
    import pyarrow as pa

    schema, names = _subschema(record, columns), batch.schema.names
    defaults = field_defaults(record)
    arrays = []
    for field in schema:
        if field.name in names:
            arrays.append(batch.column(field.name).cast(field.type))
        elif field.name in defaults:
            arrays.append(pa.array([defaults[field.name]] * len(batch), field.type))
        else:
            raise DataError(f"a table of {record.table} has no column {field.name}: write it anew")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _subschema(record: type[Record], columns: Sequence[str] | None) -> pa.Schema:
    import pyarrow as pa

    schema = schema_of(record)
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _list(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)
