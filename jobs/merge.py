r"""Natural and synthetic solutions -> one dataset directory.

python jobs/merge.py --data runs/annotated --completions runs/samples --verdicts runs/verdicts \
    --sampled-from runs/verified --out runs/merged
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.places import Place
from codeprm.steps.base import Workers
from codeprm.steps.merge import MergeConfig, MergeInputs, merge_stage


@dataclass(frozen=True, kw_only=True)
class Args:
    """Unite the solutions of a dataset with programs that a model wrote and that passed."""

    data: Place
    """Dataset directory of the natural solutions."""
    completions: tuple[Place, ...]
    """Directories of completions; any number."""
    verdicts: tuple[Place, ...]
    """Directories of their verdicts, in the same order."""
    out: Place
    """Dataset directory to write, local path or URI."""
    sampled_from: Place | None = None
    """Dataset directory that was sampled from, for problems that --data does not hold."""
    config: MergeConfig = field(default_factory=MergeConfig)
    workers: Workers = field(default_factory=Workers)


def main(args: Args) -> None:
    from codeprm.distributed.run import run_stage

    inputs = MergeInputs(
        data=args.data,
        completions=args.completions,
        verdicts=args.verdicts,
        sampled_from=args.sampled_from,
    )
    run_stage(merge_stage(args.config, inputs, out=args.out, workers=args.workers))


if __name__ == "__main__":
    run(main, Args)
