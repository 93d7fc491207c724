"""What a text generation engine is to the rest of the system.

One request is one sample: the engine answers it alone, so samples stream to the consumer as they
finish, each has its own seed, and a bad one fails alone. `Backend.generate` is a coroutine; the
caller bounds how many run at once by `in_flight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from codeprm.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to draw a completion; part of what names a generation."""

    temperature: float = 0.8
    """0 is greedy."""
    top_p: float = 0.95
    """Nucleus mass."""
    max_tokens: int = 2048
    """The longest completion, in tokens."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion and are cut off; the end-of-text token always ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One sample asked for. `seed` makes it repeatable on the same engine."""

    request_id: str
    prompt: Prompt
    seed: int
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One sample; `cumulative_logprob` in nats at temperature 1, None where it is not told."""

    text: str
    cumulative_logprob: float | None
    num_tokens: int
    finish_reason: str


class Backend(Protocol):
    """An engine, ready to answer."""

    model: str
    in_flight: int

    async def generate(self, request: Request) -> Generation:
        """Answer one request; raises `BackendError` if this one cannot be answered."""
        ...

    def close(self) -> None:
        """Stop the engine and what it started."""
        ...
