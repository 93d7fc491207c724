"""The offline annotator as a backend: answers a chat that ends in a fenced program.

It reads the program out of the last message, adds comments by `codeprm.backends.rules`, and answers
in a fence, as a chat model would; so mini-TACO is annotated by the step that annotates TACO.
"""

from __future__ import annotations

from dataclasses import dataclass

from codeprm.backends.base import Generation, Request
from codeprm.backends.rules import annotate_program
from codeprm.errors import BackendError
from codeprm.prompts import fenced_program


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesConfig:
    """Nothing to choose."""

    model: str = "rules"
    """What the annotator is called."""


class RulesBackend:
    """Deterministic; knows the idioms of mini-TACO."""

    def __init__(self, config: RulesConfig) -> None:
        self.model = config.model
        self.in_flight = 1

    async def generate(self, request: Request) -> Generation:
        if isinstance(request.prompt, str):
            raise BackendError("the rules backend only answers chats that end in a fenced program")
        program = fenced_program(request.prompt[-1].content, "")
        if not program:
            raise BackendError("no fenced program in the last message")
        text = f"```python\n{annotate_program(program)}\n```\n"
        return Generation(
            text=text, cumulative_logprob=None, num_tokens=len(text.split()), finish_reason="stop"
        )

    def close(self) -> None:
        """Nothing to close."""
