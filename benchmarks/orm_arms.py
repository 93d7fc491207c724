"""Four ways to compute the steps of a reward model, which must all be the same steps.

reference   every row padded to one length, one row a pass, as CodeRM's loader has it; attention
            skips the padding, as the flash attention that it uses does, the layers do not
padded      a few rows a pass, neighbours in length, padded to the longest of them
packed      rows end to end under a token budget
shared      the same, with what programs of a problem begin with computed once
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.corpora import new_model
from codeprm.training.batches import Indices, Step
from codeprm.training.config import Shape
from codeprm.training.corpus import Corpus, padded
from codeprm.training.losses import counts_of_step, step_loss
from codeprm.training.models import classifier_module
from codeprm.training.orm import targets_of
from codeprm.training.packed_models import packed_classifier_module, packed_outputs
from codeprm.training.packed_pass import FamilySpans, Span
from codeprm.training.packing import Packing, families_of, pack_step, tokens_of

ARMS = ("reference", "padded", "packed", "shared")
LOSSES = {"ce": 1.0}
NO_ROWS: Indices = np.empty(0, dtype=np.int64)


class Sizes(NamedTuple):
    """Of passes: the reference's rows, rows that are padded together, tokens of a packed one."""

    pad_to: int
    micro_batch: int
    budget: int


def new_module(name: str, shape: Shape, sizes: Sizes, *, seed: int) -> Any:
    """The module that an arm drives, over a fresh classifier."""
    from transformers import AutoModelForSequenceClassification

    model = new_model(AutoModelForSequenceClassification, shape, seed=seed, num_labels=2)
    if name == "padded":
        return classifier_module(model, with_lm=False)
    return packed_classifier_module(model, with_lm=False, longest=sizes.pad_to)


class Arm:
    """One way to compute steps, with a model and an optimizer of its own."""

    def __init__(self, name: str, shape: Shape, sizes: Sizes, *, rate: float, seed: int) -> None:
        import torch

        self.name, self.sizes = name, sizes
        self.device = torch.device("cpu")
        self.module = new_module(name, shape, sizes, seed=seed)
        parameters = self.module.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95))

    def __call__(self, *given: Any) -> Any:
        """As an engine: what `packed_outputs` asks."""
        return self.module(*given)

    def step(self, corpus: Corpus, rows: Indices) -> float:
        """The loss of one optimizer step over rows."""
        passes = self.passes(corpus, rows)
        counts = counts_of_step([targets_of(corpus, own) for own in passes], weights=LOSSES)
        total = 0.0
        for index, own in enumerate(passes, 1):
            targets = targets_of(corpus, own)
            margins = self.margins(corpus, own)
            loss = step_loss(margins, targets, weights=LOSSES, step_counts=counts)
            self.backward(loss, is_last=index == len(passes))
            total += float(loss.detach())
        return total

    def backward(self, loss: Any, *, is_last: bool) -> None:
        """Of one pass; the step's last also changes the weights."""
        loss.backward()
        if is_last:
            self.optimizer.step()
            self.optimizer.zero_grad()

    def passes(self, corpus: Corpus, rows: Indices) -> list[Indices]:
        """The rows of each forward pass."""
        if self.name in ("reference", "padded"):
            size = 1 if self.name == "reference" else self.sizes.micro_batch
            in_order = rows[np.argsort(corpus.lengths[rows], kind="stable")]
            return [in_order[at : at + size] for at in range(0, len(rows), size)]
        packing = Packing(budget=self.sizes.budget, share=self.name == "shared")
        return pack_step(Step([[rows]]), corpus, packing).micro_batches

    def tokens(self, corpus: Corpus, rows: Indices) -> int:
        """Tokens that the layers compute."""
        passes, lengths = self.passes(corpus, rows), corpus.lengths
        if self.name == "reference":
            return self.sizes.pad_to * len(passes)
        if self.name == "padded":
            return int(sum(len(own) * lengths[own].max() for own in passes))
        share = self.name == "shared"
        return sum(tokens_of(families_of(corpus, own, share=share), lengths) for own in passes)

    def margins(self, corpus: Corpus, rows: Indices) -> Any:
        import torch

        if self.name in ("packed", "shared"):
            return packed_outputs(self, corpus, rows, NO_ROWS, share=self.name == "shared")[0]
        ids = torch.from_numpy(padded(corpus, rows)).to(self.device)
        ends = torch.from_numpy(corpus.lengths[rows] - 1).to(self.device)
        if self.name == "padded":
            return self.module(ids, ends, ids)[0]
        # the layers compute the padding, the attention does not
        length = ids.shape[1]
        ids = torch.nn.functional.pad(ids, (0, self.sizes.pad_to - length))
        families = (FamilySpans(Span(0, 0), (Span(0, length),)),)
        positions = torch.arange(self.sizes.pad_to, device=self.device)[None]
        return self.module(ids, positions, ends, ends, ends, ends, families)[0]
