"""SIGKILL of a training worker in the middle of an epoch: the very parameters of a run unharmed.

Two runs of one configuration, in float32 on CPU, their output directories of one name: one is left
alone, of the other a worker is killed between two checkpoints. Every tensor of the two models must
be equal bit for bit, and so must every number that was told of what is held out, what was sampled
before the kill and judged after it among them.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from codeprm.distributed.train import train_generator
from codeprm.records import Case, Problem, Solution
from codeprm.sandbox.levels import Level
from codeprm.training.config import GeneratorConfig, Optimization, Scaling, Shape
from codeprm.training.sample_options import SampleOptions
from tests.rows import case_rows, problem_row, solution_row, write_directory

pytestmark = pytest.mark.timeout(900)
# 12 steps an epoch, so a checkpoint of every 5 falls inside of one
SCALING = Scaling(
    workers=2, gpus=0.0, cpus=1.0, threads=1, micro_batch=4, zero_stage=1,
    activation_checkpointing=False, checkpoint_every=5,
)  # fmt: skip
CONFIG = GeneratorConfig(
    model="scratch",
    shape=Shape(vocab_size=320, hidden_size=64, layers=2, heads=2, kv_heads=1,
                intermediate_size=128, max_positions=128),
    max_length=128,
    held_out=0.2,
    optimization=Optimization(learning_rate=5e-3, epochs=12.0, effective_batch=4, warmup_steps=2),
)  # fmt: skip
SAMPLING = SampleOptions(sample_problems=4, sample_tokens=24, sandbox_floor=Level.F3)


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[None]:
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    problems = [problem_row(f"number {number}") for number in range(20)]
    solutions = [
        solution_row(problem, f"x = {number}\nprint(x + {i})")
        for number, problem in enumerate(problems)
        for i in range(3)
    ]
    cases = [
        case
        for number, problem in enumerate(problems)
        for case in case_rows(problem.problem_id, [("", f"{number}\n")])
    ]
    folder = tmp_path_factory.mktemp("data")
    rows = [*problems, *solutions, *cases]
    return write_directory(folder / "data", rows, (Problem, Solution, Case))


def kill_after_checkpoint(out: Path, killed: list[int]) -> None:
    """One worker, as soon as a checkpoint is there and before the run is over."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not killed:
        # a second one: the first is whole and will be gone on from
        if len(list(out.glob("work/run-*/checkpoint_*"))) > 1:
            for process in psutil.Process().children(recursive=True):
                try:
                    if process.cmdline()[:1] and "RayTrainWorker" in process.cmdline()[0]:
                        process.kill()
                        killed.append(process.pid)
                        return
                except psutil.Error:  # it ended meanwhile
                    continue
        time.sleep(0.01)


@pytest.mark.parametrize("stage", [1, 3])
def test_a_killed_worker_leaves_no_trace_in_the_model(
    stage: int, data: str, tmp_path: Path, ray_of_two: None
) -> None:
    from safetensors.numpy import load_file

    scaling = dataclasses.replace(SCALING, zero_stage=stage)
    calm, harmed = tmp_path / "calm/model", tmp_path / "harmed/model"
    given: dict[str, Any] = {
        "data": data,
        "config": CONFIG,
        "scaling": scaling,
        "sampling": SAMPLING,
    }
    train_generator(out=str(calm), **given)
    killed: list[int] = []
    killer = threading.Thread(target=kill_after_checkpoint, args=(harmed, killed), daemon=True)
    killer.start()
    train_generator(out=str(harmed), **given)
    killer.join()
    assert killed, "the run ended before a worker could be killed"

    expected = load_file(calm / "model.safetensors")
    found = load_file(harmed / "model.safetensors")
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name].tobytes() != expected[name].tobytes()] == []
    told = [json.loads((out / "training.json").read_text()) for out in (calm, harmed)]
    for name in ("losses", "held_out", "steps"):
        assert told[0][name] == told[1][name]
    assert all("held_out/pass@1" in look for look in told[1]["held_out"])
    assert len(told[1]["losses"]) == told[1]["steps"]
    # a second event file: the killed run went on with its series
    assert len(list((calm / "tensorboard").iterdir())) == 1
    assert len(list((harmed / "tensorboard").iterdir())) > 1
