"""Text generation engines by name. A new one is a module here and a line in `BACKENDS`.

    config = backend_config("vllm", model="runs/generator")
    backend = build_backend(config)           # heavy imports happen here, in the worker
    generation = await backend.generate(request)

Configurations are plain data and cheap to import; the classes that they build are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from codeprm.backends.base import Backend
from codeprm.backends.checkpoint import model_name
from codeprm.backends.fake import FakeBackend, FakeConfig
from codeprm.backends.openai import OpenAiBackend, OpenAiConfig
from codeprm.backends.rules_backend import RulesBackend, RulesConfig
from codeprm.backends.vllm import VllmBackend
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.errors import ConfigError

BackendConfig = VllmConfig | OpenAiConfig | RulesConfig | FakeConfig


class BackendKind(NamedTuple):
    """How to describe an engine, and how to start it."""

    config: type[Any]
    build: Callable[[Any], Backend]


def backend_config(name: str, **settings: Any) -> BackendConfig:
    """The configuration of a named backend; an unknown name lists the known ones."""
    if name not in BACKENDS:
        raise ConfigError(f"no backend {name!r}: choose one of {', '.join(BACKENDS)}")
    try:
        config: BackendConfig = BACKENDS[name].config(**settings)
    except TypeError as error:
        raise ConfigError(f"the {name} backend cannot be set up: {error}") from error
    return config


def build_backend(config: BackendConfig) -> Backend:
    """Start the engine that a configuration describes."""
    return BACKENDS[backend_of(config)].build(config)


def backend_of(config: BackendConfig) -> str:
    """The name of a configuration's backend."""
    return next(name for name, kind in BACKENDS.items() if isinstance(config, kind.config))


def backend_model(config: BackendConfig) -> str:
    """What its model is called in rows, without starting it."""
    if isinstance(config, VllmConfig):
        return model_name(config.model, config.revision)
    return config.model


BACKENDS: dict[str, BackendKind] = {
    "vllm": BackendKind(VllmConfig, VllmBackend),
    "openai": BackendKind(OpenAiConfig, OpenAiBackend),
    "rules": BackendKind(RulesConfig, RulesBackend),
    "fake": BackendKind(FakeConfig, FakeBackend),
}
