r"""Completions, verdicts, scores -> report.json, index.html, CSV tables, and a table here.

python jobs/report.py --completions runs/samples --verdicts runs/verdicts --scores runs/scores \
    --data runs/taco --out runs/report
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codeprm.cli import run
from codeprm.evaluation.make import ReportConfig, ReportInputs, make_report
from codeprm.places import Place


@dataclass(frozen=True, kw_only=True)
class Args:
    """Evaluate a generator and, with scores, a reward model."""

    inputs: ReportInputs
    out: Place
    """Directory to write, local path or URI; a report that is there is written again."""
    config: ReportConfig = field(default_factory=ReportConfig)


def main(args: Args) -> None:
    print(make_report(args.config, args.inputs, out=args.out))


if __name__ == "__main__":
    run(main, Args)
