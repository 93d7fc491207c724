"""Bootstrap intervals: their definition, their coverage, what is paired, what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from codeprm.evaluation import intervals
from codeprm.evaluation.intervals import mean_band, mean_interval, ratio_interval


def test_interval_has_the_width_of_the_normal_one_for_many_problems() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, size=400)
    interval = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, rel=0.05, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, rel=0.05, abs=0.03)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    # columns are replications of a study of 120 problems; they share draws, which leaves each alone
    studies = rng.beta(1.0, 1.5, size=(120, 1000))
    band = mean_band(studies, draws=1500)
    covered = ((band.low <= 0.4) & (band.high >= 0.4)).mean()
    assert 0.925 <= covered <= 0.97


def test_paired_difference_is_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(2)
    difficulty = rng.random(200)
    a, b = difficulty + 0.05, difficulty + rng.normal(0, 0.01, size=200)
    gain = mean_interval(a - b)
    alone = mean_interval(a)
    assert gain.low > 0.04
    assert gain.high - gain.low < 0.1 * (alone.high - alone.low)


def test_same_seed_same_interval_and_blocks_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(3).random((30, 4))
    whole = mean_band(values, seed=5, draws=1000)
    again = mean_band(values, seed=5, draws=1000)
    other = mean_band(values, seed=6, draws=1000)
    assert np.array_equal(whole.low, again.low)
    assert not np.array_equal(whole.low, other.low)
    monkeypatch.setattr(intervals, "BLOCK_CELLS", 30 * 64)
    blocked = mean_band(values, seed=5, draws=1000)
    assert blocked.low == pytest.approx(whole.low, abs=0.02)


def test_problems_without_a_value_are_left_out() -> None:
    values = np.array([0.0, 1.0, np.nan, np.nan])
    assert mean_interval(values).value == 0.5
    nothing = mean_interval(np.full(4, np.nan))
    assert np.isnan(nothing).all()


def test_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    numerators, denominators = np.array([1.0, 90.0]), np.array([10.0, 100.0])
    assert ratio_interval(numerators, denominators).value == pytest.approx(91 / 110)
    assert np.isnan(ratio_interval(np.zeros(3), np.zeros(3)).value)


def test_one_problem_has_an_interval_of_one_point() -> None:
    assert mean_interval(np.array([0.25])) == (0.25, 0.25, 0.25)
