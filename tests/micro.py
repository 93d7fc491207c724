"""The tiny recipe made so small that it learns eight problems by heart, to see it wired.

`python -m tests.micro OUT` runs it as a driver of its own, which a test may kill.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from codeprm.recipes.base import Recipe
from codeprm.recipes.tiny import TINY
from codeprm.steps.label import LabelConfig
from codeprm.steps.merge import MergeConfig
from codeprm.training.config import Config, Setup


def _short(setup: Setup[Config], steps: int, n_examples: int) -> Setup[Config]:
    optimization = setup.config.optimization
    epochs = steps * optimization.effective_batch / n_examples
    return replace(
        setup,
        config=replace(setup.config, optimization=replace(optimization, epochs=epochs)),
        scaling=replace(setup.scaling, checkpoint_every=25),
    )


MICRO: Recipe = replace(
    TINY,
    train=replace(TINY.train, source="n=8", buckets=2),
    test=replace(TINY.test, source="n=8", buckets=2),
    verify=replace(TINY.verify, max_solutions=3),
    first_generator=_short(TINY.first_generator, 30, 24),
    first_samples=replace(TINY.first_samples, n=2, samples_per_unit=16),
    merge=MergeConfig(max_solutions=4),
    generator=_short(TINY.generator, 700, 24),
    samples=replace(TINY.samples, n=16, samples_per_unit=64),
    label=LabelConfig(cap=4, calibration_fraction=0.25),
    orm=_short(TINY.orm, 10, 48),
    test_samples=replace(TINY.test_samples, n=4, samples_per_unit=16),
)


if __name__ == "__main__":
    from codeprm.distributed.pipeline import run_pipeline

    run_pipeline(MICRO, sys.argv[1])
