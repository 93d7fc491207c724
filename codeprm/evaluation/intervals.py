"""How sure a mean over problems is: percentile bootstrap, 95 %, over problems.

Problems are the unit that is drawn again (samples of one problem are not independent). A draw is a
vector of multinomial counts over the problems, shared by all columns of a table, so that a whole
curve or a row of selectors costs one matrix product, and so that columns stay paired. The interval
of a difference is the interval of the per-problem differences: `mean_band(a - b)`.

Counts come in blocks, so memory does not grow with problems x draws. Source: Efron 1979; Miller
2024 for evaluations of language models.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from codeprm.evaluation.best_of_n import Floats

DRAWS = 10_000
LEVEL = 0.95
BLOCK_CELLS = 4_000_000


class Interval(NamedTuple):
    """A value with the ends of its interval; NaN where there is nothing to average."""

    value: float
    low: float
    high: float


class Band(NamedTuple):
    """Intervals of many columns."""

    value: Floats
    low: Floats
    high: Floats

    def interval(self, column: int) -> Interval:
        """One column's."""
        return Interval(*(float(ends[column]) for ends in self))


def mean_interval(values: Floats, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Mean over problems; NaN marks a problem that has no value."""
    return mean_band(values[:, None], seed=seed, draws=draws).interval(0)


def mean_band(values: Floats, *, seed: int = 0, draws: int = DRAWS) -> Band:
    """Mean over problems of each column of a problems x columns table."""
    known = ~np.isnan(values)
    counted = known.astype(np.float64)
    if known.all():
        counted = counted[:, :1]
    return ratio_band(np.where(known, values, 0.0), counted, seed=seed, draws=draws)


def ratio_interval(
    numerators: Floats, denominators: Floats, *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Sum of numerators over sum of denominators, drawn together by problem."""
    band = ratio_band(numerators[:, None], denominators[:, None], seed=seed, draws=draws)
    return band.interval(0)


def ratio_band(
    numerators: Floats, denominators: Floats, *, seed: int = 0, draws: int = DRAWS
) -> Band:
    """`ratio_interval` of each column; one column of denominators serves all."""
    n_problems, n_columns = numerators.shape
    value = _divide(numerators.sum(axis=0), denominators.sum(axis=0))
    if n_problems == 0:
        return Band(value, value, value)
    both = np.hstack([numerators, denominators])
    drawn = np.empty((draws, n_columns))
    done = 0
    for counts in _counts(n_problems, draws, seed):
        sums = counts @ both
        drawn[done : done + len(counts)] = _divide(sums[:, :n_columns], sums[:, n_columns:])
        done += len(counts)
    low, high = _ends(drawn)
    return Band(value, low, high)


def _counts(n_problems: int, draws: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    rows = max(1, min(draws, BLOCK_CELLS // n_problems))
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        picks = rng.integers(n_problems, size=(size, n_problems))
        picks += n_problems * np.arange(size)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * n_problems)
        yield counts.reshape(size, n_problems).astype(np.float64)


def _ends(drawn: Floats) -> tuple[Floats, Floats]:
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    ends = np.full((2, drawn.shape[1]), np.nan)
    for i, column in enumerate(np.ascontiguousarray(drawn.T)):
        known = column[~np.isnan(column)]
        if len(known):
            ends[:, i] = np.quantile(known, tails)
    return ends[0], ends[1]


def _divide(numerators: Floats, denominators: Floats) -> Floats:
    # a weighted mean of nothing is not a number, and says so without a warning
    safe = np.where(denominators == 0, 1.0, denominators)
    return np.where(denominators == 0, np.nan, numerators / safe)
