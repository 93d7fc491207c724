"""Which settings may change between a run and its resumption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codeprm.training.config import GeneratorConfig, Optimization, OrmConfig, Scaling
from codeprm.training.resuming import fits

SCALING = Scaling(workers=2, gpus=0.0, zero_stage=1, micro_batch=4)
BATCH = Optimization(effective_batch=16)
GENERATOR = GeneratorConfig(optimization=BATCH)
POINTWISE = OrmConfig(model="m", losses={"ce": 1.0}, optimization=BATCH)
PAIRWISE = OrmConfig(model="m", losses={"ce": 1.0, "bt": 0.5}, group_size=4, optimization=BATCH)


@pytest.mark.parametrize("config", [GENERATOR, POINTWISE, PAIRWISE])
@pytest.mark.parametrize(
    "change",
    [
        {"threads": 3, "cpus": 2.0, "pool": "gpu"},
        {"activation_checkpointing": False},
        {"checkpoint_every": 7, "checkpoints_kept": 1, "max_failures": 0},
    ],
)
def test_what_changes_a_step_by_rounding_alone_may_change(
    config: Any, change: dict[str, Any]
) -> None:
    assert fits(config, replace(SCALING, **change)) == fits(config, SCALING)


@pytest.mark.parametrize("config", [GENERATOR, POINTWISE, PAIRWISE])
@pytest.mark.parametrize(
    "change", [{"workers": 4}, {"zero_stage": 2}, {"gpus": 1.0}, {"offload_optimizer": True}]
)
def test_what_shards_and_precision_depend_on_may_not(config: Any, change: dict[str, Any]) -> None:
    assert fits(config, replace(SCALING, **change)) != fits(config, SCALING)


@pytest.mark.parametrize("change", [{"micro_batch": 8}, {"packing": "prefix"}])
def test_packing_may_change_unless_a_loss_sees_it(change: dict[str, Any]) -> None:
    other = replace(SCALING, **change)
    assert fits(GENERATOR, other) == fits(GENERATOR, SCALING)
    assert fits(POINTWISE, other) == fits(POINTWISE, SCALING)
    assert fits(PAIRWISE, other) != fits(PAIRWISE, SCALING)
    # a weight of 0 is no loss
    unpaired = replace(PAIRWISE, losses={"ce": 1.0, "bt": 0.0})
    assert fits(unpaired, other) == fits(unpaired, SCALING)


def test_packed_steps_are_alike_to_a_loss_that_compares_programs() -> None:
    packed = replace(SCALING, packing="packed", tokens_per_pass=4096)
    for other in (replace(packed, packing="prefix"), replace(packed, tokens_per_pass=8192)):
        assert fits(PAIRWISE, other) == fits(PAIRWISE, packed)
