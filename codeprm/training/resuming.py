"""What a run's checkpoints fit: decides whether a run goes on from them or begins anew.

Settings of `Scaling` are no part of a directory's identity, and most may change between a run and
its resumption: loss and gradients of a step are the same but for rounding, and for dropout, whose
masks follow the passes. These may not. Shards of weights and optimizer fit one number of workers
and one ZeRO stage, and one place and precision of the optimizer's state. And a loss that compares
programs sees those of a pass where rows are padded, those of the step where they are packed.
"""

from __future__ import annotations

from codeprm.training.config import GeneratorConfig, OrmConfig, Scaling
from codeprm.training.losses import GROUPED


def fits(config: GeneratorConfig | OrmConfig, scaling: Scaling) -> str:
    """Part of a folder's name, equal where runs of one configuration can continue each other."""
    words = [f"{scaling.workers}x{scaling.zero_stage}", "bf16" if scaling.gpus else "fp32"]
    if scaling.offload_optimizer:
        words.append("offload")
    losses = config.losses if isinstance(config, OrmConfig) else {}
    if scaling.packing == "padded" and any(losses.get(name) for name in GROUPED):
        batch = config.optimization.effective_batch
        rows = batch // (scaling.workers * scaling.micro_batches(batch))
        words.append(f"by{rows}")
    return "-".join(words)
