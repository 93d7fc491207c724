"""Hugging Face models in and out, and the modules that DeepSpeed drives.

Rows are padded on the right and read causally, so no real token sees padding and no attention mask
is needed. The generator's module gives summed token losses, computing logits at target positions
only; the classifier's gives margins at each row's last token. Heads compute in float32 at least.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeprm.errors import DataError
from codeprm.training.adapters import exported, has_adapters, save_adapters
from codeprm.training.config import Shape
from codeprm.training.corpus import IGNORED
from codeprm.training.dropout import dropout_settings

if TYPE_CHECKING:
    import torch

LABELS = ("fail", "pass")
HEADS = ("lm_head.", "score.")


def new_generator(
    shape: Shape, vocab_size: int, end_id: int, dtype: str, *, attention_dropout: float = 0.0
) -> Any:
    """A StarCoder2 with fresh weights. transformers' own id defaults are the 49k vocabulary's."""
    import torch
    from transformers import AutoModelForCausalLM

    config = starcoder2_config(shape, vocab_size, end_id)
    config.attention_dropout = attention_dropout
    return AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))


def starcoder2_config(shape: Shape, vocab_size: int, end_id: int, **settings: Any) -> Any:
    """Of a new StarCoder2, without dropout and without a window."""
    from transformers import Starcoder2Config

    return Starcoder2Config(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.max_positions,
        tie_word_embeddings=shape.tied,
        bos_token_id=end_id,
        eos_token_id=end_id,
        pad_token_id=end_id,
        sliding_window=None,
        residual_dropout=0.0,
        embedding_dropout=0.0,
        attention_dropout=0.0,
        **settings,
    )


def load_generator(
    model: str, revision: str | None, dtype: str, *, attention_dropout: float | None = None
) -> Any:
    """A causal language model of the Hub or of a directory; without a dropout given, its own."""
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, model, revision, dtype, attention_dropout)


def load_classifier(
    model: str,
    revision: str | None,
    dtype: str,
    pad_id: int,
    *,
    attention_dropout: float | None = None,
) -> Any:
    """A two-label classifier on a generator's trunk, its head fresh; dropout as above."""
    from transformers import AutoModelForSequenceClassification

    return _load(
        AutoModelForSequenceClassification,
        model,
        revision,
        dtype,
        attention_dropout,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        problem_type="single_label_classification",
        pad_token_id=pad_id,
    )


def generator_module(model: Any) -> torch.nn.Module:
    """`forward(ids, targets)` -> the sum of token losses where targets are not IGNORED."""
    import torch

    class GeneratorModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            hidden = self.model.model(input_ids=ids, use_cache=False).last_hidden_state
            learnt = targets != IGNORED
            logits = precise(self.model.lm_head(hidden[learnt]))
            return torch.nn.functional.cross_entropy(logits, targets[learnt], reduction="sum")

    return GeneratorModule()


def classifier_module(model: Any, *, with_lm: bool) -> torch.nn.Module:
    """`forward(ids, ends, targets)` -> margins and the sum of token losses.

    Margins are logit(pass) - logit(fail), read at the tokens `ends`. Token losses are taken where
    targets are not IGNORED, with the embedding as the output layer; without `with_lm` the sum is 0
    and the embedding is not touched, which ZeRO-3 has divided.
    """
    import torch

    use_precise_score(model)

    class ClassifierModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, ids: torch.Tensor, ends: torch.Tensor, targets: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.model.model(input_ids=ids, use_cache=False).last_hidden_state
            rows = torch.arange(len(ends), device=ends.device)
            logits = self.model.score(hidden[rows, ends])
            margins = logits[:, 1] - logits[:, 0]
            if not with_lm:
                return margins, margins.new_zeros(())
            learnt = targets != IGNORED
            words = torch.nn.functional.linear(hidden[learnt], self.model.model.embed_tokens.weight)
            tokens = torch.nn.functional.cross_entropy(
                precise(words), targets[learnt], reduction="sum"
            )
            return margins, tokens

    return ClassifierModule()


def use_precise_score(model: Any) -> None:
    """Let a classifier's head compute in float32 at least, whatever its weights are held in."""
    import torch

    class PreciseLinear(torch.nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(precise(hidden), precise(self.weight))

    model.score.__class__ = PreciseLinear


def precise(tensor: torch.Tensor) -> torch.Tensor:
    """In float32; what is float64 stays."""
    import torch

    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def save_model(model: Any, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Hugging Face layout, with weights given: the model's own may be divided among ranks.

    Adapters are merged into the weights, and kept beside them as they are.
    """
    if has_adapters(model):
        weights, adapters = exported(model, weights)
        save_adapters(model, adapters, folder)
    model.save_pretrained(folder, state_dict=weights)


def require_whole(model: str, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """Refuses a checkpoint whose weights are not those of its own config.json.

    transformers fills missing weights with noise and drops those it has no place for. Only the
    heads may differ: a generator's output layer, tied or dropped, and a classifier's score.
    """
    absent = sorted(name for name in missing if not name.startswith(HEADS))
    extra = sorted(
        name for name in unexpected if name.endswith(".weight") and not name.startswith(HEADS)
    )
    if absent or extra:
        what = f"lacks {absent[0]}" if absent else f"also has {extra[0]}"
        raise DataError(
            f"the checkpoint {model} is of another size than its config.json says, it {what}: "
            "copy the whole checkpoint again, or give another model"
        )


def _load(
    auto: Any,
    model: str,
    revision: str | None,
    dtype: str,
    attention_dropout: float | None,
    **settings: Any,
) -> Any:
    import torch
    from safetensors import SafetensorError

    try:
        loaded, found = auto.from_pretrained(
            model,
            revision=revision,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            **dropout_settings(model, revision, attention_dropout),
            **settings,
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"cannot load the model {model}: {reason}") from error
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        raise DataError(
            f"the checkpoint {model} is of another size than its config.json says: copy the whole "
            "checkpoint again, or give another model"
        ) from error
    require_whole(model, found["missing_keys"], found["unexpected_keys"])
    return loaded
