"""The reward model's run: classifier, objective, margins of programs held out of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from codeprm.errors import ConfigError
from codeprm.training.batches import (
    LOOK_TOKENS,
    Indices,
    Step,
    groups_of,
    passes_of,
    turns_of,
)
from codeprm.training.config import OrmConfig
from codeprm.training.corpus import IGNORED, Corpus, Index, next_token_targets, padded
from codeprm.training.engine import Task
from codeprm.training.losses import LM, Targets, counts_of_step, step_losses
from codeprm.training.models import classifier_module, load_classifier
from codeprm.training.packed_models import packed_classifier_module, packed_outputs
from codeprm.training.packing import Packing
from codeprm.training.tokenizer import end_of_text_id, require_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

NO_ROWS: Indices = np.empty(0, dtype=np.int64)
# (engine, corpus, rows, spoken) -> margins of rows, and the sum of token losses of `spoken`
Outputs = Callable[[Any, Corpus, Indices, Indices], tuple["torch.Tensor", "torch.Tensor"]]


class RewardObjective:
    """Weighted sum of the losses, each a mean over its terms in the step.

    With `lm_weight`, the mean loss of the next token over the programs that passed is added: the
    model goes on being a generator of right programs, which keeps it from learning the few failing
    ones by heart (as Cobbe et al. 2021, arXiv 2110.14168, for verifiers of mathematics).
    """

    def __init__(self, config: OrmConfig, packing: Packing | None = None) -> None:
        self._outputs = outputs_of(packing)
        self._losses = config.losses
        self._options = config.loss_options
        self._lm_weight = config.lm_weight

    def totals(self, index: Index, step: Step) -> dict[str, float]:
        passes = [targets_of(index, rows) for rows in step.micro_batches]
        lengths = index.target_lengths
        tokens = sum(lengths[self._spoken(index, rows)].sum() for rows in step.micro_batches)
        return counts_of_step(passes, weights=self._losses) | {LM: float(tokens)}

    def losses(
        self, engine: Any, corpus: Corpus, rows: Indices, totals: Mapping[str, float]
    ) -> dict[str, torch.Tensor]:
        margins, tokens = self._outputs(engine, corpus, rows, self._spoken(corpus, rows))
        targets = targets_of(corpus, rows)
        losses = step_losses(
            margins, targets, weights=self._losses, step_counts=totals, options=self._options
        )
        if self._lm_weight:
            losses[LM] = self._lm_weight / max(totals[LM], 1.0) * tokens
        return losses

    def _spoken(self, index: Index, rows: Indices) -> Indices:
        passed = index.labels[rows] == 1
        return rows[passed] if self._lm_weight else NO_ROWS


def build_orm(
    config: OrmConfig,
    index: Index,
    tokenizer: Tokenizer,
    dtype: str,
    packing: Packing | None = None,
) -> Task:
    """A classifier on the generator's trunk, with its objective; held-out rows are left out."""
    end_id, dropout = end_of_text_id(tokenizer), config.optimization.attention_dropout
    model = load_classifier(config.model, config.revision, dtype, end_id, attention_dropout=dropout)
    require_tokenizer(tokenizer, model, config)
    if config.lm_weight and not model.config.tie_word_embeddings:
        raise ConfigError(
            f"{config.model} has an output layer of its own, which a classifier drops: lm_weight "
            "must be 0 for it"
        )
    rows = np.flatnonzero(~index.held_out)
    chunks = groups_of(
        index.problems[rows],
        index.labels[rows],
        group_size=config.group_size,
        seed=config.optimization.seed,
    )
    objective = RewardObjective(config, packing)
    with_lm = config.lm_weight > 0
    if packing is None:
        module = classifier_module(model, with_lm=with_lm)
    else:
        longest = int(index.lengths.max())
        module = packed_classifier_module(model, with_lm=with_lm, longest=longest)
    return Task(model, module, objective, [rows[chunk] for chunk in chunks])


def targets_of(index: Index, rows: Indices) -> Targets:
    """What is known of rows."""
    return Targets(
        index.labels[rows], index.weights[rows], index.problems[rows], index.targets[rows]
    )


def outputs_of(packing: Packing | None) -> Outputs:
    """Margins and token losses, as the module that packs so takes its rows."""
    return engine_outputs if packing is None else partial(packed_outputs, share=packing.share)


def engine_outputs(
    engine: Any, corpus: Corpus, rows: Indices, spoken: Indices
) -> tuple[torch.Tensor, torch.Tensor]:
    """Margins of rows, read at each row's last token, and the sum of token losses of `spoken`."""
    import torch

    ids = padded(corpus, rows)
    targets = next_token_targets(corpus, rows, ids)
    targets[~np.isin(rows, spoken)] = IGNORED
    given = (ids, corpus.lengths[rows] - 1, targets)
    margins, tokens = engine(*(torch.from_numpy(array).to(engine.device) for array in given))
    return margins, tokens


def held_out_margins(
    engine: Any, index: Index, packing: Packing | None = None
) -> npt.NDArray[np.float64]:
    """Margins of all held-out rows, in order, on every rank; every rank must call it."""
    import torch
    import torch.distributed as dist

    rows = np.flatnonzero(index.held_out)
    rank, workers = dist.get_rank(), dist.get_world_size()
    most_tokens = LOOK_TOKENS if packing is None else min(LOOK_TOKENS, packing.budget)
    passes = passes_of(rows, index.lengths, most_tokens=most_tokens)
    found = []
    engine.eval()
    with torch.no_grad():
        for at, is_own in turns_of(len(passes), rank, workers):
            corpus = index.take(passes[at])
            margins, _ = outputs_of(packing)(engine, corpus, np.arange(len(corpus)), NO_ROWS)
            found += [margins] if is_own else []
    engine.train()
    gathered: list[Any] = [None] * workers
    dist.all_gather_object(gathered, [margins.double().cpu().numpy() for margins in found])
    by_row = np.zeros(len(index))
    for first, its_margins in enumerate(gathered):
        for own, values in zip(passes[first::workers], its_margins, strict=True):
            by_row[own] = values
    return by_row[rows]


def shares_of(rows: Indices, workers: int) -> list[Indices]:
    """Equal shares, the last rows repeated: ranks that hold shards must step together."""
    if not len(rows):
        return [rows] * workers
    size = -(-len(rows) // workers)
    filled = np.concatenate([rows, np.full(size * workers - len(rows), rows[-1])])
    return [filled[rank::workers] for rank in range(workers)]
