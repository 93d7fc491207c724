"""The process of one test: shuts itself in, then runs the program as `python main.py` would.

stdin style: the module is `__main__`, files 0, 1 and 2 are the test's own. Call style: the module
is imported under another name, as a judge would, so what stands under a main guard does not run;
then the entry point is called once and its value goes up the report pipe.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, NoReturn

from codeprm.sandbox import policy, values, wire

REPORT = 3
MAX_INHERITED = 4096
RECURSION_LIMIT = 10**6
CALL_MODULE = "solution"
FLUSH_FAILED = 120

STREAMS = (
    ("stdin", 0, "r", "strict"),
    ("stdout", 1, "w", "strict"),
    ("stderr", 2, "w", "backslashreplace"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """All that one process is told; `descriptors` are input, stdout, stderr, report."""

    program: CodeType
    entry_point: str | None
    descriptors: list[int]
    predefined: dict[str, object]
    cpu_time_s: float
    address_space: int
    seccomp: bytes | None


def main(test: Test) -> NoReturn:
    status = None
    try:
        policy.die_with_parent()
        os.setsid()
        _normal_python()
        arguments = _arrange_files(test)
        policy.confine(
            cpu_time_s=test.cpu_time_s, address_space=test.address_space, seccomp=test.seccomp
        )
        module = ModuleType("__main__" if test.entry_point is None else CALL_MODULE)
        sys.modules[module.__name__] = module
        module.__dict__.update(test.predefined, __builtins__=builtins)
        status = 1
        status = _run(lambda: _execute(test, module.__dict__, arguments))
        status = _finish(status, module)
    finally:
        # A forked process must never return into the supervisor's loop. An unexplained SIGKILL is
        # the owner's sign for a fault that is not the program's.
        if status is None:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(status or 0)


def _arrange_files(test: Test) -> list[Any] | None:
    """Files 0, 1, 2 and the report pipe, nothing else; the arguments if this is a call."""
    given, stdout, stderr, report = test.descriptors
    arguments: list[Any] | None = None
    if test.entry_point is not None:
        with open(given, "rb", closefd=False) as file:
            arguments = json.loads(file.read())
        given = os.open(os.devnull, os.O_RDONLY)
    for target, descriptor in enumerate((given, stdout, stderr, report)):
        os.dup2(descriptor, target, inheritable=True)
    os.closerange(REPORT + 1, MAX_INHERITED)
    for name, descriptor, mode, errors in STREAMS:
        stream = _text_file(descriptor, mode, errors)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return arguments


def _text_file(descriptor: int, mode: str, errors: str) -> Any:
    buffering = 1 if descriptor == 2 else -1
    return open(
        descriptor, mode, buffering, encoding="utf-8", errors=errors, newline="\n", closefd=False
    )


def _normal_python() -> None:
    sys.argv = ["main.py"]
    sys.setrecursionlimit(RECURSION_LIMIT)
    sys.set_int_max_str_digits(0)


def _execute(test: Test, names: dict[str, Any], arguments: list[Any] | None) -> None:
    exec(test.program, names)
    if test.entry_point is not None:
        assert arguments is not None
        value = _entry(names, test.entry_point)(*arguments)
        _report(wire.VALUE + values.encode(value))


def _entry(names: dict[str, Any], entry_point: str) -> Callable[..., Any]:
    solution: Any = names.get("Solution")
    found: Callable[..., Any] | None = names.get(entry_point)
    if hasattr(solution, entry_point):
        found = getattr(solution(), entry_point)
    if found is None:
        raise NameError(f"the program defines no function or Solution method {entry_point!r}")
    return found


def _run(program: Callable[[], None]) -> int:
    """Exit status, and the error on stderr, as the interpreter itself would have it."""
    try:
        program()
    except SystemExit as error:
        return _exit_status(error.code)
    except MemoryError as error:
        _report(wire.OUT_OF_MEMORY)
        return _show(error)
    except BaseException as error:  # noqa: BLE001  the program may raise anything
        return _show(error)
    return 0


def _show(error: BaseException) -> int:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    try:
        sys.excepthook(type(error), error, traceback)
    except BaseException:  # noqa: BLE001  a program may replace the hook, and it may fail
        return 1
    return 1


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    return _run(lambda: _print_error(code)) or 1


def _print_error(message: object) -> None:
    sys.stderr.write(f"{message}\n")


def _finish(status: int, module: ModuleType) -> int:
    """What the interpreter does at its end: joins threads, runs exit handlers, flushes, frees."""
    status = _run(threading._shutdown) or status  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if _run(_flush_streams):
        status = FLUSH_FAILED
    # Files that the program opened and left open are flushed when they are freed.
    module.__dict__.clear()
    gc.collect()
    return status


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()


def _report(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(REPORT, view) :]
