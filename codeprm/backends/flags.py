"""Flags of the jobs that generate text: one engine, chosen by what is given.

--model DIR                       vLLM holds the model here
--model NAME --base-url URL       a server that speaks OpenAI's HTTP interface holds it
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from codeprm.backends import BackendConfig
from codeprm.backends.openai import OpenAiConfig
from codeprm.backends.vllm_engine import VllmConfig


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server to ask instead of starting vLLM, and how hard to press it."""

    base_url: str = ""
    """Where an OpenAI-compatible interface begins; empty: vLLM holds the model here."""
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


def chosen_backend(engine: VllmConfig, server: Server) -> BackendConfig:
    """The server where one is named, else vLLM."""
    if not server.base_url:
        return engine
    return OpenAiConfig(model=engine.model, **asdict(server))
