"""How much of the bare sandbox's speed is left in the `execute` job, which runs over Ray?

    python benchmarks/execute.py --programs 20000

Mini-TACO programs, no two of them equal, are graded by the job as a user starts it, and an evenly
spread share of them by as many bare slots; half of that runs before the job and half after it, so
that a machine that slows down does so for both. Steady state is the time during which all the job's
workers are at work; start-up is told apart. Verdicts of both arms must agree. The last line of
stdout is the result.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import host
from benchmarks.directories import write_directory
from benchmarks.host import logger, rounded
from benchmarks.programs import Program, mini_programs
from benchmarks.slots import Slots, grade_program, level
from codeprm.cli import run
from codeprm.errors import CodeprmError, ConfigError
from codeprm.records import (
    Case,
    Completion,
    Problem,
    Record,
    Solution,
    Verdict,
    completion_id_of,
)
from codeprm.tables import Directory

JOB = Path(__file__).parents[1] / "jobs" / "execute.py"

MIN_SHARE = 0.85
GENERATION = "benchmark"
# About what is right of a model's completions; most programs stop at an early test, as there.
RIGHT_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Args:
    """Time the execute job beside the bare sandbox."""

    programs: int = 20000
    """How many programs the job grades."""
    bare_programs: int = 10000
    """How many of them, evenly spread, the bare sandbox grades."""
    workers: int = 2
    """Graders at once, in both arms."""
    parts: int = 64
    """Parts of the job's input: a worker's unit of work."""
    seed: int = 0
    """Which programs."""


class Span(NamedTuple):
    """One part's work: seconds since the epoch, and how many verdicts it gave."""

    start: float
    end: float
    rows: int


class JobRun(NamedTuple):
    """What the job's directory tells of a run that began at `began`."""

    began: float
    ended: float
    spans: list[Span]
    outcomes: dict[str, str]


def main(args: Args) -> None:
    if min(args.programs, args.bare_programs, args.workers, args.parts) < 1:
        raise ConfigError("programs, bare_programs, workers and parts must be at least 1")
    facts = host.facts()
    programs = mini_programs(args.programs, seed=args.seed, right_share=RIGHT_SHARE)
    programs.sort(key=lambda program: program.problem.problem_id)
    folder = tempfile.mkdtemp(prefix="codeprm-execute-")
    try:
        data, completions = write_inputs(programs, folder, args.parts)
        with Slots(args.workers, programs) as slots:
            first, second = halves(len(programs), args.bare_programs)
            before = bare_turn(slots, first)
            job = run_job(data, completions, f"{folder}/verdicts", args.workers)
            after = bare_turn(slots, second)
    finally:
        shutil.rmtree(folder)
    bare = before.outcomes | after.outcomes
    bare_per_s = len(bare) / (before.seconds + after.seconds)
    result: dict[str, Any] = {
        "benchmark": "execute",
        "n_programs": len(programs),
        "workers": args.workers,
        **job_figures(job, args.workers),
        "bare_programs_per_s": rounded(bare_per_s),
        "n_bare_programs": len(bare),
        "bare_halves_per_s": [rounded(turn.per_s) for turn in (before, after)],
        "different_verdicts": n_different(job.outcomes, bare),
        "missing_verdicts": len(programs) - len(job.outcomes),
        "host": facts,
    }
    share = result["steady_programs_per_s"] / bare_per_s
    met = share >= MIN_SHARE and not result["different_verdicts"] + result["missing_verdicts"]
    host.print_result(result | {"share_of_bare": rounded(share), "bars": {"share_of_bare": met}})


# -- the bare arm -------------------------------------------------------------------------------


class BareTurn(NamedTuple):
    """Outcomes by the programs' numbers, and the time for all of them."""

    outcomes: dict[str, str]
    seconds: float

    @property
    def per_s(self) -> float:
        return len(self.outcomes) / self.seconds


class Halves(NamedTuple):
    """Programs' numbers: those of the turn before the job, and of the one after it."""

    before: range
    after: range


