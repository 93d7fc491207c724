from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeprm.errors import ConfigError
from codeprm.recipes.training import GENERATORS, ORMS, TINY_GENERATOR, generator_setup
from codeprm.training.config import GeneratorConfig, Optimization, OrmConfig, Scaling, Setup, Shape
from codeprm.training.engine import deepspeed_config, division_of
from codeprm.training.losses import LossOptions, Targets, check_losses, counts_of_step
from codeprm.training.memory import parameter_count
from codeprm.training.orm import shares_of
from codeprm.training.overrides import Overrides
from codeprm.training.plan import (
    STARCODER2_SHAPES,
    make_plan,
)

CPU = Scaling(workers=2, gpus=0.0, micro_batch=4, zero_stage=1)


def test_the_learning_rate_warms_up_and_decays() -> None:
    optimization = Optimization(learning_rate=1.0, warmup_steps=4, final_fraction=0.1)
    rates = [optimization.learning_rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.25, rel=1e-2)
    assert max(rates) == pytest.approx(1.0, rel=1e-2)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, rel=1e-2)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_attention_dropout_is_a_share(rate: float) -> None:
    with pytest.raises(ConfigError, match="attention_dropout must be from 0 to below 1"):
        Optimization(attention_dropout=rate)
    setup = Overrides(attention_dropout=0.1).apply(GENERATORS["starcoder2_3b"])
    assert setup.config.optimization.attention_dropout == 0.1


def test_a_plan_says_what_is_dropped_of_attention(tmp_path: Path) -> None:
    def line(setup: Setup[Any], model: str) -> str:
        named = dataclasses.replace(setup, config=dataclasses.replace(setup.config, model=model))
        lines = make_plan(named, examples=10).lines()
        return next(text for text in lines if text.startswith("attention_dropout: "))

    own = tmp_path / "config.json"
    own.write_text('{"attention_dropout": 0.1}')
    on_hub = line(GENERATORS["starcoder2_3b"], "bigcode/starcoder2-3b")
    assert on_hub == "attention_dropout: 0, whatever the checkpoint says"
    replaced = line(ORMS["starcoder2_3b"], str(tmp_path))
    assert replaced == "attention_dropout: 0 instead of the checkpoint's 0.1"
    own.write_text('{"attention_dropout": 0.0}')
    assert line(ORMS["starcoder2_3b"], str(tmp_path)) == "attention_dropout: 0"
    assert line(TINY_GENERATOR, "scratch") == "attention_dropout: 0"
    frozen = Setup(config=OrmConfig(trunk="frozen"), scaling=CPU)
    assert line(frozen, str(tmp_path)) == "attention_dropout: none: the trunk is not trained"


def test_steps_are_epochs_over_the_effective_batch() -> None:
    assert Optimization(epochs=3.0, effective_batch=32).steps(320) == 30
    assert Optimization(epochs=0.1, effective_batch=32).steps(3) == 1


@pytest.mark.parametrize(
    ("effective_batch", "micro_batch", "passes"), [(16, 4, 2), (16, 64, 1), (24, 5, 3), (2, 1, 1)]
)
def test_passes_are_the_fewest_that_split_evenly(
    effective_batch: int, micro_batch: int, passes: int
) -> None:
    scaling = Scaling(workers=2, gpus=0.0, micro_batch=micro_batch)
    assert scaling.micro_batches(effective_batch) == passes


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not divide among 3 workers"):
        Scaling(workers=3).micro_batches(16)


def test_a_new_model_must_hold_the_longest_example() -> None:
    with pytest.raises(ConfigError, match="exceeds the new model's 256 positions"):
        GeneratorConfig(model="scratch", shape=Shape(max_positions=256), max_length=512)


def test_deepspeed_leaves_the_number_of_passes_to_the_step() -> None:
    optimization = Optimization(effective_batch=16, max_grad_norm=0.5)
    settings = deepspeed_config(optimization, CPU)
    assert settings["train_micro_batch_size_per_gpu"] == 4
    assert settings["gradient_accumulation_steps"] == 1
    assert settings["gradient_clipping"] == 0.5
    assert settings["bf16"] == {"enabled": False}
    assert settings["zero_optimization"]["stage"] == 1
    assert division_of(optimization, CPU) == (16, 2, 2)


