r"""A dataset directory -> the same with reasoning steps: comments before the important lines.

python jobs/annotate.py --data runs/verified --out runs/annotated vllm --model CHAT_MODEL
python jobs/annotate.py --data runs/verified --out runs/annotated rules
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import subcommand

from codeprm.backends.openai import OpenAiConfig
from codeprm.backends.rules_backend import RulesConfig
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.steps.annotate import AnnotateConfig, annotate_stage
from codeprm.steps.base import Workers


@dataclass(frozen=True, kw_only=True)
class Args:
    """Add reasoning steps to solutions."""

    data: str
    """Dataset directory whose solutions pass their tests."""
    out: str
    """Dataset directory to write, local path or URI."""
    backend: (
        Annotated[VllmConfig, subcommand("vllm", prefix_name=False)]
        | Annotated[OpenAiConfig, subcommand("openai", prefix_name=False)]
        | Annotated[RulesConfig, subcommand("rules", prefix_name=False)]
    )
    config: AnnotateConfig = field(default_factory=AnnotateConfig)
    workers: Workers = field(default_factory=lambda: Workers(max_workers=1, units_in_flight=4))


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    stage = annotate_stage(
        args.config, args.backend, data=args.data, out=args.out, workers=args.workers
    )
    run_stage(stage)


if __name__ == "__main__":
    run(main, Args)
