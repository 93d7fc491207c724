"""A dataset directory -> the same with only the solutions and problems that execute.

python jobs/verify.py --data runs/taco --out runs/verified
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.verify import VerifyConfig, verify_stage


@dataclass(frozen=True, kw_only=True)
class Args:
    """Run every problem's solutions on its tests and keep what passes."""

    data: Place
    """Dataset directory that the prepare job wrote."""
    out: Place
    """Dataset directory to write, local path or URI."""
    config: VerifyConfig = field(default_factory=VerifyConfig)
    workers: Workers = field(default_factory=Workers)


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    run_stage(verify_stage(args.config, data=args.data, out=args.out, workers=args.workers))


if __name__ == "__main__":
    run(main, Args)
