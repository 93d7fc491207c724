"""What goes into a run and what comes out: plain values, shared by the sandbox and the judge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one test. CPU time decides; wall time is a backstop for a program that sleeps."""

    cpu_time_s: float
    memory_mb: int = 1024
    wall_time_s: float | None = None
    """None: three times the CPU time, and at least two seconds more than it."""
    output_bytes: int = 16 << 20
    """Of stdout, and of the encoded result of a call."""

    @property
    def wall_s(self) -> float:
        if self.wall_time_s is not None:
            return self.wall_time_s
        return max(3 * self.cpu_time_s, self.cpu_time_s + 2)


class RunStatus(StrEnum):
    """How one test ended; only `OK` has an output worth comparing."""

    OK = "ok"
    RUNTIME_ERROR = "runtime_error"
    COMPILE_ERROR = "compile_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    SECURITY = "security"
    FLAKY = "flaky"
    """Near a limit, and two runs of the same test disagree."""
    SANDBOX_ERROR = "sandbox_error"


@dataclass(frozen=True, slots=True)
class StdinInput:
    """The program reads these bytes from its standard input."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInput:
    """`entry_point`, a function or a method of class Solution, is called once.

    Example: `entry_point="twoSum"`, `arguments=b"[[2, 7, 11], 9]"` (a JSON list).
    """

    entry_point: str
    arguments: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One test's end. `value` is what a call returned (see `values`), None for stdin tests.

    `exit_code` is negative for a signal, as in `subprocess`; None if the program never ran.
    """

    status: RunStatus
    stdout: bytes = b""
    value: Any = None
    stderr_tail: str = ""
    exit_code: int | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
