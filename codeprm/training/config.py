"""What a training run is: its data, model, optimisation; and how it is spread over machines.

`GeneratorConfig` and `OrmConfig` decide the result and are hashed into the identity of the output
directory; `Scaling` only decides where and how fast it is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from codeprm.errors import ConfigError
from codeprm.training.losses import GROUPED, LossOptions, check_losses
from codeprm.training.targets import TargetOptions

FROM_SCRATCH = "scratch"
# StarCoder2's linear layers, by the part of a block they are of.
ATTENTION_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_LAYERS = ("c_fc", "c_proj")
LORA_TARGETS: dict[str, tuple[str, ...]] = {
    "attention": ATTENTION_LAYERS,
    "mlp": MLP_LAYERS,
    "all": ATTENTION_LAYERS + MLP_LAYERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The dimensions of a StarCoder2; the defaults learn mini-TACO on two cores."""

    vocab_size: int = 512
    """Tokens, of which the tokenizer may find fewer."""
    hidden_size: int = 128
    """Width."""
    layers: int = 3
    """Blocks."""
    heads: int = 4
    """Attention heads; their keys and values are shared by `heads / kv_heads` each."""
    kv_heads: int = 2
    """Heads of keys and values."""
    intermediate_size: int = 512
    """Width inside a block's MLP."""
    max_positions: int = 512
    """Longest text."""
    tied: bool = True
    """Whether the output layer is the embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """AdamW with warm-up and cosine decay over a fixed number of steps."""

    learning_rate: float = 1e-5
    """Peak learning rate."""
    epochs: float = 3.0
    """Passes over the examples; the number of steps is rounded."""
    effective_batch: int = 32
    """Examples an optimizer step, over all workers."""
    warmup_steps: int = 10
    """Steps of linear warm-up."""
    final_fraction: float = 0.0
    """Learning rate at the end, as a fraction of the peak."""
    weight_decay: float = 0.01
    """Of matrices; biases and norms have none."""
    beta2: float = 0.95
    """Adam's second decay; the first is 0.9."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    attention_dropout: float = 0.0
    """Share of attention dropped in training, in place of the checkpoint's; slow where packed."""
    seed: int = 0
    """Initial weights and the order of examples."""

    def __post_init__(self) -> None:
        if self.effective_batch < 1 or self.epochs <= 0 or self.learning_rate <= 0:
            raise ConfigError("effective_batch, epochs and learning_rate must be above 0")
        if not 0 <= self.attention_dropout < 1:
            raise ConfigError("attention_dropout must be from 0 to below 1")

    def steps(self, n_examples: int) -> int:
        """Optimizer steps for so many examples, at least one."""
        return max(1, round(n_examples * self.epochs / self.effective_batch))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Of step `step` (from 0) of `steps`."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cosine = 0.5 * (1.0 + math.cos(math.pi * step / steps))
        fraction = self.final_fraction + (1.0 - self.final_fraction) * cosine
        return self.learning_rate * warm * fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): W + alpha / rank * B A, W unchanged."""

    rank: int = 16
    """Rows of A; each adapted layer trains rank * (inputs + outputs) parameters."""
    alpha: float = 32.0
    """Factor of the adapter, divided by the rank."""
    dropout: float = 0.0
    """Dropout in front of the adapter, while training."""
    targets: Literal["attention", "mlp", "all"] = "all"
    """Linear layers that get an adapter."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 < self.alpha < math.inf or not 0 <= self.dropout < 1:
            raise ConfigError(
                "LoRA needs a rank of 1 or more, alpha above 0 and dropout from 0 to below 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorConfig:
    """Fine-tuning a generator on solutions."""

    model: str = "bigcode/starcoder2-15b"
    """Checkpoint to start from, a directory or a Hub repository; `scratch`: none."""
    revision: str | None = None
    """Revision of a Hub repository."""
    shape: Shape = field(default_factory=Shape)
    """Dimensions of a model made from scratch; its tokenizer is trained on the data."""
    max_length: int = 4096
    """Longest example in tokens; longer ones are rejected."""
    strategy: Literal["all", "first_n", "one", "longer"] = "all"
    """Which solutions of a problem are learnt from: all, the first n, one at random, or n at random
    of the longer three quarters; the seed decides."""
    n_solutions: int = 10
    """The n of `first_n` and `longer`."""
    near_duplicates: float = 0.0
    """Of a problem's solutions whose runs of tokens overlap at least so much (0 to 1), learn from
    the first only; 0 keeps all."""
    held_out: float = 0.0
    """Share of problems (0 to 1), chosen by a hash and the seed, that is not learnt from: the loss
    on their solutions is told while training and at the end."""
    lora: Lora | None = None
    """Train adapters and leave the model's own weights as they are; none: train all weights."""
    optimization: Optimization = field(default_factory=Optimization)

    def __post_init__(self) -> None:
        if self.lora is not None and self.from_scratch:
            raise ConfigError("a model made from scratch has nothing to adapt: leave out LoRA")
        if not 0 <= self.held_out < 1:
            raise ConfigError(
                f"held_out is a share of problems, at least 0 and below 1, not {self.held_out}"
            )
        if self.n_solutions < 1 or not 0 <= self.near_duplicates <= 1:
            raise ConfigError("n_solutions must be at least 1, near_duplicates between 0 and 1")
        if self.from_scratch and self.max_length > self.shape.max_positions:
            raise ConfigError(
                f"max_length {self.max_length} exceeds the new model's {self.shape.max_positions} "
                "positions: change one of them"
            )

    @property
    def from_scratch(self) -> bool:
        """Whether the model and its tokenizer are made here."""
        return self.model == FROM_SCRATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class OrmConfig:
    """Training a two-label classifier (0 fail, 1 pass) from a generator's checkpoint."""

    model: str = ""
    """Generator checkpoint to start from: a directory or a Hub repository."""
    revision: str | None = None
    """Revision of a Hub repository."""
    trunk: Literal["trained", "frozen"] = "trained"
    """`frozen`: the generator's weights stay, and a linear probe is fitted on its last states."""
    max_length: int = 4096
    """Longest row in tokens: the prompt's middle is cut, never the program."""
    losses: dict[str, float] = field(default_factory=lambda: {"ce": 1.0})
    """Weight of each loss, by name."""
    loss_options: LossOptions = field(default_factory=LossOptions)
    """Constants of the losses."""
    targets: TargetOptions = field(default_factory=TargetOptions)
    """What labels and outcomes ask of the model."""
    lm_weight: float = 0.0
    """Weight of the next-token loss on programs that passed; needs tied embeddings, not ZeRO-3."""
    group_size: int = 1
    """Programs of one problem that stay together in the order, passing and failing in turn."""
    optimization: Optimization = field(default_factory=lambda: Optimization(effective_batch=256))

    def __post_init__(self) -> None:
        if not 0 <= self.lm_weight < math.inf:
            raise ConfigError("lm_weight must be 0 or more")
        check_losses(self.losses)
        self._check_trunk()
        grouped = [name for name in GROUPED if self.losses.get(name)]
        if grouped and self.group_size < 2:
            raise ConfigError(
                f"{' and '.join(grouped)} compare programs of one problem: set group_size to 2 or "
                "more, so that they come together"
            )

    def _check_trunk(self) -> None:
        if self.trunk == "trained":
            return
        losses = {name for name, weight in self.losses.items() if weight}
        if losses != {"ce"} or self.lm_weight:
            raise ConfigError(
                "a frozen trunk is fitted by the logistic loss alone: set losses to ce 1 and "
                "lm_weight to 0, or trunk to trained"
            )
        targets, options = self.targets, self.loss_options
        softened = (targets.smooth_passes, targets.smooth_fails, targets.near_miss)
        if any(softened) or options.false_negatives or options.false_positives:
            raise ConfigError(
                "a frozen trunk is fitted on labels as they are: leave out smooth_passes, "
                "smooth_fails, near_miss, false_negatives and false_positives, or set trunk to "
                "trained"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Where a run trains; not part of its identity, but its checkpoints fit one world size only."""

    workers: int = 8
    """Processes, one a GPU (or one a CPU worker)."""
    gpus: float = 1.0
    """GPUs a worker; 0 trains on CPU in float32."""
    cpus: float = 4.0
    """Logical CPUs a worker."""
    threads: int = 0
    """torch threads a worker; 0 leaves it to Ray, which takes `cpus`."""
    pool: str = ""
    """Node label `pool` that workers must run on; empty: anywhere."""
    micro_batch: int = 1
    """Most examples a worker takes in one padded forward pass."""
    packing: Literal["padded", "packed", "prefix"] = "padded"
    """What a forward pass holds: rows padded to the longest of them, rows end to end, or end to end
    with what programs of a problem begin with computed once (`group_size` says how many meet)."""
    tokens_per_pass: int = 16384
    """Most tokens of a packed forward pass."""
    zero_stage: int = 3
    """What ZeRO divides among workers: 1 optimizer state, 2 and gradients, 3 and weights."""
    offload_optimizer: bool = False
    """Keep the optimizer's state in CPU memory."""
    activation_checkpointing: bool = True
    """Recompute activations in the backward pass."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""
    checkpoints_kept: int = 2
    """Checkpoints kept while training."""
    max_failures: int = 3
    """Times that lost workers are replaced before the run fails."""

    def __post_init__(self) -> None:
        if self.zero_stage not in range(4):
            raise ConfigError(f"there is no ZeRO stage {self.zero_stage}: choose 0, 1, 2 or 3")
        if self.offload_optimizer and not self.zero_stage:
            raise ConfigError("offload_optimizer needs ZeRO: set zero_stage to 1, 2 or 3")
        if min(self.workers, self.micro_batch, self.checkpoint_every, self.tokens_per_pass) < 1:
            raise ConfigError(
                "workers, micro_batch, tokens_per_pass and checkpoint_every must be at least 1"
            )

    def micro_batches(self, effective_batch: int) -> int:
        """Padded forward passes a worker and step, the fewest that split the batch evenly."""
        per_worker, rest = divmod(effective_batch, self.workers)
        if rest or not per_worker:
            raise ConfigError(
                f"effective_batch {effective_batch} does not divide among {self.workers} workers: "
                "change one of them"
            )
        passes = math.ceil(per_worker / self.micro_batch)
        while per_worker % passes:
            passes += 1
        return passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How a run is followed; it decides nothing that is learnt, and no identity."""

    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"
    """Where the numbers of every step go: event files in `tensorboard/` of the output, or a
    service by its name."""
    project: str = "codeprm"
    """Project of wandb, experiment of mlflow."""
    evaluate_every: int = 0
    """Steps between looks at what is held out; 0 looks at each checkpoint. The end is looked at
    always."""
    evaluate_rows: int = 256
    """Most held-out examples of a look before the end, whole problems; the end takes all."""

    def __post_init__(self) -> None:
        if self.evaluate_every < 0 or self.evaluate_rows < 1:
            raise ConfigError("evaluate_every must be 0 or more, evaluate_rows at least 1")


Config = TypeVar("Config", GeneratorConfig, OrmConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup(Generic[Config]):
    """A recipe's values for one training job."""

    config: Config
    scaling: Scaling
