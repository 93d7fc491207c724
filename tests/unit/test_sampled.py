"""Which problems are sampled at looks, with how much room, and what their verdicts come to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.prompts import docstring_prompt
from codeprm.records import Case, Label, Problem, Record, Trust
from codeprm.tables import open_directory
from codeprm.training.config import GeneratorConfig
from codeprm.training.decoding import Prompt
from codeprm.training.follower import Follower
from codeprm.training.following import History, Progress
from codeprm.training.rows import is_held_out
from codeprm.training.sample_options import SampleOptions
from codeprm.training.sampled import (
    draw_problems,
    pass_numbers,
    prompts_of,
    require_held_out,
    require_tests,
    sampled_of,
    turns,
)
from codeprm.training.tokenizer import train_tokenizer
from codeprm.training.trackers import NoTracker
from tests.rows import case_row, problem_row, write_directory

CONFIG = GeneratorConfig(held_out=0.4)
PROBLEMS = [problem_row(f"number {number}") for number in range(40)]
HELD_OUT = {p.problem_id for p in PROBLEMS if is_held_out(p.problem_id, CONFIG)}


def data_of(folder: Path, problems: Sequence[Problem]) -> Any:
    rows: list[Record] = [row for problem in problems for row in (problem, case_row(problem))]
    return open_directory(write_directory(folder / "data", rows, (Problem, Case)))


def test_the_same_held_out_problems_are_drawn_whoever_else_is_there(tmp_path: Path) -> None:
    few = draw_problems(data_of(tmp_path / "a", PROBLEMS), CONFIG, 5)
    ids = {problem.problem_id for problem in few}
    assert len(few) == len(ids) == 5
    assert ids < HELD_OUT
    fewer = [p for p in reversed(PROBLEMS) if p.problem_id in ids or p.problem_id not in HELD_OUT]
    assert draw_problems(data_of(tmp_path / "b", fewer), CONFIG, 5) == few
    every = draw_problems(data_of(tmp_path / "c", PROBLEMS), CONFIG, 1000)
    assert {problem.problem_id for problem in every} == HELD_OUT


def test_problems_whose_tests_decide_one_way_are_not_drawn(tmp_path: Path) -> None:
    ids = sorted(HELD_OUT)
    changes: dict[str, Any] = {ids[0]: {"n_cases": 0}, ids[1]: {"trust": Trust.FAILS}}
    rows = [dataclasses.replace(p, **changes.get(p.problem_id, {})) for p in PROBLEMS]
    drawn = draw_problems(data_of(tmp_path, rows), CONFIG, 1000)
    assert {problem.problem_id for problem in drawn} == HELD_OUT - set(ids[:2])


def test_nothing_to_sample_is_one_sentence(tmp_path: Path) -> None:
    require_held_out(SampleOptions(), GeneratorConfig())
    with pytest.raises(ConfigError, match="none are: set held_out, for example"):
        require_held_out(SampleOptions(sample_problems=8), GeneratorConfig())
    learnt = [p for p in PROBLEMS if p.problem_id not in HELD_OUT]
    with pytest.raises(DataError, match="is held out, so none can be sampled: raise held_out"):
        draw_problems(data_of(tmp_path / "a", learnt), CONFIG, 8)
    without = [dataclasses.replace(problem, n_cases=0) for problem in PROBLEMS]
    with pytest.raises(DataError, match=f"none of the {len(HELD_OUT)} held-out problems of .* has"):
        draw_problems(data_of(tmp_path / "b", without), CONFIG, 8)
    require_tests("data", PROBLEMS[:2], [problem.problem_id for problem in PROBLEMS])
    with pytest.raises(DataError, match=r"1 of 2 .* no tests in data .*: prepare the dataset"):
        require_tests("data", PROBLEMS[:2], [PROBLEMS[0].problem_id])


def test_options_out_of_range_are_refused() -> None:
    for wrong in ({"sample_tokens": 0}, {"sample_problems": -1}):
        with pytest.raises(ConfigError, match="sample_tokens at least 1"):
            SampleOptions(**wrong)
    for off in ({"sample_top_p": 0.0}, {"sample_temperature": math.nan}):
        with pytest.raises(ConfigError, match="sample_top_p above 0"):
            SampleOptions(**off)


def test_pass_at_1_counts_verdicts_that_are_labels() -> None:
    labels = [Label.PASS, Label.FAIL, Label.UNKNOWN, Label.FAIL, Label.FAIL]
    found = pass_numbers(labels)
    assert found == {
        "held_out/pass@1": 0.25,
        # of 1, 0, 0, 0: standard deviation 1/2, over the root of 4
        "held_out/pass@1_se": pytest.approx(0.25),
        "held_out/pass@1_problems": 4,
    }
    assert sampled_of({"step": 3, "held_out/loss": 1.0, **found})["pass@1"] == 0.25
    assert pass_numbers([Label.PASS]) == {"held_out/pass@1": 1.0, "held_out/pass@1_problems": 1}
    assert pass_numbers([Label.UNKNOWN]) == {}
    assert sampled_of({"held_out/loss": 1.0}) == {}


def test_prompts_are_asked_as_in_training_and_end_within_the_longest_example() -> None:
    problem = problem_row("<|endoftext|> alone")
    text = docstring_prompt(problem.statement, "")
    tokenizer = train_tokenizer([text], 300)
    (prompt,) = prompts_of([problem], tokenizer, max_length=1000, n_new=8, seed="0:5")
    assert 0 not in prompt.ids
    assert tokenizer.decode(list(prompt.ids)) == text
    assert (prompt.n_new, prompt.seed) == (8, f"0:5:{problem.problem_id}")
    n = len(prompt.ids)
    room = [
        prompts_of([problem], tokenizer, max_length=most, n_new=8, seed="")[0].n_new
        for most in (n + 3, n, n - 1)
    ]
    assert room == [3, 0, 0]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_ranks_have_as_many_turns_and_each_problem_once(workers: int) -> None:
    prompts = [Prompt([1] * (1 + i % 7), 0 if i % 5 == 0 else 4, "") for i in range(53)]
    of_rank = [list(turns(prompts, rank, workers)) for rank in range(workers)]
    assert len({len(found) for found in of_rank}) == 1
    own = [i for found in of_rank for turn in found if turn.is_own for i in turn.problems]
    assert sorted(own) == [i for i in range(53) if i % 5]
    assert all(turn.problems for found in of_rank for turn in found)
    assert list(turns(prompts[:1], 0, workers)) == []


class FakeSampler:
    """Knows a step's share when it is asked for it."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    def programs(self, engine: object, model: object, step: int) -> dict[str, str]:
        return {"p": f"print({step})"}

    def begin(self, step: int, programs: Mapping[str, str]) -> None:
        self.begun.append(step)

    def numbers(self, step: int, programs: Mapping[str, str]) -> dict[str, float]:
        assert programs == {"p": f"print({step})"}
        return {"held_out/pass@1": step / 10}


