"""N processes, each with a sandbox of its own: what a cluster's graders are, without the cluster.

A slot's process is started fresh, gets the programs once, and then does what it is asked to over a
pipe, one job at a time. It ends when the pipe does, so nothing is left behind by a killed owner.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

import psutil

from benchmarks.programs import Program
from codeprm.errors import SandboxError
from codeprm.judge.grade import grade
from codeprm.records import Outcome
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import Limits, RunStatus, StdinInput

TRIVIAL = "print(int(input()) + 1)\n"
WITH_NUMPY = f"import numpy\n{TRIVIAL}"
TRIVIAL_LIMITS = Limits(cpu_time_s=2, memory_mb=256)

T = TypeVar("T")
P = ParamSpec("P")


class Graded(NamedTuple):
    """A verdict, as far as benchmarks look at it."""

    outcome: Outcome
    detail: str
    cases_run: int
    seconds: float

    @property
    def finished(self) -> bool:
        """Whether the program ended by itself, right or wrong."""
        return self.outcome not in (Outcome.TIME_LIMIT, Outcome.FLAKY, Outcome.SANDBOX_ERROR)


class Footprint(NamedTuple):
    """The processes of a slot while a program is loaded: proportional memory, number."""

    mb: float
    processes: int


class Worker:
    """What a slot's process holds: the programs, and a sandbox for each set of layers off."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = programs
        self._sandboxes: dict[frozenset[str], Sandbox] = {}

    def sandbox(self, without: Collection[str] = ()) -> Sandbox:
        key = frozenset(without)
        if key not in self._sandboxes:
            # Without a layer the level is below any floor that one would grade at.
            self._sandboxes[key] = Sandbox(floor=Level.F3, without=key) if key else Sandbox()
        return self._sandboxes[key]

    def close(self) -> None:
        for sandbox in self._sandboxes.values():
            sandbox.close()


class Slots:
    """`n` slots; use as a context manager."""

    def __init__(self, n: int, programs: Sequence[Program]) -> None:
        self._slots = [_Slot(programs) for _ in range(n)]

    def map(
        self,
        job: Callable[Concatenate[Worker, P], T],
        arguments: Iterable[tuple[Any, ...]],
        *,
        slots: int | None = None,
    ) -> list[T]:
        """`job(worker, *each)` wherever a slot is free; results in the order of the arguments."""
        left, lock = iter(enumerate(arguments)), threading.Lock()
        results: dict[int, T] = {}

        def serve(slot: _Slot) -> None:
            while True:
                with lock:
                    number, given = next(left, (-1, ()))
                if number < 0:
                    return
                results[number] = slot.call(job, given)

        self._at_once(serve, slots)
        return [results[number] for number in sorted(results)]

    def each(
        self, job: Callable[Concatenate[Worker, P], T], *arguments: Any, slots: int | None = None
    ) -> list[T]:
        """`job(worker, *arguments)` once on every slot, at the same time."""
        return self._at_once(lambda slot: slot.call(job, arguments), slots)

    def close(self) -> None:
        for slot in self._slots:
            slot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_once(self, serve: Callable[[_Slot], T], slots: int | None) -> list[T]:
        used = self._slots[:slots]
        with ThreadPoolExecutor(len(used)) as threads:
            return list(threads.map(serve, used))


class _Slot:
    def __init__(self, programs: Sequence[Program]) -> None:
        # Not forked: a sandbox must not be started from a process that holds this one's memory.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, programs), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, job: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        self._connection.send((job, arguments))
        try:
            answer: T = self._connection.recv()
        except EOFError:
            raise SandboxError("a slot's process has ended: its message is above") from None
        return answer

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=30)


def _serve(connection: Connection, programs: Sequence[Program]) -> None:
    worker = Worker(programs)
    try:
        while True:
            job, arguments = connection.recv()
            connection.send(job(worker, *arguments))
    except EOFError:
        pass
    finally:
        worker.close()


def grade_program(worker: Worker, index: int) -> Graded:
    """The verdict of a program, stopped at the first test that it fails."""
    program = worker.programs[index]
    started = time.monotonic()
    verdict = grade(
        worker.sandbox(), program.problem, program.cases, program.source, solution_id=str(index)
    )
    seconds = time.monotonic() - started
    return Graded(verdict.outcome, verdict.detail, verdict.cases_run, seconds)


def trivial_tests(worker: Worker, seconds: float, without: tuple[str, ...] = ()) -> float:
    """Tests a second of one trivial program, each test in a process of its own."""
    sandbox = worker.sandbox(without)
    assert sandbox.level
    inputs = (StdinInput(b"%d\n" % number) for number in itertools.count())
    results = sandbox.run(TRIVIAL, inputs, TRIVIAL_LIMITS)
    # The first result also pays for the program's compilation, which is not a test.
    _check(next(results).stdout, 0)
    started = time.monotonic()
    for number, result in enumerate(results, start=1):
        if result.status is not RunStatus.OK:
            raise SandboxError(f"a trivial test ended as {result.status}: {result.stderr_tail}")
        _check(result.stdout, number)
        took = time.monotonic() - started
        if took >= seconds:
            results.close()
            return number / took
    raise AssertionError("inputs never end")


def level(worker: Worker) -> str:
    """What holds the programs of this slot."""
    return worker.sandbox().level


def start_seconds(worker: Worker, program: str = TRIVIAL) -> float:
    """How long a new slot takes until it has run a program."""
    started = time.monotonic()
    with Sandbox() as sandbox:
        (result,) = sandbox.run(program, [StdinInput(b"1\n")], TRIVIAL_LIMITS)
        _check(result.stdout, 1)
        return time.monotonic() - started


def footprint(worker: Worker, program: str = TRIVIAL) -> Footprint:
    """Memory of the slot's processes; what processes share is divided among them."""
    results = worker.sandbox().run(program, [StdinInput(b"1\n")] * 2, TRIVIAL_LIMITS)
    _check(next(results).stdout, 1)
    standing = psutil.Process().children(recursive=True)
    total = sum(process.memory_full_info().pss for process in standing)
    results.close()
    return Footprint(total / 2**20, len(standing))


def _check(stdout: bytes, given: int) -> None:
    if stdout != b"%d\n" % (given + 1):
        raise SandboxError(f"a trivial test wrote {stdout!r} for {given}")
