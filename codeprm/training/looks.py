"""What a model is worth on rows that it does not learn from, while it trains and at the end.

    reward model   the weighted loss, each loss, and the mean over problems of both classes of the
                   area under the ROC curve within the problem
    generator      the mean loss over the solutions' tokens

A look changes nothing that is learnt: no gradient, and the random state is set before each step.
All ranks look together, since ranks that hold shards of the weights must step together.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from codeprm.training.batches import Indices, Step, passes_of, turns_of
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.corpus import Index
from codeprm.training.engine import Objective
from codeprm.training.following import limited
from codeprm.training.held_out import auc_within, by_problem
from codeprm.training.losses import LM, LOSSES
from codeprm.training.orm import held_out_margins, targets_of
from codeprm.training.packing import Packing


def loss_weights(config: GeneratorConfig | OrmConfig) -> dict[str, float]:
    """Of each loss of a run, the next-token loss among them."""
    if isinstance(config, GeneratorConfig):
        return {LM: 1.0}
    return {**config.losses, LM: config.lm_weight}


def look(
    engine: Any,
    objective: Objective,
    index: Index,
    config: GeneratorConfig | OrmConfig,
    packing: Packing | None,
    *,
    n_rows: int,
) -> dict[str, float]:
    """Numbers of at most `n_rows` held-out rows; empty where none is. Every rank must call it."""
    rows = limited(index, n_rows)
    if not len(rows):
        return {}
    if isinstance(config, GeneratorConfig):
        return {"held_out/loss": token_loss(engine, objective, index, rows)}
    chosen = np.zeros(len(index), dtype=np.bool_)
    chosen[rows] = True
    part = dataclasses.replace(index, held_out=chosen)
    return reward_numbers(part, held_out_margins(engine, part, packing), config)


def reward_numbers(
    index: Index, margins: npt.NDArray[np.float64], config: OrmConfig
) -> dict[str, float]:
    """Of the held-out rows and their margins; what has no terms is left out."""
    import torch

    rows, margins, offsets = by_problem(index, margins)
    totals = dict.fromkeys(config.losses, 0.0)
    terms = dict.fromkeys(config.losses, 0.0)
    # no loss compares programs of two problems, and pairs of all rows would be many
    for start, end in pairwise(offsets):
        targets = targets_of(index, rows[start:end])
        for name in config.losses:
            own = torch.from_numpy(margins[start:end])
            totals[name] += float(LOSSES[name].total(own, targets, config.loss_options))
            terms[name] += LOSSES[name].terms(targets)
    means = {name: totals[name] / terms[name] for name in totals if terms[name]}
    numbers = {f"held_out/loss/{name}": value for name, value in means.items()}
    if means:
        numbers["held_out/loss"] = sum(config.losses[name] * means[name] for name in means)
    auc = auc_within(margins, index.labels[rows] == 1, offsets)
    return numbers if auc is None else numbers | {"held_out/auc_within": auc}


def token_loss(engine: Any, objective: Objective, index: Index, rows: Indices) -> float:
    """Mean over the solutions' tokens of rows, on every rank; every rank must call it."""
    import torch
    import torch.distributed as dist

    rank, workers = dist.get_rank(), dist.get_world_size()
    passes = passes_of(rows, index.lengths)
    totals = objective.totals(index, Step([passes]))
    own = 0.0
    engine.eval()
    with torch.no_grad():
        for at, is_own in turns_of(len(passes), rank, workers):
            corpus = index.take(passes[at])
            losses = objective.losses(engine, corpus, np.arange(len(corpus)), totals)
            own += float(losses[LM]) if is_own else 0.0
    engine.train()
    total = torch.tensor(own, dtype=torch.float64, device=engine.device)
    dist.all_reduce(total)
    return float(total)
