"""How sure a mean over problems is: bootstrap intervals, 95 %, over problems.

Three methods, one word to choose. `percentile` takes the ends from the draws as they are, which is
a little narrow: draws of M problems spread by (M - 1) / M too little and have the normal's tails.
`expanded` takes them further out, at the share Phi(-t * sqrt(M / (M - 1))) with Student's t of
M - 1 degrees (Hesterberg 2015), which is exact for a mean of normal values. `bca` corrects the
shares of each column for bias and skew (Efron 1987): bias by the share of draws below the value,
skew by leaving out one problem at a time. `docs/benchmarks.md` has how often each covers the truth;
the default is the one that comes nearest to what it says.

The interval of a difference is the interval of the per-problem differences, `difference_band`:
problems are paired, and one that lacks either value is left out. `simultaneous_band` holds a whole
curve: all its points at once lie inside with 95 %, where 95 % intervals of single points do not.
Its width is that of the largest of all columns' deviations in a draw, each over its own standard
error (Montiel Olea and Plagborg-Moller 2019, sup-t), with the same widening for few problems.

What rests on fewer than `MIN_UNITS` problems has a value but no interval, its ends are NaN: drawing
three problems again says nothing, and of one problem would say that it is certain.

Sources: Efron 1979, Efron 1987; Miller 2024 for evaluations of language models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypedDict, Unpack

import numpy as np

from codeprm.evaluation.best_of_n import Floats
from codeprm.evaluation.bootstrap import (
    NORMAL,
    Clusters,
    Ratios,
    at_shares,
    divide,
    means,
    ratios,
    sorted_columns,
    student,
)

Method = Literal["percentile", "expanded", "bca"]

DRAWS = 10_000
LEVEL = 0.95
METHOD: Method = "expanded"
MIN_UNITS = 5
"""Problems, or clusters of them, below which there is no interval."""


class Resampling(TypedDict, total=False):
    """How intervals are made; what is left out is 0, `DRAWS` and `METHOD`."""

    seed: int
    draws: int
    method: Method


class Interval(NamedTuple):
    """A value with the ends of its interval; NaN where there is nothing, ends where too little."""

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


def mean_interval(
    values: Floats, *, clusters: Clusters | None = None, **how: Unpack[Resampling]
) -> Interval:
    """Mean over problems; NaN marks a problem that has no value."""
    return mean_band(values[:, None], clusters=clusters, **how).interval(0)


def mean_band(
    values: Floats, *, clusters: Clusters | None = None, **how: Unpack[Resampling]
) -> Band:
    """Mean over problems of each column of a problems x columns table."""
    return _band(means(values, clusters), **how)


def difference_band(
    values: Floats,
    pairs: Sequence[tuple[int, int]],
    *,
    clusters: Clusters | None = None,
    **how: Unpack[Resampling],
) -> Band:
    """Mean of column a less column b for each pair (a, b), over the problems that have both."""
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return mean_band(values[:, left] - values[:, right], clusters=clusters, **how)


def ratio_interval(
    numerators: Floats,
    denominators: Floats,
    *,
    clusters: Clusters | None = None,
    **how: Unpack[Resampling],
) -> Interval:
    """Sum of numerators over sum of denominators, drawn together by problem."""
    columns = (numerators[:, None], denominators[:, None])
    return ratio_band(*columns, clusters=clusters, **how).interval(0)


def ratio_band(
    numerators: Floats,
    denominators: Floats,
    *,
    clusters: Clusters | None = None,
    **how: Unpack[Resampling],
) -> Band:
    """`ratio_interval` of each column; one column of denominators serves all."""
    return _band(ratios(numerators, denominators, clusters), **how)


def simultaneous_band(
    values: Floats, *, clusters: Clusters | None = None, **how: Unpack[Resampling]
) -> Band:
    """Means of all columns of a problems x columns table, inside the band together.

    Symmetric about the means, so its ends may lie outside of [0, 1]. It has a method of its own,
    whichever is asked for.
    """
    table = means(values, clusters)
    value, error = table.value, table.standard_errors()
    n_units = len(table.numerators)
    if n_units < MIN_UNITS:
        return _with_ends(table, value, value)
    away = divide(
        np.abs(table.drawn(seed=how.get("seed", 0), draws=how.get("draws", DRAWS)) - value), error
    )
    largest = np.fmax.reduce(away, axis=1, initial=0.0)
    width = float(np.quantile(largest, LEVEL)) * math.sqrt(n_units / (n_units - 1))
    reach = student(width, n_units - 1) * error
    return _with_ends(table, value - reach, value + reach)


def share_band(band: Band, shares: Floats) -> Band:
    """The same band of means of values from 0 to 1, where all values are 1 or all are 0.

    Draws of equal values never differ, which says nothing of how sure they are. If the mean is m,
    values of M problems are all 1 with a chance of m^M at most, so the lower end is the m at which
    that is 2.5 %; likewise the upper end where all are 0. `shares`: problems x columns, NaN
    for what is not known.
    """
    low, high = band.low.copy(), band.high.copy()
    for column, values in enumerate(shares.T):
        known = values[~np.isnan(values)]
        if len(known) >= MIN_UNITS and known.min() == known.max():
            furthest = ((1 - LEVEL) / 2) ** (1 / len(known))
            if known[0] == 1:
                low[column] = min(low[column], furthest)
            elif known[0] == 0:
                high[column] = max(high[column], 1 - furthest)
    return Band(band.value, low, high)


def _band(table: Ratios, *, seed: int = 0, draws: int = DRAWS, method: Method = METHOD) -> Band:
    if len(table.numerators) < MIN_UNITS:
        return _with_ends(table, table.value, table.value)
    ordered = sorted_columns(table.drawn(seed=seed, draws=draws))
    tails = _bca_tails(table, ordered) if method == "bca" else _tails(table, method)
    return _with_ends(table, at_shares(ordered, tails[0]), at_shares(ordered, tails[1]))


def _with_ends(table: Ratios, low: Floats, high: Floats) -> Band:
    """The values with these ends, NaN in columns that too few units carry."""
    enough = np.count_nonzero(table.denominators, axis=0) >= MIN_UNITS
    return Band(table.value, np.where(enough, low, np.nan), np.where(enough, high, np.nan))


def _tails(table: Ratios, method: Method) -> Floats:
    """Shares of the draws below the lower and the upper end, 2 x columns."""
    tail = np.full(table.numerators.shape[1], (1 - LEVEL) / 2)
    if method == "expanded":
        n_units = np.count_nonzero(table.denominators, axis=0)
        by_count = {n: expanded_tail(n) for n in np.unique(n_units).tolist()}
        tail[:] = [by_count[n] for n in n_units.tolist()]
    return np.stack([tail, 1 - tail])


def expanded_tail(n_units: int) -> float:
    """Share of the draws of so many units below the lower end of the `expanded` method."""
    tail = (1 - LEVEL) / 2
    if n_units < 2:
        return tail
    reach = student(-NORMAL.inv_cdf(tail), n_units - 1)
    return NORMAL.cdf(-reach * math.sqrt(n_units / (n_units - 1)))


def _bca_tails(table: Ratios, ordered: Floats) -> Floats:
    value = table.value[:, None]
    known = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    below = (ordered < value).sum(axis=1) + (ordered == value).sum(axis=1) / 2
    # a value beyond all draws is taken to lie half a draw inside
    below = np.clip(below, 0.5, np.maximum(known - 0.5, 0.5)) / np.maximum(known, 1)
    bias = np.array([NORMAL.inv_cdf(share) for share in below])
    skew = _acceleration(table)
    normal = NORMAL.inv_cdf((1 - LEVEL) / 2)
    return np.stack([_bca_share(bias, skew, normal), _bca_share(bias, skew, -normal)])


def _bca_share(bias: Floats, skew: Floats, normal: float) -> Floats:
    moved = bias + normal
    # with few problems and much skew the formula can turn over: stop at the last draw instead
    room = np.maximum(1 - skew * moved, 1e-6)
    return np.array([NORMAL.cdf(z) for z in bias + moved / room])


def _acceleration(table: Ratios) -> Floats:
    without_each = table.without_each()
    # a unit without which nothing is left tells nothing of the skew
    left_out = np.where(np.isnan(without_each), table.value, without_each)
    away = left_out.mean(axis=0) - left_out
    cubes, squares = (away**3).sum(axis=0), (away**2).sum(axis=0)
    return np.nan_to_num(divide(cubes, 6 * squares**1.5))
