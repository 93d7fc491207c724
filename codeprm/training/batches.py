"""The order of training: which examples each worker sees in each step.

A run is a stream of epochs, each its own shuffle of all examples, cut into steps of exactly
`effective_batch`. Steps are made of neighbours in length within a window of some steps, so that
padding is little and the order still random. Everything follows from the seed and the lengths:
every rank computes the same plan, and a resumed run skips to its step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

WINDOW_STEPS = 8


class Step(NamedTuple):
    """One optimizer step: `ranks[rank][k]` are the examples of the rank's k-th forward pass."""

    ranks: list[list[Indices]]

    @property
    def micro_batches(self) -> Iterator[Indices]:
        """Of all ranks."""
        return (micro for rank in self.ranks for micro in rank)


def plan_steps(
    units: Sequence[Indices],
    lengths: npt.NDArray[np.int64],
    *,
    steps: int,
    effective_batch: int,
    workers: int,
    passes: int,
    seed: int,
) -> Iterator[Step]:
    """`steps` steps over `units`: examples that stay together (alone, or of one problem)."""
    rng = np.random.default_rng(seed)
    stream = _epochs(units, rng)
    left = steps
    held = np.empty(0, dtype=np.int64)
    while left:
        n_steps = min(WINDOW_STEPS, left)
        window, held = _take(stream, held, n_steps * effective_batch)
        for batch in _by_length(window, lengths, effective_batch, rng):
            yield _dealt(batch, workers, passes)
        left -= n_steps


def groups_of(
    problems: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    *,
    group_size: int,
    seed: int,
) -> list[Indices]:
    """Chunks of at most `group_size` examples of one problem, both classes in turn."""
    rng = np.random.default_rng(seed)
    chunks: list[Indices] = []
    for problem in np.unique(problems):
        members = rng.permutation(np.flatnonzero(problems == problem))
        passing, failing = members[labels[members] == 1], members[labels[members] == 0]
        rank = np.concatenate([np.arange(len(passing)), np.arange(len(failing))])
        mixed = np.concatenate([passing, failing])[np.argsort(rank, kind="stable")]
        chunks += [mixed[i : i + group_size] for i in range(0, len(mixed), group_size)]
    return chunks


class _Unit(NamedTuple):
    indices: Indices


def _epochs(units: Sequence[Indices], rng: np.random.Generator) -> Iterator[Indices]:
    for _ in count():
        for index in rng.permutation(len(units)):
            yield units[index]


def _take(stream: Iterator[Indices], held: Indices, n: int) -> tuple[Indices, Indices]:
    taken, size = [held], len(held)
    while size < n:
        unit = next(stream)
        taken.append(unit)
        size += len(unit)
    merged = np.concatenate(taken)
    return merged[:n], merged[n:]
