"""What the scoring service answers and refuses, without a server."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from codeprm.backends.fake import FakeScorer
from codeprm.errors import ConfigError
from codeprm.prompts import docstring_prompt
from codeprm.serving import (
    Refusal,
    ScoreResponse,
    ServeLimits,
    check_token,
    parse_request,
    score_programs,
    serve_config,
)

PROGRAMS = ["print(1)", "print(2)", "print(1)"]


def ask(body: bytes, limits: ServeLimits, scorer: FakeScorer) -> ScoreResponse:
    return asyncio.run(score_programs(parse_request(body, limits), scorer))


def answer(body: dict[str, Any], scorer: FakeScorer | None = None) -> ScoreResponse:
    return ask(json.dumps(body).encode(), ServeLimits(), scorer or FakeScorer())


def refusal(body: bytes | dict[str, Any], limits: ServeLimits | None = None) -> Refusal:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refusal) as caught:
        ask(text, limits or ServeLimits(), FakeScorer(max_length=100, failing=("boom",)))
    return caught.value


def test_scores_stand_in_the_order_of_the_programs() -> None:
    scorer = FakeScorer()
    response = answer({"problem": "Add.", "programs": PROGRAMS}, scorer)
    assert [score.index for score in response.scores] == [0, 1, 2]
    assert response.scores[0].margin == response.scores[2].margin
    assert response.scores[0].margin != response.scores[1].margin
    assert len(scorer.scored) == 2
    assert response.model == "fake-orm"
    assert response.calibration == scorer.calibration.name
    assert all(0 < score.probability < 1 for score in response.scores)


def test_a_problem_gets_the_prompt_of_training() -> None:
    prompt = docstring_prompt("Add.", "def f():")
    by_problem = answer({"problem": "Add.", "starter_code": "def f():", "programs": PROGRAMS})
    assert by_problem == answer({"prompt": prompt, "programs": PROGRAMS})


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", HTTPStatus.BAD_REQUEST, "Invalid JSON"),
        (b"\xff\xfe", HTTPStatus.BAD_REQUEST, "Invalid JSON"),
        (b"[]", HTTPStatus.UNPROCESSABLE_ENTITY, "the request"),
        ({"programs": ["x"]}, HTTPStatus.UNPROCESSABLE_ENTITY, "either problem or prompt"),
        (
            {"problem": "a", "prompt": "b", "programs": ["x"]},
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "either problem or prompt",
        ),
        (
            {"prompt": "b", "starter_code": "c", "programs": ["x"]},
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "starter_code",
        ),
        ({"problem": "a"}, HTTPStatus.UNPROCESSABLE_ENTITY, "programs: Field required"),
        ({"problem": "a", "programs": []}, HTTPStatus.UNPROCESSABLE_ENTITY, "programs"),
        ({"problem": "a", "programs": "x"}, HTTPStatus.UNPROCESSABLE_ENTITY, "programs"),
        ({"problem": "a", "programs": ["x", 1]}, HTTPStatus.UNPROCESSABLE_ENTITY, "programs.1"),
        ({"problem": "", "programs": ["x"]}, HTTPStatus.UNPROCESSABLE_ENTITY, "problem"),
        ({"problem": "a", "programs": ["x"], "n": 1}, HTTPStatus.UNPROCESSABLE_ENTITY, "n: Extra"),
        ({"problem": "a", "programs": ["x", " "]}, HTTPStatus.UNPROCESSABLE_ENTITY, "programs.1"),
        (
            {"problem": "a", "programs": ["x" * 99]},
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the program has 99 tokens",
        ),
        ({"problem": "a", "programs": ["boom"]}, HTTPStatus.SERVICE_UNAVAILABLE, "told to fail"),
    ],
)
def test_a_refusal_has_a_status_and_a_reason(
    body: bytes | dict[str, Any], status: HTTPStatus, reason: str
) -> None:
    refused = refusal(body)
    assert refused.status == status
    assert reason in refused.reason


def test_limits_are_413() -> None:
    many = refusal({"problem": "a", "programs": ["x"] * 3}, ServeLimits(max_programs=2))
    assert (many.status, many.reason) == (413, "3 programs, at most 2 a request")
    big = refusal(b"x" * (1 << 20 | 1), ServeLimits(max_body_mb=1))
    assert big.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_token_is_asked_for_where_there_is_one() -> None:
    check_token(None, None)
    check_token("Bearer secret", "secret")
    for header in (None, "", "Bearer wrong", "secret", "Basic secret"):
        with pytest.raises(Refusal) as caught:
            check_token(header, "secret")
        assert caught.value.status == HTTPStatus.UNAUTHORIZED


def test_a_service_is_described_by_flat_settings() -> None:
    config = serve_config({"model": "m", "max_model_len": 64, "max_programs": 3, "gpus": 1})
    assert config.engine.max_model_len == 64
    assert config.limits.max_programs == 3
    assert config.replicas.gpus == 1
    with pytest.raises(ConfigError, match="args has no modle"):
        serve_config({"modle": "m"})
    with pytest.raises(ConfigError, match="args has no model"):
        serve_config({})
