"""Completions by vLLM: one request a sample, each with its own seed, only the end comes back.

A text prompt is tokenised by `codeprm.encoding`, exactly as in training, and passed as ids; a chat
is rendered by the checkpoint's own chat template first. Samples of one prompt sent one after the
other share its keys and values. The log-probability is that of the tokens before temperature and
nucleus are applied. StarCoder2 runs on vLLM's Transformers backend.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from codeprm.backends.base import Generation, Request
from codeprm.backends.checkpoint import local_checkpoint
from codeprm.backends.vllm_engine import VllmConfig, VllmEngine
from codeprm.encoding import encode_text, load_tokenizer
from codeprm.errors import BackendError, ConfigError, DataError
from codeprm.prompts import Prompt

if TYPE_CHECKING:
    from vllm import SamplingParams

# enough for the next sequences to be waiting when some end, few enough to hold in memory
_IN_FLIGHT_PER_SEQUENCE = 3


class VllmBackend:
    """An engine that writes completions."""

    def __init__(self, config: VllmConfig) -> None:
        self._config = replace(config, model=local_checkpoint(config.model))
        self._tokenizer = load_tokenizer(self._config.model, config.revision)
        self._engine = VllmEngine(config, runner="generate")
        self.model = self._engine.model
        self.in_flight = _IN_FLIGHT_PER_SEQUENCE * config.max_num_seqs

    async def generate(self, request: Request) -> Generation:
        from vllm.inputs import tokens_input

        ids = self._ids(request.prompt)
        limit = self._engine.max_model_len
        if len(ids) >= limit:
            raise BackendError(f"the prompt has {len(ids)} tokens, the model reads {limit}")
        request_id = self._engine.next_id(request.request_id)
        outputs = self._engine.engine.generate(
            tokens_input(ids), _sampling_params(request), request_id
        )
        result = await self._engine.finish(outputs)
        output = result.outputs[0]
        if output.finish_reason not in ("stop", "length"):
            raise BackendError(f"vLLM ended the request with {output.finish_reason!r}")
        return Generation(
            text=output.text,
            cumulative_logprob=output.cumulative_logprob,
            num_tokens=len(output.token_ids),
            finish_reason=output.finish_reason,
        )

    def close(self) -> None:
        self._engine.close()

    def _ids(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return encode_text(self._tokenizer, prompt)
        messages = [message._asdict() for message in prompt]
        text = self._chat_tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        ids: list[int] = self._template_tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @cached_property
    def _chat_tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            self._config.model, revision=self._config.revision
        )
        if not tokenizer.chat_template:
            raise DataError(
                f"{self._config.model} has no chat template: sample it with the docstring prompt "
                "style, or give an instruction-tuned model"
            )
        return tokenizer

    @cached_property
    def _template_tokenizer(self) -> Any:
        """Reads the special tokens that a chat template writes."""
        tokenizer = load_tokenizer(self._config.model, self._config.revision)
        tokenizer.encode_special_tokens = False
        return tokenizer


def _sampling_params(request: Request) -> SamplingParams:
    from vllm import SamplingParams
    from vllm.exceptions import VLLMClientError
    from vllm.sampling_params import RequestOutputKind

    sampling = request.sampling
    try:
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            seed=request.seed,
            logprobs=0,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    except (ValueError, VLLMClientError) as error:
        # the same for every request, so no row is to blame
        raise ConfigError(f"vLLM cannot sample like this: {error}") from error
