"""Preparing a data set here, without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeprm.errors import DataError
from codeprm.records import Problem, Rejected
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig, prepare_stages
from codeprm.steps.run import run_here, start_stage
from codeprm.tables import Directory


def prepared(out: Path, *, source: str, exclude: str = "", buckets: int = 2) -> Directory:
    config = PrepareConfig(source=source, buckets=buckets, exclude=exclude)
    clean_stage, unite_stage = prepare_stages(config, str(out), Workers())
    start_stage(unite_stage)
    run_here(clean_stage)
    run_here(unite_stage)
    return Directory(str(out))


def ids(directory: Directory) -> set[str]:
    return {problem.problem_id for problem in directory.read_records(Problem)}


def test_problems_of_another_data_set_are_left_out(tmp_path: Path) -> None:
    train = prepared(tmp_path / "train", source="n=4")
    # another division into parts: the ids are found all the same
    test = prepared(tmp_path / "test", source="n=9", exclude=train.uri, buckets=3)
    everything = prepared(tmp_path / "all", source="n=9")
    assert len(ids(train)) == 4
    assert ids(test) == ids(everything) - ids(train)
    assert len(ids(test)) == 5
    rejected = [row for row in test.read_records(Rejected) if row.reason == "excluded"]
    assert {row.problem_id for row in rejected} == ids(train)


def test_an_unfinished_data_set_cannot_be_excluded(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        prepared(tmp_path / "test", source="n=1", exclude=str(tmp_path / "nothing"))
