"""The linear probe on a tiny classifier: features, head, and the checkpoint; no Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeprm.training.corpus import Corpus, padded
from codeprm.training.models import load_classifier
from codeprm.training.probe import last_token_features, probe_classifier, write_head
from tests.models import tiny_generator

torch = pytest.importorskip("torch")


@pytest.fixture
def classifier(tmp_path: Path) -> Any:
    torch.manual_seed(0)
    return load_classifier(str(tiny_generator(tmp_path / "generator")), None, "float32", pad_id=0)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 30, 80)
    labels = rng.integers(0, 2, 80)
    ids = rng.integers(1, 200, lengths.sum()).astype(np.uint16)
    # the last token gives the label away, mostly
    ids[np.cumsum(lengths) - 1] = 100 + 10 * labels + rng.integers(0, 12, 80)
    return Corpus(
        ids=ids,
        lengths=np.asarray(lengths),
        prompt_lengths=lengths // 2,
        problems=np.arange(80) // 8,
        labels=labels,
        weights=np.ones(80),
        held_out=np.arange(80) >= 64,
    )


def margins_of(model: Any, corpus: Corpus, rows: Any) -> Any:
    found = []
    for row in rows:
        with torch.no_grad():
            logits = model(torch.from_numpy(corpus.row(int(row)))[None]).logits[0]
        found.append(float(logits[1] - logits[0]))
    return np.array(found)


def test_features_do_not_depend_on_batches_or_padding(classifier: Any, corpus: Corpus) -> None:
    rows = np.arange(80)
    together = last_token_features(classifier, corpus, rows)
    alone = last_token_features(classifier, corpus, rows, batch_tokens=1)
    assert np.allclose(together, alone, atol=1e-5)
    assert together.shape == (80, classifier.config.hidden_size)
    ids = torch.from_numpy(padded(corpus, rows[:1]))
    with torch.no_grad():
        hidden = classifier.model(input_ids=ids).last_hidden_state[0, -1]
    assert np.allclose(together[0], hidden.numpy(), atol=1e-5)


def test_the_models_margins_are_the_probes(classifier: Any, corpus: Corpus, tmp_path: Path) -> None:
    probe, held_out = probe_classifier(classifier, corpus, l2=[1e-3, 1e-2])
    assert probe.bias != 0.0
    rows = np.flatnonzero(corpus.held_out)
    assert np.allclose(margins_of(classifier, corpus, rows), held_out, atol=1e-4)
    assert ((held_out > 0) == corpus.labels[rows]).mean() > 0.6
    classifier.save_pretrained(tmp_path / "orm")
    again = load_classifier(str(tmp_path / "orm"), None, "float32", pad_id=0)
    assert np.allclose(margins_of(again, corpus, rows), held_out, atol=1e-4)


def test_only_the_head_and_the_last_norms_bias_change(classifier: Any, corpus: Corpus) -> None:
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    probe_classifier(classifier, corpus, l2=[1e-2])
    changed = {n for n, v in classifier.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"score.weight", "model.norm.bias"}


def test_a_bias_that_finds_no_place_is_told(classifier: Any, corpus: Corpus) -> None:
    probe, held_out = probe_classifier(classifier, corpus, l2=[1e-2])
    half = classifier.to(torch.bfloat16)
    norm = half.model.norm.bias.clone()
    assert write_head(half, probe) == probe.bias
    assert torch.equal(half.model.norm.bias, norm)
    assert half.score.weight.dtype == torch.float32
    assert len(held_out) == 16
