"""The sample step with a fake engine."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from codeprm.backends.base import Sampling
from codeprm.backends.fake import FakeBackend, FakeConfig
from codeprm.errors import ConfigError, DataError
from codeprm.records import Case, Completion, Problem, Rejected, Solution
from codeprm.steps.base import Stage, Workers
from codeprm.steps.bounded import as_finished
from codeprm.steps.run import run_here
from codeprm.steps.sample import SampleConfig, SampleIdentity, sample_stage, sample_units, seed_of
from tests.rows import problem_row, read_all, write_directory

PROBLEMS = [problem_row(f"p{number}") for number in range(7)]
CONFIG = SampleConfig(n=4, samples_per_unit=8, sampling=Sampling(max_tokens=10))


@pytest.fixture
def data(tmp_path: Path) -> str:
    return write_directory(tmp_path / "data", PROBLEMS, (Problem, Case, Solution))


def stage_of(
    data: str, out: Path, config: SampleConfig = CONFIG, backend: FakeConfig | None = None
) -> Stage:
    backend = backend or FakeConfig(answers=("print(1)\n", "print(2)\n", "print(3)"))
    return sample_stage(config, backend, data=data, out=str(out), workers=Workers())


def completions(out: Path) -> dict[str, Completion]:
    rows = read_all(str(out), Completion)
    return {row.completion_id: row for row in rows if isinstance(row, Completion)}


def test_each_problem_gets_n_completions(data: str, tmp_path: Path) -> None:
    run_here(stage_of(data, tmp_path / "out"))
    rows = completions(tmp_path / "out")
    assert {(row.problem_id, row.index) for row in rows.values()} == {
        (problem.problem_id, index) for problem in PROBLEMS for index in range(4)
    }
    row = next(iter(rows.values()))
    assert row.program == row.text.rstrip()
    assert row.model == "fake"
    assert row.completion_id == f"{row.problem_id}:{row.generation_id}:{row.index}"
    assert row.cumulative_logprob == -0.5 * len(row.text)


def test_another_division_gives_the_same_rows(data: str, tmp_path: Path) -> None:
    run_here(stage_of(data, tmp_path / "small"))
    large = dataclasses.replace(CONFIG, samples_per_unit=10_000)
    run_here(stage_of(data, tmp_path / "large", large))
    assert completions(tmp_path / "small") == completions(tmp_path / "large")


def test_another_seed_gives_other_seeds_and_ids(data: str, tmp_path: Path) -> None:
    run_here(stage_of(data, tmp_path / "a"))
    run_here(stage_of(data, tmp_path / "b", dataclasses.replace(CONFIG, seed=1)))
    first, second = completions(tmp_path / "a"), completions(tmp_path / "b")
    assert not set(first) & set(second)
    assert not {row.seed for row in first.values()} & {row.seed for row in second.values()}


def test_the_generation_is_named_by_what_decides_it() -> None:
    def name(config: SampleConfig, model: str = "m") -> str:
        return SampleIdentity(config=config, backend="fake", model=model).generation_id

    assert name(CONFIG) == name(dataclasses.replace(CONFIG, n=9, samples_per_unit=1))
    others = [
        name(CONFIG, model="other"),
        name(dataclasses.replace(CONFIG, seed=5)),
        name(dataclasses.replace(CONFIG, prompt_style="chat")),
        name(dataclasses.replace(CONFIG, sampling=Sampling(temperature=0.1))),
    ]
    assert len({name(CONFIG), *others}) == 5


def test_seeds_have_31_bits_and_differ() -> None:
    seeds = {seed_of(0, "p", index) for index in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_request_that_fails_is_a_rejected_row(data: str, tmp_path: Path) -> None:
    identity = SampleIdentity(config=CONFIG, backend="fake", model="fake")
    bad = f"{PROBLEMS[0].problem_id}:{identity.generation_id}:2"
    manifest = run_here(stage_of(data, tmp_path / "out", backend=FakeConfig(failing=(bad,))))
    assert manifest["rows"]["completions"] == 7 * 4 - 1
    assert manifest["counts"]["rejected:backend_error"] == 1
    [row] = read_all(str(tmp_path / "out"), Rejected)
    assert isinstance(row, Rejected)
    assert row.row_id == bad
    assert "told to fail" in row.detail


def test_units_hold_whole_problems_of_one_bucket(data: str) -> None:
    units = list(sample_units(CONFIG, data))
    assert len({unit.name for unit in units}) == len(units)
    assert all(unit.source["last"] - unit.source["first"] <= 2 for unit in units)
    assert all(unit.name.startswith(f"part-{unit.bucket:05d}-") for unit in units)


def test_max_problems_takes_the_first_ones(data: str, tmp_path: Path) -> None:
    run_here(stage_of(data, tmp_path / "out", dataclasses.replace(CONFIG, max_problems=3)))
    assert len({row.problem_id for row in completions(tmp_path / "out").values()}) == 3


def test_bad_input_is_a_sentence(data: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no prompt style"):
        stage_of(data, tmp_path / "out", dataclasses.replace(CONFIG, prompt_style="haiku"))
    with pytest.raises(DataError, match="no tables in"):
        stage_of(str(tmp_path / "nowhere"), tmp_path / "out")


def test_no_more_requests_are_open_than_the_backend_takes(data: str, tmp_path: Path) -> None:
    stage = stage_of(data, tmp_path / "out", backend=FakeConfig(max_in_flight=3))
    step = stage.step()
    backend = step._backend  # type: ignore[attr-defined]
    assert isinstance(backend, FakeBackend)

    async def consume() -> int:
        items = [item for unit in stage.units() for item in step.items(unit)]
        return len([row async for row in step.process(items)])  # type: ignore[union-attr]

    assert asyncio.run(consume()) == 28
    assert backend.most_in_flight == 3


def test_a_failing_call_ends_the_stream_and_cancels_the_rest() -> None:
    cancelled = []

    async def call(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(number)
        return number

    async def consume() -> None:
        async for _ in as_finished((call(number) for number in range(100)), 3):
            pass

    with pytest.raises(ValueError, match="one"):
        asyncio.run(consume())
    assert sorted(cancelled) == [0, 2]
