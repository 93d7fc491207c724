"""Fuzzes what the sandbox's owner reads from untrusted programs, and the judge, for a given time.

python scripts/fuzz.py --minutes 60 --seed 0

One line a minute, then one JSON line; exit code 1 if anything was found. A finding names its target
and its number: `--only TARGET --first NUMBER --cases 1` with the same seed repeats it alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.engine import Fuzz

ROOT = Path(__file__).resolve().parent.parent
LOG_EVERY_S = 60.0
# Far beyond any target's limit: code that even the timer's signal cannot stop.
STUCK_S = 600.0


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.engine import Fuzz
    from tests.fuzz.targets import TARGETS

    args = parser([target.name for target in TARGETS]).parse_args()
    targets = [target for target in TARGETS if not args.only or target.name in args.only]
    fuzz = Fuzz(targets, args.seed, first=args.first)
    started = told = time.monotonic()
    for failure in fuzz.run(60 * args.minutes, cases=args.cases):
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        if failure is not None:
            print(f"{failure.kind} in {failure.target} {failure.number}: {failure.message}")
        if failure is not None or time.monotonic() - told >= LOG_EVERY_S:
            told = time.monotonic()
            print(progress(fuzz, told - started), flush=True)
    faulthandler.cancel_dump_traceback_later()
    summary = {"seconds": round(time.monotonic() - started, 1)} | fuzz.summary()
    print(json.dumps(summary))
    return int(bool(summary["failures"]))


def parser(targets: list[str]) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    found.add_argument("--minutes", type=float, default=1.0)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--only", nargs="*", choices=targets, help="fuzz these targets alone")
    found.add_argument("--first", type=int, default=0, help="number of the first case")
    found.add_argument("--cases", type=int, help="stop after so many cases of each target")
    return found


def progress(fuzz: Fuzz, seconds: float) -> str:
    """Example: `12 min, 1.2 million cases, 0 failures | outputs 4321/s, values 9876/s`."""
    cases = sum(tally.cases for tally in fuzz.tallies.values())
    wrong = sum(tally.crashes + tally.wrong_acceptances for tally in fuzz.tallies.values())
    rates = ", ".join(
        f"{name} {tally.cases} ({tally.cases / tally.seconds:.0f}/s)"
        for name, tally in fuzz.tallies.items()
        if tally.seconds
    )
    return f"{seconds / 60:.1f} min, {cases} cases, {wrong} failures | {rates}"


if __name__ == "__main__":
    sys.exit(main())