class Told(NoTracker):
    def __init__(self) -> None:
        self.numbers: list[tuple[int, dict[str, float]]] = []

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self.numbers.append((step, dict(numbers)))


def follower_of(history: History, sampler: Any) -> Any:
    nothing: Any = None
    task: Any = type("Task", (), {"model": None})
    return Follower(
        config=CONFIG, scaling=nothing, following=nothing, task=task, engine=None,
        index=nothing, history=history, tracker=Told(), work=nothing, sampler=sampler,
        progress=Progress(job="train_generator", steps=10, is_silent=True),
    )  # fmt: skip


def test_what_is_sampled_is_told_later_of_its_own_step() -> None:
    sampler = FakeSampler()
    follower = follower_of(History([{"loss": 1.0}] * 2), sampler)
    follower.record({"held_out/loss": 3.0})
    follower.sample()
    assert follower.tracker.numbers == [(2, {"held_out/loss": 3.0})]
    # killed here: the checkpoint has the programs that are not judged
    again = follower_of(History(**follower.history.state()), sampler)
    again.history.steps.append({"loss": 0.5})
    again.record({"held_out/loss": 2.0})
    again.sample()
    assert again.history.unjudged == {3: {"p": "print(3)"}}
    again.sample()
    again.tell_sampled()
    again.sample()
    assert again.history.unjudged == {}
    assert sampler.begun == [2, 3]
    assert again.history.looks == [
        {"step": 2, "held_out/loss": 3.0, "held_out/pass@1": 0.2},
        {"step": 3, "held_out/loss": 2.0, "held_out/pass@1": 0.3},
    ]
    assert again.tracker.numbers == [
        (3, {"held_out/loss": 2.0}),
        (2, {"held_out/pass@1": 0.2}),
        (3, {"held_out/pass@1": 0.3}),
    ]


def test_nothing_is_sampled_unless_it_is_asked_for() -> None:
    follower = follower_of(History([{"loss": 1.0}]), None)
    follower.sample()
    follower.tell_sampled()
    assert (follower.history.looks, follower.tracker.numbers) == ([], [])
