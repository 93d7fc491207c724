"""Completions by a real vLLM engine on a tiny random model; no Ray is needed for it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from codeprm.backends.base import Generation, Request, Sampling
from codeprm.backends.vllm import VllmBackend
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.errors import BackendError, ConfigError, DataError
from codeprm.prompts import Message
from tests.models import SHAPE, prompts, tiny_generator

# vLLM and torch warn of each other's interfaces
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

T = TypeVar("T")

SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=24)


class Engine:
    """A backend and the event loop that it lives in."""

    def __init__(self, model: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.backend = VllmBackend(
            VllmConfig(model=str(model), max_num_seqs=16, cpu_kv_cache_gb=0.1)
        )

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def generate(self, *requests: Request) -> list[Generation | BaseException]:
        async def all_of_them() -> list[Generation | BaseException]:
            calls = [self.backend.generate(request) for request in requests]
            return await asyncio.gather(*calls, return_exceptions=True)

        return self.run(all_of_them())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tiny_generator(tmp_path_factory.mktemp("models") / "generator"))
    yield engine
    engine.backend.close()
    # the engine's reader was cancelled and has yet to end
    engine.run(asyncio.sleep(0))
    engine.loop.close()


def request(prompt: str, seed: int, sampling: Sampling = SAMPLING) -> Request:
    return Request(request_id=f"r{seed}", prompt=prompt, seed=seed, sampling=sampling)


def test_a_seed_repeats_its_sample_whatever_else_is_in_flight(engine: Engine) -> None:
    [prompt, *others] = prompts(40)
    [alone] = engine.generate(request(prompt, 7))
    [among, other, *_] = engine.generate(
        request(prompt, 7),
        request(prompt, 8),
        *(request(text, seed) for seed, text in enumerate(others)),
    )
    assert isinstance(alone, Generation)
    assert isinstance(among, Generation)
    assert isinstance(other, Generation)
    assert among.text == alone.text
    assert among.cumulative_logprob == pytest.approx(alone.cumulative_logprob, abs=1e-3)
    assert other.text != alone.text


def test_the_logprob_is_that_of_the_token_before_temperature_and_nucleus(engine: Engine) -> None:
    [prompt] = prompts(1)
    sampling = Sampling(temperature=2.0, top_p=0.7, max_tokens=1)
    [answer] = engine.generate(request(prompt, 1, sampling))
    assert isinstance(answer, Generation)
    found = logprobs_of_next(engine.backend, prompt, answer.text)
    assert any(answer.cumulative_logprob == pytest.approx(logprob, abs=1e-3) for logprob in found)


def logprobs_of_next(backend: VllmBackend, prompt: str, text: str) -> list[float]:
    """What transformers gives the tokens that read as `text`, usually one."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(backend._config.model)
    with torch.no_grad():
        logits = model(torch.tensor([backend._ids(prompt)])).logits[0, -1]
    logprobs = torch.log_softmax(logits, dim=-1).tolist()
    decode = backend._tokenizer.decode
    return [value for token, value in enumerate(logprobs) if decode([token]) == text]


def test_the_finish_reason_tells_length_from_stop(engine: Engine) -> None:
    [prompt] = prompts(1)
    [cut] = engine.generate(request(prompt, 3))
    assert isinstance(cut, Generation)
    assert (cut.finish_reason, cut.num_tokens) == ("length", SAMPLING.max_tokens)
    first = cut.text[2]
    [ended] = engine.generate(request(prompt, 3, dataclasses.replace(SAMPLING, stop=(first,))))
    assert isinstance(ended, Generation)
    assert ended.finish_reason == "stop"
    assert first not in ended.text


def test_a_request_that_cannot_be_answered_fails_alone(engine: Engine) -> None:
    [prompt] = prompts(1)
    long, good = engine.generate(request(prompt * 50, 1), request(prompt, 1))
    assert isinstance(long, BackendError)
    assert f"the model reads {SHAPE.max_positions}" in str(long)
    assert isinstance(good, Generation)


def test_sampling_that_makes_no_sense_stops_the_job(engine: Engine) -> None:
    [odd] = engine.generate(request("x", 1, dataclasses.replace(SAMPLING, top_p=-1.0)))
    assert isinstance(odd, ConfigError)
    assert "top_p" in str(odd)


def test_a_burst_of_long_prompts_does_not_kill_the_engine(engine: Engine) -> None:
    # vLLM 0.32 on a CPU dies of a seeded request whose prompt it prefills in pieces
    texts = [f"{number}{prompts(1)[0] * 3}"[:700] for number in range(64)]
    answers = engine.generate(*(request(text, seed) for seed, text in enumerate(texts)))
    assert all(isinstance(answer, Generation) for answer in answers)


def test_a_chat_needs_a_chat_template(engine: Engine) -> None:
    chat = Request(request_id="c", prompt=(Message("user", "hi"),), seed=1, sampling=SAMPLING)
    [answer] = engine.generate(chat)
    assert isinstance(answer, DataError)
    assert "no chat template" in str(answer)
