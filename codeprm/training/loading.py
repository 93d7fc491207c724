"""Steps of the plan -> batches: the same examples with their tokens, packed into passes.

    Step, rows of all of the run -> Batch: a small corpus, and a step in its numbers

A batch has all that a step needs on any rank, so whoever trains holds no tokens but these. Steps
are loaded some at a time (`chunks`), so that a problem's tokens are read once for several of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from codeprm.training.batches import Indices, Step
from codeprm.training.corpus import Corpus
from codeprm.training.packing import Packing, examples_of, pack_step

CHUNK_TOKENS = 1 << 20
CHUNK_STEPS = 64
# Rows by their numbers, with their tokens, numbered anew.
Take = Callable[[Indices], Corpus]


class Batch(NamedTuple):
    """One optimizer step with its examples."""

    step: Step
    """Its passes, in rows of `corpus`."""
    corpus: Corpus
    """The step's examples alone."""
    numbers: Indices
    """Of each row of `corpus`, its number among all rows of the run."""


def load_batch(step: Step, take: Take, packing: Packing | None) -> Batch:
    """Take a step's rows, and pack them if they are to be packed."""
    numbers = examples_of(step)
    corpus = take(numbers)
    local = _renumbered(step)
    return Batch(pack_step(local, corpus, packing) if packing else local, corpus, numbers)


def chunks(plan: Iterable[Step], lengths: Indices) -> Iterator[list[Step]]:
    """The plan in runs of steps of about `CHUNK_TOKENS` tokens; `lengths` are of all rows."""
    steps = iter(plan)
    while first := list(islice(steps, 1)):
        tokens = max(1, int(lengths[examples_of(first[0])].sum()))
        n_steps = min(CHUNK_STEPS, max(1, CHUNK_TOKENS // tokens))
        yield first + list(islice(steps, n_steps - 1))


def _renumbered(step: Step) -> Step:
    """In the order of `examples_of`, which deals passes to ranks in turn."""
    ranks: list[list[Indices]] = [[] for _ in step.ranks]
    at = 0
    for turn in zip(*step.ranks, strict=True):
        for own, rows in zip(ranks, turn, strict=True):
            own.append(np.arange(at, at + len(rows)))
            at += len(rows)
    return Step(ranks)
