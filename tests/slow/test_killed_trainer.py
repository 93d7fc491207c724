"""SIGKILL of a training worker in the middle of an epoch: the very parameters of a run unharmed.

Two runs of one configuration, in float32 on CPU, their output directories of one name: one is left
alone, of the other a worker is killed between two checkpoints. Every tensor of the two models must
be equal bit for bit, and so must every loss that was told.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray

from codeprm.distributed.train import train_generator, train_orm
from codeprm.sandbox.levels import Level
from codeprm.training.sample_options import SampleOptions
from tests.interrupted import (
    ENVIRONMENT,
    GENERATOR,
    ORM,
    ORM_SCALING,
    examples_in,
    harm_between_steps,
    require_equal,
    train_workers,
)

pytestmark = pytest.mark.timeout(900)
SAMPLING = SampleOptions(sample_problems=4, sample_tokens=24, sandbox_floor=Level.F3)


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def kill_a_worker() -> None:
    next(train_workers(psutil.Process())).kill()


@pytest.mark.parametrize("stage", [1, 3])
def test_a_killed_worker_leaves_no_trace_in_the_model(
    stage: int, data: str, calm_generator: Path, tmp_path: Path, ray_of_two: None
) -> None:
    scaling = dataclasses.replace(GENERATOR.scaling, zero_stage=stage)
    # the run that all are compared with samples nothing
    is_own = stage != GENERATOR.scaling.zero_stage
    sampling = SAMPLING if is_own else SampleOptions()

    def train(out: Path) -> None:
        train_generator(
            data=data, out=str(out), config=GENERATOR.config, scaling=scaling, sampling=sampling
        )

    calm = calm_generator
    if is_own:
        calm = tmp_path / "calm/model"
        train(calm)
    harmed = tmp_path / "harmed/model"
    harm_between_steps(harmed, lambda: train(harmed), kill_a_worker)
    require_equal(calm, harmed)
    looks = json.loads((harmed / "training.json").read_text())["held_out"]
    assert all(("held_out/pass@1" in look) == is_own for look in looks)


def test_a_killed_worker_leaves_no_trace_in_a_reward_model_of_groups(
    calm_generator: Path, tmp_path: Path, ray_of_two: None
) -> None:
    examples = examples_in(tmp_path / "examples")
    config = dataclasses.replace(ORM, model=str(calm_generator))

    def train(out: Path) -> None:
        train_orm(examples=examples, out=str(out), config=config, scaling=ORM_SCALING)

    calm, harmed = tmp_path / "calm/model", tmp_path / "harmed/model"
    train(calm)
    harm_between_steps(harmed, lambda: train(harmed), kill_a_worker)
    require_equal(calm, harmed)
