"""TACO's schema from files: parts, splits, and rows that cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codeprm.datasets import taco
from codeprm.datasets.base import COLUMNS, RawRow
from codeprm.errors import DataError
from codeprm.records import Rejected


def row(number: int, **columns: Any) -> dict[str, Any]:
    return {name: f"{name} {number}" for name in COLUMNS} | columns


def read_all(source: str | Path, split: str = "train") -> list[RawRow]:
    return [raw for part in taco.plan(str(source), split) for raw in taco.read(part)]


def questions(rows: list[RawRow]) -> list[str]:
    return [raw.value.reason if isinstance(raw.value, Rejected) else raw.value["question"]
            for raw in rows]  # fmt: skip


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (item if isinstance(item, bytes) else json.dumps(item).encode() for item in rows)
    data = b"\n".join(lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=50)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", write_jsonl), ("a.jsonl.gz", write_jsonl), ("a.parquet", write_parquet)],
)
def test_parts_hold_every_row_once_in_order(
    tmp_path: Path, name: str, write: Callable[[Path, list[Any]], Path]
) -> None:
    rows = [row(i) for i in range(330)]
    parts = taco.plan(str(write(tmp_path / name, rows)))
    found = [raw for part in reversed(parts) for raw in taco.read(part)]
    found.sort(key=lambda raw: raw.provenance.row)
    assert len(parts) == 3
    assert [raw.value for raw in found] == rows
    assert [raw.provenance.row for raw in found] == list(range(330))


def test_provenance_of_a_local_file_names_no_folder(tmp_path: Path) -> None:
    (raw,) = read_all(write_jsonl(tmp_path / "a.jsonl", [row(0)]))
    assert (raw.provenance.dataset, raw.provenance.revision) == ("a.jsonl", "train@local")


def test_lines_that_cannot_be_read_are_rejected_in_place(tmp_path: Path) -> None:
    lines = [
        row(0),
        b'{"question": "cut off',
        b"[1, 2]",
        json.dumps(row(3)).encode().replace(b"question 3", b"caf\xe9"),
        b"",
        {"question": "no tests"},
        row(6, solutions=["a list"]),
        b"[" * 100_000,
        row(8, date=None, picture_num=3, unknown="x"),
    ]
    rows = read_all(write_jsonl(tmp_path / "a.jsonl", lines))
    assert questions(rows) == [
        "question 0", "bad_json", "bad_json", "bad_encoding", "missing_column", "not_text",
        "bad_json", "question 8",
    ]  # fmt: skip
    assert [raw.provenance.row for raw in rows] == [0, 1, 2, 3, 5, 6, 7, 8]
    last = rows[-1].value
    assert not isinstance(last, Rejected)
    assert (last["date"], last["picture_num"]) == ("", "3")
    assert "unknown" not in last
    cut_off = rows[1].value
    assert isinstance(cut_off, Rejected)
    assert cut_off.row_id == "a.jsonl:train@local:1"
    assert "cut off" in cut_off.excerpt


def test_invalid_utf8_in_parquet_rejects_one_row(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([row(i) for i in range(3)])
    text = pa.array([b"fine", b"caf\xe9", b"fine too"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, "question", text), tmp_path / "a.parquet")
    assert questions(read_all(tmp_path / "a.parquet")) == ["fine", "bad_encoding", "fine too"]


def test_null_text_in_parquet_is_empty(tmp_path: Path) -> None:
    (raw,) = read_all(write_parquet(tmp_path / "a.parquet", [row(0, date=None, question=None)]))
    assert not isinstance(raw.value, Rejected)
    assert (raw.value["date"], raw.value["question"]) == ("", "")


def test_a_test_of_megabytes_is_read(tmp_path: Path) -> None:
    big = "7 " * (4 << 20)
    path = write_jsonl(tmp_path / "a.jsonl", [row(0, input_output=big), row(1)])
    first, second = read_all(path)
    assert not isinstance(first.value, Rejected)
    assert len(first.value["input_output"]) == len(big)
    assert second.provenance.row == 1


def test_folder_is_read_by_split(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "train-00001.parquet", [row(1)])
    write_jsonl(tmp_path / "data" / "train-00000.jsonl", [row(0)])
    write_jsonl(tmp_path / "data" / "test-00000.jsonl.gz", [row(9)])
    (tmp_path / "data" / "README.md").write_text("train")
    assert questions(read_all(tmp_path / "data")) == ["question 0", "question 1"]
    assert questions(read_all(tmp_path / "data", "test")) == ["question 9"]
    with pytest.raises(DataError, match=r"no split val in .*: its files are of test, train"):
        taco.plan(str(tmp_path / "data"), "val")


def test_folder_all_stands_for_its_subsets(tmp_path: Path) -> None:
    write_parquet(tmp_path / "ALL" / "train-0.parquet", [row(0), row(1)])
    write_parquet(tmp_path / "EASY" / "train-0.parquet", [row(0)])
    assert questions(read_all(tmp_path)) == ["question 0", "question 1"]


def test_folder_without_split_names_is_read_whole(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b.jsonl", [row(1)])
    write_jsonl(tmp_path / "a.jsonl", [row(0)])
    rows = read_all(tmp_path)
    assert questions(rows) == ["question 0", "question 1"]
    assert [raw.provenance.row for raw in rows] == [0, 1]


def test_store_uri_is_read() -> None:
    with fsspec.open("memory://bucket/a.jsonl", "wb") as file:
        file.write(json.dumps(row(0)).encode())
    assert questions(read_all("memory://bucket/a.jsonl")) == ["question 0"]


@pytest.mark.parametrize(
    ("source", "revision", "uri"),
    [
        ("", None, f"hf://datasets/BAAI/TACO@{taco.TACO_REVISION}"),
        ("BAAI/TACO", "abc", "hf://datasets/BAAI/TACO@abc"),
        ("me/mine", "refs/convert/parquet", "hf://datasets/me/mine@refs%2Fconvert%2Fparquet"),
    ],
)
def test_hub_id_is_looked_up_at_a_pinned_revision(
    monkeypatch: pytest.MonkeyPatch, source: str, revision: str | None, uri: str
) -> None:
    def offline(asked: str) -> None:
        raise ConnectionError(f"no route to {asked}")

    monkeypatch.setattr("fsspec.core.url_to_fs", offline)
    with pytest.raises(DataError, match=r"cannot list .* no route to") as raised:
        taco.plan(source, "train", revision)
    assert f"no route to {uri}" in str(raised.value)


def test_missing_path_and_unknown_format_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        taco.plan(str(tmp_path / "nothing.jsonl"))
    (tmp_path / "a.csv").write_text("question")
    with pytest.raises(DataError, match=r"known formats are \.jsonl, \.jsonl\.gz, \.parquet"):
        taco.plan(str(tmp_path))


def test_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row with the columns question"):
        taco.plan(str(write_jsonl(tmp_path / "a.jsonl", [{"prompt": "x"}] * 3)))
    with pytest.raises(DataError, match="no column solutions, input_output"):
        taco.plan(str(write_parquet(tmp_path / "a.parquet", [{"question": "x"}])))
    with pytest.raises(DataError, match="no row with the columns"):
        taco.plan(str(write_jsonl(tmp_path / "empty.jsonl", [])))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = write_jsonl(tmp_path / "a.jsonl.gz", [row(i) for i in range(50)]).read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot read .*a\.jsonl\.gz: Compressed file ended"):
        taco.plan(str(tmp_path / "a.jsonl.gz"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"cannot read .*b\.parquet"):
        taco.plan(str(tmp_path / "b.parquet"))
