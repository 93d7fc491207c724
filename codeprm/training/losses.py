"""What the reward model's margins are trained on.

A loss is a sum over the terms of one forward pass and the number of those terms in a whole step.
The step divides by that number over all ranks, so the result does not depend on how the batch was
split. Margins m are logit(pass) - logit(fail); terms are

    ce   one a program: -log sigmoid(+-m), which is two-label cross-entropy, weighted
    bt   one a pair (i passed, j failed) of one problem: -log sigmoid(m_i - m_j)

To add a loss: two functions and a line in `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from codeprm.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


class Targets(NamedTuple):
    """What is known of the programs of one forward pass, as arrays or as tensors."""

    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    problems: npt.NDArray[np.int64]


class Loss(NamedTuple):
    """`total(margins, targets)` sums the terms, `terms(targets)` says how many they weigh."""

    total: Callable[[Tensor, Targets], Tensor]
    terms: Callable[[Targets], float]


def cross_entropy_total(margins: Tensor, targets: Targets) -> Tensor:
    import torch

    signs = torch.as_tensor(2.0 * targets.labels - 1.0, dtype=margins.dtype, device=margins.device)
    weights = torch.as_tensor(targets.weights, dtype=margins.dtype, device=margins.device)
    return -(weights * torch.nn.functional.logsigmoid(signs * margins)).sum()


def cross_entropy_terms(targets: Targets) -> float:
    return float(targets.weights.sum())


def pairwise_total(margins: Tensor, targets: Targets) -> Tensor:
    import torch

    better, worse = (torch.as_tensor(side, device=margins.device) for side in _pairs(targets))
    return -torch.nn.functional.logsigmoid(margins[better] - margins[worse]).sum()


def pairwise_terms(targets: Targets) -> float:
    return float(len(_pairs(targets)[0]))


def _pairs(targets: Targets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    same = targets.problems[:, None] == targets.problems[None, :]
    better = (targets.labels[:, None] == 1) & (targets.labels[None, :] == 0)
    rows, columns = np.nonzero(same & better)
    return rows, columns


LOSSES: dict[str, Loss] = {
    "ce": Loss(cross_entropy_total, cross_entropy_terms),
    "bt": Loss(pairwise_total, pairwise_terms),
}


def check_losses(weights: Mapping[str, float]) -> None:
    """Unknown names list the known ones."""
    unknown = [name for name in weights if name not in LOSSES]
    if unknown or not weights:
        raise ConfigError(
            f"no loss {', '.join(unknown) or 'is given'}: choose of {', '.join(LOSSES)}"
        )


def step_loss(
    margins: Tensor,
    targets: Targets,
    *,
    weights: Mapping[str, float],
    step_counts: Mapping[str, float],
) -> Tensor:
    """This pass's share of the step's mean loss."""
    loss = 0.0 * margins.sum()
    for name, weight in weights.items():
        if step_counts[name]:
            loss = loss + weight / step_counts[name] * LOSSES[name].total(margins, targets)
    return loss


def counts_of_step(passes: Sequence[Targets], *, weights: Mapping[str, float]) -> dict[str, float]:
    """Terms of each loss over all passes of all ranks."""
    return {name: sum(LOSSES[name].terms(targets) for targets in passes) for name in weights}
