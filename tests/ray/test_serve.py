"""The scoring service over HTTP: with a fake scorer for the manners, with vLLM for the numbers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ray import serve

from codeprm.backends.fake import FakeScorer
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.distributed.serve import build_app, scorer_app
from codeprm.encoding import encode_text, load_tokenizer
from codeprm.errors import ConfigError, DataError
from codeprm.prompts import docstring_prompt
from codeprm.reward_model import Calibration
from codeprm.serving import Replicas, ServeConfig, ServeLimits
from tests.models import tiny_generator, tiny_orm, transformers_margins

ROOT = Path(__file__).parents[2]

# Ray, vLLM and torch warn of each other's interfaces
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SlowScorer(FakeScorer):
    """Takes its time where the program says so."""

    async def margin(self, ids: object) -> float:
        margin = await super().margin(ids)  # type: ignore[arg-type]
        if "sleep" in self.scored[-1]:
            await asyncio.sleep(1.0)
        return margin


@pytest.fixture(scope="module")
def url(ray_local: None) -> Iterator[str]:
    port = free_port()
    config = ServeConfig(
        engine=VllmConfig(model="unused"),
        limits=ServeLimits(max_programs=40, max_body_mb=1),
        replicas=Replicas(cpus=0.5, max_ongoing_requests=2, max_queued_requests=1),
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(scorer_app(SlowScorer, config), name="fake", route_prefix="/")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def test_it_scores(url: str) -> None:
    programs = [f"print({number % 5})" for number in range(32)]
    answer = httpx.post(f"{url}/v1/score", json={"problem": "Add.", "programs": programs})
    assert answer.status_code == 200
    scores = answer.json()["scores"]
    assert [score["index"] for score in scores] == list(range(32))
    assert len({score["margin"] for score in scores}) == 5
    assert scores[0] == scores[5] | {"index": 0}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "Invalid JSON"),
        (b'{"problem": "a"}', 422, "programs"),
        (b'{"problem": "a", "programs": [""]}', 422, "programs.0"),
        (b'{"problem": "a", "programs": [%s"x"]}' % (b'"x",' * 40), 413, "at most 40"),
        (b" " * (1 << 20 | 1), 413, "at most 1 MB"),
    ],
)
def test_a_bad_request_is_refused_with_a_reason(
    url: str, body: bytes, status: int, reason: str
) -> None:
    answer = httpx.post(f"{url}/v1/score", content=body)
    assert answer.status_code == status
    assert reason in answer.json()["reason"]


def test_other_paths_and_methods_are_refused(url: str) -> None:
    assert httpx.get(f"{url}/v1/score").status_code == 405
    assert httpx.get(f"{url}/nothing").status_code == 404
    assert httpx.get(f"{url}/health").json() == {"status": "ok", "model": "fake-orm"}


def test_too_many_requests_are_turned_away(url: str) -> None:
    async def burst() -> list[int]:
        async with httpx.AsyncClient(timeout=30) as client:
            bodies = [{"problem": "a", "programs": [f"sleep{n}"]} for n in range(12)]
            posts = [client.post(f"{url}/v1/score", json=body) for body in bodies]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    # how many get in depends on when they arrive
    assert set(asyncio.run(burst())) == {200, 429}


def test_a_token_is_asked_for_where_one_is_set(url: str) -> None:
    # a replica reads its own environment, and PATH is set in any
    config = ServeConfig(engine=VllmConfig(model="unused"), token_env="PATH")
    serve.run(scorer_app(FakeScorer, config), name="guarded", route_prefix="/guarded")
    place, body = f"{url}/guarded/v1/score", {"problem": "a", "programs": ["x"]}
    assert httpx.post(place, json=body).status_code == 401
    headers = {"Authorization": f"Bearer {os.environ['PATH']}"}
    assert httpx.post(place, json=body, headers=headers).status_code == 200
    serve.delete("guarded")


def test_a_model_that_is_not_there_is_found_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        build_app({"model": str(tmp_path)})
    with pytest.raises(ConfigError, match="args has no modle"):
        build_app({"modle": "x"})


def test_the_job_serves_and_leaves_nothing_running(tmp_path: Path) -> None:
    orm = tiny_orm(tmp_path / "orm", tiny_generator(tmp_path / "generator"))
    Calibration(temperature=2.0, bias=0.5, n=10).save(orm)
    port, mark = free_port(), f"serve-{uuid.uuid4().hex}"
    command = [sys.executable, "jobs/serve_orm.py", "--model", str(orm), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen(
            [*command, "--max-num-seqs", "16", "--cpu-kv-cache-gb", "0.1"],
            cwd=ROOT,
            env={**os.environ, "CODEPRM_TEST_MARK": mark},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", job, tmp_path / "log")
        programs = [f"n = int(input())\nprint(n + {number})" for number in range(32)]
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/score",
            json={"problem": "Add.", "programs": programs},
            timeout=60,
        )
        assert answer.status_code == 200
        assert margins_of(answer) == pytest.approx(expected_margins(orm, programs), abs=5e-5)
        assert len(running(mark)) > 1
        job.send_signal(signal.SIGINT)
        assert job.wait(timeout=60) == 0
        assert gone(mark)
    finally:
        job.kill()


def margins_of(answer: httpx.Response) -> list[float]:
    return [score["margin"] for score in answer.json()["scores"]]


def expected_margins(orm: Path, programs: list[str]) -> list[float]:
    tokenizer = load_tokenizer(str(orm))
    prompt = encode_text(tokenizer, docstring_prompt("Add.", ""))
    rows = [prompt + encode_text(tokenizer, program) for program in programs]
    return transformers_margins(orm, rows)


def wait_until_healthy(url: str, job: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert job.poll() is None, log.read_text()
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(log.read_text())


def running(mark: str) -> list[str]:
    """Processes that inherited the mark, whatever they are now called."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 20
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running(mark) == []
    return True
