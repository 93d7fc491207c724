"""Rows of tokens in files, and steps loaded from them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeprm.encoding import Encoded
from codeprm.errors import DataError
from codeprm.records import Example, Label, Rejected
from codeprm.steps.run import run_here
from codeprm.tables import Directory
from codeprm.training import token_files
from codeprm.training.batches import Division, Step, plan_steps
from codeprm.training.config import OrmConfig
from codeprm.training.corpus import Corpus, token_type
from codeprm.training.loading import CHUNK_STEPS, CHUNK_TOKENS, chunks, load_batch
from codeprm.training.packing import Packing, pack_step
from codeprm.training.prepare import (
    PART,
    WORK,
    finish_preparation,
    prepare_tokenizer,
    read_corpus,
    tokenise_stage,
)
from codeprm.training.rows import Row
from codeprm.training.token_files import TokenFiles, TokenRow, open_corpus, token_row
from codeprm.training.tokenizer import train_tokenizer
from tests.rows import write_directory

FACTS = ("lengths", "prompt_lengths", "labels", "weights", "held_out", "targets")


def rows_of(n: int, *, problems: int = 5, vocab_size: int = 500) -> list[tuple[Row, Encoded]]:
    """Sorted by problem, as the tables are."""
    rng = np.random.default_rng(0)
    found = []
    for number, problem in enumerate(sorted(rng.integers(0, problems, n))):
        prompt = np.random.default_rng(problem).integers(1, vocab_size, 4 + problem).tolist()
        program = rng.integers(1, vocab_size, rng.integers(2, 30)).tolist()
        row = Row(
            f"row-{number}", f"problem-{problem}", "", "", passed=bool(number % 2),
            weight=number / 8, held_out=bool(problem == 1), target=number / n,
        )  # fmt: skip
        found.append((row, Encoded(prompt, program)))
    return found


def in_memory(rows: Sequence[tuple[Row, Encoded]], vocab_size: int = 500) -> Corpus:
    """As the rows say, without their files."""
    names = list(dict.fromkeys(row.problem_id for row, _ in rows))
    tokens = [[*encoded.prompt_ids, *encoded.program_ids] for _, encoded in rows]
    return Corpus(
        ids=np.array([token for own in tokens for token in own], dtype=token_type(vocab_size)),
        lengths=np.array([len(own) for own in tokens]),
        prompt_lengths=np.array([len(encoded.prompt_ids) for _, encoded in rows]),
        problems=np.array([names.index(row.problem_id) for row, _ in rows]),
        labels=np.array([int(row.passed) for row, _ in rows]),
        weights=np.array([row.weight for row, _ in rows]),
        held_out=np.array([row.held_out for row, _ in rows]),
        targets=np.array([row.target for row, _ in rows]),
    )


def in_files(folder: Path, rows: Sequence[tuple[Row, Encoded]], vocab_size: int = 500) -> Directory:
    records = [token_row(row, encoded, token_type(vocab_size)) for row, encoded in rows]
    return Directory(write_directory(folder / "tokens", records, (TokenRow,), buckets=3))


def in_order_of_files(directory: Directory, rows: list[tuple[Row, Encoded]]) -> list[int]:
    ids = [row.row_id for row in directory.read_records(TokenRow)]
    numbers = {row.row_id: number for number, (row, _) in enumerate(rows)}
    return [numbers[own] for own in ids]


def require_same(found: Corpus, expected: Corpus) -> None:
    for name in FACTS:
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
    assert [found.row(i).tolist() for i in range(len(found))] == [
        expected.row(i).tolist() for i in range(len(expected))
    ]
    # numbers of problems are anew, but say the same of which rows belong together
    same = [a.problems[:, None] == a.problems[None] for a in (found, expected)]
    assert (same[0] == same[1]).all()


@pytest.mark.parametrize("vocab_size", [500, 70_000])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_rows_come_back_as_they_were_whatever_is_asked_for(
    tmp_path: Path, vocab_size: int, cache_bytes: int
) -> None:
    rows = rows_of(40, vocab_size=vocab_size)
    directory = in_files(tmp_path, rows, vocab_size)
    order = in_order_of_files(directory, rows)
    expected = in_memory([rows[number] for number in order], vocab_size)
    files = TokenFiles(directory, cache_bytes=cache_bytes)
    rng = np.random.default_rng(1)
    for chosen in (np.arange(40), rng.integers(0, 40, 25), np.array([7, 7, 3]), np.array([39])):
        require_same(files.take(chosen), expected.take(chosen))
        assert files.names(chosen) == [rows[order[row]][0].row_id for row in chosen]
    assert files.take(np.arange(40)).ids.dtype == token_type(vocab_size)
    assert len(files.take(np.empty(0, dtype=np.int64))) == 0


def test_a_file_is_opened_once_a_step_where_not_all_can_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = TokenFiles(in_files(tmp_path, rows_of(40)), cache_bytes=0)
    opened, open_part = [], Directory.parquet_file

    def parquet_file(directory: Directory, record: type[TokenRow], part: str) -> Any:
        opened.append(part)
        return open_part(directory, record, part)

    monkeypatch.setattr(token_files, "OPEN_FILES", 1)
    monkeypatch.setattr(Directory, "parquet_file", parquet_file)
    files.take(np.arange(40))
    opened.clear()
    for seed in range(3):
        files.take(np.random.default_rng(seed).permutation(40))
    assert len(opened) <= 3 * len(files.parts)


def test_the_index_has_all_but_the_tokens_and_takes_them_from_the_files(tmp_path: Path) -> None:
    rows = rows_of(30)
    directory = in_files(tmp_path, rows)
    expected = in_memory([rows[number] for number in in_order_of_files(directory, rows)])
    index = pickle.loads(pickle.dumps(open_corpus(directory)))
    for name in (*FACTS, "problems", "target_lengths"):
        assert getattr(index, name).tolist() == getattr(expected, name).tolist(), name
    require_same(index.take(np.array([5, 2])), expected.take(np.array([5, 2])))


def test_a_problems_rows_are_one_row_group(tmp_path: Path) -> None:
    directory = in_files(tmp_path, rows_of(40))
    groups = 0
    for part in directory.committed():
        file = directory.parquet_file(TokenRow, part)
        if file is not None:
            groups += file.num_row_groups
    assert groups == 5


def test_no_row_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row is left to train on"):
        open_corpus(in_files(tmp_path, []))


@given(
    n=st.integers(1, 40),
    workers=st.integers(1, 3),
    passes=st.integers(1, 2),
    is_packed=st.booleans(),
    seed=st.integers(0, 3),
)
def test_a_batch_is_its_step_in_a_corpus_of_its_own(
    n: int, workers: int, passes: int, is_packed: bool, seed: int
) -> None:
    corpus = in_memory(rows_of(n))
    division = Division(2 * workers * passes, workers, passes)
    units = [np.array([row]) for row in range(n)]
    packing = Packing(budget=200, workers=workers) if is_packed else None
    for step in plan_steps(units, corpus.lengths, steps=3, division=division, seed=seed):
        batch = load_batch(step, corpus.take, packing)
        found = [[batch.numbers[rows].tolist() for rows in rank] for rank in batch.step.ranks]
        if packing is None:
            assert found == [[rows.tolist() for rows in rank] for rank in step.ranks]
        else:
            computed = [row for rank in found for rows in rank for row in rows]
            assert sorted(computed) == sorted(np.concatenate(step.micro_batches).tolist())
            if len(set(computed)) == len(computed):
                whole = pack_step(step, corpus, packing)
                assert found == [[rows.tolist() for rows in rank] for rank in whole.ranks]
        for row, number in enumerate(batch.numbers):
            assert batch.corpus.row(row).tolist() == corpus.row(int(number)).tolist()


def test_chunks_are_the_plan_in_runs_of_about_so_many_tokens() -> None:
    def plan(n: int, rows: int) -> list[Step]:
        return [Step([[np.arange(rows)]]) for _ in range(n)]

    tokens = np.full(4, CHUNK_TOKENS // 8)
    assert [len(chunk) for chunk in chunks(plan(5, 4), tokens)] == [2, 2, 1]
    assert [len(chunk) for chunk in chunks(plan(3, 4), tokens * 100)] == [1, 1, 1]
    assert [len(chunk) for chunk in chunks(plan(70, 4), np.ones(4, dtype=int))] == [CHUNK_STEPS, 6]
    assert list(chunks([], tokens)) == []


def test_preparing_leaves_rows_of_tokens_and_tells_what_was_left_out(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    program = "print(sum(map(int, input().split())))"
    tokenizer = train_tokenizer([program] * 3, 300)
    (model / "tokenizer.json").write_text(tokenizer.to_str())
    examples = [
        Example(
            example_id=str(number), problem_id=f"problem-{number % 3}", split="train",
            prompt="add", program="" if number == 4 else program, weight=1.0,
            label=Label.PASS if number % 2 else Label.FAIL,
        )
        for number in range(8)
    ]  # fmt: skip
    source = write_directory(tmp_path / "examples", examples, (Example,), buckets=3)
    out = Directory(write_directory(tmp_path / "out", (), (), buckets=1, complete=False))
    config = OrmConfig(model=str(model))
    prepare_tokenizer(Directory(source), out, config)
    run_here(tokenise_stage(source, out.uri, config, workers=1))
    finish_preparation(out, config)
    index = read_corpus(out)
    names = index.files.names(np.arange(len(index)))
    assert sorted(names) == ["0", "1", "2", "3", "5", "6", "7"]
    assert index.labels.tolist() == [int(name) % 2 for name in names]
    assert tokenizer.decode(index.take(np.array([0])).row(0).tolist()) == "add" + program
    assert [(row.row_id, row.reason) for row in out.read_records(Rejected)] == [("4", "no_program")]
    assert out.committed() == [PART]
    out.delete(WORK)
    assert [row.row_id for row in out.read_records(Rejected)] == ["4"]
