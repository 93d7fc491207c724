"""Selectors: one key a sample; the sample with the highest key is taken, ties by lot.

To add one, write a function and a line in `SELECTORS`. A selector that lacks what it reads (no
scores, no likelihoods) answers None and is left out of the tables; a single sample that lacks it
comes last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codeprm.evaluation.best_of_n import Floats
from codeprm.evaluation.samples import Samples

Selector = Callable[[Samples], Floats | None]


def random(samples: Samples) -> Floats:
    """Any sample: pass@1 whatever n."""
    return np.zeros(len(samples.passed))


def first(samples: Samples) -> Floats:
    """The earliest sample."""
    return -samples.index.astype(np.float64)


def longest(samples: Samples) -> Floats:
    """The program of most characters."""
    return samples.length.astype(np.float64)


def shortest(samples: Samples) -> Floats:
    """The program of fewest characters, but not an empty one."""
    return np.where(samples.length > 0, -samples.length.astype(np.float64), -np.inf)


def likelihood(samples: Samples) -> Floats | None:
    """The sample that the generator finds likeliest."""
    return _unknown_last(samples.logprob)


def likelihood_per_token(samples: Samples) -> Floats | None:
    """The same by the mean over tokens, which does not favour short samples."""
    return _unknown_last(samples.logprob / np.maximum(samples.num_tokens, 1))


def orm(samples: Samples) -> Floats | None:
    """The reward model's highest margin."""
    return _unknown_last(samples.margin)


def _unknown_last(key: Floats) -> Floats | None:
    unknown = np.isnan(key)
    return None if unknown.all() else np.where(unknown, -np.inf, key)


SELECTORS: dict[str, Selector] = {
    "random": random,
    "first": first,
    "longest": longest,
    "shortest": shortest,
    "likelihood": likelihood,
    "likelihood_per_token": likelihood_per_token,
    "orm": orm,
}
