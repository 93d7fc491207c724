"""Recipes: what they ask of a cluster, what they keep apart, what they say of themselves."""

from __future__ import annotations

import re
from typing import Any

import pytest

from codeprm.datasets import dataset_named
from codeprm.errors import ConfigError
from codeprm.recipes import RECIPES, recipe_named
from codeprm.recipes.base import Recipe
from codeprm.recipes.plan import plan_lines
from codeprm.records import Rejected, problem_id_of
from codeprm.steps.base import Workers
from codeprm.tables.protocol import plain_config

NAMES = list(RECIPES)
ON_CLUSTER = [name for name in NAMES if name != "tiny"]


@pytest.mark.parametrize("name", NAMES)
def test_graders_never_ask_for_a_gpu(name: str) -> None:
    assert RECIPES[name].crew.graders.gpus == 0
    assert Workers().gpus == 0


@pytest.mark.parametrize("name", ON_CLUSTER)
def test_engines_run_in_the_gpu_pool_and_graders_in_the_cpu_pool(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.crew.graders.pool == "cpu"
    for workers in (recipe.crew.annotators, recipe.crew.samplers, recipe.crew.scorers):
        assert (workers.pool, workers.gpus >= 1) == ("gpu", True)
    for setup in (recipe.first_generator, recipe.generator, recipe.orm):
        assert (setup.scaling.pool, setup.scaling.gpus) == ("gpu", 1.0)


def test_tiny_asks_for_no_gpu_at_all() -> None:
    assert not any(value for value in _values(plain_config(RECIPES["tiny"]), "gpus"))


@pytest.mark.parametrize("name", NAMES)
def test_test_problems_come_from_another_split(name: str) -> None:
    recipe = RECIPES[name]
    assert (recipe.train.split, recipe.test.split) == ("train", "test")


def test_no_test_problem_of_the_quickstart_is_a_training_problem() -> None:
    train, test = (problem_ids(RECIPES["tiny"], split) for split in ("train", "test"))
    assert len(test) >= 128
    assert not train & test


@pytest.mark.parametrize("name", NAMES)
def test_plan_says_model_memory_and_workers_of_each_training(name: str) -> None:
    lines = [line for line in plan_lines(name, RECIPES[name]) if line.startswith("train ")]
    assert len(lines) == 3
    for line in lines:
        assert "parameters" in line
        assert "GiB of it state" in line
        needed, state = (float(size) for size in re.findall(r"([\d.]+) GiB", line))
        assert needed > state
        assert "workers of" in line


def test_another_seed_changes_every_draw_and_no_size() -> None:
    first, second = (plain_config(RECIPES["tiny"].with_seed(seed)) for seed in (1, 2))
    assert set(_values(first, "seed")) == {1, 0}  # the bootstrap keeps its own
    assert _without_seeds(first) == _without_seeds(second)


def test_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="tiny, starcoder2_3b"):
        recipe_named("huge")


def problem_ids(recipe: Recipe, split: str) -> set[str]:
    config = recipe.train if split == "train" else recipe.test
    dataset = dataset_named(config.dataset)
    ids = set()
    for part in dataset.plan(config.source, config.split, config.revision):
        for _, row in dataset.read(part):
            assert not isinstance(row, Rejected)
            ids.add(problem_id_of(row["question"], None))
    return ids


def _values(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        own = [value[name]] if name in value else []
        return own + [found for item in value.values() for found in _values(item, name)]
    return []


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key != "seed"}
    return value
