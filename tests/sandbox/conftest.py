"""One slot for a whole module: starting it takes longer than most tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, StdinInput

RunOne = Callable[..., RunResult]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as slot:
        yield slot


@pytest.fixture
def run_one(sandbox: Sandbox) -> RunOne:
    """`run_one(program, b"stdin" or CallInput(...), limits)`; limits may be left out."""

    def run(
        program: str,
        given: bytes | CallInput = b"",
        limits: Limits | None = None,
    ) -> RunResult:
        test = StdinInput(given) if isinstance(given, bytes) else given
        return next(sandbox.run(program, [test], limits or Limits(cpu_time_s=5)))

    return run
