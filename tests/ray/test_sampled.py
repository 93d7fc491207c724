"""Sampled pass@1 of generators in training: the right number, and nothing else of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import ray

from codeprm.distributed.sampled import RayJudging
from codeprm.distributed.train import train_generator
from codeprm.errors import DataError
from codeprm.records import Case, Label, Problem, Solution
from codeprm.sandbox.levels import Level
from codeprm.training.config import GeneratorConfig, Optimization, Scaling, Shape
from codeprm.training.rows import is_held_out
from codeprm.training.sample_options import SampleOptions
from tests.rows import case_rows, problem_row, solution_row, write_directory

PACKED = Scaling(
    workers=2, gpus=0.0, cpus=1.0, threads=1, micro_batch=4, zero_stage=1, packing="packed",
    tokens_per_pass=256, activation_checkpointing=False, checkpoint_every=100,
)  # fmt: skip
SHARDED = dataclasses.replace(PACKED, zero_stage=3, packing="padded", activation_checkpointing=True)
CONFIG = GeneratorConfig(
    model="scratch",
    shape=Shape(vocab_size=320, hidden_size=32, layers=2, heads=2, kv_heads=1,
                intermediate_size=64, max_positions=64),
    max_length=64,
    held_out=0.3,
    optimization=Optimization(
        learning_rate=1e-2, epochs=40.0, effective_batch=8, warmup_steps=4, weight_decay=0.0
    ),
)  # fmt: skip
PROBLEMS = [problem_row(f"number {number}") for number in range(24)]
HELD_OUT = sorted(p.problem_id for p in PROBLEMS if is_held_out(p.problem_id, CONFIG))
# What all solutions write is right for all but these.
UNSOLVABLE = set(HELD_OUT[:2])
SAMPLING = SampleOptions(sample_problems=100, sample_tokens=12, sandbox_floor=Level.F3)


class Run(NamedTuple):
    weights: dict[str, bytes]
    told: dict[str, Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows: list[Any] = []
    for problem in PROBLEMS:
        expected = "8\n" if problem.problem_id in UNSOLVABLE else "7\n"
        rows += [problem, solution_row(problem, "print(7)")]
        rows += case_rows(problem.problem_id, [("", expected)])
    folder = tmp_path_factory.mktemp("sampled")
    return write_directory(folder / "data", rows, (Problem, Solution, Case))


def trained(data: str, out: Path, scaling: Scaling, sampling: SampleOptions) -> Run:
    from safetensors.numpy import load_file

    train_generator(data=data, out=str(out), config=CONFIG, scaling=scaling, sampling=sampling)
    weights = load_file(out / "model.safetensors")
    told = json.loads((out / "training.json").read_text())
    return Run({name: array.tobytes() for name, array in weights.items()}, told)


@pytest.mark.parametrize("scaling", [PACKED, SHARDED], ids=["packed", "zero3"])
def test_it_tells_what_the_model_solves_and_changes_no_weight(
    scaling: Scaling, data: str, tmp_path: Path, ray_local: None
) -> None:
    looked = dataclasses.replace(scaling, checkpoint_every=48)
    calm = trained(data, tmp_path / "calm", looked, SampleOptions())
    found = trained(data, tmp_path / "sampled", looked, SAMPLING)
    assert found.weights == calm.weights
    assert found.told["losses"] == calm.told["losses"]
    share = 1 - len(UNSOLVABLE) / len(HELD_OUT)
    assert found.told["pass@1"] == pytest.approx(share)
    assert found.told["pass@1_problems"] == len(HELD_OUT)
    looks = found.told["held_out"]
    assert [look["step"] for look in looks] == [48, found.told["steps"]]
    assert all("held_out/loss" in look and "held_out/pass@1" in look for look in looks)
    assert [look["held_out/loss"] for look in looks] == [
        look["held_out/loss"] for look in calm.told["held_out"]
    ]
    assert f"| pass@1, one completion a problem | {share:.4g} |" in (
        tmp_path / "sampled/README.md"
    ).read_text(encoding="utf-8")


def test_a_dataset_without_tests_is_one_sentence_before_training(
    tmp_path: Path, ray_local: None
) -> None:
    rows = [row for problem in PROBLEMS for row in (problem, solution_row(problem, "print(7)"))]
    bare = write_directory(tmp_path / "bare", rows, (Problem, Solution))
    with pytest.raises(DataError, match=f"{len(HELD_OUT)} of {len(HELD_OUT)} .* have no tests in"):
        trained(bare, tmp_path / "out", PACKED, SAMPLING)
    assert not (tmp_path / "out/work").exists()


def test_the_judge_holds_what_a_model_may_write(
    data: str, tmp_path: Path, ray_local: None, caplog: pytest.LogCaptureFixture
) -> None:
    solvable = [problem_id for problem_id in HELD_OUT if problem_id not in UNSOLVABLE]
    written = ["print(7)", "print(8)", "while True: pass", "import os\nos._exit(0)", ""]
    programs = dict(zip(solvable, written, strict=False))
    judging = RayJudging(data, Level.F3)
    judging.begin(3, programs)
    assert judging.labels(3, programs, 0.0) is None
    assert judging.labels(3, programs, 300.0) == [Label.PASS, *[Label.FAIL] * 4]
    lost = RayJudging(str(tmp_path / "moved"), Level.F3)
    assert lost.labels(4, programs, 300.0) == []
    (record,) = caplog.records
    assert "sampled after step 4 is not judged: no tables in" in record.getMessage()

    @ray.remote(num_cpus=0, max_retries=0)
    def dies() -> None:
        raise MemoryError

    # some errors have no text
    judging._begun[5] = dies.remote()
    assert judging.labels(5, programs, 300.0) == []
    assert caplog.messages[-1] == "what was sampled after step 5 is not judged: MemoryError()"
