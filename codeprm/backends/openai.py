"""Completions from any server that speaks OpenAI's HTTP interface.

Text prompts go to `/completions`, chats to `/chat/completions`. The client retries what may pass
(429, 5xx, lost connections) with growing pauses. A server that still cannot be reached or has no
room is an outage and stops the job, as a wrong key or an unknown model does; any other refusal
fails that request alone.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeprm.backends.base import Generation, Request
from codeprm.errors import BackendError, ConfigError, MissingError
from codeprm.prompts import Message

if TYPE_CHECKING:
    from openai.types import Completion
    from openai.types.chat import ChatCompletion


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiConfig:
    """A model behind HTTP and how hard to press it."""

    model: str
    """Name of the model on the server."""
    base_url: str = "https://api.openai.com/v1"
    """Where the interface begins."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; empty: the server asks for none."""
    max_in_flight: int = 32
    """Requests at once."""
    requests_per_minute: int = 0
    """Start at most so many requests a minute; 0: no limit."""
    timeout_s: float = 600.0
    """Longest wait for an answer."""
    max_retries: int = 5
    """How often a request is tried again."""
    logprobs: bool = False
    """Ask for log-probabilities; some servers refuse to tell."""


class Pace:
    """Spreads starts evenly: the n-th caller waits for the n-th slot."""

    def __init__(self, per_minute: int) -> None:
        self._interval_s = 60.0 / per_minute if per_minute else 0.0
        self._next_s = 0.0

    async def turn(self) -> None:
        """Return when it is this caller's turn."""
        now = time.monotonic()
        start = max(now, self._next_s)
        self._next_s = start + self._interval_s
        if start > now:
            await asyncio.sleep(start - now)


class OpenAiBackend:
    """A client of one server."""

    def __init__(self, config: OpenAiConfig) -> None:
        key = os.environ.get(config.api_key_env, "") if config.api_key_env else "none"
        if not key:
            raise MissingError(
                f"no key for {config.base_url}: set the environment variable "
                f"{config.api_key_env}, or --api-key-env '' if the server asks for none"
            )
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise MissingError(
                "the openai backend needs the package openai: pip install openai"
            ) from error
        self.model = config.model
        self.in_flight = config.max_in_flight
        self._config = config
        self._pace = Pace(config.requests_per_minute)
        self._client = AsyncOpenAI(
            api_key=key,
            base_url=config.base_url,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
        )

    async def generate(self, request: Request) -> Generation:
        import openai

        await self._pace.turn()
        try:
            if isinstance(request.prompt, str):
                return _of_completion(await self._complete(request, request.prompt))
            return _of_chat(await self._chat(request, request.prompt))
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ConfigError(
                f"{self._config.base_url} refuses the key in {self._config.api_key_env}: "
                f"{error.message}"
            ) from error
        except openai.NotFoundError as error:
            raise ConfigError(
                f"{self._config.base_url} does not know {self.model!r}: {error.message}"
            ) from error
        except (openai.APIConnectionError, openai.RateLimitError) as error:
            # what outlasts all retries is an outage: rows must not be given up for it
            raise MissingError(
                f"{self._config.base_url} does not answer ({type(error).__name__}: {error}): run "
                "again when it does, what is finished is kept"
            ) from error
        except openai.OpenAIError as error:
            raise BackendError(
                f"{self._config.base_url} failed: {type(error).__name__}: {error}"
            ) from error

    def close(self) -> None:
        """Nothing: connections are bound to an event loop that may be gone, and end with us."""

    async def _complete(self, request: Request, prompt: str) -> Completion:
        answer: Completion = await self._client.completions.create(
            **self._body(request), prompt=prompt
        )
        return answer

    async def _chat(self, request: Request, prompt: tuple[Message, ...]) -> ChatCompletion:
        messages: Any = [{"role": role, "content": content} for role, content in prompt]
        answer: ChatCompletion = await self._client.chat.completions.create(
            **self._body(request), messages=messages
        )
        return answer

    def _body(self, request: Request) -> dict[str, Any]:
        """All but the prompt."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": request.seed,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self._config.logprobs:
            # a number of alternatives in one interface, a switch in the other
            body["logprobs"] = 1 if isinstance(request.prompt, str) else True
        return body


def _of_completion(answer: Completion) -> Generation:
    if not answer.choices:
        raise BackendError("the server answered without a choice")
    choice = answer.choices[0]
    logprobs = choice.logprobs.token_logprobs if choice.logprobs else None
    return Generation(
        text=choice.text,
        cumulative_logprob=sum(logprobs) if logprobs else None,
        num_tokens=answer.usage.completion_tokens if answer.usage else len(logprobs or ()),
        finish_reason=_finish_reason(choice.finish_reason),
    )


def _of_chat(answer: ChatCompletion) -> Generation:
    if not answer.choices:
        raise BackendError("the server answered without a choice")
    choice = answer.choices[0]
    content = choice.logprobs.content if choice.logprobs else None
    return Generation(
        text=choice.message.content or "",
        cumulative_logprob=sum(token.logprob for token in content) if content else None,
        num_tokens=answer.usage.completion_tokens if answer.usage else len(content or ()),
        finish_reason=_finish_reason(choice.finish_reason),
    )


def _finish_reason(reason: str) -> str:
    if reason not in ("stop", "length"):
        raise BackendError(f"the server ended the completion with {reason!r}")
    return reason
