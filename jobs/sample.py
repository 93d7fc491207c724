r"""Problems -> completions: a model answers each problem n times.

python jobs/sample.py --data runs/taco --out runs/samples --n 50 vllm --model runs/generator
python jobs/sample.py --data runs/taco --out runs/samples --prompt-style chat \
    openai --model NAME --base-url http://127.0.0.1:8000/v1 --api-key-env ''
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import subcommand

from codeprm.backends.openai import OpenAiConfig
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.steps.base import Workers
from codeprm.steps.sample import SampleConfig, sample_stage


@dataclass(frozen=True, kw_only=True)
class Args:
    """Sample completions."""

    data: str
    """Dataset directory with the problems."""
    out: str
    """Directory of completions to write, local path or URI."""
    backend: (
        Annotated[VllmConfig, subcommand("vllm", prefix_name=False)]
        | Annotated[OpenAiConfig, subcommand("openai", prefix_name=False)]
    )
    config: SampleConfig = field(default_factory=SampleConfig)
    workers: Workers = field(default_factory=lambda: Workers(max_workers=1, units_in_flight=4))


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    stage = sample_stage(
        args.config, args.backend, data=args.data, out=args.out, workers=args.workers
    )
    run_stage(stage)


if __name__ == "__main__":
    run(main, Args)
