"""A dataset directory -> the same with what executes and can be believed: the label gate.

python jobs/verify.py --data runs/taco --out runs/verified
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.verify import VerifyConfig, verify_stage
from codeprm.tables import open_directory


@dataclass(frozen=True, kw_only=True)
class Args:
    """Run every problem's solutions on its tests, quarantine faulty tests, keep what passes."""

    data: Place
    """Dataset directory that the prepare job wrote."""
    out: Place
    """Dataset directory to write, local path or URI."""
    wrong_programs: Place = ""
    """JSON lines {"problem", "program"} of programs known to be wrong, to count those that pass."""
    config: VerifyConfig = field(default_factory=VerifyConfig)
    workers: Workers = field(default_factory=Workers)


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage
    from codeprm.evaluation.label_trust import trust_summary, trust_text

    stage = verify_stage(
        args.config,
        data=args.data,
        out=args.out,
        workers=args.workers,
        wrong_programs=args.wrong_programs,
    )
    run_stage(stage)
    print(trust_text(trust_summary(open_directory(args.out))))


if __name__ == "__main__":
    run(main, Args)
