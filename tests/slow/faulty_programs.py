"""Programs whose verdicts are known by construction, right and wrong in many ways, no two equal."""

from __future__ import annotations

import random
from pathlib import Path

from codeprm.records import Completion, Outcome, Problem, Solution, bucket_of
from codeprm.steps.base import Workers
from codeprm.steps.prepare import PrepareConfig, prepare_stages
from codeprm.steps.run import run_here, start_stage
from codeprm.tables import Directory, PartWriter, finish_directory, start_directory
from tests.rows import completion_row

PROGRAMS_PER_PROBLEM = 200
ROWS_PER_PART = 100

# How often each kind is drawn, in thousands; the rest are right.
WRONG = {
    Outcome.WRONG_ANSWER: 250,
    Outcome.RUNTIME_ERROR: 120,
    Outcome.COMPILE_ERROR: 60,
    Outcome.MEMORY_LIMIT: 20,
    Outcome.OUTPUT_LIMIT: 10,
    Outcome.TIME_LIMIT: 1,
}
CRASHES = ("1 // 0", "raise SystemExit(3)", "import os; os._exit(7)", "[].pop()", "import absent")


def prepare(out: Path, *, executions: int) -> str:
    """A mini-TACO dataset with enough problems; returns its path."""
    n = max(2, executions // PROGRAMS_PER_PROBLEM)
    config = PrepareConfig(dataset="minitaco", source=f"n={n}", buckets=8)
    clean_stage, unite_stage = prepare_stages(config, str(out), Workers())
    start_stage(unite_stage)
    run_here(clean_stage)
    run_here(unite_stage)
    return str(out)


def write_completions(data: str, out: Path, *, executions: int, seed: int) -> dict[str, Outcome]:
    """A directory as the sample job leaves it; returns the outcome that each row must get."""
    source = Directory(data)
    problems = sorted(source.read_records(Problem), key=lambda problem: problem.problem_id)
    right = right_programs(source)
    directory = start_directory(
        str(out), job="sample", config={"seed": seed}, inputs={"data": data}, buckets=source.buckets
    )
    rng = random.Random(seed)
    expected: dict[str, Outcome] = {}
    rows: dict[int, list[Completion]] = {}
    for number in range(executions):
        problem = problems[number % len(problems)]
        outcome, program = drawn(rng, problem, right[problem.problem_id], number)
        row = completion_row(problem, number, program)
        expected[row.completion_id] = outcome
        rows.setdefault(bucket_of(problem.problem_id, source.buckets), []).append(row)
    parts = 0
    for bucket, own in sorted(rows.items()):
        own.sort(key=lambda row: (row.problem_id, row.index))
        for run, first in enumerate(range(0, len(own), ROWS_PER_PART)):
            name = f"part-{bucket:05d}-{run:04d}"
            with PartWriter(directory, name, (Completion,)) as writer:
                for row in own[first : first + ROWS_PER_PART]:
                    writer.write(row)
                writer.commit(seconds=0.0, attempts=1)
            parts += 1
    finish_directory(directory, expected=parts, extra={})
    return expected


def right_programs(data: Directory) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for solution in data.read_records(Solution):
        found.setdefault(solution.problem_id, []).append(solution.program)
    return found


def drawn(
    rng: random.Random, problem: Problem, right: list[str], number: int
) -> tuple[Outcome, str]:
    """A number inside makes each program another one, so that each is executed."""
    outcome = rng.choices([Outcome.PASSED, *WRONG], [1000 - sum(WRONG.values()), *WRONG.values()])[
        0
    ]
    mark = f"_number = {number}\n"
    if outcome is Outcome.PASSED:
        return outcome, f"{rng.choice(right)}\n{mark}"
    if outcome is Outcome.COMPILE_ERROR:
        return outcome, f"{mark}def solve(:\n"
    return outcome, mark + wrong_program(rng, outcome, problem)


def wrong_program(rng: random.Random, outcome: Outcome, problem: Problem) -> str:
    if outcome is Outcome.WRONG_ANSWER:
        return f"def {problem.entry_point or 'solve'}(*_):\n    return 'no'\nprint('no')\n"
    return {
        Outcome.RUNTIME_ERROR: rng.choice(CRASHES),
        Outcome.MEMORY_LIMIT: "kept = [0] * (1 << 32)",
        Outcome.OUTPUT_LIMIT: "while True: print('x' * 100_000)",
        Outcome.TIME_LIMIT: "while True: pass",
    }[outcome] + "\n"
