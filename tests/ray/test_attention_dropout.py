"""What a checkpoint says it drops of attention does not decide what a run drops; no Ray."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeprm.encoding import load_tokenizer
from codeprm.errors import ConfigError
from codeprm.training import packed_attention
from codeprm.training.batches import Step
from codeprm.training.config import GeneratorConfig, Optimization, OrmConfig
from codeprm.training.corpus import Corpus
from codeprm.training.generator import build_generator
from codeprm.training.models import load_classifier, load_generator
from codeprm.training.orm import build_orm
from codeprm.training.packing import Packing
from tests.models import tiny_generator

torch = pytest.importorskip("torch")

PACKING = Packing(budget=64, share=True)
ROWS = np.arange(4)
CORPUS = Corpus(
    ids=np.tile(np.arange(1, 11, dtype=np.uint16), 4),
    lengths=np.full(4, 10),
    prompt_lengths=np.full(4, 4),
    problems=np.array([0, 0, 1, 1]),
    labels=np.array([1, 0, 1, 0]),
    weights=np.ones(4),
    held_out=np.zeros(4, dtype=bool),
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose configuration drops a tenth of everything."""
    folder = tiny_generator(tmp_path_factory.mktemp("published") / "generator")
    file = folder / "config.json"
    rates = dict.fromkeys(("attention_dropout", "residual_dropout", "embedding_dropout"), 0.1)
    file.write_text(json.dumps(json.loads(file.read_text()) | rates))
    return folder


def built(kind: str, model: str, **optimization: float) -> Any:
    settings = Optimization(effective_batch=4, **optimization)  # type: ignore[arg-type]
    if kind == "orm":
        config = OrmConfig(model=model, group_size=2, optimization=settings)
        return build_orm(config, CORPUS, load_tokenizer(model), "float32", PACKING)
    generator = GeneratorConfig(model=model, optimization=settings)
    return build_generator(generator, CORPUS, load_tokenizer(model), "float32", PACKING)


def one_pass(task: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which ways of computing attention a training pass takes."""
    taken: list[str] = []
    for name in ("by_merging", "by_programs"):
        way = getattr(packed_attention, name)
        monkeypatch.setattr(
            packed_attention, name,
            lambda *given, name=name, way=way, **settings: taken.append(name)
            or way(*given, **settings),
        )  # fmt: skip
    task.module.train()
    task.module.device = torch.device("cpu")
    totals = task.objective.totals(CORPUS, Step([[ROWS]]))
    sum(task.objective.losses(task.module, CORPUS, ROWS, totals).values()).backward()
    return sorted(set(taken))


@pytest.mark.parametrize("kind", ["orm", "generator"])
def test_a_published_checkpoint_trains_by_the_fast_path(
    kind: str, published: Path, tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    with caplog.at_level(logging.INFO, logger="codeprm.train"):
        task = built(kind, str(published))
    assert f"attention_dropout 0 instead of 0.1, which {published} has" in caplog.text
    assert one_pass(task, monkeypatch) == ["by_merging"]
    task.model.save_pretrained(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (saved["attention_dropout"], saved["residual_dropout"]) == (0.0, 0.1)


@pytest.mark.parametrize("kind", ["orm", "generator"])
def test_dropout_that_is_asked_for_is_there_and_told_to_the_next_loader(
    kind: str, published: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    task = built(kind, str(published), attention_dropout=0.2)
    assert one_pass(task, monkeypatch) == ["by_programs"]
    task.model.save_pretrained(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["attention_dropout"] == 0.2


def test_a_new_model_drops_what_is_asked_for(published: Path) -> None:
    task = built("generator", str(published))
    tokenizer = load_tokenizer(str(published))
    config = GeneratorConfig(
        model="scratch", max_length=64, optimization=Optimization(attention_dropout=0.3)
    )
    new = build_generator(config, CORPUS, tokenizer, "float32", PACKING)
    rates = [model.config.attention_dropout for model in (task.model, new.model)]
    assert rates == [0.0, 0.3]


def test_a_model_that_is_not_trained_stays_as_it_is(published: Path) -> None:
    assert load_classifier(str(published), None, "float32", 0).config.attention_dropout == 0.1


def test_a_model_without_that_setting_keeps_its_own(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=32, n_positions=32)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    model = load_generator(str(tmp_path), None, "float32", attention_dropout=0.0)
    assert model.config.attn_pdrop == config.attn_pdrop == 0.1
    with pytest.raises(ConfigError, match=r"GPT2Config of .* has no attention_dropout"):
        load_generator(str(tmp_path), None, "float32", attention_dropout=0.1)
