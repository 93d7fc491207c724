"""One vLLM engine in this process's care, for sampling and for scoring, on GPU and on CPU builds.

Callers pass token ids and await one request at a time; vLLM batches what is in flight. What vLLM
needs to be told on a CPU is told here:
- its engine runs in one process, not two: nothing is gained by the second one, and it takes as
  long to start as the first;
- no kernel is compiled: on a model small enough for a CPU, compiling takes longer than it saves;
- prompts are never prefilled in pieces when sampling: vLLM 0.32 rewinds the random state of a
  seeded request after such a piece, which a CPU generator cannot do, and the engine dies.

An engine that has died cannot be started again in the same process, so by default it takes the
process with it: Ray starts a fresh worker, and the unit in hand is done again.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from codeprm.backends.checkpoint import local_checkpoint, model_name
from codeprm.errors import BackendError, ConfigError, MissingError
from codeprm.places import ModelPlace

if TYPE_CHECKING:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

Output = TypeVar("Output")

# the smallest that vLLM's CPU attention takes; shorter blocks share more of a short prompt
_CPU_BLOCK_TOKENS = 32
_CPU_BATCHED_TOKENS = 4096
_SHUTDOWN_S = 1.0

# what both warn of at every start is settled here
_ENVIRONMENT = {
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
_CPU_ENVIRONMENT = {"TORCHDYNAMO_DISABLE": "1"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmConfig:
    """A model and how vLLM holds it."""

    model: ModelPlace
    """Checkpoint in Hugging Face layout, a directory or a URI; or a Hub repository."""
    revision: str | None = None
    """Revision of a Hub repository."""
    dtype: str = "auto"
    """Precision of the weights; auto: bfloat16 on a GPU, float32 on a CPU."""
    max_model_len: int = 4096
    """Longest prompt and completion together, in tokens; less if the model has fewer positions."""
    max_num_seqs: int = 256
    """Sequences computed at once; on a CPU 64 is enough."""
    tensor_parallel: int = 1
    """GPUs that share the model."""
    gpu_memory_utilization: float = 0.9
    """Share of a GPU's memory that vLLM may take."""
    cpu_kv_cache_gb: float = 1.0
    """Memory for keys and values where there is no GPU."""
    enable_prefix_caching: bool = True
    """Compute a prompt once for all its completions."""


class VllmEngine:
    """A started engine; `close` stops it and its processes."""

    def __init__(
        self,
        config: VllmConfig,
        *,
        runner: Literal["generate", "pooling"],
        exit_if_dead: bool = True,
    ) -> None:
        """Without `exit_if_dead` a dead engine raises `BackendError` at every request."""
        self.model = model_name(config.model, config.revision)
        local = dataclasses.replace(config, model=local_checkpoint(config.model))
        self.engine = _start(local, runner)
        self._exit_if_dead = exit_if_dead
        self._requests = 0

    @property
    def settings(self) -> Any:
        """What vLLM made of the configuration."""
        return self.engine.vllm_config

    @property
    def max_model_len(self) -> int:
        """Most tokens of one request, its answer included."""
        return int(self.engine.model_config.max_model_len)

    def next_id(self, name: str) -> str:
        """A request id that is unique to this engine."""
        self._requests += 1
        return f"{name}#{self._requests}"

    async def finish(self, outputs: AsyncGenerator[Output, None]) -> Output:
        """The last output of a request; any failure of this one alone is a `BackendError`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        last: Output | None = None
        try:
            async for output in outputs:
                last = output
        except EngineDeadError as error:
            if self._exit_if_dead:
                logger.critical("the vLLM engine has died: this worker ends with it")
                # sys.exit would only end this task, and an exception would fail the whole stage:
                # a process that is gone is what Ray replaces
                os._exit(1)
            raise BackendError("the vLLM engine has died") from error
        except Exception as error:  # vLLM wraps whatever this request ran into
            cause = error.__cause__ or error
            raise BackendError(f"vLLM failed: {type(cause).__name__}: {cause}") from error
        if last is None:
            raise BackendError("vLLM ended the request without an answer")
        return last

    async def check_health(self) -> None:
        """Raises `BackendError` if the engine has died."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            await self.engine.check_health()
        except EngineDeadError as error:
            raise BackendError("the vLLM engine has died") from error

    def close(self) -> None:
        """Stop the engine; its processes hold nothing that is worth waiting for."""
        # vLLM reports its own end as an error, and ends once more when the interpreter does
        logging.getLogger("vllm").setLevel(logging.CRITICAL)
        self.engine.shutdown(timeout=_SHUTDOWN_S)
        self.engine.shutdown = _nothing


def _nothing(timeout: float | None = None) -> None:
    """What is left to do when all is done."""


def _start(config: VllmConfig, runner: Literal["generate", "pooling"]) -> AsyncLLM:
    # read by vLLM when it is imported, and by the processes it starts; what a user has set stands
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise MissingError(
            f"vLLM cannot be imported ({error}): install requirements/cpu.txt, or "
            "requirements/gpu.txt on a machine with a GPU"
        ) from error
    try:
        limit = min(config.max_model_len, _positions(config))
        config = dataclasses.replace(config, max_model_len=limit)
        return AsyncLLM.from_engine_args(_engine_args(config, runner))
    except (ValueError, OSError) as error:
        # pydantic's messages have many lines; the first that says something is enough
        lines = [line.strip() for line in str(error).splitlines()]
        reason = next((line for line in lines if "validation error" not in line), "no reason given")
        raise ConfigError(f"vLLM cannot serve {config.model}: {reason}") from error


def _positions(config: VllmConfig) -> int:
    from transformers import AutoConfig

    own = AutoConfig.from_pretrained(config.model, revision=config.revision)
    return int(getattr(own, "max_position_embeddings", config.max_model_len))


def _engine_args(config: VllmConfig, runner: Literal["generate", "pooling"]) -> AsyncEngineArgs:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform

    on_cpu = bool(current_platform.is_cpu())
    settings = _cpu_settings(config, runner) if on_cpu else {}
    if runner == "pooling":
        settings |= {"runner": "pooling", "convert": "classify"}
    dtype = ("float32" if on_cpu else "bfloat16") if config.dtype == "auto" else config.dtype
    return AsyncEngineArgs(
        model=config.model,
        revision=config.revision,
        dtype=dtype,
        max_model_len=config.max_model_len,
        max_num_seqs=config.max_num_seqs,
        tensor_parallel_size=config.tensor_parallel,
        gpu_memory_utilization=config.gpu_memory_utilization,
        enable_prefix_caching=config.enable_prefix_caching,
        # sampling settings come with the request, not out of the checkpoint
        generation_config="vllm",
        enable_log_requests=False,
        disable_log_stats=True,
        seed=0,
        **settings,
    )


def _cpu_settings(config: VllmConfig, runner: Literal["generate", "pooling"]) -> dict[str, Any]:
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    for name, value in _CPU_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    settings: dict[str, Any] = {
        "enforce_eager": True,
        "block_size": _CPU_BLOCK_TOKENS,
        "kv_cache_memory_bytes": int(config.cpu_kv_cache_gb * 2**30),
        "max_num_batched_tokens": max(_CPU_BATCHED_TOKENS, config.max_model_len),
    }
    if config.tensor_parallel == 1:
        settings["distributed_executor_backend"] = UniProcExecutor
    if runner == "generate":
        settings["enable_chunked_prefill"] = False
    return settings
