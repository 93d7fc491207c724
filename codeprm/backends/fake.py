"""Engines without a model, for tests of what surrounds one: answers and margins that are given.

They ship with the package so that a new step or a new recipe can be tried in a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from codeprm.backends.base import Generation, Request
from codeprm.errors import BackendError
from codeprm.records import content_hash
from codeprm.reward_model import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeConfig:
    """Answers to give: request by request, the seed picks one."""

    model: str = "fake"
    """What the model is called."""
    answers: tuple[str, ...] = ("print(1)\n",)
    """What the model writes."""
    finish_reason: str = "stop"
    """How it ends."""
    failing: tuple[str, ...] = ()
    """Ids of requests that cannot be answered."""
    max_in_flight: int = 8
    """Requests at once."""


class FakeBackend:
    """Gives `answers[seed % len(answers)]`; remembers what it was asked and how much at once."""

    def __init__(self, config: FakeConfig) -> None:
        self.model = config.model
        self.in_flight = config.max_in_flight
        self.requests: list[Request] = []
        self.most_in_flight = 0
        self.closed = False
        self._config = config
        self._open = 0

    async def generate(self, request: Request) -> Generation:
        self.requests.append(request)
        self._open += 1
        self.most_in_flight = max(self.most_in_flight, self._open)
        try:
            await asyncio.sleep(0)
        finally:
            self._open -= 1
        if request.request_id in self._config.failing:
            raise BackendError(f"told to fail on {request.request_id}")
        answers = self._config.answers
        text = answers[request.seed % len(answers)]
        return Generation(
            text=text,
            cumulative_logprob=-0.5 * len(text),
            num_tokens=len(text.split()),
            finish_reason=self._config.finish_reason,
        )

    def close(self) -> None:
        self.closed = True


class FakeScorer:
    """Tokens are bytes; a margin between -4 and 4 follows from all of them."""

    def __init__(self, *, max_length: int = 4096, failing: tuple[str, ...] = ()) -> None:
        self.model = "fake-orm"
        self.calibration = Calibration(temperature=2.0, bias=-0.5, n=100)
        self.max_length = max_length
        self.in_flight = 8
        self.closed = False
        self.scored: list[str] = []
        self._failing = failing

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    async def margin(self, ids: Sequence[int]) -> float:
        text = bytes(ids).decode(errors="replace")
        self.scored.append(text)
        await asyncio.sleep(0)
        if any(part in text for part in self._failing):
            raise BackendError("told to fail on this program")
        return int(content_hash(text, length=4), 16) / 2**13 - 4.0

    async def check_health(self) -> None:
        if self.closed:
            raise BackendError("the engine is closed")

    def close(self) -> None:
        self.closed = True
