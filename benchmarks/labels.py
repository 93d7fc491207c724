"""Do programs that are known to be right pass?

    python benchmarks/labels.py --data FOLDER --humaneval HumanEval.jsonl.gz

Three questions. Every program that the data marks as passing is graded on the public tests of its
problem; where it fails, and the label gate (`verify`) has by itself dropped the problem or some of
its tests, or does not believe its fails, it is graded on what the gate left; whatever fails then is
listed as an exception. Programs of which the data says "Timeout" are graded too, and those that
pass are counted. HumanEval's canonical solutions must all pass. The last line of stdout is the
result.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.gate import Gated, gated
from benchmarks.host import logger
from benchmarks.programs import Program, attempts
from benchmarks.slots import Graded, Slots, grade_program
from codeprm.cli import run
from codeprm.places import Place
from codeprm.records import Case, Outcome, Problem, problem_id_of

TIMEOUT = "Timeout"
HUMANEVAL_LIMIT_S = 10.0
HUMANEVAL_MEMORY_MB = 1024
MAX_LISTED = 100


@dataclass(frozen=True, kw_only=True)
class Args:
    """Grade programs whose verdict is known."""

    data: Place
    """Folder with problems.jsonl.gz and attempts.jsonl.gz."""
    humaneval: Place = ""
    """JSONL.gz file with prompt, canonical_solution, test and entry_point; empty: left out."""
    slots: int = 2
    """Programs at once."""
    passing: int = 0
    """Take so many different programs marked passing, at random; 0: all."""
    timeouts: int = 0
    """Take so many different programs marked "Timeout", at random; 0: all."""
    timeout_limit_s: float = 3.0
    """CPU time a test for those: a pass within it is a pass, so this can only miss some."""


def main(args: Args) -> None:
    facts = host.facts()
    programs = attempts(args.data)
    right = some([program for program in programs if program.is_right], args.passing)
    late = some([program for program in programs if is_timeout(program)], args.timeouts)
    late = [limited(program, args.timeout_limit_s) for program in late]
    canonical = list(humaneval(args.humaneval)) if args.humaneval else []
    with tempfile.TemporaryDirectory(prefix="codeprm-labels-") as folder:
        gate = gated(args.data, folder)
    logger.info("the gate changed %d problems", len(gate))
    everything = [*canonical, *right, *late]
    again = [behind_gate(program, gate) for program in right]
    with Slots(args.slots, [*everything, *(program for program in again if program)]) as slots:
        count = itertools.count()
        first = [grade_all(slots, count, group) for group in (canonical, right, late)]
        second = iter(grade_all(slots, count, [program for program in again if program]))
    gated_verdicts = [next(second) if program else None for program in again]
    result = {
        "benchmark": "labels",
        "data": Path(args.data).name,
        "humaneval": passing_figures(canonical, first[0]),
        "passing": passing_figures(right, first[1], gate, gated_verdicts),
        "timeouts": timeout_figures(late, first[2]),
        "gate": {name: found.reason for name, found in sorted(gate.items())},
        "host": facts,
    }
    host.print_result(result | {"bars": bars(result)})


def grade_all(slots: Slots, count: Iterator[int], group: Sequence[Program]) -> list[Graded]:
    """The next programs of those that the slots hold."""
    return slots.map(grade_program, [(next(count),) for _ in group])


def behind_gate(program: Program, gate: Mapping[str, Gated]) -> Program | None:
    """The program on what the gate left of its problem, if it changed that."""
    found = gate.get(program.problem.name)
    if found is None or found.problem is None:
        return None
    return replace(program, problem=found.problem, cases=found.cases)


def bars(result: Mapping[str, Any]) -> dict[str, bool]:
    """Whether nothing is left to explain."""
    return {name: not result[name]["exceptions"] for name in ("humaneval", "passing")}


def passing_figures(
    programs: Sequence[Program],
    graded: Sequence[Graded],
    gate: Mapping[str, Gated] | None = None,
    again: Sequence[Graded | None] = (),
) -> dict[str, Any]:
    """Programs that must pass, by outcome; `exceptions` are those that the gate does not explain.

    `again` holds the verdicts on what the gate left, where it changed a problem.
    """
    exceptions: list[dict[str, Any]] = []
    by_gate: Counter[str] = Counter()
    attempts_by_outcome: Counter[str] = Counter()
    for program, verdict, second in itertools.zip_longest(programs, graded, again):
        attempts_by_outcome[verdict.outcome.value] += program.attempts
        if verdict.outcome is Outcome.PASSED:
            continue
        if explained(program, second, gate or {}):
            by_gate[program.problem.name] += 1
        else:
            exceptions.append(described(program, second or verdict))
    for exception in exceptions[:MAX_LISTED]:
        logger.info("exception: %s", exception)
    return {
        "n_programs": len(programs),
        "n_attempts": sum(program.attempts for program in programs),
        "outcomes": dict(Counter(verdict.outcome.value for verdict in graded)),
        "attempts_by_outcome": dict(attempts_by_outcome),
        "explained_by_gate": dict(by_gate),
        "exceptions": len(exceptions),
        "exceptions_by_problem": dict(Counter(each["problem"] for each in exceptions)),
        "exceptions_listed": exceptions[:MAX_LISTED],
    }


def explained(program: Program, second: Graded | None, gate: Mapping[str, Gated]) -> bool:
    """Whether the gate drops the problem, or leaves tests by which this is no fail."""
    found = gate.get(program.problem.name)
    if found is None:
        return False
    if found.problem is None:
        return True
    return second is not None and second.outcome in (Outcome.PASSED, Outcome.QUARANTINED)


def timeout_figures(programs: Sequence[Program], graded: Sequence[Graded]) -> dict[str, Any]:
    """Programs that the data says timed out: how many pass here."""
    pairs = list(zip(programs, graded, strict=True))
    passed = [program for program, verdict in pairs if verdict.outcome is Outcome.PASSED]
    return {
        "n_programs": len(programs),
        "n_attempts": sum(program.attempts for program in programs),
        "outcomes": dict(Counter(verdict.outcome.value for verdict in graded)),
        "passed_programs": len(passed),
        "passed_attempts": sum(program.attempts for program in passed),
        "passed_problems": len({program.problem.name for program in passed}),
    }


def described(program: Program, verdict: Graded) -> dict[str, Any]:
    return {
        "problem": program.problem.name,
        "outcome": verdict.outcome.value,
        "detail": verdict.detail,
        "attempts": program.attempts,
    }


def is_timeout(program: Program) -> bool:
    return not program.is_right and TIMEOUT in program.message


def limited(program: Program, cpu_time_s: float) -> Program:
    """The program with less CPU time a test."""
    less = min(cpu_time_s, program.problem.time_limit_s)
    return replace(program, problem=replace(program.problem, time_limit_s=less))


def some(programs: list[Program], n: int) -> list[Program]:
    """`n` at random, the same ones each time; all of them for 0."""
    return random.Random(0).sample(programs, min(n, len(programs))) if n else programs


def humaneval(path: str) -> Iterator[Program]:
    """Programs that check themselves: no input, no output, exit code 0 is a pass."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield self_checking(
                row["task_id"],
                f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\n"
                f"check({row['entry_point']})\n",
            )


def self_checking(name: str, source: str) -> Program:
    problem_id = problem_id_of(name, None)
    problem = Problem(
        problem_id=problem_id,
        name=name,
        statement=name,
        starter_code="",
        entry_point=None,
        difficulty="",
        source="HumanEval",
        date=None,
        time_limit_s=HUMANEVAL_LIMIT_S,
        memory_limit_mb=HUMANEVAL_MEMORY_MB,
        compare="grade/1",
        n_cases=1,
        n_solutions=1,
        provenance=(),
    )
    silent = Case(problem_id=problem_id, index=0, input='""', expected='""', public=True)
    return Program(problem=problem, cases=(silent,), source=source, is_right=True)


if __name__ == "__main__":
    run(main, Args)
