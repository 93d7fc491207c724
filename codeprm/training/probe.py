"""The linear probe: a reward model whose trunk is the generator's, untouched, under a fitted head.

    rows -> trunk, once -> last-token features -> logistic regression with L2 -> the score layer

The trunk does not change, so each row passes through it once and not once an epoch, and what is
left is a convex problem with one solution, found in seconds:

    min over u, b:   sum w_i log(1 + exp(-y_i (u . x_i + b))) / sum w_i  +  l2 / 2 |u|^2

on features x of mean 0 and variance 1, y in -1, 1, the bias free. `l2` is chosen by the log loss on
programs of problems that the fit has not seen, in folds by problem. Weight and bias are then given
back for the features as they come.

The head of a StarCoder2 classifier has no bias. A shift of the final norm's bias along the weight
moves every margin by the same amount, and nothing else reads that norm in a classifier, so the bias
goes there: the checkpoint loads anywhere and gives the fitted margins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codeprm.errors import ConfigError, DataError
from codeprm.training.batches import passes_of
from codeprm.training.corpus import Index, padded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# (model, index, rows) -> [n, d]
Features = Callable[[Any, Index, Ints], npt.NDArray[np.float32]]

L2_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5
MAX_ITERATIONS = 1000
BATCH_TOKENS = 16384


class Probe(NamedTuple):
    """margin = features . weight + bias; `held_out_losses` has one mean log loss an `l2` tried."""

    weight: Floats
    bias: float
    l2: float
    held_out_losses: dict[float, float]

    def margins(self, features: npt.NDArray[Any]) -> Floats:
        """Of features [n, d]."""
        return np.asarray(features @ self.weight + self.bias, dtype=np.float64)


class Scale(NamedTuple):
    """Mean and standard deviation of each feature."""

    mean: Floats
    deviation: Floats


def fit_probe(
    features: npt.NDArray[Any],
    labels: Ints,
    weights: Floats,
    problems: Ints,
    *,
    l2: Sequence[float] = L2_GRID,
) -> Probe:
    """Head for features [n, d], labels 0 or 1, weights >= 0, problem numbers, each [n].

    With one `l2` nothing is held out. A user error where the labels are of one class, a number is
    not finite, or there are too few problems to choose by.
    """
    _require_fit(features, labels, weights, l2)
    losses: dict[float, float] = {}
    if len(l2) > 1:
        folds = list(_folds(labels, weights, problems))
        losses = {value: _held_out_loss(features, labels, weights, folds, value) for value in l2}
    best = min(losses, key=losses.__getitem__) if losses else l2[0]
    weight, bias = _fit(features, labels, weights, best)
    return Probe(weight, bias, best, losses)


def probe_classifier(
    model: Any,
    index: Index,
    *,
    l2: Sequence[float] = L2_GRID,
    features_of: Features | None = None,
) -> tuple[Probe, Floats]:
    """Fit the head of a classifier on the corpus and write it into the model.

    `features_of` computes features as `last_token_features` does, which is taken where none is
    given. Returns the probe and the margins of the held-out rows, in order, for the calibration.
    """
    train, held_out = np.flatnonzero(~index.held_out), np.flatnonzero(index.held_out)
    find = features_of or last_token_features
    probe = fit_probe(
        find(model, index, train),
        index.labels[train],
        index.weights[train],
        index.problems[train],
        l2=l2,
    )
    margins = probe.margins(find(model, index, held_out))
    left = write_head(model, probe)
    return probe, margins - left


def last_token_features(
    model: Any, index: Index, rows: Ints, *, batch_tokens: int = BATCH_TOKENS
) -> npt.NDArray[np.float32]:
    """Hidden states [n, d] at each row's last token, after the final norm; rows in their order."""
    import torch

    features = np.zeros((len(rows), model.config.hidden_size), dtype=np.float32)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        lengths, n = index.lengths[rows], len(rows)
        for batch in passes_of(np.arange(n), lengths, most_rows=n, most_tokens=batch_tokens):
            corpus = index.take(rows[batch])
            ids = torch.from_numpy(padded(corpus, np.arange(len(batch)))).to(model.device)
            hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
            ends = torch.from_numpy(corpus.lengths - 1).to(model.device)
            lines = torch.arange(len(batch), device=model.device)
            features[batch] = hidden[lines, ends].float().cpu().numpy()
    model.train(was_training)
    return features


