"""How well keys separate right from wrong programs of many problems, and how sure that is.

The *global* AUC is the chance that a right program of any problem has a higher key than a wrong
one of any problem, so it asks which problems are hard as much as which programs are right. Drawn
again are problems: with W[i, j] pairs of a right program of i and a wrong one of j in the right
order, of N[i, j] in all, a draw that has problem i c_i times has the AUC c'Wc / c'Nc. Every fold
has its own matrices, so margins of two models are never compared, and keys of one draw are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.host import rounded
from benchmarks.real_tables import Attempt, by_problem
from codeprm.evaluation.best_of_n import Bools, Floats, Ints, ordered_pairs
from codeprm.evaluation.bootstrap import at_shares, divide, sorted_columns
from codeprm.evaluation.intervals import DRAWS, Interval, expanded_tail, mean_interval


class Judged(NamedTuple):
    """Programs of a fold, problem by problem: those of problem p are `offsets[p]:offsets[p + 1]`.

    A program without a margin has -inf.
    """

    margin: Floats
    length: Floats
    passed: Bools
    timed_out: Bools
    offsets: Ints

    @property
    def problem(self) -> Ints:
        """Of each program."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def only(self, kept: Bools) -> Judged:
        """Some of the programs; a problem may have none left."""
        sizes = np.bincount(self.problem[kept], minlength=len(self.offsets) - 1)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        margin, length = self.margin[kept], self.length[kept]
        return Judged(margin, length, self.passed[kept], self.timed_out[kept], offsets)


class Measured(NamedTuple):
    """A fold's programs with their margins, those of held-out problems, seconds a stage."""

    fold: int
    judged: Judged
    held_out: Judged | None
    seconds: dict[str, float]
    trained: dict[str, Any]


def judged_of(attempts: Sequence[Attempt], margins: Mapping[str, float]) -> Judged:
    """Attempts in the order of their problems; those without a margin come last in any order."""
    problems = by_problem(attempts)
    rows = [attempt for own in problems for attempt in own]
    return Judged(
        margin=np.array([margins.get(row.completion_id, -np.inf) for row in rows]),
        length=np.array([len(row.program) for row in rows], dtype=np.float64),
        passed=np.array([row.passed for row in rows], dtype=np.bool_),
        timed_out=np.array([row.timed_out for row in rows], dtype=np.bool_),
        offsets=np.cumsum([0, *map(len, problems)]).astype(np.int64),
    )


def fold_figures(one: Measured) -> dict[str, Any]:
    """Of one fold, and of the problems that were held out of its training."""
    found: dict[str, Any] = {
        "fold": one.fold,
        "n_programs": len(one.judged.passed),
        "n_problems": len(one.judged.offsets) - 1,
        "passed": rounded(float(one.judged.passed.mean())),
        "unscored": int(np.isinf(one.judged.margin).sum()),
        "seconds": {name: rounded(value) for name, value in one.seconds.items()},
        "trained": one.trained,
    }
    for name, judged in (("test", one.judged), ("held_out", one.held_out)):
        if judged is not None:
            found[name] = {
                "orm": rounded(global_auc(judged.margin, judged)),
                "length": rounded(global_auc(-judged.length, judged)),
                "orm_within": rounded(auc_within([judged.margin], [judged]).value),
            }
    return found


def figures_of(folds: Sequence[Judged]) -> dict[str, Any]:
    """Of all attempts, and of some: where there is a program, none timed out, or all got margins.

    A program that is longer than the reward model's window has none and comes last.
    """
    some = {
        "with_a_program": [fold.length > 0 for fold in folds],
        "without_timeouts": [(fold.length > 0) & ~fold.timed_out for fold in folds],
        "with_a_margin": [np.isfinite(fold.margin) for fold in folds],
    }
    return {"all": figures(folds)} | {
        name: figures([fold.only(own) for fold, own in zip(folds, kept, strict=True)])
        for name, kept in some.items()
    }


def figures(folds: Sequence[Judged]) -> dict[str, Any]:
    """Each key's AUC over all folds; logistic models need two of them."""
    keys = {"orm": [fold.margin for fold in folds], "length": [-fold.length for fold in folds]}
    losses = {}
    if len(folds) > 1:
        for name, with_margin in (("logistic_length", False), ("logistic_length_orm", True)):
            keys[name] = stacked(folds, with_margin=with_margin)
            losses[name] = rounded(log_loss(keys[name], folds))
    drawn = global_aucs(keys, folds)
    found: dict[str, Any] = {
        "n_programs": sum(len(fold.passed) for fold in folds),
        "global_auc": {name: shown(drawn.interval(name)) for name in keys},
        "orm_less_length": shown(drawn.interval("orm", "length")),
        "auc_within": {name: shown(auc_within(own, folds)) for name, own in keys.items()},
    }
    if losses:
        gain = drawn.interval("logistic_length_orm", "logistic_length")
        found |= {"logistic_gain": shown(gain), "log_loss": losses}
    return found


