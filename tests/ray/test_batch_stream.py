"""Batches over Ray Data: in the order of the plan from any step on, and where no CPU is free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from codeprm.distributed.batch_stream import stream_batches, unpacked
from codeprm.encoding import Encoded
from codeprm.errors import DataError
from codeprm.tables import Directory
from codeprm.training.batches import Division, Step, plan_steps
from codeprm.training.corpus import Corpus
from codeprm.training.loading import Batch, load_batch
from codeprm.training.packing import Packing
from codeprm.training.prepare import tokens_of
from codeprm.training.rows import Row
from codeprm.training.token_files import TokenRow, corpus_of, token_row
from tests.rows import write_directory

N_ROWS = 30
PACKING = Packing(budget=64, workers=2)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of([stored_row(number) for number in range(N_ROWS)])


@pytest.fixture
def out(tmp_path: Path) -> Directory:
    directory = Directory(str(tmp_path / "out"))
    rows = [stored_row(number) for number in range(N_ROWS)]
    write_directory(Path(tokens_of(directory).uri), rows, (TokenRow,), buckets=1)
    return directory


def stored_row(number: int) -> TokenRow:
    problem = number // 6
    program = [100 + number] * (3 + number % 7)
    row = Row(f"row-{number}", f"problem-{problem}", "", "", passed=number % 2 == 0)
    return token_row(row, Encoded([1 + problem] * 8, program), np.dtype(np.uint16))


def plan_of(corpus: Corpus, steps: int) -> list[Step]:
    units = [np.array([row]) for row in range(N_ROWS)]
    division = Division(4, 2, 1)
    return list(plan_steps(units, corpus.lengths, steps=steps, division=division, seed=0))


def plain(batch: Batch) -> Any:
    ranks = [[rows.tolist() for rows in rank] for rank in batch.step.ranks]
    tokens = [batch.corpus.row(row).tolist() for row in range(len(batch.corpus))]
    return ranks, tokens, batch.numbers.tolist()


@pytest.mark.parametrize("packing", [None, PACKING], ids=["padded", "packed"])
def test_the_stream_is_the_rest_of_the_plan(
    corpus: Corpus, out: Directory, packing: Packing | None, ray_local: None
) -> None:
    plan = plan_of(corpus, 200)[37:]
    found = [unpacked(each) for each in stream_batches(out, plan, corpus.lengths, packing)]
    expected = [load_batch(step, corpus.take, packing) for step in plan]
    assert [plain(batch) for batch in found] == [plain(batch) for batch in expected]


def test_it_needs_no_cpu_that_is_free(corpus: Corpus, out: Directory, ray_local: None) -> None:
    @ray.remote
    class Holder:
        def holds(self) -> bool:
            return True

    # as much as is left: what ran before may still hold some
    n_cpus = int(ray.available_resources()["CPU"])
    holder = Holder.options(num_cpus=n_cpus).remote()
    assert ray.get(holder.holds.remote())
    try:
        plan = plan_of(corpus, 3)
        assert len(list(stream_batches(out, plan, corpus.lengths, None))) == 3
    finally:
        ray.kill(holder)


def test_a_trainer_that_stops_early_leaves_nothing_running(
    corpus: Corpus, out: Directory, ray_local: None
) -> None:
    stream = stream_batches(out, plan_of(corpus, 300), corpus.lengths, PACKING)
    assert len(unpacked(next(stream)).numbers) == 4
    stream.close()
    again = stream_batches(out, plan_of(corpus, 2), corpus.lengths, PACKING)
    assert len(list(again)) == 2


def test_rows_that_are_gone_are_one_sentence(
    corpus: Corpus, out: Directory, ray_local: None
) -> None:
    tokens_of(out).delete(TokenRow.table)
    with pytest.raises(DataError, match="is gone though its part is complete"):
        unpacked(next(stream_batches(out, plan_of(corpus, 2), corpus.lengths, None)))
