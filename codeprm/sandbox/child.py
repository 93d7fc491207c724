"""The process of one test: shuts itself in, then runs the program as `python main.py` would.

stdin style: the module is `__main__`, files 0, 1 and 2 are the test's own. Call style: the module
is imported under another name, as a judge would, so what stands under a main guard does not run;
then the entry point is called once and its value goes up the report pipe.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, NamedTuple, NoReturn

from codeprm.sandbox import kernel, values, wire
from codeprm.sandbox.confinement import MAX_FILES, Confinement, confine_test
from codeprm.sandbox.wire import FILES

CALL_MODULE = "solution"
FLUSH_FAILED = 120

# (name in sys, descriptor, mode, what becomes of text that is not UTF-8)
STREAMS = (
    ("stdin", FILES.stdin, "r", "strict"),
    ("stdout", FILES.stdout, "w", "strict"),
    ("stderr", FILES.stderr, "w", "backslashreplace"),
)
# What a program says that may leave output in a buffer of its own making, or do things when freed.
LEAVES_FILES = re.compile(rb"open|Wrapper|Buffered|__del__|finalize")
DRAWS = re.compile(rb"random|shuffle|uuid|tempfile|secrets")


class Traits(NamedTuple):
    """What a program's text tells of it, so that most tests are spared the care few need."""

    leaves_files: bool
    draws: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """All that the processes of a program's tests are told."""

    program: CodeType
    module: ModuleType
    traits: Traits
    cpu_time_s: float
    address_space: int
    confinement: Confinement


def main(test: Test, entry_point: str | None) -> NoReturn:
    status = None
    try:
        kernel.die_with_parent()
        arguments = None if entry_point is None else _take_arguments()
        os.closerange(FILES.report + 1, MAX_FILES)
        if test.traits.draws:
            # A fork has its parent's numbers, and so would all tests.
            random.seed()
        confine_test(test.confinement, cpu_time_s=test.cpu_time_s, address_space=test.address_space)
        module = test.module
        if entry_point is not None:
            module.__name__ = CALL_MODULE
        sys.modules[module.__name__] = module
        status = 1
        status = _run(lambda: _execute(test, entry_point, arguments))
        status = _finish(status, module if test.traits.leaves_files else None)
    finally:
        # A forked process must never return into the supervisor's loop. An unexplained SIGKILL is
        # the owner's sign for a fault that is not the program's.
        if status is None:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(status or 0)


def text_streams() -> None:
    """sys.stdin and the others, over the descriptors that all tests of a slot use in turn."""
    for name, descriptor, mode, errors in STREAMS:
        buffering = 1 if descriptor == FILES.stderr else -1
        stream = open(  # noqa: SIM115  it lives as long as the process
            descriptor, mode, buffering, encoding="utf-8", errors=errors, newline="\n",
            closefd=False,
        )  # fmt: skip
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def traits_of(source: bytes) -> Traits:
    """By a search for words: too much care where it errs, unless a program hides its words."""
    return Traits(LEAVES_FILES.search(source) is not None, DRAWS.search(source) is not None)


def _take_arguments() -> list[Any]:
    with open(FILES.stdin, "rb", closefd=False) as file:
        arguments: list[Any] = json.loads(file.read())
    os.dup2(FILES.nothing, FILES.stdin)
    return arguments


def _execute(test: Test, entry_point: str | None, arguments: list[Any] | None) -> None:
    names = test.module.__dict__
    exec(test.program, names)
    if entry_point is not None:
        assert arguments is not None
        value = _entry(names, entry_point)(*arguments)
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


def _finish(status: int, leaving: ModuleType | None) -> int:
    """What the interpreter does at its end: joins threads, runs exit handlers, flushes, frees."""
    status = _run(threading._shutdown) or status  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if _run(_flush_streams):
        status = FLUSH_FAILED
    if leaving is not None:
        # Files that the program opened and left open are flushed when they are freed.
        leaving.__dict__.clear()
        gc.collect()
        if _run(_flush_streams):
            status = FLUSH_FAILED
    return status


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()


def _report(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(FILES.report, view) :]
