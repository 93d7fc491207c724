"""Mini-TACO: right answers, disjoint splits, the same rows every time."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from codeprm.datasets import dataset_named, minitaco
from codeprm.datasets.minitaco import all_compositions
from codeprm.errors import ConfigError
from codeprm.records import Rejected, problem_id_of


@cache
def problems(*, split: str, n: int | None = None, seed: int = 0) -> Sequence[dict[str, str]]:
    """Written out once for all tests; the one about repetition asks the source twice."""
    return tuple(minitaco.problems(split=split, n=n, seed=seed))


def composition_of(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(json.loads(row["tags"]))


def run(program: str, entry_point: str | None, case_input: Any) -> Any:
    """Trusted programs of ours only: executed in this process."""
    names: dict[str, Any] = {}
    if entry_point:
        exec(program, names)
        return [names[entry_point](*case_input)]
    lines = iter(case_input.split("\n"))
    printed: list[str] = []
    names["input"] = lambda: next(lines)
    names["print"] = lambda *values: printed.append(" ".join(map(str, values)) + "\n")
    exec(program, names)
    return "".join(printed)


@pytest.mark.parametrize("split", ["train", "test"])
def test_solutions_are_right_on_every_test(split: str) -> None:
    for row in itertools.islice(problems(split=split), 0, None, 16):
        tests = json.loads(row["input_output"])
        for program in json.loads(row["solutions"]):
            for case_input, expected in zip(tests["inputs"], tests["outputs"], strict=True):
                actual = run(program, tests.get("fn_name"), case_input)
                assert actual == expected, (row["name"], program, case_input)


def test_splits_share_no_composition_whatever_the_seed() -> None:
    train = {composition_of(row) for row in problems(split="train")}
    test = {composition_of(row) for row in problems(split="test", seed=2)}
    assert not train & test
    assert (len(train), len(test)) == (630, 210)


def test_ingredients_of_test_problems_are_seen_in_training_in_pairs() -> None:
    pairs = [
        {pair for row in problems(split=split)
         for pair in itertools.combinations(composition_of(row), 2)}
        for split in ("train", "test")
    ]  # fmt: skip
    assert pairs[1] <= pairs[0]


def test_no_two_compositions_are_the_same_function() -> None:
    rng = random.Random(0)
    inputs = [rng.choices(range(-30, 31), k=rng.randint(1, 4)) for _ in range(400)]
    answers = {
        str([composition.answer(numbers) for numbers in inputs])
        for _, composition in all_compositions()
    }
    assert len(answers) == 1680


def test_tests_tell_a_composition_from_all_others() -> None:
    row = next(row for row in problems(split="test") if row["name"].endswith("-call"))
    inputs = [arguments[0] for arguments in json.loads(row["input_output"])["inputs"]]
    answers = {
        composition.name: [composition.answer(numbers) for numbers in inputs]
        for _, composition in all_compositions()
    }
    own = answers.pop(row["name"].removesuffix("-call"))
    assert own not in answers.values()


def test_statements_are_distinct_problems() -> None:
    # more than there are compositions: the last ones are in second words
    rows = [*problems(split="train"), *problems(split="test", n=250)]
    ids = {
        problem_id_of(row["question"], json.loads(row["input_output"]).get("fn_name"))
        for row in rows
    }
    assert len(ids) == len(rows) == 880


def test_rows_are_complete_and_programs_long_enough() -> None:
    for row in problems(split="train"):
        assert all(isinstance(value, str) for value in row.values())
        tests = json.loads(row["input_output"])
        assert len(tests["inputs"]) == len(tests["outputs"]) >= 10
        programs = json.loads(row["solutions"])
        assert len(set(programs)) == len(programs) >= 4
        assert all(len(program.splitlines()) >= 3 for program in programs)


def test_same_seed_same_rows_other_seed_other_rows() -> None:
    first = list(minitaco.problems(split="train", n=20, seed=5))
    minitaco._drafts.cache_clear()
    assert first == list(minitaco.problems(split="train", n=20, seed=5))
    assert first != list(minitaco.problems(split="train", n=20, seed=6))


def test_parts_hold_every_row_once() -> None:
    dataset = dataset_named("minitaco")
    parts = dataset.plan("n=150,seed=2", "test", None)
    rows = [row for part in parts for row in dataset.read(part)]
    assert len(parts) > 1
    assert [row.value for row in rows] == list(problems(split="test", n=150, seed=2))
    assert [row.provenance.row for row in rows] == list(range(150))
    assert not any(isinstance(row.value, Rejected) for row in rows)


@pytest.mark.parametrize(
    ("source", "split", "revision", "message"),
    [
        ("", "validation", None, "no split 'validation'"),
        ("size=3", "train", None, "n=64,seed=1"),
        ("n=1000000", "train", None, "56376 train problems"),
        ("", "train", "main", "no revisions"),
    ],
)
def test_wrong_settings_are_one_sentence(
    source: str, split: str, revision: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset_named("minitaco").plan(source, split, revision)


def test_unknown_dataset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="minitaco, taco"):
        dataset_named("apps")
