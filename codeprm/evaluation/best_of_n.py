"""What a selector is worth, exactly: no permutations, all n in one pass, ties averaged.

A problem has N samples, c of which pass. A subset of n is drawn without replacement and the sample
with the highest key is taken (ties by lot); `best_of_n` is the chance that it passes. With ranks
r = 1 (best) .. N it is the sum over r of y_r * C(N-r, n-1) / C(N, n), where y_r is the share that
passes among the samples tied with rank r. The weights depend on N and n only, so a curve is one
matrix product. They are built by the ratio of neighbours in n, which stays in [0, 1]: no factorial,
nothing overflows at thousands of samples.

Samples of all problems stand in flat arrays, problem i at `offsets[i]:offsets[i + 1]`. Problems may
have unequal counts: one with fewer than n samples counts with all it has. A problem without samples
gives NaN.

Identities: a constant key gives pass@1 for every n; the labels as key give pass@n, the ceiling;
best-of-2 = [C(c, 2) + c (N - c) AUC] / C(N, 2). Sources: Chen et al. 2021 (pass@k), Hosseini et al.
2024 (best-of-k without ties).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class OrderedPairs(NamedTuple):
    """Per problem: pairs of a passing and a failing sample, and how many the key orders right."""

    right: Floats
    pairs: Floats

    @property
    def auc(self) -> Floats:
        """Share of pairs ordered right, ties half; NaN where a problem has one class only."""
        mixed = self.pairs > 0
        return np.where(mixed, self.right / np.where(mixed, self.pairs, 1.0), np.nan)


def pass_at_k(passed: Bools, offsets: Ints, ks: Sequence[int]) -> Floats:
    """Chance that any of k drawn samples passes: 1 - C(N-c, k) / C(N, k), problems x ks."""
    total = np.diff(offsets)
    failing = total - _per_problem(passed, offsets)
    chance = np.empty((len(total), max(ks)))
    none_passes = np.ones(len(total))
    for i in range(max(ks)):
        left = np.maximum(total - i, 1)
        none_passes = none_passes * np.where(i < total, np.maximum(failing - i, 0.0) / left, 1.0)
        chance[:, i] = 1.0 - none_passes
    chance[total == 0] = np.nan
    return chance[:, np.asarray(ks) - 1]


def best_of_n(key: Floats, passed: Bools, offsets: Ints, ns: Sequence[int]) -> Floats:
    """Chance that the highest key of n drawn samples passes, problems x ns."""
    ranked = _rank(key, offsets)
    share = _group_sums(passed[ranked.order], ranked) / ranked.sizes
    by_rank = np.repeat(share, ranked.sizes)
    total = np.diff(offsets)
    chance = np.full((len(total), len(ns)), np.nan)
    for count in np.unique(total[total > 0]):
        rows = np.flatnonzero(total == count)
        labels = by_rank[offsets[rows][:, None] + np.arange(count)]
        chance[rows] = labels @ rank_weights(int(count), tuple(ns))
    return chance


def ordered_pairs(key: Floats, passed: Bools, offsets: Ints) -> OrderedPairs:
    """Pairs within each problem that the key orders right; their share is the AUC."""
    ranked = _rank(key, offsets)
    good = _group_sums(passed[ranked.order], ranked)
    bad = ranked.sizes - good
    n_bad = np.diff(offsets) - _per_problem(passed, offsets)
    below = np.cumsum(n_bad)[ranked.problem] - np.cumsum(bad)
    right = np.zeros(len(offsets) - 1)
    np.add.at(right, ranked.problem, good * (below + bad / 2))
    return OrderedPairs(right, n_bad * _per_problem(passed, offsets))


@lru_cache(maxsize=256)
def rank_weights(n_samples: int, ns: tuple[int, ...]) -> Floats:
    """C(N-r, n-1) / C(N, n) for ranks r = 1..N (rows) and the wanted n (columns, n <= N used)."""
    wanted = [min(n, n_samples) for n in ns]
    worse = np.arange(n_samples - 1, -1, -1, dtype=np.float64)
    weights = np.full(n_samples, 1.0 / n_samples)
    columns = {1: weights}
    keep = set(wanted)
    for n in range(1, max(wanted)):
        step = (n + 1) / n / (n_samples - n)
        weights = weights * np.maximum(worse - (n - 1), 0.0) * step
        if n + 1 in keep:
            columns[n + 1] = weights
    table = np.stack([columns[n] for n in wanted], axis=1)
    table.flags.writeable = False
    return table


class _Ranked(NamedTuple):
    """Samples by problem, then by falling key; groups are runs of one problem and one key."""

    order: Ints
    starts: Ints
    sizes: Ints
    problem: Ints


def _rank(key: Floats, offsets: Ints) -> _Ranked:
    if np.isnan(key).any():
        raise ValueError("a key is NaN: give samples without a value the lowest key, -inf")
    problem = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-key, problem))
    sorted_key = key[order]
    is_start = np.ones(len(key), dtype=bool)
    is_start[1:] = (sorted_key[1:] != sorted_key[:-1]) | (problem[1:] != problem[:-1])
    starts = np.flatnonzero(is_start)
    return _Ranked(order, starts, np.diff(starts, append=len(key)), problem[starts])


def _group_sums(values: Bools, ranked: _Ranked) -> Floats:
    if len(values) == 0:
        return np.zeros(0)
    return np.add.reduceat(values.astype(np.float64), ranked.starts)


def _per_problem(values: Bools, offsets: Ints) -> Floats:
    totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return np.asarray(totals[offsets[1:]] - totals[offsets[:-1]], dtype=np.float64)
