"""Are verdicts the same on a machine that is four times oversubscribed?

    python benchmarks/stability.py --data FOLDER

The same programs are graded alone, with a slot a core, and then again with four runnable tasks a
core: first by so many slots, then by a slot a core beside processes that only burn CPU time. A
verdict may become unknown under load (flaky, or a fault of ours that was retried in vain), and
nothing else: a pass never becomes a fail, nor one reason to fail another. The last line of stdout
is the result.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.host import logger, rounded
from benchmarks.programs import Program, chosen
from benchmarks.slots import Graded, Slots, grade_program
from codeprm.cli import run
from codeprm.errors import ConfigError
from codeprm.places import Place
from codeprm.records import Label

MIN_EQUAL_SHARE = 0.999
MAX_LISTED = 50
# Ends with its owner, whose end of the pipe is its standard input.
BURNER = (
    "import os, sys, threading\n"
    "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()\n"
    "while True: pass"
)


@dataclass(frozen=True, kw_only=True)
class Args:
    """Grade the same programs alone and under load."""

    data: Place = ""
    """Folder with problems.jsonl.gz and attempts.jsonl.gz; empty: mini-TACO."""
    programs: int = 2000
    """How many programs, at random, in the run with more slots."""
    burner_programs: int = 300
    """How many of them in the run beside CPU burners, which takes four times as long; 0: none."""
    load: int = 4
    """Runnable tasks a core."""
    seed: int = 0
    """Which programs."""


class Difference(NamedTuple):
    """A program whose verdict changed."""

    problem: str
    program: int
    alone: Graded
    loaded: Graded

    @property
    def kind(self) -> str:
        """`unknown` is allowed, `flipped` (pass and fail) and `changed` (between fails) not."""
        labels = {self.alone.outcome.label, self.loaded.outcome.label}
        if Label.UNKNOWN in labels:
            return "unknown"
        return "flipped" if len(labels) > 1 else "changed"


def main(args: Args) -> None:
    if args.load < 2:
        raise ConfigError("load must be at least 2: one task a core is no load")
    facts, cores = host.facts(), host.n_cores()
    programs = chosen(args.data, args.programs, seed=args.seed)
    alone = grade_all(programs, cores, "alone")
    loaded = grade_all(programs, cores * args.load, f"{cores * args.load} slots")
    loads = {"slots": figures(programs, alone, loaded)}
    if args.burner_programs:
        few = programs[: args.burner_programs]
        with burners(cores * (args.load - 1)):
            loaded = grade_all(few, cores, "beside burners")
        loads["burners"] = figures(few, alone, loaded)
    host.print_result(
        {
            "benchmark": "stability",
            "data": Path(args.data).name or "minitaco",
            "n_programs": len(programs),
            "outcomes_alone": dict(Counter(graded.outcome.value for graded in alone)),
            "load": args.load,
            "loads": loads,
            "host": facts,
            "bars": {name: is_met(load) for name, load in loads.items()},
        }
    )


def grade_all(programs: Sequence[Program], n_slots: int, name: str) -> list[Graded]:
    started = time.monotonic()
    with Slots(n_slots, programs) as slots:
        graded = slots.map(grade_program, ((index,) for index in range(len(programs))))
    logger.info("%s: %d programs in %.1f s", name, len(graded), time.monotonic() - started)
    return graded


def figures(
    programs: Sequence[Program], alone: Sequence[Graded], loaded: Sequence[Graded]
) -> dict[str, Any]:
    """Of the programs that were run both times: how many agree, and what does not."""
    found = list(differences(programs, alone, loaded))
    kinds = Counter(difference.kind for difference in found)
    return {
        "n_programs": len(loaded),
        "equal_share": rounded(1 - len(found) / len(loaded)),
        **{kind: kinds[kind] for kind in ("unknown", "flipped", "changed")},
        "differences": [described(difference) for difference in found[:MAX_LISTED]],
    }


def differences(
    programs: Sequence[Program], alone: Sequence[Graded], loaded: Sequence[Graded]
) -> Iterator[Difference]:
    for index, (one, other) in enumerate(zip(alone, loaded, strict=False)):
        if one.outcome is not other.outcome:
            yield Difference(programs[index].problem.name, index, one, other)


def described(difference: Difference) -> dict[str, Any]:
    return {
        "problem": difference.problem,
        "program": difference.program,
        "kind": difference.kind,
        "alone": difference.alone.outcome.value,
        "loaded": difference.loaded.outcome.value,
        "detail": [difference.alone.detail, difference.loaded.detail],
    }


def is_met(load: dict[str, Any]) -> bool:
    """99.9 % equal, and the rest unknown."""
    return bool(load["equal_share"] >= MIN_EQUAL_SHARE) and not load["flipped"] + load["changed"]


@contextmanager
def burners(n: int) -> Iterator[None]:
    """`n` processes that want a core each."""
    command = [sys.executable, "-c", BURNER]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(n)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    run(main, Args)
