"""One process a program: compiles it, forks a process for each test, stops it, reports its end.

The program is compiled before any test and never run here, so every test starts from the same
state. CPU time is the kernel's account of the finished process.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, NamedTuple, NoReturn

from codeprm.sandbox import child, kernel, wire
from codeprm.sandbox.confinement import STACK_ROOM_BYTES, Confinement
from codeprm.sandbox.timing import SURE_BUSY, Ending, cpu_allowance_s
from codeprm.sandbox.wire import FILES

COMPILE_CPU_S = 10
# The interpreter's own when it starts: what it refuses to compile is refused here.
COMPILE_DEPTH = 1000
MAX_ERROR_CHARS = 2000
# Below this a poll would be a busy loop around the program it measures.
MIN_WAIT_S = 0.002


@dataclass(frozen=True, slots=True)
class Host:
    """What the zygote hands down: how it is shut in, an empty main module, its own size."""

    confinement: Confinement
    module: ModuleType
    address_space: int


class Allowance(NamedTuple):
    """What a test may use."""

    cpu_s: float
    wall_s: float
    address_space: int


def main(control: socket.socket, load: dict[str, Any], host: Host) -> NoReturn:
    status = 1
    try:
        kernel.die_with_parent()
        kernel.adopt_orphans()
        _serve(control, load, host)
        status = 0
    except ConnectionError:
        pass  # The owner is gone, and so is the reason to run.
    finally:
        # A forked process must never return into the zygote's loop.
        os._exit(status)


def sweep(host: Host) -> None:
    """No process outlives its test: kill and reap until nothing is left below this one."""
    while True:
        try:
            pid = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            return
        if pid == 0:
            _kill_descendants(host)
            time.sleep(0.001)


def _serve(control: socket.socket, load: dict[str, Any], host: Host) -> None:
    address_space = host.address_space + (load["memory_mb"] << 20) + STACK_ROOM_BYTES
    allowance = Allowance(load["cpu_time_s"], load["wall_s"], address_space)
    source = _read_input()
    program = _compiled(source, address_space)
    if isinstance(program, str):
        wire.send(control, {"is": "loaded", "error": program})
        wire.order(control)  # to unload it: no test is asked for
        return
    wire.send(control, {"is": "loaded", "error": None})
    test = child.Test(
        program=program,
        module=host.module,
        traits=child.traits_of(source),
        cpu_time_s=SURE_BUSY * allowance.cpu_s,
        address_space=address_space,
        confinement=host.confinement,
    )
    while True:
        order = wire.order(control)
        if order is None or order["do"] == "unload":
            return
        # A "stop" that comes after its test ended is no one's business any more.
        if order["do"] == "test":
            ending = _run(test, order["entry_point"], control, allowance)
            sweep(host)
            wire.send(control, ending._asdict() | {"is": "ended"})


def _read_input() -> bytes:
    return os.pread(FILES.stdin, os.fstat(FILES.stdin).st_size, 0)


def _run(
    test: child.Test, entry_point: str | None, control: socket.socket, allowance: Allowance
) -> Ending:
    # A forked process starts with its parent's memory, which is not the program's use.
    inherited_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pid = kernel.bare_fork()
    if pid == 0:
        child.main(test, entry_point)
    started = time.monotonic()
    stop = _reason_to_stop(pid, control, allowance, started)
    if stop:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return Ending(
        code=os.waitstatus_to_exitcode(status),
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - started,
        peak_kb=max(0, usage.ru_maxrss - inherited_kb),
        stop=stop,
    )


def _compiled(source: bytes, address_space: int) -> CodeType | str:
    """The code, or why there is none. Bytes, so that coding cookies and BOMs mean what they do."""
    _soft_limit(resource.RLIMIT_AS, address_space)
    _soft_limit(resource.RLIMIT_CPU, COMPILE_CPU_S)
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(COMPILE_DEPTH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(source, "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
    finally:
        sys.setrecursionlimit(depth)
        _soft_limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        _soft_limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY)


def _soft_limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _reason_to_stop(
    pid: int, control: socket.socket, allowance: Allowance, started: float
) -> str | None:
    """None when the process has ended by itself."""
    ended = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(control, select.POLLIN)
        # No less CPU time is ever allowed than this, and most tests end well before it.
        cpu_left, wall_left = allowance.cpu_s, allowance.wall_s
        while True:
            wait_s = max(MIN_WAIT_S, min(cpu_left, wall_left))
            ready = {descriptor for descriptor, _ in poller.poll(wait_s * 1000)}
            if ended in ready:
                return None
            if control.fileno() in ready:
                wire.order(control)
                return "owner"
            cpu_s, wall_s = _cpu_time(pid), time.monotonic() - started
            cpu_left = cpu_allowance_s(allowance.cpu_s, cpu_s, wall_s) - cpu_s
            wall_left = allowance.wall_s - wall_s
            if cpu_left <= 0:
                return "cpu"
            if wall_left <= 0:
                more = _more_time(control, ended, wall_s)
                if more is None:
                    return "wall"
                allowance = allowance._replace(wall_s=more)
                wall_left = more - wall_s
    finally:
        os.close(ended)


def _more_time(control: socket.socket, ended: int, wall_s: float) -> float | None:
    """The owner knows how long the process waited for a core; None if its time is up."""
    wire.send(control, {"is": "late", "wall_s": wall_s}, [ended])
    answer = wire.order(control)
    if answer is None or answer["do"] != "wait":
        return None
    return float(answer["wall_s"])


def _cpu_time(pid: int) -> float:
    """Of a living process, all its threads: clock_getcpuclockid(3), which Python lacks."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0  # It ended just now; the next poll says so.


def _kill_descendants(host: Host) -> None:
    if "pid" in host.confinement.layers and os.getppid() <= 1:
        # Inside the namespace that the zygote began, -1 is everyone but the zygote and oneself.
        os.kill(-1, signal.SIGKILL)
        return
    for pid in _children():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _children() -> list[int]:
    """Where a program could start processes, /proc can be read: both need a weak machine."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []
