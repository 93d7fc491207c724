"""Ray Train, DeepSpeed and transformers as they are, on models of a few thousand parameters."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from codeprm.distributed.train import train_generator, train_orm
from codeprm.encoding import encode_text, load_tokenizer
from codeprm.errors import ConfigError, DataError
from codeprm.prompts import docstring_prompt
from codeprm.records import Example, Label, Problem, Rejected, Solution
from codeprm.reward_model import load_calibration
from codeprm.tables import Directory, open_directory
from codeprm.training.config import GeneratorConfig, Optimization, OrmConfig, Scaling, Shape
from codeprm.training.tokenizer import PROBE
from tests.rows import problem_row, solution_row, write_directory

TWO = Scaling(
    workers=2, gpus=0.0, cpus=1.0, threads=1, micro_batch=4, zero_stage=1,
    activation_checkpointing=False, checkpoint_every=10,
)  # fmt: skip
ONE = dataclasses.replace(
    TWO, workers=1, micro_batch=3, zero_stage=3, activation_checkpointing=True
)
SHARDED = dataclasses.replace(TWO, zero_stage=3)
GENERATOR = GeneratorConfig(
    model="scratch",
    shape=Shape(vocab_size=320, hidden_size=32, layers=2, heads=2, kv_heads=1,
                intermediate_size=64, max_positions=128),
    max_length=128,
    optimization=Optimization(
        learning_rate=5e-3, epochs=5.0, effective_batch=12, warmup_steps=2, weight_decay=0.1
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows: list[Any] = []
    for number in range(16):
        problem = problem_row(f"number {number}")
        rows += [
            problem,
            *(solution_row(problem, f"x = {number}\nprint(x + {i})") for i in range(3)),
        ]
    rows.append(solution_row(rows[0], "x = 1\n" * 200))
    folder = tmp_path_factory.mktemp("train")
    return write_directory(folder / "data", rows, (Problem, Solution))


@pytest.fixture(scope="module")
def generator(data: str, tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> Path:
    out = tmp_path_factory.mktemp("train") / "generator"
    train_generator(data=data, out=str(out), config=GENERATOR, scaling=TWO)
    return out


def an_example(number: int, *, passed: bool, split: str) -> Example:
    problem = problem_row(f"number {number // 2 % 8}")
    return Example(
        example_id=str(number),
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, ""),
        program=f"x = {number}\nprint(x)" if passed else f"x = {number}\nprint(x + 1)",
        label=Label.PASS if passed else Label.FAIL,
        weight=1.0,
        split=split,
    )


def examples_in(folder: Path, *, passing_only: bool = False) -> str:
    rows = [
        an_example(n, passed=passing_only or n % 2 == 0, split="train" if n < 64 else "calibration")
        for n in range(80)
    ]
    # an odd number of problems' programs: shares of two ranks must still be equal
    return write_directory(folder / "examples", rows[:-1], (Example,))


def losses_of(out: Path) -> list[float]:
    losses: list[float] = json.loads((out / "training.json").read_text())["losses"]
    return losses


def test_the_generator_is_in_the_layout_that_transformers_reads(generator: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, loading = AutoModelForCausalLM.from_pretrained(generator, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert model.config.architectures == ["Starcoder2ForCausalLM"]
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (
        0, 0, 0,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(generator)
    raw = load_tokenizer(str(generator))
    assert tokenizer(PROBE)["input_ids"] == encode_text(raw, PROBE)
    assert raw.get_vocab_size() == model.config.vocab_size


def test_training_learns_rejects_and_cleans_up(generator: Path) -> None:
    losses = losses_of(generator)
    assert len(losses) == 20
    assert losses[-1] < 0.6 * losses[0]
    rejected = list(open_directory(str(generator)).read_records(Rejected))
    assert [row.reason for row in rejected] == ["too_long"]
    assert not (generator / "work").exists()
    assert not list(generator.glob("**/*.tmp"))


def test_a_complete_directory_is_not_trained_again(generator: Path, data: str) -> None:
    before = (generator / "model.safetensors").stat().st_mtime_ns
    # a run that was killed while it deleted its checkpoints
    (generator / "work/run-a").mkdir(parents=True)
    manifest = train_generator(data=data, out=str(generator), config=GENERATOR, scaling=ONE)
    assert manifest["training"]["steps"] == 20
    assert (generator / "model.safetensors").stat().st_mtime_ns == before
    assert not (generator / "work").exists()


def test_another_configuration_is_refused(generator: Path, data: str) -> None:
    other = dataclasses.replace(GENERATOR, max_length=64)
    with pytest.raises(ConfigError, match="max_length was 128, now 64"):
        train_generator(data=data, out=str(generator), config=other, scaling=TWO)


def test_workers_passes_and_zero_stage_do_not_change_the_curve(
    generator: Path, data: str, tmp_path: Path
) -> None:
    train_generator(data=data, out=str(tmp_path / "one"), config=GENERATOR, scaling=ONE)
    assert losses_of(tmp_path / "one") == pytest.approx(losses_of(generator), rel=1e-4)


def test_a_killed_worker_resumes_to_the_same_curve(
    generator: Path, data: str, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    killed: list[int] = []
    watcher = threading.Thread(target=_kill_after_checkpoint, args=(out, killed), daemon=True)
    watcher.start()
    train_generator(data=data, out=str(out), config=GENERATOR, scaling=TWO)
    watcher.join()
    assert killed
    assert losses_of(out) == pytest.approx(losses_of(generator), rel=1e-6)


def _kill_after_checkpoint(out: Path, killed: list[int]) -> None:
    _wait(lambda: bool(list(out.glob("work/*/checkpoint_*/deepspeed/*model_states.pt"))))
    workers = [p for p in psutil.Process().children(recursive=True) if _is_train_worker(p)]
    if workers:
        killed.append(workers[0].pid)
        workers[0].kill()


def _is_train_worker(process: psutil.Process) -> bool:
    try:
        return "RayTrainWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.005)


def test_the_reward_model_separates_and_is_calibrated(generator: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    config = OrmConfig(
        model=str(generator),
        max_length=128,
        losses={"ce": 1.0, "bt": 0.5},
        group_size=4,
        optimization=Optimization(learning_rate=3e-3, epochs=6.0, effective_batch=8),
    )
    out = tmp_path / "orm"
    examples = examples_in(tmp_path)
    manifest = train_orm(examples=examples, out=str(out), config=config, scaling=SHARDED)
    assert manifest["training"]["examples"] == 64
    assert manifest["training"]["held_out_examples"] == 15
    assert manifest["training"]["auc_within"] > 0.9
    assert load_calibration(out).n == 15
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.id2label == {0: "fail", 1: "pass"}
    assert model.config.problem_type == "single_label_classification"
    assert model.score.weight.dtype == torch.float32
    margins = [
        _margin(model, str(out), an_example(n, passed=n % 2 == 0, split="")) for n in (90, 91)
    ]
    assert margins[0] > margins[1]


def _margin(model: Any, folder: str, example: Example) -> float:
    import torch

    tokenizer = load_tokenizer(folder)
    ids = encode_text(tokenizer, example.prompt) + encode_text(tokenizer, example.program)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return float(logits[1] - logits[0])


def test_one_class_ends_in_a_sentence_and_nothing_looks_finished(
    generator: Path, tmp_path: Path
) -> None:
    examples = examples_in(tmp_path, passing_only=True)
    out = str(tmp_path / "orm")
    config = OrmConfig(model=str(generator), max_length=128)
    for _ in range(2):
        with pytest.raises(DataError, match="one class"):
            train_orm(examples=examples, out=out, config=config, scaling=ONE)
    assert Directory(out).manifest is None


def test_an_unfinished_generator_is_refused(generator: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "started.json").write_text((generator / "started.json").read_text())
    config = OrmConfig(model=str(half))
    with pytest.raises(DataError, match="train_generator job did not finish"):
        train_orm(
            examples=examples_in(tmp_path), out=str(tmp_path / "orm"), config=config, scaling=ONE
        )
