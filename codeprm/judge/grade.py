"""A program and the cases of its problem -> its Verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from functools import partial

from codeprm.errors import DataError
from codeprm.judge.checker import CheckerRun
from codeprm.judge.verdict import GradeOptions, Judged, judge_cases, read_json, verdict_of
from codeprm.records import Case, Outcome, Problem, Verdict
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, StdinInput


def grade(
    sandbox: Sandbox,
    problem: Problem,
    cases: Sequence[Case],
    program: str,
    *,
    completion_id: str | None = None,
    solution_id: str | None = None,
    options: GradeOptions | None = None,
    checkers: Sandbox | None = None,
) -> Verdict:
    """Runs the program on the cases in order and stops at the first that fails, or runs all.

    Faults of the sandbox are retried by it; one that stays is the outcome `sandbox_error`. A
    problem's checker runs in `checkers`, or takes turns with the program where that is not given.
    """
    options = options or GradeOptions()
    chosen = cases[: options.max_cases or None]
    judging = partial(
        verdict_of,
        problem,
        completion_id=completion_id,
        solution_id=solution_id,
        options=options,
    )
    if not program.strip():
        nothing = Outcome.NO_PROGRAM
        return dataclasses.replace(judging((), ()), outcome=nothing, label=nothing.label, detail="")
    run = run_cases(sandbox, problem, cases, program, options=options, checkers=checkers)
    with closing(run):
        verdict = judging(chosen, run)
    # Asked for afterwards: a run starts the slot, and starts it again where that fails.
    return dataclasses.replace(verdict, sandbox_level=sandbox.level)


def run_cases(
    sandbox: Sandbox,
    problem: Problem,
    cases: Sequence[Case],
    program: str,
    *,
    options: GradeOptions,
    checkers: Sandbox | None = None,
) -> Generator[Judged, None, None]:
    """One result a test, each made when it is asked for; to be closed."""
    limits = Limits(cpu_time_s=problem.time_limit_s, memory_mb=problem.memory_limit_mb)
    chosen = cases[: options.max_cases or None]
    inputs = (encode_input(problem, case) for case in chosen)
    checker = CheckerRun(checkers or sandbox, problem) if problem.checker else None
    with (
        closing(sandbox.run(program, inputs, limits)) as results,
        closing(checker) if checker else nullcontext(),
    ):
        yield from judge_cases(problem, cases, results, options=options, check=checker)


def encode_input(problem: Problem, case: Case) -> StdinInput | CallInput:
    """What the program gets: arguments, or text as judges store it (LF, a newline at the end)."""
    if problem.entry_point is not None:
        return CallInput(entry_point=problem.entry_point, arguments=case.input.encode())
    text = read_json(case.input)
    if not isinstance(text, str):
        raise DataError(
            f"case {case.index} of problem {case.problem_id} has no text as its input: "
            "prepare the data set again"
        )
    text = text.replace("\r\n", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    return StdinInput(text.encode("utf-8", "surrogatepass"))
