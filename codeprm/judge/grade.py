"""A program and the cases of its problem -> its Verdict."""

from __future__ import annotations

from collections.abc import Sequence

from codeprm.errors import DataError
from codeprm.judge.verdict import judge, read_json
from codeprm.records import Case, Outcome, Problem, Verdict
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput


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
    limits = Limits(cpu_time_s=problem.time_limit_s, memory_mb=problem.memory_limit_mb)
    if not program.strip():
        return judge(
            problem, cases, [], completion_id=completion_id, solution_id=solution_id
        )