def test_gpus_train_in_bf16_and_offload_takes_deepspeeds_own_adam() -> None:
    settings = deepspeed_config(
        Optimization(), Scaling(workers=8, gpus=1.0, zero_stage=3, offload_optimizer=True)
    )
    assert settings["bf16"] == {"enabled": True}
    assert "torch_adam" not in settings["optimizer"]["params"]
    assert settings["zero_optimization"]["offload_optimizer"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("bigcode/starcoder2-3b", 3.03),
        ("bigcode/starcoder2-7b", 7.17),
        ("bigcode/starcoder2-15b", 15.96),
    ],
)
def test_parameter_counts_are_the_published_ones(model: str, billions: float) -> None:
    assert parameter_count(STARCODER2_SHAPES[model]) / 1e9 == pytest.approx(billions, abs=0.01)


def test_a_plan_says_what_it_does_not_know() -> None:
    config = GeneratorConfig(
        model="somebody/else",
        max_length=512,
        optimization=Optimization(epochs=1.0, effective_batch=32),
    )
    plan = make_plan(Setup(config=config, scaling=CPU), examples=320)
    lines = dict(line.split(": ", 1) for line in plan.lines())
    assert lines["steps"] == "10"
    assert lines["state_gib"].startswith("unknown")
    assert lines["gpus_per_worker"] == "0.00"


def test_overrides_replace_single_settings() -> None:
    setup = Overrides(epochs=0.5, workers=1, model="here").apply(TINY_GENERATOR)
    assert setup.config.optimization.epochs == 0.5
    assert setup.config.model == "here"
    assert setup.scaling.workers == 1
    assert setup.config.optimization.learning_rate == (
        TINY_GENERATOR.config.optimization.learning_rate
    )
    assert Overrides().apply(TINY_GENERATOR) == TINY_GENERATOR


def test_every_recipe_divides_its_batch() -> None:
    for setup in [*GENERATORS.values(), *ORMS.values()]:
        assert setup.scaling.micro_batches(setup.config.optimization.effective_batch) >= 1
    with pytest.raises(ConfigError, match="choose one of tiny"):
        generator_setup("huge")


def test_an_unknown_loss_lists_the_known_ones() -> None:
    assert OrmConfig().losses == {"ce": 1.0}
    with pytest.raises(ConfigError, match="no loss hinge: choose of ce, mse, bt"):
        check_losses({"ce": 1.0, "hinge": 0.5})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"losses": {"hinge": 1.0}}, "no loss hinge: choose of ce, mse, bt, listwise"),
        ({"losses": {}}, "no loss is given"),
        ({"losses": {"ce": float("nan")}}, "must be 0 or more .*, not ce nan"),
        ({"losses": {"ce": -1.0, "mse": 1.0}}, "not ce -1.0"),
        ({"losses": {"ce": 0.0}}, "one of them above 0"),
        ({"losses": {"ce": 1.0, "listwise": 0.5}}, "listwise compare programs .* group_size to 2"),
    ],
)
def test_losses_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OrmConfig(**values)
    assert OrmConfig(losses={"ce": 1.0, "bt": 0.0}).group_size == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"listwise_temperature": 0.0}, "listwise_temperature"),
        ({"bt_gap": -1.0}, "bt_gap"),
        ({"bt_gap": float("nan")}, "bt_gap"),
        ({"false_negatives": 0.6, "false_positives": 0.4}, "below 1 together"),
        ({"false_positives": float("nan")}, "false_positives"),
    ],
)
def test_constants_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LossOptions(**values)


@pytest.mark.parametrize("values", [{"n_solutions": 0}, {"near_duplicates": 1.5}])
def test_a_choice_of_no_solution_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="n_solutions must be at least 1, near_duplicates"):
        GeneratorConfig(**values)


def test_terms_of_a_step_are_weights_and_pairs() -> None:
    def targets(labels: list[int], problems: list[int]) -> Targets:
        return Targets(np.array(labels), np.full(len(labels), 0.5), np.array(problems))

    passes = [targets([1, 0, 0, 1], [7, 7, 7, 8]), targets([1, 0], [8, 8])]
    assert counts_of_step(passes, weights={"ce": 1.0, "bt": 1.0}) == {"ce": 3.0, "bt": 0.75}


def test_shares_are_equal_and_cover_all_rows() -> None:
    shares = shares_of(np.arange(7), 3)
    assert [len(share) for share in shares] == [3, 3, 3]
    assert set(np.concatenate(shares).tolist()) == set(range(7))
    assert [len(share) for share in shares_of(np.arange(0), 2)] == [0, 0]
