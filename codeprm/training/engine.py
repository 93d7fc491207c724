"""DeepSpeed: its configuration, the step loop, and what is taken out of it at the end.

Each pass gives its share of the step's mean loss (the objective divides by the terms of all ranks),
so the result does not depend on how a batch was split. DeepSpeed averages over ranks; the loop
multiplies that away. The learning rate is set from the step number, so a checkpoint needs
no scheduler state. A loss that is not a number stops the run before it touches the weights; a
gradient that is none stops it before anything is made of the weights it spoilt.
"""

from __future__ import annotations

import functools
import math
import operator
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from codeprm.training.batches import Division, Indices, Step
from codeprm.training.config import Optimization, Scaling
from codeprm.training.corpus import Corpus, Index
from codeprm.training.loading import Batch

if TYPE_CHECKING:
    import torch

CHECKPOINT_TAG = "deepspeed"


class Objective(Protocol):
    """What is learnt: a step's totals over all ranks, and a pass's share of the step's losses.

    The losses are weighted, so their sum is what is learnt; every pass has the same names.
    """

    def totals(self, index: Index, step: Step) -> Any: ...

    def losses(
        self, engine: Any, corpus: Corpus, rows: Indices, totals: Any
    ) -> dict[str, torch.Tensor]: ...


class Task(NamedTuple):
    """One run: the Hugging Face model, the module that trains it, and rows that stay together."""

    model: Any
    module: torch.nn.Module
    objective: Objective
    units: list[Indices]


class StepReport(NamedTuple):
    """What a step did; losses are means over the whole step, equal on all ranks."""

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    kinds: dict[str, float]
    """Each loss by its name, weighted: they add up to `loss`."""
    rows: Indices
    """The examples, of all ranks, by their numbers in the run."""
    seconds: float


class Diverged(NamedTuple):
    """The loss of a step, or the norm of its gradient, is not a number."""

    step: int
    loss: float
    grad_norm: float | None
    """None where the loss already is none."""
    rows: list[int]
    """Of the passes whose own loss is none; of the whole step where each pass has one. Numbers in
    the run."""


def division_of(optimization: Optimization, scaling: Scaling) -> Division:
    """How a step is divided among workers and passes."""
    batch = optimization.effective_batch
    return Division(batch, scaling.workers, scaling.micro_batches(batch))


def deepspeed_config(optimization: Optimization, scaling: Scaling) -> dict[str, Any]:
    """DeepSpeed's settings: bf16 with float32 master weights on GPUs, float32 on CPUs."""
    division = division_of(optimization, scaling)
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": division.effective_batch
        // (division.workers * division.passes),
        # a step has as many passes as it needs: `train` says which one ends it
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optimization.max_grad_norm,
        "bf16": {"enabled": scaling.gpus > 0},
        "optimizer": {"type": "AdamW", "params": _adamw(optimization, scaling)},
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {"stage": scaling.zero_stage},
        "steps_per_print": 1 << 60,
    }
    if scaling.zero_stage == 3:
        settings["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True
    if scaling.offload_optimizer:
        settings["zero_optimization"]["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return settings


def prepare_process(scaling: Scaling, seed: int) -> None:
    """Settle what must be settled before DeepSpeed is imported or a model made."""
    if not scaling.gpus:
        # this process is one training worker; DeepSpeed would take a GPU that it was not given
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed.ops
    import torch
    from transformers.utils import logging as transformers_logging

    # DeepSpeed calls collectives by names that torch has renamed
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()

    # gloo is enough on CPUs; the shared memory op would be compiled with g++ and ninja at start
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if scaling.threads:
        torch.set_num_threads(scaling.threads)
    torch.manual_seed(seed)


def sharded_loading(settings: dict[str, Any]) -> Any:
    """While the returned object lives, transformers loads weights straight into ZeRO-3 shards."""
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)


def start_engine(module: torch.nn.Module, settings: dict[str, Any], weight_decay: float) -> Any:
    """DeepSpeed around a module, in the process group that is there."""
    import deepspeed

    decayed: list[Any] = []
    others: list[Any] = []
    for parameter in filter(lambda each: each.requires_grad, module.parameters()):
        shape = getattr(parameter, "ds_shape", parameter.shape)
        (decayed if len(shape) > 1 else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    # adapters are matrices alone, and DeepSpeed takes no group without parameters
    groups = [group for group in groups if group["params"]]
    engine, *_ = deepspeed.initialize(model=module, model_parameters=groups, config=settings)
    return engine


def train(
    engine: Any,
    objective: Objective,
    batches: Iterable[Batch],
    *,
    start: int,
    steps: int,
    optimization: Optimization,
) -> Iterator[StepReport | Diverged]:
    """Steps `start` to `steps`, whose batches are given, one report each; ends at a divergence."""
    import torch
    import torch.distributed as dist

    rank, workers = dist.get_rank(), dist.get_world_size()
    for number, batch in enumerate(batches, start):
        started = time.monotonic()
        rate = optimization.learning_rate_at(number, steps)
        for group in engine.optimizer.param_groups:
            group["lr"] = rate
        totals = objective.totals(batch.corpus, batch.step)
        # models with dropout continue alike, resumed or not
        torch.manual_seed((optimization.seed + number) * workers + rank)
        shares = _gradients(engine, objective, batch, totals)
        kinds = _summed(shares, engine.device)
        loss = sum(kinds.values())
        if not math.isfinite(loss):
            yield Diverged(number, loss, None, _culprits(batch, shares))
            return
        own_norm = _gradient_norm(engine)
        engine.step()
        norm = float(engine.get_global_grad_norm() or own_norm)
        if not math.isfinite(norm):
            yield Diverged(number, loss, norm, _culprits(batch, shares))
            return
        seconds = time.monotonic() - started
        yield StepReport(number, loss, norm, rate, kinds, batch.numbers, seconds)


def full_weights(engine: Any, model: Any) -> dict[str, torch.Tensor]:
    """The model's weights on rank 0, nothing on the others; every rank must call it."""
    import deepspeed
    import torch.distributed as dist

    is_sharded = engine.zero_optimization_partition_weights()
    weights = {}
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter], enabled=is_sharded):
            if dist.get_rank() == 0:
                weights[name] = parameter.detach().cpu().clone()
    return weights


