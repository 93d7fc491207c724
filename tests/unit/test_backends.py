"""Backends that need no engine, and how one is chosen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from codeprm.backends import (
    BACKENDS,
    backend_config,
    backend_model,
    backend_of,
    build_backend,
)
from codeprm.backends.base import Request, Sampling
from codeprm.backends.checkpoint import local_checkpoint, model_name
from codeprm.backends.fake import FakeConfig
from codeprm.backends.openai import OpenAiConfig
from codeprm.backends.rules_backend import RulesConfig
from codeprm.errors import BackendError, ConfigError, DataError, MissingError
from codeprm.prompts import Message, fenced_program
from codeprm.reasoning import accepts


def request(prompt: str | tuple[Message, ...], seed: int = 0) -> Request:
    return Request(request_id=f"r{seed}", prompt=prompt, seed=seed, sampling=Sampling())


def test_an_unknown_backend_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="vllm, openai, rules, fake"):
        backend_config("gpt", model="x")


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        backend_config("vllm", model="x", temperature=1)


def test_every_backend_knows_its_own_configuration() -> None:
    for name in BACKENDS:
        config = backend_config(name, model="m")
        assert backend_of(config) == name
        assert backend_model(config) == "m"


def test_fake_answers_follow_from_the_seed_and_fail_where_told() -> None:
    config = FakeConfig(answers=("a", "b"), failing=("r3",))
    backend = build_backend(config)
    texts = [asyncio.run(backend.generate(request("p", seed))).text for seed in (0, 1, 2)]
    assert texts == ["a", "b", "a"]
    with pytest.raises(BackendError, match="r3"):
        asyncio.run(backend.generate(request("p", 3)))


def test_rules_annotate_the_program_of_the_last_message() -> None:
    program = "n = int(input())\nfor i in range(n):\n    print(i)"
    chat = (Message("system", "s"), Message("user", f"Problem\n```python\n{program}\n```"))
    answer = asyncio.run(build_backend(RulesConfig()).generate(request(chat)))
    assert accepts(program, fenced_program(answer.text, ""))


@pytest.mark.parametrize("prompt", ["text", (Message("user", "no program here, only words."),)])
def test_rules_answer_nothing_else(prompt: str | tuple[Message, ...]) -> None:
    with pytest.raises(BackendError):
        asyncio.run(build_backend(RulesConfig()).generate(request(prompt)))


def test_openai_without_its_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(MissingError, match="SOME_KEY"):
        build_backend(OpenAiConfig(model="m", api_key_env="SOME_KEY"))


def checkpoint(folder: Path, weights: bytes = b"w" * 10) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_is_named_by_its_content(tmp_path: Path) -> None:
    first = model_name(str(checkpoint(tmp_path / "model")))
    assert first.startswith("model@")
    (tmp_path / "elsewhere").mkdir()
    assert model_name(str(checkpoint(tmp_path / "elsewhere" / "model"))) == first
    (tmp_path / "other").mkdir()
    assert model_name(str(checkpoint(tmp_path / "other" / "model", b"v" * 10))) != first


def test_a_hub_repository_keeps_its_name() -> None:
    assert model_name("owner/name") == "owner/name"
    assert model_name("owner/name", "abc") == "owner/name@abc"


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no config\.json"):
        model_name(str(tmp_path))


def test_a_uri_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    uri = f"file://{checkpoint(tmp_path / 'model')}"
    (tmp_path / "temporary").mkdir()
    copy = local_checkpoint(uri)
    assert Path(copy, "model.safetensors").read_bytes() == b"w" * 10
    Path(copy, "mark").touch()
    assert Path(local_checkpoint(uri), "mark").exists()
    assert local_checkpoint("owner/name") == "owner/name"