def halves(n_programs: int, n_bare: int) -> Halves:
    """About `n_bare` programs, the same number for each turn, spread over all."""
    step = max(2, 2 * n_programs // max(1, n_bare))
    return Halves(range(0, n_programs, step), range(step // 2, n_programs, step))


def bare_turn(slots: Slots, programs: Sequence[int]) -> BareTurn:
    slots.each(level)
    started = time.monotonic()
    graded = slots.map(grade_program, ((index,) for index in programs))
    seconds = time.monotonic() - started
    logger.info("bare: %d programs, %.1f a second", len(programs), len(programs) / seconds)
    outcomes = {
        str(index): verdict.outcome.value for index, verdict in zip(programs, graded, strict=True)
    }
    return BareTurn(outcomes, seconds)


# -- the job ------------------------------------------------------------------------------------


def write_inputs(programs: Sequence[Program], folder: str, parts: int) -> tuple[str, str]:
    """Directories as the prepare and the sample job leave them."""
    problems = {program.problem.problem_id: program for program in programs}
    rows: list[Record] = []
    for program in problems.values():
        rows += [program.problem, *program.cases]
    data = write_directory(f"{folder}/data", rows, (Problem, Case, Solution), parts=parts)
    completions = [completion(program, index) for index, program in enumerate(programs)]
    path = f"{folder}/completions"
    return data, write_directory(path, completions, (Completion,), parts=parts)


def completion(program: Program, index: int) -> Completion:
    problem_id = program.problem.problem_id
    return Completion(
        completion_id=completion_id_of(problem_id, GENERATION, index),
        problem_id=problem_id,
        index=index,
        text=program.source,
        program=program.source,
        model="mini-TACO",
        generation_id=GENERATION,
        seed=0,
        cumulative_logprob=None,
        num_tokens=0,
        finish_reason="stop",
    )


def run_job(data: str, completions: str, out: str, workers: int) -> JobRun:
    """The job as a process of its own, on a Ray of its own."""
    command = [sys.executable, str(JOB)]
    command += ["--data", data, "--completions", completions, "--out", out]
    command += ["--max-workers", str(workers), "--min-workers", str(workers)]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    began = time.time()
    code = subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode
    ended = time.time()
    if code:
        raise CodeprmError(f"the execute job ended with exit code {code}: its message is above")
    directory = Directory(out)
    outcomes = {
        str(verdict.completion_id).rpartition(":")[2]: verdict.outcome.value
        for verdict in directory.read_records(Verdict)
    }
    return JobRun(began, ended, list(spans(directory)), outcomes)


def spans(directory: Directory) -> Iterator[Span]:
    """From the commits, each written when its part was done."""
    for part in directory.committed():
        end = Path(directory.path("commits", f"{part}.json")).stat().st_mtime
        commit = directory.commit_of(part)
        if rows := commit.rows[Verdict.table]:
            yield Span(end - commit.seconds, end, rows)


def job_figures(job: JobRun, workers: int) -> dict[str, float]:
    """Speed while all workers were at work, and what came before and after."""
    start, end = steady(job.spans, workers)
    return {
        "steady_programs_per_s": rounded(rows_between(job.spans, start, end) / (end - start)),
        "steady_s": rounded(end - start),
        "first_part_started_s": rounded(min(span.start for span in job.spans) - job.began),
        "all_workers_started_s": rounded(start - job.began),
        "first_part_committed_s": rounded(min(span.end for span in job.spans) - job.began),
        "last_part_to_exit_s": rounded(job.ended - max(span.end for span in job.spans)),
        "whole_job_programs_per_s": rounded(len(job.outcomes) / (job.ended - job.began)),
    }


def steady(spans: Sequence[Span], workers: int) -> tuple[float, float]:
    """From the first to the last moment at which all workers had a part in work."""
    changes = sorted([(span.start, 1) for span in spans] + [(span.end, -1) for span in spans])
    busy, full = 0, []
    for moment, change in changes:
        was_full = busy >= workers
        busy += change
        if was_full != (busy >= workers):
            full.append(moment)
    if not full:
        raise CodeprmError("the workers never worked at once: give more programs")
    return full[0], full[-1]


def rows_between(spans: Sequence[Span], start: float, end: float) -> float:
    """Verdicts given in that time; a part that was only partly in it counts by its share."""
    total = 0.0
    for span in spans:
        inside = min(span.end, end) - max(span.start, start)
        if inside > 0:
            total += span.rows * inside / (span.end - span.start)
    return total


def n_different(job: Mapping[str, str], bare: Mapping[str, str]) -> int:
    """Programs of the bare arm of which the job says something else, or nothing."""
    return sum(job.get(program) != outcome for program, outcome in bare.items())


if __name__ == "__main__":
    run(main, Args)
