"""The OpenAI backend against a server on loopback that says what it was asked; no Ray is needed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from codeprm.backends.base import Generation, Request, Sampling
from codeprm.backends.openai import OpenAiBackend, OpenAiConfig, Pace
from codeprm.errors import BackendError, ConfigError, MissingError
from codeprm.prompts import Message, Prompt

Answer = tuple[int, dict[str, Any]]


class Server:
    """Answers each request by `answer(path, body)` and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, Any]], Answer] = lambda path, body: (200, {})
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.authorization = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.authorization = self.headers["authorization"]
                server.asked.append((self.path, body))
                status, value = server.answer(self.path, body)
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.send_header("retry-after-ms", "10")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def completion(text: str = "print(1)", reason: str = "stop", **choice: Any) -> dict[str, Any]:
    return {
        "id": "1", "object": "text_completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": None} | choice],
        "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
    }  # fmt: skip


def chat(content: str, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"} | choice],
        "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
    }  # fmt: skip


def ask(server: Server, prompt: Prompt = "p", **settings: Any) -> Generation:
    config = OpenAiConfig(model="m", base_url=server.url, api_key_env="")
    backend = OpenAiBackend(dataclasses.replace(config, **settings))
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=11, stop=("END",))
    request = Request(request_id="r", prompt=prompt, seed=5, sampling=sampling)
    return asyncio.run(backend.generate(request))


def test_a_text_prompt_goes_to_completions(server: Server) -> None:
    server.answer = lambda path, body: (200, completion())
    answer = ask(server)
    [(path, body)] = server.asked
    assert path == "/v1/completions"
    assert body == {
        "model": "m", "prompt": "p", "temperature": 0.5, "top_p": 0.9, "max_tokens": 11,
        "seed": 5, "stop": ["END"],
    }  # fmt: skip
    assert answer == Generation(
        text="print(1)", cumulative_logprob=None, num_tokens=7, finish_reason="stop"
    )


def test_a_chat_goes_to_chat_completions(server: Server) -> None:
    server.answer = lambda path, body: (200, chat("hello"))
    answer = ask(server, (Message("system", "s"), Message("user", "u")))
    [(path, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert body["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]
    assert answer.text == "hello"


def test_logprobs_are_summed_where_they_are_given(server: Server) -> None:
    given = {"token_logprobs": [-0.5, -1.0], "tokens": ["a", "b"]}
    server.answer = lambda path, body: (200, completion(logprobs=given))
    assert ask(server, logprobs=True).cumulative_logprob == -1.5
    assert server.asked[0][1]["logprobs"] == 1
    tokens = [{"token": "a", "logprob": -2.0, "top_logprobs": []}]
    server.answer = lambda path, body: (200, chat("a", logprobs={"content": tokens}))
    assert ask(server, (Message("user", "u"),), logprobs=True).cumulative_logprob == -2.0
    assert server.asked[1][1]["logprobs"] is True


def test_the_key_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "abc")
    server.answer = lambda path, body: (200, completion())
    ask(server, api_key_env="SOME_KEY")
    assert server.authorization == "Bearer abc"


def test_a_busy_server_is_asked_again(server: Server) -> None:
    answers = iter([(429, {}), (503, {}), (200, completion())])
    server.answer = lambda path, body: next(answers)
    assert ask(server).text == "print(1)"
    assert len(server.asked) == 3


def test_what_does_not_pass_fails_this_request(server: Server) -> None:
    server.answer = lambda path, body: (400, {"error": {"message": "too long"}})
    with pytest.raises(BackendError, match="too long"):
        ask(server)
    server.answer = lambda path, body: (500, {})
    with pytest.raises(BackendError, match="InternalServerError"):
        ask(server, max_retries=1)


def test_an_answer_that_was_filtered_is_no_completion(server: Server) -> None:
    server.answer = lambda path, body: (200, completion(reason="content_filter"))
    with pytest.raises(BackendError, match="content_filter"):
        ask(server)
    server.answer = lambda path, body: (200, completion() | {"choices": []})
    with pytest.raises(BackendError, match="without a choice"):
        ask(server)


@pytest.mark.parametrize(("status", "reason"), [(401, "refuses the key"), (404, "does not know")])
def test_what_fails_every_request_stops_the_job(server: Server, status: int, reason: str) -> None:
    server.answer = lambda path, body: (status, {"error": {"message": "no"}})
    with pytest.raises(ConfigError, match=reason):
        ask(server)


def test_a_server_that_is_not_there_stops_the_job() -> None:
    backend = OpenAiBackend(
        OpenAiConfig(model="m", base_url="http://127.0.0.1:9/v1", api_key_env="", max_retries=0)
    )
    request = Request(request_id="r", prompt="p", seed=0, sampling=Sampling())
    with pytest.raises(MissingError, match=r"does not answer \(APIConnectionError"):
        asyncio.run(backend.generate(request))


def test_starts_are_spread_over_the_minute() -> None:
    async def starts() -> list[float]:
        pace = Pace(per_minute=1200)

        async def start() -> float:
            await pace.turn()
            return time.monotonic()

        return await asyncio.gather(*(start() for _ in range(5)))

    found = asyncio.run(starts())
    assert found[-1] - found[0] >= 4 * 0.05 - 0.01
