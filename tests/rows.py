"""Records with everything but what a test is about filled in, and directories made of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from codeprm.records import (
    Audit,
    Case,
    Completion,
    Outcome,
    Problem,
    Provenance,
    Record,
    Score,
    Solution,
    Trust,
    Verdict,
    bucket_of,
    completion_id_of,
    problem_id_of,
    solution_id_of,
)
from codeprm.tables import Directory, PartWriter, finish_directory, start_directory

GENERATION = "gen"


def problem_row(name: str, *, difficulty: str = "EASY", starter_code: str = "") -> Problem:
    statement = f"Solve {name}."
    return Problem(
        problem_id=problem_id_of(statement, None),
        name=name,
        statement=statement,
        starter_code=starter_code,
        entry_point=None,
        difficulty=difficulty,
        source="test",
        date=None,
        time_limit_s=2.0,
        memory_limit_mb=256,
        compare="grade/1",
        n_cases=1,
        n_solutions=0,
        provenance=(Provenance(dataset="test", revision="1", row=0),),
    )


def judged_problem(entry_point: str | None = None) -> Problem:
    """What a judge needs of a problem, for cases of a problem `p`."""
    return dataclasses.replace(problem_row("p"), problem_id="p", entry_point=entry_point)


def case_row(problem: Problem, index: int = 0) -> Case:
    return Case(
        problem_id=problem.problem_id, index=index, input='"1"', expected='"2"', public=False
    )


def case_rows(problem_id: str, pairs: Iterable[tuple[object, object]]) -> list[Case]:
    """A hidden test for each (input or arguments, expected), numbered from 0."""
    return [
        Case(
            problem_id=problem_id,
            index=index,
            input=json.dumps(given),
            expected=json.dumps(expected),
            public=False,
        )
        for index, (given, expected) in enumerate(pairs)
    ]


def solution_row(problem: Problem, program: str, *, origin: str = "natural") -> Solution:
    return Solution(
        solution_id=solution_id_of(problem.problem_id, program),
        problem_id=problem.problem_id,
        program=program,
        origin=origin,
        has_reasoning=False,
    )


def completion_row(
    problem: Problem,
    index: int,
    program: str | None = None,
    *,
    logprob: float | None = None,
    num_tokens: int = 5,
) -> Completion:
    text = f"print({index})" if program is None else program
    return Completion(
        completion_id=completion_id_of(problem.problem_id, GENERATION, index),
        problem_id=problem.problem_id,
        index=index,
        text=text,
        program=text,
        model="tiny",
        generation_id=GENERATION,
        seed=index,
        cumulative_logprob=logprob,
        num_tokens=num_tokens,
        finish_reason="stop",
    )


def verdict_row(completion: Completion, outcome: Outcome, *, detail: str = "") -> Verdict:
    return Verdict(
        completion_id=completion.completion_id,
        solution_id=None,
        problem_id=completion.problem_id,
        outcome=outcome,
        label=outcome.label,
        cases_passed=0,
        cases_run=1,
        first_failure=None,
        detail=detail,
        cpu_s=0.0,
        wall_s=0.0,
        grade_version="grade/1",
        sandbox_level="F3",
    )


def audit_row(
    problem: Problem,
    *,
    trust: Trust = Trust.BOTH,
    reasons: tuple[str, ...] = (),
    kept: bool = True,
    n_quarantined: int = 0,
    trivial_passed: tuple[str, ...] = (),
    wrong: tuple[int, int] = (0, 0),
    mutants: tuple[int, int] = (0, 0),
) -> Audit:
    """`wrong` and `mutants`: how many pass, of how many."""
    return Audit(
        problem_id=problem.problem_id,
        name=problem.name,
        kept=kept,
        trust=trust,
        reasons=reasons,
        detail=", ".join(reasons),
        n_cases=5,
        n_quarantined=n_quarantined,
        n_references=1,
        trivial_passed=trivial_passed,
        n_wrong_passed=wrong[0],
        n_wrong=wrong[1],
        n_mutants_passed=mutants[0],
        n_mutants=mutants[1],
    )


def score_row(completion: Completion, margin: float) -> Score:
    return Score(
        completion_id=completion.completion_id,
        problem_id=completion.problem_id,
        margin=margin,
        probability=0.5,
        model="orm",
        calibration="identity",
    )


def write_directory(
    path: Path,
    records: Iterable[Record],
    tables: tuple[type[Record], ...],
    *,
    job: str = "test",
    buckets: int = 2,
    inputs: dict[str, str] | None = None,
    config: dict[str, object] | None = None,
    complete: bool = True,
) -> str:
    """A directory as a job would have left it; returns its path."""
    rows = list(records)
    config = {"path": str(path), **(config or {})}
    directory = start_directory(
        str(path), job=job, config=config, inputs=inputs or {}, buckets=buckets
    )
    for bucket in range(buckets):
        with PartWriter(directory, f"part-{bucket:05d}", tables) as writer:
            for row in rows:
                if bucket_of(row.problem_id, buckets) == bucket:  # type: ignore[attr-defined]
                    writer.write(row)
            writer.commit(seconds=0.5, attempts=1)
    if complete:
        finish_directory(directory, expected=buckets, extra={"wall_s": 1.0})
    return str(path)


def read_all(path: str, *tables: type[Record]) -> list[Record]:
    """Every row of some tables of a directory."""
    directory = Directory(path)
    return [row for table in tables for row in directory.read_records(table)]
