"""One attack or fault of the catalogue: what is run, and what must become of it at each level.

A program that attacks prints what came of it, and `cases` hold what it prints where the attack
fails: `passed` means that the sandbox held. `expected` is a set where the catalogue itself allows
more than one outcome, and then a comment beside the row says why. Words between at signs
(`@secret@`) stand for facts of the machine that runs the row: see `arena`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from codeprm.records import Outcome
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runs import Limits

LEVELS = (Level.F0, Level.F1, Level.F2)
# Number of the first row of each group.
GROUPS = {
    "A": 1, "B": 18, "C": 31, "D": 45, "E": 54, "F": 68, "G": 76, "H": 94, "I": 104, "J": 109,
}  # fmt: skip
LAST = 125
LAYERS = frozenset(
    {"seccomp", "landlock", "net", "pid", "mnt", "ipc", "uid", "rlimit", "zygote", "protocol"}
)

Expected = Mapping[Level, frozenset[Outcome]]


class Repeat(NamedTuple):
    """A long text that the table need not hold."""

    text: str
    times: int


class Between(NamedTuple):
    """Bounds, both included."""

    low: float
    high: float


def always(*outcomes: Outcome) -> Expected:
    """At every level; more than one only where the catalogue says so."""
    return {level: frozenset(outcomes) for level in LEVELS}


def unless_f2(outcome: Outcome, at_f2: Outcome) -> Expected:
    """F2 has no rules for paths, and says so."""
    return {**always(outcome), Level.F2: frozenset({at_f2})}


PASSED = always(Outcome.PASSED)
WRONG = always(Outcome.WRONG_ANSWER)
RUNTIME = always(Outcome.RUNTIME_ERROR)
COMPILE = always(Outcome.COMPILE_ERROR)
TIME = always(Outcome.TIME_LIMIT)
MEMORY = always(Outcome.MEMORY_LIMIT)
OUTPUT = always(Outcome.OUTPUT_LIMIT)
KILLED = always(Outcome.SECURITY)
READABLE_AT_F2 = unless_f2(Outcome.PASSED, Outcome.WRONG_ANSWER)

USUAL = Limits(cpu_time_s=2, memory_mb=256)
ROOMY = Limits(cpu_time_s=4, memory_mb=1024)
BUSY = Limits(cpu_time_s=0.4, wall_time_s=4, memory_mb=256)
ASLEEP = Limits(cpu_time_s=0.4, wall_time_s=0.7, memory_mb=256)

Case = tuple[object, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`id` is the number in the catalogue and, for variants, a letter."""

    id: str
    name: str
    expected: Expected
    layers: frozenset[str]
    program: str | Repeat = ""
    check: str = ""
    """Name of a function of `checks` that stands for the program."""
    cases: tuple[Case, ...] = (("", ""),)
    """(input or list of arguments, expected output or value)"""
    entry_point: str | None = None
    limits: Limits = USUAL
    before: tuple[tuple[str, str], ...] = ()
    """(program, input) that run first on the same slot, whatever becomes of them."""
    cases_passed: int | None = None
    """How many must pass before the first that fails."""
    cpu_s: Between | None = None
    parent_mb: int | None = None
    """By how much the memory of the parent may grow."""
    same_user_at_f2: Outcome | None = None
    """What becomes of it at F2 where the slot has no user of its own, if that is another thing."""
    works_outside: bool = False
    """Without a sandbox the attack is harmless and works: shown beside, so it can fail here."""
    quiet: bool = False
    """It measures, so nothing else should run beside it."""
    dangerous: bool = False
    """If it worked it would hurt more than its slot: only in a world of its own."""
    machine: str = ""
    """Of the processor, if it is about one."""

    @property
    def number(self) -> int:
        return int(self.id.rstrip("abcdefghijklmnopqrstuvwxyz"))

    @property
    def group(self) -> str:
        return list(GROUPS)[bisect_right(list(GROUPS.values()), self.number) - 1]


def layers(names: str) -> frozenset[str]:
    """Those that the row exercises: `layers("seccomp net")`."""
    return frozenset(names.split())
