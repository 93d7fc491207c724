"""A reward model -> an HTTP service: POST /v1/score, GET /health. Stop it with Ctrl-C.

python jobs/serve_orm.py --model runs/quickstart/orm --port 8000
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.serving import Replicas, ServeConfig, ServeLimits


@dataclass(frozen=True, kw_only=True)
class Args:
    """Serve scores of programs."""

    engine: VllmConfig
    limits: ServeLimits = field(default_factory=ServeLimits)
    replicas: Replicas = field(default_factory=Replicas)
    host: str = "127.0.0.1"
    """Address to listen on; anything else is open to the network."""
    port: int = 8000
    """Port to listen on."""
    token_env: str = ""
    """Environment variable with the token that requests must carry; empty: none needed."""


def main(args: Args) -> None:
    from codeprm.distributed.serve import serve_until_stopped

    config = ServeConfig(
        engine=args.engine,
        limits=args.limits,
        replicas=args.replicas,
        token_env=args.token_env,
    )
    serve_until_stopped(config, host=args.host, port=args.port)


if __name__ == "__main__":
    run(main, Args)
