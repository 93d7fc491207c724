"""How a generator in training is sampled; it decides nothing that is learnt, and no identity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from codeprm.errors import ConfigError
from codeprm.sandbox.levels import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """Sampled pass@1 at each look at what is held out (`codeprm.training.sampled`).

    Off by default: it runs what a model wrote on a machine that trains.
    """

    sample_problems: int = 0
    """Held-out problems that each look has the model complete once, to run the programs on the
    problems' tests; 0: none."""
    sample_tokens: int = 512
    """Longest of these completions, in tokens; training stops for as many forward passes for each
    16 problems of a worker."""
    sample_temperature: float = 0.8
    """Temperature they are drawn at; 0 is greedy."""
    sample_top_p: float = 0.95
    """Nucleus mass they are drawn from."""
    sandbox_floor: Level = Level.F2
    """Refuse to run them on a machine that holds programs less well; F3 is for development."""

    def __post_init__(self) -> None:
        if self.sample_problems < 0 or self.sample_tokens < 1:
            raise ConfigError("sample_problems must be 0 or more, sample_tokens at least 1")
        if not 0 <= self.sample_temperature < math.inf or not 0 < self.sample_top_p <= 1:
            raise ConfigError(
                "sample_temperature must be 0 or more, sample_top_p above 0 and at most 1"
            )
