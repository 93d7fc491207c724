"""LoRA, checkpoints of another size, tokenizers of other models; small models, no Ray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeprm.errors import ConfigError, DataError
from codeprm.training.adapters import FOLDER, LORA, add_adapters, has_adapters
from codeprm.training.config import LORA_TARGETS, GeneratorConfig, Lora, Shape
from codeprm.training.corpus import Corpus, next_token_targets, padded
from codeprm.training.memory import lora_parameters
from codeprm.training.models import (
    generator_module,
    load_classifier,
    load_generator,
    new_generator,
    save_model,
)
from codeprm.training.packed_models import packed_generator_module, packed_token_losses
from codeprm.training.tokenizer import (
    PROBE,
    require_tokenizer,
    save_tokenizer,
    train_tokenizer,
)

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

SHAPE = Shape(vocab_size=40, hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=48)
ROWS = np.arange(4)
LENGTHS = np.array([12, 7, 9, 15])
CORPUS = Corpus(
    ids=np.random.default_rng(0).integers(1, 40, 43).astype(np.uint16),
    lengths=LENGTHS,
    prompt_lengths=np.array([4, 3, 4, 5]),
    problems=np.array([0, 1, 0, 1]),
    labels=np.ones(4, dtype=np.int64),
    weights=np.ones(4),
    held_out=np.zeros(4, dtype=bool),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base")
    new_generator(SHAPE, SHAPE.vocab_size, 0, "float32").save_pretrained(folder)
    return folder


def adapted(base: Path, **settings: Any) -> Any:
    torch.manual_seed(1)
    model = generator(base)
    add_adapters(model, Lora(rank=4, **settings))
    return model


def generator(folder: Path) -> Any:
    return load_generator(str(folder), None, "float32")


def classifier(folder: Path) -> Any:
    return load_classifier(str(folder), None, "float32", 0)


def packed_loss(model: Any) -> Any:
    module = packed_generator_module(model, longest=15)
    module.device = torch.device("cpu")
    return packed_token_losses(module, CORPUS, ROWS, share=False)


def trained(model: Any, steps: int = 15) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = packed_loss(model)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def weights_of(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def logits_of(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(padded(CORPUS, ROWS))).logits


def test_packed_training_changes_the_adapters_alone(base: Path) -> None:
    model = adapted(base)
    assert has_adapters(model)
    before = weights_of(model)
    losses = trained(model)
    assert losses[-1] < 0.95 * losses[0]
    changed = {name for name, value in weights_of(model).items() if (value != before[name]).any()}
    assert changed == {name for name in before if LORA in name}
    assert sum(before[name].numel() for name in changed) == lora_parameters(SHAPE, Lora(rank=4))


def test_packed_and_plain_losses_are_the_same_with_adapters(base: Path) -> None:
    model = adapted(base)
    trained(model)
    ids = padded(CORPUS, ROWS)
    targets = torch.from_numpy(next_token_targets(CORPUS, ROWS, ids))
    with torch.no_grad():
        packed = packed_loss(model)
        plain = generator_module(model)(torch.from_numpy(ids), targets)
    assert float(packed) == pytest.approx(float(plain), rel=1e-5)


def test_the_first_step_starts_from_the_model_itself(base: Path) -> None:
    plain = generator(base)
    assert torch.equal(logits_of(adapted(base)), logits_of(plain))


@pytest.mark.parametrize("targets", list(LORA_TARGETS))
def test_the_merged_checkpoint_is_the_model_with_its_adapters(
    base: Path, targets: str, tmp_path: Path
) -> None:
    from peft import PeftModel

    model = adapted(base, targets=targets, alpha=7.0, dropout=0.1)
    trained(model)
    expected = logits_of(model)
    save_model(model, weights_of(model), tmp_path)
    merged = generator(tmp_path)
    assert not has_adapters(merged)
    assert {name for name, _ in merged.named_parameters()} == {
        name for name, _ in generator(base).named_parameters()
    }
    assert torch.allclose(logits_of(merged), expected, atol=1e-5)
    assert not torch.allclose(logits_of(generator(base)), expected)
    beside = PeftModel.from_pretrained(generator(base), str(tmp_path / FOLDER))
    assert torch.allclose(logits_of(beside), expected, atol=1e-6)


def test_gradients_reach_adapters_through_recomputed_layers(base: Path) -> None:
    found = []
    for is_recomputed in (False, True):
        model = adapted(base)
        if is_recomputed:
            model.gradient_checkpointing_enable()
        model.train()
        packed_loss(model).backward()
        found.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    assert any(gradient.abs().max() > 0 for gradient in found[0])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


def test_adapters_need_a_model_and_make_sense() -> None:
    with pytest.raises(ConfigError, match="made from scratch has nothing to adapt"):
        GeneratorConfig(model="scratch", max_length=512, lora=Lora())
    with pytest.raises(ConfigError, match="LoRA needs a rank of 1 or more"):
        Lora(rank=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_size", 64), ("num_hidden_layers", 3), ("num_hidden_layers", 1), ("vocab_size", 50)],
)
@pytest.mark.parametrize("is_classifier", [False, True])
def test_a_checkpoint_of_another_size_is_refused(
    base: Path, name: str, value: int, is_classifier: bool, tmp_path: Path
) -> None:
    shutil.copy(base / "model.safetensors", tmp_path)
    values = json.loads((base / "config.json").read_text()) | {name: value}
    (tmp_path / "config.json").write_text(json.dumps(values))
    load = classifier if is_classifier else generator
    with pytest.raises(DataError, match=r"is of another size than its config\.json says"):
        load(tmp_path)


def test_half_a_file_of_weights_is_refused(base: Path, tmp_path: Path) -> None:
    shutil.copy(base / "config.json", tmp_path)
    weights = (base / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(DataError, match="cannot load the model"):
        generator(tmp_path)


def test_a_tokenizer_that_is_not_the_models_is_refused(base: Path, tmp_path: Path) -> None:
    model = generator(base)
    config = GeneratorConfig(model=str(tmp_path))
    tokenizer = train_tokenizer([PROBE] * 3, 300)
    with pytest.raises(DataError, match="is not the model's: its ids go up to"):
        require_tokenizer(tokenizer, model, config)
    model.resize_token_embeddings(tokenizer.get_vocab_size())
    save_tokenizer(tokenizer.to_str(), tmp_path)
    require_tokenizer(tokenizer, model, config)
    other = train_tokenizer(["while True:\n    x = 12\n"] * 3, 280)
    with pytest.raises(DataError, match="prepared with a tokenizer that is not the model's"):
        require_tokenizer(other, model, config)
