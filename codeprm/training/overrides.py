"""Single settings of a training job that replace a recipe's; what is not given stays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from codeprm.errors import ConfigError
from codeprm.places import ModelPlace
from codeprm.training.config import Config, GeneratorConfig, Lora, Setup


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
    attention_dropout: float | None = None
    """Share of attention dropped while training, instead of the checkpoint's own."""
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
    offload_optimizer: bool | None = None
    """Keep the optimizer's state in CPU memory."""
    activation_checkpointing: bool | None = None
    """Recompute activations in the backward pass."""
    packing: Literal["padded", "packed", "prefix"] | None = None
    """What a forward pass holds: padded rows, rows end to end, or those with shared beginnings."""
    tokens_per_pass: int | None = None
    """Most tokens of a packed forward pass."""
    checkpoint_every: int | None = None
    """Steps between checkpoints."""

    def apply(self, setup: Setup[Config]) -> Setup[Config]:
        """The setup with what was given here."""
        given = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        nested = {
            name: _replaced(getattr(setup.config, name), given)
            for name in ("optimization", "loss_options", "targets")
            if hasattr(setup.config, name)
        }
        config = _replaced(setup.config, given | nested)
        return Setup(config=config, scaling=_replaced(setup.scaling, given))


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorOverrides(Overrides):
    """Flags of train_generator alone."""

    strategy: Literal["all", "first_n", "one", "longer"] | None = None
    """Which solutions of a problem are learnt from."""
    n_solutions: int | None = None
    """The n of first_n and longer."""
    near_duplicates: float | None = None
    """Overlap (0 to 1) from which a problem's later solutions are left out; 0 keeps all."""
    held_out: float | None = None
    """Share of problems (0 to 1) that is not learnt from but looked at."""
    lora_rank: int | None = None
    """Train adapters of this rank instead of all weights; 0: train all weights."""
    lora_alpha: float | None = None
    """Factor of the adapters, divided by the rank."""
    lora_dropout: float | None = None
    """Dropout in front of the adapters."""
    lora_targets: Literal["attention", "mlp", "all"] | None = None
    """Linear layers that get an adapter."""

    def apply(self, setup: Setup[Config]) -> Setup[Config]:
        """The setup with what was given here."""
        setup = Overrides.apply(self, setup)
        given = {
            name: value
            for name in ("rank", "alpha", "dropout", "targets")
            if (value := getattr(self, f"lora_{name}")) is not None
        }
        if not given or not isinstance(setup.config, GeneratorConfig):
            return setup
        start = setup.config.lora
        if start is None and "rank" not in given:
            raise ConfigError("adapters are trained where lora_rank is given: add it")
        lora = dataclasses.replace(start or Lora(), **given) if self.lora_rank != 0 else None
        return dataclasses.replace(setup, config=dataclasses.replace(setup.config, lora=lora))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrmOverrides(Overrides):
    """Flags of train_orm alone."""

    trunk: Literal["trained", "frozen"] | None = None
    """`frozen`: the generator's weights stay, and a linear probe is fitted on its last states."""
    losses: dict[str, float] | None = None
    """Weight of each loss: ce 1 listwise 0.5."""
    group_size: int | None = None
    """Programs of one problem that stay together."""
    lm_weight: float | None = None
    """Weight of the next-token loss on programs that passed."""
    listwise_temperature: float | None = None
    """Temperature of listwise."""
    bt_gap: float | None = None
    """How far bt wants a passing program above a failing one, in margins."""
    false_negatives: float | None = None
    """Share of right programs whose label says fail."""
    false_positives: float | None = None
    """Share of wrong programs whose label says pass."""
    smooth_passes: float | None = None
    """Taken from the target of passing programs."""
    smooth_fails: float | None = None
    """Target of failing programs that pass no test."""
    near_miss: float | None = None
    """Target of a failing program that passes nearly all tests."""
    outcome_weights: dict[str, float] | None = None
    """Factor on the weight of examples of an outcome: compile_error 0.25."""


def _replaced(value: Any, given: dict[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(value)}
    return dataclasses.replace(value, **{k: v for k, v in given.items() if k in names})
