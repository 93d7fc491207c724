"""Samples -> the evaluation: every number of the report with its interval, nothing rendered.

Estimates are exact given the samples; intervals are over problems. Differences are paired: a
selector's gain is what it adds to pass@1 on the same problems. The within-problem AUC is the mean
over problems that have both classes among their scored samples (a guesser of difficulty gets 0.5);
`auc_pairs` weighs problems by their number of pairs instead. What is not known, such as the reward
model's numbers where nothing was scored, is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codeprm.evaluation.best_of_n import (
    Bools,
    Floats,
    Ints,
    OrderedPairs,
    best_of_n,
    ordered_pairs,
    pass_at_k,
)
from codeprm.evaluation.intervals import (
    DRAWS,
    Band,
    Interval,
    mean_band,
    ratio_band,
)
from codeprm.evaluation.samples import Samples
from codeprm.evaluation.selectors import SELECTORS, orm

MAX_CURVE_POINTS = 256
DIFFICULTY_ORDER = (
    "introductory", "easy", "medium", "medium_hard", "interview", "hard", "very_hard",
    "competition",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorResult:
    """What taking one of n samples by a selector is worth, and what it adds to pass@1."""

    name: str
    value: Interval
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """The headline numbers of some of the problems."""

    name: str
    n_problems: int
    pass_1: Interval
    pass_n: Interval
    orm_n: Interval
    orm_gain: Interval
    auc: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PerProblem:
    """The headline numbers problem by problem, for tables and for pairing with another run."""

    problem_ids: tuple[str, ...]
    names: tuple[str, ...]
    difficulties: tuple[str, ...]
    n_samples: Ints
    n_passed: Ints
    pass_n: Floats
    orm_n: Floats
    auc: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything measured; `overall` is all problems, the curves run over `ns`."""

    n_problems: int
    n_samples: int
    n_completions: int
    n_short: int
    """Problems with fewer than `n_samples` samples: they count with all they have."""
    n_scored: int
    n_mixed: int
    """Problems with both classes among their scored samples: those the AUC is about."""
    overall: GroupResult
    gap_closed: Interval
    """Share of the way from pass@1 to pass@n that the reward model goes."""
    auc_pairs: Interval
    ns: tuple[int, ...]
    pass_curve: Band
    orm_curve: Band
    selectors: tuple[SelectorResult, ...]
    difficulties: tuple[GroupResult, ...]
    problems: PerProblem
    outcomes: Mapping[str, int]
    excluded: Mapping[str, int]


def evaluate(samples: Samples, *, seed: int = 0, draws: int = DRAWS) -> Evaluation:
    """Measure everything; `seed` and `draws` are those of the bootstrap."""
    ns = curve_points(samples.n_samples)
    pass_curves = pass_at_k(samples.passed, samples.offsets, ns)
    orm_curves = _orm_curves(samples, ns)
    curves = mean_band(np.hstack([pass_curves, orm_curves]), seed=seed, draws=draws)
    pairs = scored_pairs(samples)
    headline = _Headline(pass_curves[:, 0], pass_curves[:, -1], orm_curves[:, -1], pairs.auc)
    ratios = ratio_band(
        np.column_stack([headline.orm_n - headline.pass_1, pairs.right]),
        np.column_stack([headline.pass_n - headline.pass_1, pairs.pairs]),
        seed=seed,
        draws=draws,
    )
    counts = np.diff(samples.offsets)
    return Evaluation(
        n_problems=samples.n_problems,
        n_samples=samples.n_samples,
        n_completions=len(samples.passed),
        n_short=int((counts < samples.n_samples).sum()),
        n_scored=int((~np.isnan(samples.margin)).sum()),
        n_mixed=int((pairs.pairs > 0).sum()),
        overall=headline.group("all", np.ones(len(counts), dtype=bool), seed, draws),
        gap_closed=ratios.interval(0),
        auc_pairs=ratios.interval(1),
        ns=ns,
        pass_curve=Band(*(ends[: len(ns)] for ends in curves)),
        orm_curve=Band(*(ends[len(ns) :] for ends in curves)),
        selectors=_selectors(samples, headline.pass_1, seed, draws),
        difficulties=_difficulties(samples, headline, seed, draws),
        problems=_per_problem(samples, headline),
        outcomes=dict(samples.outcomes),
        excluded=dict(samples.excluded),
    )


