"""What is told of a step, a look and a divergence."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.errors import ConfigError
from codeprm.tables.protocol import plain_config
from codeprm.training.config import Following, GeneratorConfig
from codeprm.training.corpus import Corpus, require_rows_to_learn
from codeprm.training.engine import Diverged, StepReport
from codeprm.training.following import (
    Devices,
    History,
    Progress,
    Work,
    devices_of,
    divergence,
    is_look_due,
    limited,
    line,
    memory_gib,
    peak_flops,
    step_numbers,
    useful_flops,
)
from codeprm.training.rows import is_held_out

CPU = Devices("cpu", 2, None)
WORK = Work(parameters=1000, layers=2, width=8)
REPORT = StepReport(
    step=9,
    loss=1.5,
    grad_norm=0.25,
    learning_rate=1e-4,
    kinds={"ce": 1.0, "bt": 0.2, "lm": 0.3},
    rows=np.array([0, 1]),
    seconds=2.0,
)


def corpus_of(problems: list[int], held_out: list[bool]) -> Corpus:
    n = len(problems)
    return Corpus(
        ids=np.zeros(n, dtype=np.uint16),
        lengths=np.ones(n, dtype=np.int64),
        prompt_lengths=np.zeros(n, dtype=np.int64),
        problems=np.array(problems, dtype=np.int64),
        labels=np.ones(n, dtype=np.int64),
        weights=np.ones(n),
        held_out=np.array(held_out, dtype=np.bool_),
    )


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10", 125e12),
        ("NVIDIA L40S", 362e12),
        ("Tesla T4", None),
        ("NVIDIA GH100x", None),
    ],
)
def test_peak_is_that_of_the_whole_name(name: str, peak: float | None) -> None:
    assert peak_flops(name) == peak


def test_useful_flops_are_the_formula() -> None:
    # 6 N (3 + 5) + 12 L d (9 + 25)
    assert useful_flops(np.array([3, 5]), WORK) == 6 * 1000 * 8 + 12 * 2 * 8 * 34


def numbers(devices: Devices = CPU) -> dict[str, float]:
    weights = {"ce": 1.0, "bt": 0.5, "lm": 0.1}
    return step_numbers(
        REPORT, np.array([300, 100]), weights=weights, work=WORK, devices=devices, memory=3.0
    )


def test_a_step_tells_each_loss_without_its_weight_and_useful_tokens() -> None:
    found = numbers()
    assert found["loss"] == 1.5
    kinds = [found[f"loss/{kind}"] for kind in ("ce", "bt", "lm")]
    assert kinds == pytest.approx([1.0, 0.4, 3.0])
    assert found["tokens_per_s"] == 200.0
    assert "mfu" not in found


def test_mfu_is_useful_flops_over_what_all_devices_can() -> None:
    found = numbers(Devices("a", 2, 1e6))
    assert found["mfu"] == pytest.approx(useful_flops(np.array([300, 100]), WORK) / 2.0 / 1e6)


def test_a_loss_without_weight_is_left_out() -> None:
    report = REPORT._replace(kinds={"ce": 1.5, "bt": 0.0})
    found = step_numbers(
        report, np.array([1]), weights={"ce": 1.0, "bt": 0.0}, work=WORK, devices=CPU, memory=1.0
    )
    assert [name for name in found if name.startswith("loss/")] == ["loss/ce"]


def test_the_line_says_all_that_one_waits_for() -> None:
    text = line(9, 40, numbers() | {"mfu": 0.412}, 30.0, 90.0)
    assert text == (
        "step 10/40, loss 1.5000 (ce 1.0000, bt 0.4000, lm 3.0000), gradient norm 0.25, "
        "200 tokens/s (MFU 41 %), 3.0 GiB, 30 s, about 90 s left"
    )


def test_one_line_every_fifteen_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(job="train_orm", steps=100, started=100.0, _last=100.0)
    silent = Progress(job="train_orm", steps=100, started=100.0, _last=100.0, is_silent=True)
    with caplog.at_level("INFO", logger="codeprm.train"):
        for step in range(40):
            now[0] += 1.0
            report = REPORT._replace(step=10 + step)
            progress.tell(report, numbers())
            silent.tell(report, numbers())
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    # 30 steps in 30 s, of a run that went on at step 10 and has 60 left
    assert lines[1].startswith("train_orm: step 40/100,")
    assert lines[1].endswith("30 s, about 60 s left")


def test_cpu_has_no_peak_and_memory_is_the_process() -> None:
    device: Any = SimpleNamespace(type="cpu")
    assert devices_of(device, 4) == Devices("cpu", 4, None)
    assert 0.01 < memory_gib(device) < 100


def test_history_comes_back_from_a_checkpoint_and_tells_columns() -> None:
    looks = [{"step": 1, "held_out/loss": 3.0}]
    history = History([{"loss": 2.0, "grad_norm": 1.0}], looks, {1: {"problem": "print(1)"}})
    again = History(**history.state())
    assert again == history
    again.steps.append({"loss": 1.0, "mfu": 0.5})
    assert again.losses == [2.0, 1.0]
    assert again.to_json() == {
        "losses": [2.0, 1.0],
        "curves": {"grad_norm": [1.0, None], "mfu": [None, 0.5]},
        "held_out": [{"step": 1, "held_out/loss": 3.0}],
    }


def test_looks_come_with_checkpoints_or_as_asked() -> None:
    due = [n for n in range(1, 13) if is_look_due(n, every=0, checkpoint_every=5)]
    assert due == [5, 10]
    due = [n for n in range(1, 13) if is_look_due(n, every=4, checkpoint_every=5)]
    assert due == [4, 8, 12]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.integers(1, 30)
)  # fmt: skip
@settings(deadline=None, derandomize=True, max_examples=60)
def test_a_limited_look_takes_whole_problems(rows: list[tuple[int, bool]], n: int) -> None:
    corpus = corpus_of([problem for problem, _ in rows], [held for _, held in rows])
    held_out = np.flatnonzero(corpus.held_out)
    found = limited(corpus, n)
    assert set(found) <= set(held_out)
    kept = set(corpus.problems[found])
    whole = [row for row in held_out if corpus.problems[row] in kept]
    assert found.tolist() == whole
    assert len(found) <= n or len(kept) == 1
    assert len(held_out) == 0 or len(found) > 0


def test_a_divergence_names_step_loss_and_examples() -> None:
    diverged = Diverged(step=6, loss=float("nan"), grad_norm=None, rows=[1, 3])
    text = divergence("train_orm", "/runs/orm", diverged, ["b", "d"])
    assert text == (
        "train_orm stopped at step 7: its loss is nan (examples b, d): lower learning_rate or "
        "look at these examples, and give another --out; the last good checkpoint is in "
        "/runs/orm/work"
    )


def test_a_divergence_of_the_gradient_says_so_and_names_a_few() -> None:
    diverged = Diverged(step=0, loss=2.0, grad_norm=float("inf"), rows=list(range(32)))
    text = divergence("train_generator", "out", diverged, [f"row {i}" for i in range(5)])
    assert "its loss is 2.0 and the norm of its gradient inf (examples row 0, row 1," in text
    assert "row 4 and 27 more)" in text


def test_how_a_run_is_followed_is_in_no_configuration() -> None:
    assert "following" not in plain_config(GeneratorConfig())
    with pytest.raises(ConfigError, match="evaluate_rows at least 1"):
        Following(evaluate_rows=0)


def test_the_held_out_share_is_by_problem_and_seed_and_none_by_default() -> None:
    config = GeneratorConfig(held_out=0.25)
    names = [f"problem {number}" for number in range(2000)]
    held_out = [is_held_out(name, config) for name in names]
    assert 0.2 < np.mean(held_out) < 0.3
    assert not any(is_held_out(name, GeneratorConfig()) for name in names)
    seeded = dataclasses.replace(config.optimization, seed=1)
    other = [is_held_out(n, dataclasses.replace(config, optimization=seeded)) for n in names]
    assert other != held_out
    with pytest.raises(ConfigError, match="share of problems"):
        GeneratorConfig(held_out=1.0)


def test_nothing_left_to_learn_from_is_one_sentence() -> None:
    require_rows_to_learn(corpus_of([0, 1], [True, False]))
    with pytest.raises(ConfigError.__bases__[0], match="all 2 problems are held out"):
        require_rows_to_learn(corpus_of([0, 1], [True, True]))
