"""Behind transformers' attention interface: a model attends within the families of a packed pass.

The model's own code runs, with its checkpoints, gradient checkpointing and ZeRO; only the function
that its layers call for attention is ours, and the spans of the pass come to it as the keyword
`layout`. Which way of `family_attention` computes it is chosen by what is there: merged parts on
CPUs; on GPUs FlexAttention where programs share a prefix, and flash attention where none do.

Dropout of attention is computed program by program, on any device: none of the kernels has it, not
even PyTorch's flash attention over lengths. A run therefore has none unless it asks for it (see
`dropout`). Any dropout is drawn once for a prefix, not once for each of its programs: each
program's loss is distributed as if it were alone, so the mean gradient is the same, but programs of
a family share the draw.

No mask is made, so a window narrower than the text is refused, not ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from codeprm.errors import ConfigError
from codeprm.training.family_attention import (
    Lengths,
    by_block_mask,
    by_lengths,
    by_merging,
    by_programs,
    family_mask,
    lengths_of,
)
from codeprm.training.packed_pass import FamilySpans

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NAME = "codeprm_families"
# Flash attention on GPUs takes bfloat16 and float16.
HALF_BYTES = 2


class Layout(NamedTuple):
    """The families of a pass, and what their kernel needs besides, made once for all layers."""

    families: tuple[FamilySpans, ...]
    block_mask: Any = None
    lengths: Lengths | None = None


def use_families(model: Any, *, longest: int) -> None:
    """Let a transformers model attend within families, in texts of at most `longest` tokens."""
    from transformers import AttentionInterface

    window = getattr(model.config, "sliding_window", None)
    if window is not None and longest > window:
        raise ConfigError(
            f"texts of {longest:,} tokens are longer than the model's attention window of "
            f"{window:,}, which packing does not follow: set max_length to {window}, or packing to "
            "padded"
        )
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise ConfigError(
            f"{type(model).__name__} has an attention of its own, which cannot be packed: set "
            "packing to padded"
        )


def layout_of(families: tuple[FamilySpans, ...], device: torch.device) -> Layout:
    """With a block mask for FlexAttention where programs share a prefix, on GPUs."""
    if device.type != "cuda":
        return Layout(families)
    if not any(family.prefix.length for family in families):
        return Layout(families, lengths=lengths_of(families, device))
    from torch.nn.attention.flex_attention import create_block_mask

    length, may_see = families[-1].end, family_mask(families, device)
    # compiled, it never holds the row's square
    mask = create_block_mask(may_see, None, None, length, length, device=device, _compile=True)
    return Layout(families, block_mask=mask)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """[1, heads, T, d] -> [1, T, heads, d]; without a layout, causal attention over whole rows."""
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling
        )
        return out, None
    tensors = (query, key, value)
    if dropout:
        out = by_programs(*tensors, layout.families, scaling=scaling, dropout=dropout)
    elif query.device.type == "cpu":
        out = by_merging(*tensors, layout.families, scaling=scaling)
    elif layout.block_mask is not None:
        out = by_block_mask(*tensors, layout.block_mask, scaling=scaling)
    elif layout.lengths is not None and query.element_size() == HALF_BYTES:
        out = by_lengths(*tensors, layout.lengths, scaling=scaling)
    else:
        out = by_programs(*tensors, layout.families, scaling=scaling)
    return out.transpose(1, 2), None
