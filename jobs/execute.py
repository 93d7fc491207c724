"""Completions -> verdicts: run each program on its problem's tests.

python jobs/execute.py --data runs/taco --completions runs/samples --out runs/verdicts
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.execute import ExecuteConfig, execute_stage


@dataclass(frozen=True, kw_only=True)
class Args:
    """Grade completions in the sandbox."""

    data: Place
    """Dataset directory with the problems and their cases."""
    completions: Place
    """Directory that the sample job wrote or, with --follow, is writing."""
    out: Place
    """Directory of verdicts to write, local path or URI."""
    follow: bool = False
    """Also grade the parts that a running sample job has yet to commit."""
    config: ExecuteConfig = field(default_factory=ExecuteConfig)
    workers: Workers = field(default_factory=Workers)


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    stage = execute_stage(
        args.config,
        data=args.data,
        completions=args.completions,
        out=args.out,
        workers=args.workers,
        follow=args.follow,
    )
    run_stage(stage, follow=args.follow)


if __name__ == "__main__":
    run(main, Args)
