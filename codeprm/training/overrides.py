"""Single settings of a training job that replace a recipe's; what is not given stays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from codeprm.places import ModelPlace
from codeprm.training.config import Config, Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Flags of the training jobs."""

    model: ModelPlace | None = None
    """Checkpoint to start from, a directory or a Hub repository."""
    revision: str | None = None
    """Revision of a Hub repository."""
    max_length: int | None = None
    """Longest example in tokens."""
    learning_rate: float | None = None
    """Peak learning rate."""
    epochs: float | None = None
    """Passes over the examples."""
    effective_batch: int | None = None
    """Examples an optimizer step, over all workers."""
    warmup_steps: int | None = None
    """Steps of linear warm-up."""
    seed: int | None = None
    """Initial weights and the order of examples."""
    workers: int | None = None
    """Processes, one a GPU."""
    gpus: float | None = None
    """GPUs a worker; 0 trains on CPU in float32."""
    cpus: float | None = None
    """Logical CPUs a worker."""
    pool: str | None = None
    """Node label `pool` that workers must run on."""
    micro_batch: int | None = None
    """Most examples a worker takes in one forward pass."""
    zero_stage: int | None = None
    """What ZeRO divides among workers (0 to 3)."""
    checkpoint_every: int | None = None
    """Steps between checkpoints."""

    def apply(self, setup: Setup[Config]) -> Setup[Config]:
        """The setup with what was given here."""
        given = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        optimization = _replaced(setup.config.optimization, given)
        config = _replaced(setup.config, given | {"optimization": optimization})
        return Setup(config=config, scaling=_replaced(setup.scaling, given))


def _replaced(value: Any, given: dict[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(value)}
    return dataclasses.replace(value, **{k: v for k, v in given.items() if k in names})