def write_head(model: Any, probe: Probe) -> float:
    """Make the model's margins the probe's; returns the part of the bias that found no place.

    That is all of it where the final norm has no bias or holds it in less than float32; the
    calibration, which is fitted afterwards, takes it up.
    """
    import torch

    half = torch.as_tensor(probe.weight / 2, dtype=torch.float32, device=model.score.weight.device)
    bias = getattr(model.model.norm, "bias", None)
    model.score.float()
    with torch.no_grad():
        model.score.weight.copy_(torch.stack([-half, half]))
        squared = float(probe.weight @ probe.weight)
        if bias is None or bias.dtype not in (torch.float32, torch.float64) or not squared:
            return probe.bias
        bias += torch.as_tensor(
            probe.bias / squared * probe.weight, dtype=bias.dtype, device=bias.device
        )
    return 0.0


def _require_fit(
    features: npt.NDArray[Any], labels: Ints, weights: Floats, l2: Sequence[float]
) -> None:
    if not l2 or not all(0 < value < np.inf for value in l2):
        raise ConfigError("l2 must be numbers above 0, one or more")
    if not np.isfinite(features).all():
        raise DataError(
            "the model's hidden states hold numbers that are not finite: load it in float32, or "
            "see whether its checkpoint is whole"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("weights of examples must be numbers of 0 or more: make the examples again")
    if len(np.unique(labels[weights > 0])) < 2:
        raise DataError(
            f"the {len(labels)} training examples are of one class: label completions of problems "
            "that the generator solves sometimes"
        )


def _folds(labels: Ints, weights: Floats, problems: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Rows to fit on and rows to judge by; no problem is in both, and both classes in the first."""
    from sklearn.model_selection import GroupKFold

    n_problems = len(np.unique(problems))
    if n_problems >= 2:
        folds = GroupKFold(min(FOLDS, n_problems)).split(labels, groups=problems)
        for seen, unseen in folds:
            if len(np.unique(labels[seen][weights[seen] > 0])) == 2:
                yield seen, unseen


def _held_out_loss(
    features: npt.NDArray[Any],
    labels: Ints,
    weights: Floats,
    folds: Sequence[tuple[Ints, Ints]],
    l2: float,
) -> float:
    if not folds:
        raise DataError(
            "there are too few problems to choose l2 by problems that the fit has not seen: give "
            "one l2"
        )
    loss = weight_seen = 0.0
    for seen, unseen in folds:
        weight, bias = _fit(features[seen], labels[seen], weights[seen], l2)
        signed = (2.0 * labels[unseen] - 1.0) * (features[unseen] @ weight + bias)
        loss += float(weights[unseen] @ np.logaddexp(0.0, -signed))
        weight_seen += float(weights[unseen].sum())
    return loss / weight_seen


def _fit(
    features: npt.NDArray[Any], labels: Ints, weights: Floats, l2: float
) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    scale = _scale_of(features, weights)
    # sklearn weighs the sum of losses, not the penalty
    regression = LogisticRegression(C=1.0 / (l2 * weights.sum()), max_iter=MAX_ITERATIONS, tol=1e-6)
    regression.fit((features - scale.mean) / scale.deviation, labels, sample_weight=weights)
    weight = np.asarray(regression.coef_[0] / scale.deviation, dtype=np.float64)
    return weight, float(regression.intercept_[0] - scale.mean @ weight)


def _scale_of(features: npt.NDArray[Any], weights: Floats) -> Scale:
    mean = np.average(features, axis=0, weights=weights).astype(np.float64)
    variance = np.average((features - mean) ** 2, axis=0, weights=weights)
    deviation = np.sqrt(variance)
    # a feature that never changes says nothing, whatever it is divided by
    return Scale(mean, np.where(deviation > 1e-12, deviation, 1.0))
