"""Attention dropout of a run: what it is asked for, whatever the checkpoint's configuration says.

Published checkpoints carry a rate of their own, and with one no fused kernel computes packed
attention. So the rate is a setting of the run, 0 unless given, and the model that comes out says in
its config.json what it was trained with. Residual and embedding dropout cost nothing and stay the
checkpoint's own.
"""

from __future__ import annotations

import logging
from typing import Any

from codeprm.errors import ConfigError

NAME = "attention_dropout"

logger = logging.getLogger("codeprm.train")


def dropout_settings(model: str, revision: str | None, wanted: float | None) -> dict[str, float]:
    """What a checkpoint is loaded with to be trained with `wanted`; none: its own stays."""
    from transformers import AutoConfig

    if wanted is None:
        return {}
    config = AutoConfig.from_pretrained(model, revision=revision)
    own: float | None = getattr(config, NAME, None)
    if own is None and not wanted:
        return {}
    if own is None:
        raise ConfigError(
            f"{type(config).__name__} of {model} has no {NAME}: leave it out, the model keeps what "
            "dropout it has"
        )
    if own != wanted and _is_first():
        logger.info("%s %g instead of %g, which %s has", NAME, wanted, own, model)
    return {NAME: wanted}


def dropout_words(wanted: float, checkpoint: dict[str, Any] | None) -> str:
    """For a plan; `checkpoint` is its config.json where it is at hand."""
    if checkpoint is None:
        return f"{wanted:g}, whatever the checkpoint says"
    own = checkpoint.get(NAME, wanted)
    return f"{wanted:g}" + (f" instead of the checkpoint's {own:g}" if own != wanted else "")


def _is_first() -> bool:
    import torch.distributed as dist

    return not dist.is_initialized() or dist.get_rank() == 0
