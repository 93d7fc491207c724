"""Losses against their definitions, on tensors; no Ray."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codeprm.training.losses import Targets, counts_of_step, step_loss

torch = pytest.importorskip("torch")


def some_targets(n: int, seed: int) -> tuple[Any, Targets]:
    rng = np.random.default_rng(seed)
    margins = torch.tensor(rng.normal(size=n), requires_grad=True)
    return margins, Targets(rng.integers(0, 2, n), rng.uniform(0.5, 2.0, n), rng.integers(0, 3, n))


def loss_of(margins: Any, targets: Targets, name: str) -> Any:
    counts = counts_of_step([targets], weights={name: 1.0})
    return step_loss(margins, targets, weights={name: 1.0}, step_counts=counts)


def test_ce_on_margins_is_two_label_cross_entropy() -> None:
    margins, targets = some_targets(12, 0)
    logits = torch.stack([torch.zeros_like(margins), margins], dim=1)
    each = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(targets.labels), reduction="none"
    )
    weights = torch.from_numpy(targets.weights)
    expected = (weights * each).sum() / weights.sum()
    assert loss_of(margins, targets, "ce").item() == pytest.approx(expected.item(), rel=1e-12)


def test_bt_is_the_mean_over_pairs_within_problems() -> None:
    margins, targets = some_targets(12, 1)
    values = margins.detach().numpy()
    pairs = [
        np.log1p(np.exp(-(values[i] - values[j])))
        for i in range(12)
        for j in range(12)
        if targets.labels[i] > targets.labels[j] and targets.problems[i] == targets.problems[j]
    ]
    assert pairs
    assert loss_of(margins, targets, "bt").item() == pytest.approx(float(np.mean(pairs)), rel=1e-12)


def test_shares_of_passes_add_up_to_the_step() -> None:
    margins, targets = some_targets(12, 2)
    halves = [Targets(*(array[part] for array in targets)) for part in (slice(6), slice(6, 12))]
    weights = {"ce": 1.0}
    counts = counts_of_step(halves, weights=weights)
    shares = [
        step_loss(margins[part], half, weights=weights, step_counts=counts)
        for part, half in zip((slice(6), slice(6, 12)), halves, strict=True)
    ]
    assert sum(share.item() for share in shares) == pytest.approx(
        loss_of(margins, targets, "ce").item(), rel=1e-12
    )


def test_a_pass_without_pairs_has_zero_loss_and_gradient() -> None:
    margins, targets = some_targets(4, 3)
    alone = targets._replace(problems=np.arange(4))
    loss = loss_of(margins, alone, "bt")
    loss.backward()
    assert loss.item() == 0.0
    assert margins.grad is not None
    assert not margins.grad.any()
