"""A reward model on a trunk that stays as it is: each row passes once, then the head is fitted.

There are no steps and no optimizer, so nothing of DeepSpeed's is needed: every worker holds the
whole trunk, computes its share of the features, and all fit the same head to all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codeprm.training.config import OrmConfig
from codeprm.training.corpus import Index
from codeprm.training.models import load_classifier
from codeprm.training.orm import shares_of
from codeprm.training.probe import Floats, Ints, last_token_features, probe_classifier
from codeprm.training.tokenizer import end_of_text_id, require_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer


class Frozen(NamedTuple):
    """The classifier with its fitted head, and the margins of the held-out rows, in order."""

    model: Any
    weights: dict[str, torch.Tensor]
    margins: Floats
    facts: dict[str, Any]


def fit_frozen(
    config: OrmConfig, index: Index, tokenizer: Tokenizer, *, dtype: str, device: Any
) -> Frozen:
    """Load, compute features once, fit; every rank must call it, and all get the same."""
    model = load_classifier(config.model, config.revision, dtype, end_of_text_id(tokenizer))
    require_tokenizer(tokenizer, model, config)
    model.to(device)
    probe, margins = probe_classifier(model, index, features_of=shared_features)
    facts = {
        "trunk": "frozen",
        "examples": int((~index.held_out).sum()),
        "steps": 0,
        "l2": probe.l2,
        "final_loss": probe.held_out_losses.get(probe.l2),
    }
    weights = {name: value.detach().cpu() for name, value in model.named_parameters()}
    return Frozen(model, weights, margins, facts)


def shared_features(model: Any, index: Index, rows: Ints) -> npt.NDArray[np.float32]:
    """`last_token_features` of rows, each rank computing an equal share of the tokens or so."""
    import torch.distributed as dist

    if not dist.is_initialized() or dist.get_world_size() == 1:
        return last_token_features(model, index, rows)
    # positions in `rows`, dealt out by length
    shares = shares_of(np.argsort(index.lengths[rows], kind="stable"), dist.get_world_size())
    gathered: list[Any] = [None] * dist.get_world_size()
    mine = shares[dist.get_rank()]
    dist.all_gather_object(gathered, last_token_features(model, index, rows[mine]))
    features = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    for share, part in zip(shares, gathered, strict=True):
        features[share] = part
    return features
