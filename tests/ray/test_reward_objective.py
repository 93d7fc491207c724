"""The reward model's loss with its language-model term, on a tiny classifier; no Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codeprm.distributed.train import train_orm
from codeprm.errors import ConfigError
from codeprm.training.batches import Step
from codeprm.training.config import OrmConfig, Scaling
from codeprm.training.corpus import Corpus
from codeprm.training.models import classifier_module, load_classifier
from codeprm.training.orm import RewardObjective
from tests.models import tiny_generator

torch = pytest.importorskip("torch")

ROWS = np.arange(6, dtype=np.int64)
LM_WEIGHT = 0.5


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.manual_seed(0)
    folder = tiny_generator(tmp_path_factory.mktemp("objective") / "generator")
    return load_classifier(str(folder), None, "float32", pad_id=0).double()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 14, len(ROWS))
    return Corpus(
        ids=rng.integers(1, 200, lengths.sum()).astype(np.uint16),
        lengths=np.asarray(lengths),
        prompt_lengths=lengths // 2,
        problems=np.array([0, 0, 0, 1, 1, 1]),
        labels=np.array([1, 0, 1, 0, 1, 0]),
        weights=np.ones(len(ROWS)),
        held_out=np.zeros(len(ROWS), dtype=bool),
    )


def loss_of(classifier: Any, corpus: Corpus, passes: list[Any], lm_weight: float) -> Any:
    module = classifier_module(classifier, with_lm=lm_weight > 0)

    def engine(*given: Any) -> Any:
        return module(*given)

    engine.device = torch.device("cpu")  # type: ignore[attr-defined]
    objective = RewardObjective(OrmConfig(lm_weight=lm_weight))
    totals = objective.totals(corpus, Step([passes]))
    return sum(sum(objective.losses(engine, corpus, rows, totals).values()) for rows in passes)


def mean_token_loss(classifier: Any, corpus: Corpus) -> float:
    """One program at a time, by the definition: programs that passed, their tokens only."""
    losses = []
    for row in ROWS[corpus.labels == 1]:
        ids = torch.from_numpy(corpus.row(int(row)))
        with torch.no_grad():
            hidden = classifier.model(input_ids=ids[None]).last_hidden_state[0]
            logits = hidden @ classifier.model.embed_tokens.weight.T
        first = int(corpus.prompt_lengths[row])
        chosen = torch.log_softmax(logits.float(), -1)[torch.arange(first - 1, len(ids) - 1)]
        losses += (-chosen[torch.arange(len(ids) - first), ids[first:]]).tolist()
    return float(np.mean(losses))


def test_the_language_models_term_is_the_mean_over_tokens_of_passing_programs(
    classifier: Any, corpus: Corpus
) -> None:
    plain = loss_of(classifier, corpus, [ROWS], 0.0).item()
    both = loss_of(classifier, corpus, [ROWS], LM_WEIGHT).item()
    expected = LM_WEIGHT * mean_token_loss(classifier, corpus)
    assert both - plain == pytest.approx(expected, rel=1e-5)


def test_it_does_not_depend_on_how_a_step_is_split(classifier: Any, corpus: Corpus) -> None:
    # the last pass has no program that passed
    passes = [ROWS[:2], ROWS[2:5], ROWS[5:]]
    whole = loss_of(classifier, corpus, [ROWS], LM_WEIGHT)
    split = loss_of(classifier, corpus, passes, LM_WEIGHT)
    assert split.item() == pytest.approx(whole.item(), rel=1e-6)


def test_without_it_the_embedding_is_no_output_layer() -> None:
    trunk = torch.nn.Module()
    trunk.forward = lambda input_ids, use_cache: SimpleNamespace(  # type: ignore[method-assign]
        last_hidden_state=torch.ones(*input_ids.shape, 4)
    )
    model = torch.nn.Module()
    model.model, model.score = trunk, torch.nn.Linear(4, 2, bias=False)
    # there is no `embed_tokens` to read, as in a shard of ZeRO-3
    module = classifier_module(model, with_lm=False)
    ids = torch.zeros(2, 3, dtype=torch.long)
    margins, tokens = module(ids, torch.tensor([2, 2]), ids)
    assert margins.shape == (2,)
    assert tokens.item() == 0.0


def test_divided_embeddings_are_refused_before_anything_runs(tmp_path: Path) -> None:
    config, scaling = OrmConfig(lm_weight=0.1), Scaling(zero_stage=3)
    with pytest.raises(ConfigError, match="ZeRO-3 has divided"):
        train_orm(examples="nowhere", out=str(tmp_path), config=config, scaling=scaling)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match="lm_weight"):
        OrmConfig(lm_weight=weight)
