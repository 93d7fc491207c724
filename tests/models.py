"""Tiny random StarCoder2 checkpoints in the layout that training exports, for real engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codeprm.datasets import minitaco
from codeprm.prompts import docstring_prompt
from codeprm.training.config import Shape
from codeprm.training.models import load_classifier, new_generator
from codeprm.training.tokenizer import end_of_text_id, save_tokenizer, train_tokenizer

# vLLM on a CPU takes heads of 32 and more
SHAPE = Shape(vocab_size=512, hidden_size=64, layers=2, heads=2, kv_heads=1, intermediate_size=128)


def prompts(n: int) -> list[str]:
    """Prompts of mini-TACO problems."""
    rows = minitaco.problems(split="train", n=n)
    return [docstring_prompt(row["question"], row["starter_code"]) for row in rows]


def tiny_generator(folder: Path) -> Path:
    """A generator that writes nonsense, always the same for the same seed."""
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(prompts(64), SHAPE.vocab_size)
    n_tokens, end_id = tokenizer.get_vocab_size(), end_of_text_id(tokenizer)
    model = new_generator(SHAPE, n_tokens, end_id, "float32")
    _spread(model).save_pretrained(folder)
    save_tokenizer(tokenizer.to_str(), folder)
    return folder


def tiny_orm(folder: Path, generator: Path) -> Path:
    """A classifier on the generator's trunk."""
    import torch

    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = load_classifier(str(generator), None, "float32", pad_id=0)
    _spread(model).save_pretrained(folder)
    save_tokenizer((generator / "tokenizer.json").read_text(encoding="utf-8"), folder)
    return folder


def transformers_margins(model: Path, rows: list[list[int]]) -> list[float]:
    """What a reward model's rows of token ids are worth, computed one by one."""
    import torch
    from transformers import AutoModelForSequenceClassification

    classifier = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.no_grad():
        logits = [classifier(torch.tensor([row])).logits[0] for row in rows]
    return [float(fit - unfit) for unfit, fit in logits]


def _spread(model: Any) -> Any:
    """Fresh weights are so small that all logits are nearly equal; larger ones tell apart."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4.0)
    return model
