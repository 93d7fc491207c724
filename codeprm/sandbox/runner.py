r"""`Sandbox`: one slot that runs untrusted programs, one test at a time.

    with Sandbox() as sandbox:
        for result in sandbox.run(program, [StdinInput(b"1 2\n")], Limits(cpu_time_s=2)):
            ...

Use one from one thread. The processes behind it start at the first run (a third of a second) and
serve all later ones; a run that fails through our fault is repeated in new ones, up to `RETRIES`
times, and then told as `SANDBOX_ERROR`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterable
from typing import Self

from codeprm.errors import SandboxError
from codeprm.sandbox.levels import Level
from codeprm.sandbox.process import ZygoteProcess
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput

logger = logging.getLogger(__name__)

RETRIES = 3
MAX_PROGRAM_BYTES = 4 << 20


class Sandbox:
    def __init__(self, *, python: str = sys.executable, floor: Level = Level.F2) -> None:
        self._python = python
        self._floor = floor
        self._zygote: ZygoteProcess | None = None
        self._loaded: object | None = None
        self._compile_error: str | None = None
        self._level: str | None = None

    @property
    def level(self) -> str:
        """What holds a program here (see the package).

        Asked before the first run it starts the slot, and raises SandboxError if that fails: the
        way to find out early that nothing can run on this machine.
        """
        if self._level is None:
            try:
                self._level = self._started().level
            except SandboxError:
                self.close()
                raise
        return self._level

    def run(
        self, program: str, inputs: Iterable[StdinInput | CallInput], limits: Limits
    ) -> Generator[RunResult, None, None]:
        """One result an input, each made only when it is asked for; close it to leave early."""
        source = program.encode("utf-8", "surrogatepass")
        # Each run is a load of its own, so two of them may even take turns.
        run = object()
        try:
            for test in inputs:
                yield self._result(run, source, test, limits)
        finally:
            self._unload(run)

    def close(self) -> None:
        """Ends every process of the slot; a later run starts them anew."""
        self._loaded = None
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(
        self, run: object, source: bytes, test: StdinInput | CallInput, limits: Limits
    ) -> RunResult:
        if len(source) > MAX_PROGRAM_BYTES:
            reason = f"the program is longer than {MAX_PROGRAM_BYTES} bytes"
            return RunResult(status=RunStatus.COMPILE_ERROR, stderr_tail=reason)
        reason = ""
        for _ in range(1 + RETRIES):
            try:
                return self._attempt(run, source, test, limits)
            except (SandboxError, OSError) as error:
                reason = str(error)
                logger.warning("a run is repeated in a new sandbox: %s", reason)
                self.close()
        return RunResult(status=RunStatus.SANDBOX_ERROR, stderr_tail=reason)

    def _attempt(
        self, run: object, source: bytes, test: StdinInput | CallInput, limits: Limits
    ) -> RunResult:
        zygote = self._started()
        if self._loaded is not run:
            self._unload(self._loaded)
            self._compile_error = zygote.load(source, limits)
            self._loaded = run
        if self._compile_error is not None:
            return RunResult(status=RunStatus.COMPILE_ERROR, stderr_tail=self._compile_error)
        return zygote.run(test, limits)

    def _started(self) -> ZygoteProcess:
        if self._zygote is None:
            self._zygote = ZygoteProcess(self._python)
            self._zygote.wait_until_ready()
        return self._zygote

    def _unload(self, run: object | None) -> None:
        if self._zygote is None or run is None or self._loaded is not run:
            return
        self._loaded = None
        try:
            self._zygote.unload()
        except SandboxError:
            self.close()
