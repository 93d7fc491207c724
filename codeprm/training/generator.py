"""The generator's run: its model, and the exact mean loss over the solutions' tokens of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from codeprm.training.adapters import add_adapters
from codeprm.training.batches import Indices, Step
from codeprm.training.config import GeneratorConfig
from codeprm.training.corpus import Corpus, Index, next_token_targets, padded
from codeprm.training.engine import Task
from codeprm.training.losses import LM
from codeprm.training.models import generator_module, load_generator, new_generator
from codeprm.training.packed_models import packed_generator_module, packed_token_losses
from codeprm.training.packing import Packing
from codeprm.training.tokenizer import end_of_text_id, require_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer


class GeneratorObjective:
    """Mean over the target tokens of all ranks; prompts and padding are never in it."""

    def __init__(self, packing: Packing | None) -> None:
        self._packing = packing

    def totals(self, index: Index, step: Step) -> int:
        lengths = index.target_lengths
        return int(sum(lengths[rows].sum() for rows in step.micro_batches))

    def losses(
        self, engine: Any, corpus: Corpus, rows: Indices, totals: int
    ) -> dict[str, torch.Tensor]:
        import torch

        if self._packing is not None:
            share = self._packing.share
            return {LM: packed_token_losses(engine, corpus, rows, share=share) / totals}
        ids = padded(corpus, rows)
        targets = next_token_targets(corpus, rows, ids)
        total: torch.Tensor = engine(
            torch.from_numpy(ids).to(engine.device), torch.from_numpy(targets).to(engine.device)
        )
        return {LM: total / totals}


def build_generator(
    config: GeneratorConfig,
    index: Index,
    tokenizer: Tokenizer,
    dtype: str,
    packing: Packing | None = None,
) -> Task:
    """A new model or the one to start from, with its objective."""
    end_id, dropout = end_of_text_id(tokenizer), config.optimization.attention_dropout
    if config.from_scratch:
        n_tokens = tokenizer.get_vocab_size()
        model = new_generator(config.shape, n_tokens, end_id, dtype, attention_dropout=dropout)
    else:
        model = load_generator(config.model, config.revision, dtype, attention_dropout=dropout)
        require_tokenizer(tokenizer, model, config)
        if config.lora is not None:
            add_adapters(model, config.lora)
    units = [np.array([row], dtype=np.int64) for row in np.flatnonzero(~index.held_out)]
    if packing is None:
        module = generator_module(model)
    else:
        module = packed_generator_module(model, longest=int(index.lengths.max()))
    return Task(model, module, GeneratorObjective(packing), units)
