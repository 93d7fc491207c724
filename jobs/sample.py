r"""Problems -> completions: a model answers each problem n times.

python jobs/sample.py --data runs/taco --model runs/generator --out runs/samples --n 50
python jobs/sample.py --data runs/taco --model NAME --base-url http://127.0.0.1:8000/v1 \
    --api-key-env '' --prompt-style chat --out runs/samples
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.backends.flags import Server, chosen_backend
from codeprm.backends.vllm_engine import VllmConfig
from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.sample import SampleConfig, sample_stage


@dataclass(frozen=True, kw_only=True)
class Args:
    """Sample completions."""

    data: Place
    """Dataset directory with the problems."""
    out: Place
    """Directory of completions to write, local path or URI."""
    engine: VllmConfig
    server: Server = field(default_factory=Server)
    config: SampleConfig = field(default_factory=SampleConfig)
    workers: Workers = field(default_factory=lambda: Workers(max_workers=1, units_in_flight=4))


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    backend = chosen_backend(args.engine, args.server)
    run_stage(
        sample_stage(args.config, backend, data=args.data, out=args.out, workers=args.workers)
    )


if __name__ == "__main__":
    run(main, Args)