def curve_points(n_samples: int) -> tuple[int, ...]:
    """Every n from 1, or evenly spaced ratios where that would be too many to draw."""
    if n_samples <= MAX_CURVE_POINTS:
        return tuple(range(1, n_samples + 1))
    points = np.geomspace(1, n_samples, MAX_CURVE_POINTS).round().astype(int)
    return tuple(int(n) for n in np.unique(points))


def scored_pairs(samples: Samples) -> OrderedPairs:
    """Passing and failing samples against each other, by margin, among those with a score."""
    scored = ~np.isnan(samples.margin)
    kept_before = np.concatenate([[0], np.cumsum(scored)])
    offsets = kept_before[samples.offsets].astype(np.int64)
    return ordered_pairs(samples.margin[scored], samples.passed[scored], offsets)


@dataclass(frozen=True, slots=True)
class _Headline:
    pass_1: Floats
    pass_n: Floats
    orm_n: Floats
    auc: Floats

    def group(self, name: str, rows: Bools, seed: int, draws: int) -> GroupResult:
        """The numbers of some rows."""
        gain = self.orm_n - self.pass_1
        columns = np.column_stack([self.pass_1, self.pass_n, self.orm_n, gain, self.auc])
        band = mean_band(columns[rows], seed=seed, draws=draws)
        pass_1, pass_n, orm_n, orm_gain, auc = (band.interval(column) for column in range(5))
        return GroupResult(
            name=name,
            n_problems=int(rows.sum()),
            pass_1=pass_1,
            pass_n=pass_n,
            orm_n=orm_n,
            orm_gain=orm_gain,
            auc=auc,
        )


def _orm_curves(samples: Samples, ns: tuple[int, ...]) -> Floats:
    key = orm(samples)
    if key is None:
        return np.full((samples.n_problems, len(ns)), np.nan)
    return best_of_n(key, samples.passed, samples.offsets, ns)


def _selectors(
    samples: Samples, pass_1: Floats, seed: int, draws: int
) -> tuple[SelectorResult, ...]:
    keys = {name: selector(samples) for name, selector in SELECTORS.items()}
    chances = {
        name: best_of_n(key, samples.passed, samples.offsets, [samples.n_samples])[:, 0]
        for name, key in keys.items()
        if key is not None
    }
    values = np.column_stack(list(chances.values()))
    band = mean_band(np.hstack([values, values - pass_1[:, None]]), seed=seed, draws=draws)
    return tuple(
        SelectorResult(name=name, value=band.interval(i), gain=band.interval(len(chances) + i))
        for i, name in enumerate(chances)
    )


def _difficulties(
    samples: Samples, headline: _Headline, seed: int, draws: int
) -> tuple[GroupResult, ...]:
    of_problem = np.array(samples.difficulties, dtype=object)
    names = sorted(set(samples.difficulties), key=_difficulty_rank)
    return tuple(headline.group(name, of_problem == name, seed, draws) for name in names)


def _difficulty_rank(name: str) -> tuple[int, str]:
    known = name.lower()
    rank = DIFFICULTY_ORDER.index(known) if known in DIFFICULTY_ORDER else len(DIFFICULTY_ORDER)
    return rank, name


def _per_problem(samples: Samples, headline: _Headline) -> PerProblem:
    counts = np.diff(samples.offsets)
    return PerProblem(
        problem_ids=tuple(samples.problem_ids),
        names=tuple(samples.names),
        difficulties=tuple(samples.difficulties),
        n_samples=counts,
        n_passed=np.round(headline.pass_1 * counts).astype(np.int64),
        pass_n=headline.pass_n,
        orm_n=headline.orm_n,
        auc=headline.auc,
    )
