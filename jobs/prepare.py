"""Raw problems -> a dataset directory: problems, cases, solutions, rejected.

python jobs/prepare.py --dataset taco --source BAAI/TACO --out runs/taco
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig


@dataclass(frozen=True, kw_only=True)
class Args:
    """Read, clean, repair and unite the problems of a dataset."""

    out: Place
    """Directory to write, local path or URI."""
    config: PrepareConfig = field(default_factory=PrepareConfig)
    workers: Workers = field(default_factory=Workers)


def main(args: Args) -> None:
    from codeprm.distributed.prepare import prepare

    prepare(args.config, out=args.out, workers=args.workers)


if __name__ == "__main__":
    run(main, Args)
