"""A dataset directory -> the same with reasoning steps: comments before the important lines.

python jobs/annotate.py --data runs/verified --out runs/annotated --model CHAT_MODEL
python jobs/annotate.py --data runs/verified --out runs/annotated --rules
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.backends.flags import Server, chosen_backend
from codeprm.backends.rules_backend import RulesConfig
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.errors import ConfigError
from codeprm.places import Place
from codeprm.steps.annotate import AnnotateConfig, annotate_stage
from codeprm.steps.base import Workers


@dataclass(frozen=True, kw_only=True)
class Args:
    """Add reasoning steps to solutions."""

    data: Place
    """Dataset directory whose solutions pass their tests."""
    out: Place
    """Dataset directory to write, local path or URI."""
    rules: bool = False
    """Insert comments by rule, for mini-TACO and for trying things out; no model is asked."""
    engine: VllmConfig = field(default_factory=lambda: VllmConfig(model=""))
    server: Server = field(default_factory=Server)
    config: AnnotateConfig = field(default_factory=AnnotateConfig)
    workers: Workers = field(default_factory=lambda: Workers(max_workers=1, units_in_flight=4))


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    if not (args.rules or args.engine.model):
        raise ConfigError("no annotator: give --model, or --rules to do without one")
    backend = RulesConfig() if args.rules else chosen_backend(args.engine, args.server)
    run_stage(
        annotate_stage(args.config, backend, data=args.data, out=args.out, workers=args.workers)
    )


if __name__ == "__main__":
    run(main, Args)
