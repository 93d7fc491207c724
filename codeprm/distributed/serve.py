"""The scoring service on Ray Serve: replicas that hold a reward model, behind HTTP.

    POST /v1/score   `codeprm.serving` says what goes in and what comes out
    GET  /health     200 while the engine answers, else 503

Requests beyond what the replicas hold and queue get 429 with Retry-After. A replica whose engine
has died fails its health check, and Serve replaces it. Without a token in the environment variable
that `token_env` names, there is no authentication: then listen on 127.0.0.1 or behind a gateway.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from ray import serve
from ray.serve import Application

from codeprm.backends.checkpoint import model_name
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.distributed.session import connect, disconnect
from codeprm.encoding import load_tokenizer
from codeprm.errors import BackendError, MissingError
from codeprm.scoring import Scorer
from codeprm.serving import (
    Refusal,
    ScoreRequest,
    ServeConfig,
    ServeLimits,
    check_token,
    parse_request,
    score_programs,
    serve_config,
)

APP_NAME = "orm"

logger = logging.getLogger(__name__)
api = FastAPI(title="codeprm", description=__doc__)


# Serve pickles the class when it is decorated: what it uses stands above it
def _json_body(model: type[ScoreRequest]) -> dict[str, Any]:
    schema = model.model_json_schema()
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}


def _token(name: str) -> str | None:
    if not name:
        return None
    token = os.environ.get(name)
    if not token:
        raise MissingError(f"no token: set the environment variable {name} where the service runs")
    return token


@serve.deployment(
    name="Orm",
    backpressure_config={"status_code": 429, "retry_after_s": 1},
    health_check_period_s=10,
    health_check_timeout_s=30,
    graceful_shutdown_timeout_s=30,
    max_constructor_retry_count=3,
)
@serve.ingress(api)
class Orm:
    """Carries a scorer; `codeprm.serving` decides."""

    def __init__(
        self,
        start: Callable[[], Scorer],
        limits: ServeLimits,
        token_env: str = "",
    ) -> None:
        self._limits = limits
        self._token = _token(token_env)
        self._scorer = start()

    @api.post("/v1/score", openapi_extra=_json_body(ScoreRequest))
    async def score(self, request: Request) -> Response:
        """Score programs for one problem."""
        try:
            check_token(request.headers.get("authorization"), self._token)
            asked = parse_request(await self._body(request), self._limits)
            answer = await score_programs(asked, self._scorer)
        except Refusal as refusal:
            return JSONResponse({"reason": refusal.reason}, status_code=refusal.status)
        return Response(answer.model_dump_json(), media_type="application/json")

    async def _body(self, request: Request) -> bytes:
        """As much as is needed to see that it is too long: a request must not fill the memory."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._limits.max_body_mb << 20:
                break
        return bytes(body)

    @api.get("/health")
    async def health(self) -> Response:
        """Whether the engine answers."""
        try:
            await self.check_health()
        except BackendError as error:
            return JSONResponse({"reason": str(error)}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ok", "model": self._scorer.model})

    async def check_health(self) -> None:
        """Called by Serve; raises if this replica should be replaced."""
        await self._scorer.check_health()

    def __del__(self) -> None:
        # the only hook that Serve calls when a replica is stopped
        if scorer := getattr(self, "_scorer", None):
            scorer.close()


def build_app(args: Mapping[str, Any]) -> Application:
    """The application of `deploy/serve.yaml`: `args` are the settings of `serve_config`."""
    return orm_app(serve_config(args))


def orm_app(config: ServeConfig) -> Application:
    """The application, not yet running; a model that is not there is found here."""
    model = config.engine.model
    if "://" in model:
        model_name(model)
    else:
        load_tokenizer(model, config.engine.revision)
    return scorer_app(partial(_start_scorer, config.engine), config)


def scorer_app(start: Callable[[], Scorer], config: ServeConfig) -> Application:
    """The application around any scorer."""
    replicas = config.replicas
    # the decorator has made a deployment of the class
    deployment: Any = Orm
    deployment = deployment.options(
        ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
        max_ongoing_requests=replicas.max_ongoing_requests,
        max_queued_requests=replicas.max_queued_requests,
        # one is the default, and only the default may be overridden by autoscaling
        **({"num_replicas": replicas.replicas} if replicas.replicas > 1 else {}),
    )
    app: Application = deployment.bind(start, config.limits, config.token_env)
    return app


def serve_until_stopped(config: ServeConfig, *, host: str, port: int) -> None:
    """Serve on this machine's address until SIGINT or SIGTERM; then nothing is left running."""
    app = orm_app(config)
    _token(config.token_env)
    connect()
    stopped = threading.Event()
    try:
        serve.start(http_options={"host": host, "port": port})
        serve.run(app, name=APP_NAME, route_prefix="/")
        # only now: while a model is loading, an interrupt should end the wait
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        logger.info("scoring at http://%s:%d/v1/score, stop with Ctrl-C", host, port)
        stopped.wait()
    except KeyboardInterrupt:
        logger.info("stopped before it served")
    finally:
        serve.delete(APP_NAME)
        disconnect()


def _start_scorer(engine: VllmConfig) -> Scorer:
    from codeprm.backends.vllm_scorer import VllmScorer

    # Serve replaces a replica that fails its health check; its other requests get an answer
    return VllmScorer(engine, exit_if_dead=False)
