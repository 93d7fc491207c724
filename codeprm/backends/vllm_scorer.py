"""Margins by vLLM: a classifier read at the last token, its logits raw, prompts computed once.

The pooled token and the prefix cache decide whether a score means what was trained and what it
costs; both follow from how vLLM resolves the architecture, so they are looked at when the engine
has started. A head of two labels gives logit(pass) - logit(fail), a head of one label its logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codeprm.backends.checkpoint import local_checkpoint
from codeprm.backends.vllm_engine import VllmConfig, VllmEngine
from codeprm.encoding import encode_text, load_tokenizer
from codeprm.errors import ConfigError
from codeprm.reward_model import load_calibration

_IN_FLIGHT_PER_SEQUENCE = 3


class VllmScorer:
    """An engine that judges programs."""

    def __init__(self, config: VllmConfig, *, exit_if_dead: bool = True) -> None:
        model_dir = local_checkpoint(config.model)
        self.calibration = load_calibration(model_dir)
        self._tokenizer = load_tokenizer(model_dir, config.revision)
        self._engine = VllmEngine(config, runner="pooling", exit_if_dead=exit_if_dead)
        self.model = self._engine.model
        self.max_length = self._engine.max_model_len
        self.in_flight = _IN_FLIGHT_PER_SEQUENCE * config.max_num_seqs
        try:
            require_last_token(self.model, self._engine.settings)
        except ConfigError:
            self.close()
            raise

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt or of a program."""
        return encode_text(self._tokenizer, text)

    async def margin(self, ids: Sequence[int]) -> float:
        """The float32 margin at the last of these tokens; raises `BackendError`."""
        from vllm import PoolingParams
        from vllm.inputs import tokens_input

        params = PoolingParams(task="classify", use_activation=False)
        request_id = self._engine.next_id("score")
        outputs = self._engine.engine.encode(tokens_input(list(ids)), params, request_id)
        result = await self._engine.finish(outputs)
        logits = result.outputs.data.float()
        return float(logits[-1] if len(logits) == 1 else logits[1] - logits[0])

    async def check_health(self) -> None:
        """Raises `BackendError` if the engine has died."""
        await self._engine.check_health()

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()


def require_last_token(name: str, settings: Any) -> None:
    """Refuse what vLLM resolved if a score from it would mean something else, or cost more."""
    model = settings.model_config
    n_labels = model.hf_config.num_labels
    if n_labels not in (1, 2):
        raise ConfigError(f"{name} has {n_labels} labels: a reward model has one or two")
    pooling = model.pooler_config.seq_pooling_type
    if pooling != "LAST":
        raise ConfigError(f"{name} is pooled at {pooling}: a margin is read at the LAST token")
    if not settings.cache_config.enable_prefix_caching:
        raise ConfigError(f"prefix caching is off for {name}: scoring needs it, switch it on")