class Pairs(NamedTuple):
    """Right programs of problem i against wrong ones of j: in order (ties half), and in all."""

    in_order: Floats
    all: Floats

    def auc(self, counts: Floats) -> Floats:
        """Of draws x problems; NaN where a draw has one class."""
        in_order, every = ((counts @ matrix * counts).sum(axis=1) for matrix in self)
        return divide(in_order, every)


def pairs_of(key: Floats, judged: Judged) -> Pairs:
    """Of a key, higher for programs that it holds right."""
    n, problem, passed = len(judged.offsets) - 1, judged.problem, judged.passed
    right, right_of = key[passed], problem[passed]
    in_order, every = np.zeros((n, n)), np.zeros((n, n))
    for wrong_of in range(n):
        wrong = np.sort(key[~passed & (problem == wrong_of)])
        below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
        in_order[:, wrong_of] = np.bincount(right_of, below / 2, minlength=n)
        every[:, wrong_of] = np.bincount(right_of, minlength=n) * len(wrong)
    return Pairs(in_order, every)


def global_aucs(keys: Mapping[str, Sequence[Floats]], folds: Sequence[Judged]) -> Drawn:
    """Mean over folds of each key's AUC; `keys` have an array a fold."""
    rng = np.random.default_rng(0)
    totals = {name: np.zeros(DRAWS + 1) for name in keys}
    for fold, judged in enumerate(folds):
        n = len(judged.offsets) - 1
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
        counts = np.vstack([np.ones(n), drawn])
        for name, columns in keys.items():
            totals[name] += pairs_of(columns[fold], judged).auc(counts) / len(folds)
    n_problems = sum(len(judged.offsets) - 1 for judged in folds)
    return Drawn(totals, n_problems)


class Drawn(NamedTuple):
    """For each key its value and then its draws."""

    totals: dict[str, Floats]
    n_problems: int

    def interval(self, name: str, less: str | None = None) -> Interval:
        """A key's, or of how much it has more than another one."""
        values = self.totals[name] - (self.totals[less] if less else 0.0)
        low, high = expanded(values[1:, None], self.n_problems)
        return Interval(float(values[0]), float(low), float(high))


def expanded(draws: Floats, n_units: int) -> tuple[float, float]:
    """The ends of `codeprm.evaluation.intervals`' default method, of draws x 1."""
    tail = expanded_tail(n_units)
    ordered = sorted_columns(draws)
    low, high = (float(at_shares(ordered, np.array([at]))[0]) for at in (tail, 1 - tail))
    return low, high


def auc_within(keys: Sequence[Floats], folds: Sequence[Judged]) -> Interval:
    """Mean over problems of both classes, of all folds."""
    found = [
        ordered_pairs(key, judged.passed, judged.offsets).auc
        for key, judged in zip(keys, folds, strict=True)
    ]
    return mean_interval(np.concatenate(found))


def global_auc(key: Floats, judged: Judged) -> float:
    """Of one fold."""
    return float(pairs_of(key, judged).auc(np.ones((1, len(judged.offsets) - 1)))[0])


def stacked(folds: Sequence[Judged], *, with_margin: bool) -> list[Floats]:
    """For each fold the log odds of a logistic model that was fitted on the other folds.

    Its features are the logarithm of the length, whether there is a program and, if asked for, the
    margin; a margin is measured from the mean of its fold in standard deviations, since each fold
    has its own reward model. No label of the fold itself is looked at.
    """
    from sklearn.linear_model import LogisticRegression

    features = [_features(judged, with_margin=with_margin) for judged in folds]
    found = []
    for number, own in enumerate(features):
        others = [index for index in range(len(folds)) if index != number]
        model = LogisticRegression()
        model.fit(
            np.vstack([features[index] for index in others]),
            np.concatenate([folds[index].passed for index in others]),
        )
        found.append(np.asarray(model.decision_function(own), dtype=np.float64))
    return found


def log_loss(odds: Sequence[Floats], folds: Sequence[Judged]) -> float:
    """Mean over all programs, nats."""
    signed = [np.where(j.passed, own, -own) for own, j in zip(odds, folds, strict=True)]
    return float(np.logaddexp(0.0, -np.concatenate(signed)).mean())


def shown(interval: Interval) -> dict[str, float]:
    """For the result."""
    return {name: rounded(value) for name, value in interval._asdict().items()}


def _features(judged: Judged, *, with_margin: bool) -> Floats:
    # an empty program is not a very short one
    columns = [np.log1p(judged.length), judged.length == 0]
    if with_margin:
        known = np.isfinite(judged.margin)
        lowest = judged.margin[known].min()
        margin = np.where(known, judged.margin, lowest)
        columns.append((margin - margin.mean()) / max(float(margin.std()), 1e-9))
    return np.column_stack(columns)
