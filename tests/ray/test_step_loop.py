"""The step loop and looks at what is held out, on one process and a model of a few numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from codeprm.training.batches import Indices, Step, passes_of
from codeprm.training.config import Optimization, OrmConfig
from codeprm.training.corpus import Corpus, Index
from codeprm.training.engine import Diverged, StepReport, train
from codeprm.training.following import Work, useful_flops, work_of
from codeprm.training.loading import load_batch
from codeprm.training.looks import reward_numbers, token_loss
from codeprm.training.losses import LM

torch = pytest.importorskip("torch")
dist = pytest.importorskip("torch.distributed")
OPTIMIZATION = Optimization(effective_batch=4, learning_rate=0.1, warmup_steps=1)


@pytest.fixture(scope="module", autouse=True)
def process_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("group") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Engine:
    """As much of DeepSpeed's engine as the loop drives: one weight, plain descent."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
        self.optimizer = torch.optim.SGD([self.weight], lr=0.1)
        self.training = True
        self._norm = 0.0
        self._ends = False

    def set_gradient_accumulation_boundary(self, ends: bool) -> None:
        self._ends = ends

    def backward(self, loss: Any) -> None:
        loss.backward()

    def step(self) -> None:
        if self._ends:
            assert self.weight.grad is not None
            self._norm = float(self.weight.grad.norm())
            self.optimizer.step()
            self.optimizer.zero_grad()

    def get_global_grad_norm(self) -> float:
        return self._norm

    def eval(self) -> None:
        self.training = False

    def train(self) -> None:
        self.training = True


class Objective:
    """A row of weight r adds r * the parameter to `a` and a tenth of it to `b`; some are bad."""

    def __init__(self, bad: tuple[int, ...] = (), *, steep: tuple[int, ...] = ()) -> None:
        self.bad, self.steep = bad, steep

    def totals(self, index: Index, step: Step) -> int:
        return sum(map(len, step.micro_batches))

    def losses(self, engine: Engine, corpus: Corpus, rows: Indices, totals: int) -> dict[str, Any]:
        given = corpus.weights[rows]
        share = torch.tensor(given).sum() / totals
        if np.isin(given, self.bad).any():
            share = share * math.nan
        loss = share * engine.weight.sum()
        if np.isin(given, self.steep).any():
            # 0 here, its slope infinite
            loss = loss + (engine.weight - engine.weight.detach()).abs().sqrt().sum()
        return {"a": loss, "b": 0.1 * loss}


def every_row() -> Corpus:
    return replace(corpus_of([2] * 10), weights=np.arange(10.0))


def run(objective: Objective, *steps: list[list[int]]) -> list[StepReport | Diverged]:
    take = every_row().take
    plan = [Step([[np.array(rows) for rows in passes]]) for passes in steps]
    batches = [load_batch(step, take, None) for step in plan]
    return list(
        train(Engine(), objective, batches, start=0, steps=len(plan), optimization=OPTIMIZATION)
    )


def test_a_step_tells_each_loss_and_its_examples() -> None:
    (report,) = run(Objective(), [[1, 2], [3, 6]])
    assert isinstance(report, StepReport)
    assert report.kinds == pytest.approx({"a": 3.0, "b": 0.3})
    assert report.loss == pytest.approx(sum(report.kinds.values()))
    assert report.rows.tolist() == [1, 2, 3, 6]
    assert report.grad_norm == pytest.approx(3.3)
    assert report.seconds > 0


def test_a_loss_that_is_no_number_names_the_rows_of_its_pass() -> None:
    first, second = run(Objective(bad=(3,)), [[1, 2], [4, 5]], [[1, 2], [3, 6]], [[7, 8]])
    assert isinstance(first, StepReport)
    assert isinstance(second, Diverged)
    assert (second.step, second.rows, second.grad_norm) == (1, [3, 6], None)
    assert math.isnan(second.loss)


def test_a_gradient_that_is_no_number_ends_the_run_before_a_checkpoint() -> None:
    (report,) = run(Objective(steep=(2,)), [[1, 2], [3, 6]], [[4, 5]])
    assert isinstance(report, Diverged)
    assert report.loss == pytest.approx(3.3)
    assert report.grad_norm is not None
    assert not math.isfinite(report.grad_norm)
    assert report.rows == [1, 2, 3, 6]


def corpus_of(lengths: list[int]) -> Corpus:
    n = len(lengths)
    return Corpus(
        ids=np.zeros(sum(lengths), dtype=np.uint16),
        lengths=np.asarray(lengths),
        prompt_lengths=np.zeros(n, dtype=np.int64),
        problems=np.array([1, 0, 1, 0, 2] * 2)[:n],
        labels=np.array([1, 0, 0, 1, 1] * 2)[:n],
        weights=np.ones(n),
        held_out=np.ones(n, dtype=np.bool_),
    )


def test_the_held_out_loss_is_the_mean_of_all_rows_and_leaves_the_mode() -> None:
    class Tokens(Objective):
        def losses(
            self, engine: Engine, corpus: Corpus, rows: Indices, totals: int
        ) -> dict[str, Any]:
            assert not engine.training
            assert not torch.is_grad_enabled()
            return {LM: torch.tensor(corpus.weights[rows].sum()) / totals}

    engine = Engine()
    corpus = replace(corpus_of([3, 9000, 5, 9000, 4]), weights=np.arange(5.0))
    found = token_loss(engine, Tokens(), corpus, np.array([0, 1, 2, 3, 4]))
    assert found == pytest.approx(2.0)
    assert engine.training


def test_passes_of_a_look_hold_few_tokens_and_lose_no_row() -> None:
    lengths = np.array([100] * 40 + [10000, 20000, 5000])
    passes = passes_of(np.arange(43), lengths)
    assert sorted(np.concatenate(passes).tolist()) == list(range(43))
    for rows in passes:
        assert len(rows) <= 16
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= 16384


def test_held_out_losses_are_by_kind_within_problems() -> None:
    margins = np.array([2.0, -1.0, 0.5, -2.0, 1.0])
    config = OrmConfig(losses={"ce": 1.0, "bt": 0.5}, group_size=2)
    found = reward_numbers(corpus_of([1] * 5), margins, config)
    signs = np.array([1, -1, -1, 1, 1])
    ce = np.log1p(np.exp(-signs * margins)).mean()
    # problem 0: -2 should be above -1; problem 1: 2 above 0.5; problem 2 has one class
    bt = np.log1p(np.exp([1.0, -1.5])).mean()
    assert found["held_out/loss/ce"] == pytest.approx(ce)
    assert found["held_out/loss/bt"] == pytest.approx(bt)
    assert found["held_out/loss"] == pytest.approx(ce + 0.5 * bt)
    assert found["held_out/auc_within"] == 0.5


@pytest.mark.parametrize("kind", ["generator", "classifier"])
def test_work_counts_what_is_outside_of_embeddings(kind: str) -> None:
    from transformers import (
        Starcoder2Config,
        Starcoder2ForCausalLM,
        Starcoder2ForSequenceClassification,
    )

    config = Starcoder2Config(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, num_labels=2,
    )  # fmt: skip
    of = {"generator": Starcoder2ForCausalLM, "classifier": Starcoder2ForSequenceClassification}
    model = of[kind](config)
    trunk = sum(p.numel() for p in model.model.parameters()) - 50 * 16
    work = work_of(model)
    assert work == Work(trunk + (0 if kind == "generator" else 32), 2, 16)
    assert useful_flops(np.array([2]), work) == 6 * work.parameters * 2 + 12 * 2 * 16 * 4
