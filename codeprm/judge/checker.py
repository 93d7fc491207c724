r"""Checkers: programs that say whether an output is right where several answers are.

`Problem.checker` is Python source that defines

    def check(input: str, output: str, expected: str) -> bool: ...

stdin style: the text given, the text written, the stored output. Call style: the JSON texts of the
arguments, of the returned value and of the stored one. An output equal to the stored one by the
problem's rules is right without asking; what is no text (no UTF-8, no JSON value) is wrong.

A checker is given what an untrusted program wrote, so it runs in the sandbox as well, as a
call-style program: compiled once for each program that it judges, in a fresh process for each test.
Where it fails itself (an exception, a limit, no bool) nothing is known: SandboxError, which the
judge records as `sandbox_error`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from codeprm.errors import SandboxError
from codeprm.judge.verdict import read_json
from codeprm.records import Case, Problem
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus
from codeprm.sandbox.values import Opaque
from codeprm.syntax import parse_program

ENTRY_POINT = "check"
N_ARGUMENTS = 3
LIMITS = Limits(cpu_time_s=10.0, memory_mb=1024)


def checker_fault(source: str) -> str:
    """Why a text is no checker; "" if it may be one."""
    tree = parse_program(source)
    if tree is None:
        return "it is not Python"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == ENTRY_POINT:
            n_arguments = len(node.args.posonlyargs) + len(node.args.args)
            return "" if n_arguments == N_ARGUMENTS else f"{ENTRY_POINT} does not take 3 arguments"
    return f"it defines no function {ENTRY_POINT}"


class CheckerRun:
    """A problem's checker while one program is judged; a `Check`, to be closed."""

    def __init__(self, sandbox: Sandbox, problem: Problem) -> None:
        self._is_call = problem.entry_point is not None
        self._given = CallInput(entry_point=ENTRY_POINT, arguments=b"[]")
        self._results = sandbox.run(problem.checker, self._inputs(), LIMITS)

    def __call__(self, case: Case, result: RunResult) -> bool:
        output = output_text(result, is_call=self._is_call)
        if output is None:
            return False
        given, expected = case.input, case.expected
        if not self._is_call:
            given, expected = read_json(given), read_json(expected)
        arguments = json.dumps([given, output, expected]).encode("ascii")
        self._given = CallInput(entry_point=ENTRY_POINT, arguments=arguments)
        said = next(self._results)
        if said.status is not RunStatus.OK or not isinstance(said.value, bool):
            raise SandboxError(f"the checker failed on test {case.index}: {_fault(said)}")
        return said.value

    def close(self) -> None:
        """Leave the slot to others."""
        self._results.close()

    def _inputs(self) -> Iterator[CallInput]:
        while True:
            yield self._given


def output_text(result: RunResult, *, is_call: bool) -> str | None:
    """What a checker is shown; None where there is no such text."""
    try:
        return json.dumps(result.value, default=_refuse) if is_call else result.stdout.decode()
    except (_NoJsonError, UnicodeDecodeError):
        return None
    except ValueError as error:  # an integer of more digits than json writes
        raise SandboxError(f"the checker cannot be shown the value: {error}") from error


class _NoJsonError(Exception):
    """A value that JSON cannot say."""


def _refuse(value: Opaque) -> None:
    raise _NoJsonError(value.type_name)


def _fault(said: RunResult) -> str:
    if said.status is RunStatus.OK:
        return f"it returned a {type(said.value).__name__}, not a bool"
    lines = said.stderr_tail.strip().splitlines()
    return f"{said.status}: {lines[-1] if lines else 'no message'}"
