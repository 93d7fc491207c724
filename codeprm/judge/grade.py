"""A program and the cases of its problem -> its Verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from codeprm.errors import DataError
from codeprm.judge.verdict import judge, read_json
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
) -> Verdict:
    """Runs the program on the cases in order and stops at the first that fails.

    Faults of the sandbox are retried by it; one that stays is the outcome `sandbox_error`.
    """
    if not program.strip():
        verdict = judge(problem, (), (), completion_id=completion_id, solution_id=solution_id)
        nothing = Outcome.NO_PROGRAM
        return dataclasses.replace(verdict, outcome=nothing, label=nothing.label, detail="")
    limits = Limits(cpu_time_s=problem.time_limit_s, memory_mb=problem.memory_limit_mb)
    inputs = (encode_input(problem, case) for case in cases)
    return judge(
        problem,
        cases,
        sandbox.run(program, inputs, limits),
        completion_id=completion_id,
        solution_id=solution_id,
        sandbox_level=sandbox.level,
    )


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