def save_checkpoint(engine: Any, folder: Path, state: dict[str, Any]) -> None:
    """This rank's share of a checkpoint; every rank must call it."""
    engine.save_checkpoint(str(folder), tag=CHECKPOINT_TAG, client_state=state)


def load_checkpoint(engine: Any, folder: Path) -> dict[str, Any]:
    """The state that was saved with it; every rank must call it."""
    _, state = engine.load_checkpoint(str(folder), tag=CHECKPOINT_TAG)
    return dict(state)


def _adamw(optimization: Optimization, scaling: Scaling) -> dict[str, Any]:
    params: dict[str, Any] = {
        "lr": optimization.learning_rate,
        "betas": [0.9, optimization.beta2],
        "eps": 1e-8,
    }
    # torch's AdamW needs no compiler; DeepSpeed's own is compiled, and needed on offloaded state
    return params if scaling.offload_optimizer else params | {"torch_adam": True}


def _gradients(
    engine: Any, objective: Objective, batch: Batch, totals: Any
) -> list[dict[str, float]]:
    """Forward and backward of this rank's passes, and each one's losses; no weight is changed."""
    import torch.distributed as dist

    passes = batch.step.ranks[dist.get_rank()]
    told: list[dict[str, torch.Tensor]] = []
    for index, rows in enumerate(passes, 1):
        is_last = index == len(passes)
        engine.set_gradient_accumulation_boundary(is_last)
        losses = objective.losses(engine, batch.corpus, rows, totals)
        told.append({name: loss.detach() for name, loss in losses.items()})
        engine.backward(functools.reduce(operator.add, losses.values()) * dist.get_world_size())
        if not is_last:
            engine.step()
    # read only now: a GPU works on while passes are queued
    return [{name: float(loss) for name, loss in losses.items()} for losses in told]


def _gradient_norm(engine: Any) -> float:
    """Of whole gradients, where the optimizer keeps no norm itself: ZeRO-0 in float32."""
    import torch

    if hasattr(engine.optimizer, "_global_grad_norm"):
        return 0.0
    groups = engine.optimizer.param_groups
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def _summed(shares: list[dict[str, float]], device: Any) -> dict[str, float]:
    """Each loss over all passes of all ranks."""
    import torch
    import torch.distributed as dist

    names = list(shares[0])
    values = [sum(share[name] for share in shares) for name in names]
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return dict(zip(names, tensor.tolist(), strict=True))


def _culprits(batch: Batch, shares: list[dict[str, float]]) -> list[int]:
    """Numbers of the rows of passes without a finite loss, of any rank; every rank must call it."""
    import torch.distributed as dist

    mine = batch.step.ranks[dist.get_rank()]
    bad = [
        row
        for rows, share in zip(mine, shares, strict=True)
        if not math.isfinite(sum(share.values()))
        for row in batch.numbers[rows].tolist()
    ]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, bad)
    found = [row for rows in gathered for row in rows]
    return sorted(found or batch.numbers.tolist())
