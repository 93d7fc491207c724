"""Completions by the model that is in training, a token at a time, with a cache of keys and values.

Every rank completes its own prompts, and all take the same number of forward passes, since ranks
that hold shards of the weights must step together: one that is done goes on until all are. Prompts
are filled up on the left, which a mask hides.

A prompt has a random number of its own for each token, so what it is completed with depends neither
on its neighbours nor on the number of ranks, but for rounding. Nothing is left behind: no gradient,
no draw from torch's random numbers, no change of the model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from codeprm.training.models import precise

if TYPE_CHECKING:
    from torch import Tensor

# What a mask, a window and a cache all work with; packing puts its own attention in its place.
PLAIN_ATTENTION = "sdpa"


class Prompt(NamedTuple):
    """Token ids, at most how many to add (0 or more), and what the draws follow from."""

    ids: Sequence[int]
    n_new: int
    seed: str


class Drawing(NamedTuple):
    """How the next token is drawn; `end_id` ends a completion. A temperature of 0 is greedy."""

    temperature: float
    top_p: float
    end_id: int


def complete(
    engine: Any,
    model: Any,
    prompts: Sequence[Prompt],
    drawing: Drawing,
    *,
    all_done: Callable[[bool], bool],
) -> list[list[int]]:
    """New token ids of each prompt, without the end; `model` is the one inside of the engine.

    `all_done` tells whether all ranks are done, given whether this one is. At least one prompt.
    """
    import torch
    from transformers import DynamicCache

    rngs = [random.Random(prompt.seed) for prompt in prompts]
    found: list[list[int]] = [[] for _ in prompts]
    is_done = [not prompt.n_new for prompt in prompts]
    ids, mask = (each.to(engine.device) for each in _left_padded(prompts))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    with _reading(engine, model), torch.no_grad():
        while not all_done(all(is_done)):
            logits = engine(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            uniforms = torch.tensor([rng.random() for rng in rngs], dtype=torch.float64)
            drawn = draw(logits, uniforms.to(logits.device), drawing)
            is_done = _added(found, drawn.tolist(), prompts, is_done, drawing.end_id)
            ids, positions = drawn[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
    return found


def _added(
    found: list[list[int]],
    tokens: Sequence[int],
    prompts: Sequence[Prompt],
    is_done: Sequence[bool],
    end_id: int,
) -> list[bool]:
    """Put each token behind what was found, where it is not the end; which ones are done now."""
    now: list[bool] = []
    for own, token, prompt, was_done in zip(found, tokens, prompts, is_done, strict=True):
        if not was_done and token != end_id:
            own.append(token)
        now.append(was_done or token == end_id or len(own) == prompt.n_new)
    return now


def draw(logits: Tensor, uniforms: Tensor, drawing: Drawing) -> Tensor:
    """One token id a row of logits [rows, tokens], by its number from 0 to below 1.

    Of the most probable tokens whose mass first reaches `top_p`, the one whose share of that mass
    holds the number.
    """
    import torch

    if not drawing.temperature:
        return logits.argmax(dim=-1)
    scaled = precise(logits).double() / drawing.temperature
    mass, order = torch.softmax(scaled, dim=-1).sort(dim=-1, descending=True, stable=True)
    # what comes before a token; the first one is always kept
    before = mass.cumsum(-1) - mass
    kept = torch.where((before < drawing.top_p) | (before == 0), mass, 0.0)
    edges = kept.cumsum(-1)
    places = torch.searchsorted(edges, (uniforms * edges[:, -1])[:, None], right=True)
    places = torch.minimum(places, ((kept > 0).sum(-1) - 1)[:, None])
    return order.gather(-1, places)[:, 0]


def _left_padded(prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, [prompts, longest]."""
    import torch

    longest = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt.ids) :] = torch.tensor(list(prompt.ids))
        mask[row, longest - len(prompt.ids) :] = 1
    return ids, mask


@contextmanager
def _reading(engine: Any, model: Any) -> Iterator[None]:
    """While open, a call of the engine is one of the model in it, which evaluates and has a cache.

    The engine's own module gives losses; but ZeRO-3 counts passes where its root is called.
    """
    root, attention = engine.module, model.config._attn_implementation

    def forward(**inputs: Any) -> Any:
        return model(**inputs)

    root.forward = forward
    model.set_attn_implementation(PLAIN_ATTENTION)
    engine.eval()
    try:
        yield
    finally:
        engine.train()
        model.set_attn_implementation(attention)
        del root.forward
