"""The scoring service without its server: request text -> scores, or a refusal with a reason.

    {"problem" or "prompt": text, "starter_code"?: text, "programs": [text, ...]}
    -> {"model", "calibration", "scores": [{"index", "margin", "probability"}, ...]}

`problem` is a statement and gets the prompt that the model was trained with; `prompt` is taken as
it is. Scores stand in the order of the programs; equal programs are computed once. A request is
answered whole or refused whole: the status says whose fault it is, the reason what to change.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codeprm.backends.vllm_engine import VllmConfig
from codeprm.errors import BackendError, ConfigError
from codeprm.prompts import docstring_prompt
from codeprm.scoring import Scorer, Unfit, scorer_input
from codeprm.steps.bounded import as_finished


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLimits:
    """What one request may ask for."""

    max_programs: int = 256
    """Programs a request."""
    max_body_mb: int = 8
    """Size of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """How many replicas there are, what each asks of the cluster, and how much work it takes."""

    replicas: int = 1
    """Copies of the model."""
    cpus: float = 1.0
    """Logical CPUs a replica."""
    gpus: float = 0.0
    """GPUs a replica."""
    max_ongoing_requests: int = 64
    """Requests that a replica works on at once."""
    max_queued_requests: int = 128
    """Requests that may wait; the next ones get 429."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """A service: which model, what it takes, how much of it."""

    engine: VllmConfig
    limits: ServeLimits = field(default_factory=ServeLimits)
    replicas: Replicas = field(default_factory=Replicas)
    token_env: str = ""
    """Environment variable with the token that requests must carry; empty: none needed."""


def serve_config(args: Mapping[str, Any]) -> ServeConfig:
    """A service described by flat settings, as in `deploy/serve.yaml`; only `model` is needed."""
    parts = {"engine": VllmConfig, "limits": ServeLimits, "replicas": Replicas}
    known = {item.name: part for part, cls in parts.items() for item in fields(cls)}
    known["token_env"] = ""
    if unknown := sorted(set(args) - set(known)):
        raise ConfigError(f"args has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
    if not args.get("model"):
        raise ConfigError("args has no model: name a reward model's checkpoint")
    chosen: dict[str, Any] = {
        part: cls(**{name: value for name, value in args.items() if known[name] == part})
        for part, cls in parts.items()
    }
    return ServeConfig(**chosen, token_env=args.get("token_env", ""))


class ScoreRequest(BaseModel):
    """Programs for one problem."""

    model_config = ConfigDict(extra="forbid", strict=True)

    problem: str | None = Field(default=None, min_length=1)
    prompt: str | None = Field(default=None, min_length=1)
    starter_code: str = ""
    programs: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_prompt(self) -> ScoreRequest:
        if (self.problem is None) == (self.prompt is None):
            raise ValueError("give either problem or prompt")
        if self.prompt is not None and self.starter_code:
            raise ValueError("starter_code goes with problem; a prompt already holds it")
        return self

    @property
    def prompt_text(self) -> str:
        """What stands in front of each program."""
        if self.problem is not None:
            return docstring_prompt(self.problem, self.starter_code)
        return self.prompt or ""


class ProgramScore(BaseModel):
    """The model's word on `programs[index]`."""

    index: int
    margin: float
    probability: float


class ScoreResponse(BaseModel):
    """One score a program, in the order of the request."""

    model: str
    calibration: str
    scores: list[ProgramScore]


class Refusal(Exception):
    """A request that is not answered: HTTP status and reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def parse_request(body: bytes, limits: ServeLimits) -> ScoreRequest:
    """The request in a body, within limits."""
    if len(body) > limits.max_body_mb << 20:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the request is too large, at most {limits.max_body_mb} MB are read: "
            "send fewer programs",
        )
    try:
        request = ScoreRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        is_json = first["type"] != "json_invalid"
        status = HTTPStatus.UNPROCESSABLE_ENTITY if is_json else HTTPStatus.BAD_REQUEST
        raise Refusal(status, f"{where}: {first['msg']}") from error
    if len(request.programs) > limits.max_programs:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"{len(request.programs)} programs, at most {limits.max_programs} a request",
        )
    return request


def check_token(header: str | None, token: str | None) -> None:
    """Whether the Authorization header carries the service's token; none is needed without one."""
    if token is None:
        return
    # the comparison takes as long for a wrong token as for the right one
    if not hmac.compare_digest((header or "").encode(), f"Bearer {token}".encode()):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "send the header Authorization: Bearer TOKEN")


async def score_programs(request: ScoreRequest, scorer: Scorer) -> ScoreResponse:
    """Margins and probabilities of a request's programs."""
    prompt_ids = scorer.encode(request.prompt_text)
    inputs: dict[str, list[int]] = {}
    for index, program in enumerate(request.programs):
        if program in inputs:
            continue
        ids = scorer_input(scorer, prompt_ids, program)
        if isinstance(ids, Unfit):
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"programs.{index}: {ids.detail}")
        inputs[program] = ids
    try:
        margins = await _margins(inputs, scorer)
    except BackendError as error:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    return _response(request.programs, margins, scorer)


async def _margins(inputs: dict[str, list[int]], scorer: Scorer) -> dict[str, float]:
    async def margin_of(program: str) -> tuple[str, float]:
        return program, await scorer.margin(inputs[program])

    calls = (margin_of(program) for program in inputs)
    return {program: margin async for program, margin in as_finished(calls, scorer.in_flight)}


def _response(
    programs: Sequence[str], margins: Mapping[str, float], scorer: Scorer
) -> ScoreResponse:
    ordered = [margins[program] for program in programs]
    probabilities = scorer.calibration.probability(np.array(ordered))
    scores = [
        ProgramScore(index=index, margin=margin, probability=float(probability))
        for index, (margin, probability) in enumerate(zip(ordered, probabilities, strict=True))
    ]
    return ScoreResponse(model=scorer.model, calibration=scorer.calibration.name, scores=scores)
