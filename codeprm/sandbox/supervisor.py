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
import time
import warnings
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from codeprm.sandbox import child, policy, wire

COMPILE_CPU_S = 10
MAX_ERROR_CHARS = 2000
PAGE_BYTES = resource.getpagesize()
# Below this a poll would be a busy loop around the program it measures.
MIN_WAIT_S = 0.002


@dataclass(frozen=True, slots=True)
class Host:
    """What the zygote hands down."""

    predefined: dict[str, object]
    seccomp: bytes | None
    first_of_namespace: bool


class MemoryPages(NamedTuple):
    address_space: int
    resident: int


class Ending(NamedTuple):
    """Fields of the message "ended"; `stop` is "cpu", "wall", "owner" or None."""

    code: int
    cpu_s: float
    wall_s: float
    peak_kb: int
    stop: str | None


def main(control: socket.socket, load: wire.Message, host: Host) -> NoReturn:
    status = 1
    try:
        policy.die_with_parent()
        policy.adopt_orphans()
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


def _serve(control: socket.socket, load: wire.Message, host: Host) -> None:
    limits = load.body
    assert limits is not None
    own_bytes = _memory_pages().address_space * PAGE_BYTES
    address_space = own_bytes + (limits["memory_mb"] << 20) + policy.STACK_ROOM_BYTES
    with open(load.descriptors[0], "rb") as file:
        program = _compiled(file.read(), address_space)
    error = program if isinstance(program, str) else None
    wire.send(control, {"is": "loaded", "error": error})
    while True:
        message = wire.receive(control)
        if message.body is None or message.body["do"] == "unload":
            return
        # A "stop" that comes after its test ended is no one's business any more.
        if message.body["do"] == "test" and isinstance(program, CodeType):
            test = child.Test(
                program=program,
                entry_point=message.body["entry_point"],
                descriptors=message.descriptors,
                predefined=host.predefined,
                cpu_time_s=limits["cpu_time_s"],
                address_space=address_space,
                seccomp=host.seccomp,
            )
            ending = _run(test, control, limits)
            sweep(host)
            wire.send(control, {"is": "ended", **ending._asdict()})


def _run(test: child.Test, control: socket.socket, limits: dict[str, Any]) -> Ending:
    # A forked process starts with its parent's memory, which is not the program's use.
    inherited_kb = _memory_pages().resident * PAGE_BYTES // 1024
    pid = os.fork()
    if pid == 0:
        child.main(test)
    started = time.monotonic()
    for descriptor in test.descriptors:
        os.close(descriptor)
    stop = _reason_to_stop(pid, control, limits, started)
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(source, "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
    finally:
        _soft_limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        _soft_limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY)


def _soft_limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _reason_to_stop(
    pid: int, control: socket.socket, limits: dict[str, Any], started: float
) -> str | None:
    """None when the process has ended by itself."""
    ended = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(control, select.POLLIN)
        cpu_left, wall_left = limits["cpu_time_s"], limits["wall_s"]
        while cpu_left > 0 and wall_left > 0:
            wait_s = max(MIN_WAIT_S, min(cpu_left, wall_left))
            ready = {descriptor for descriptor, _ in poller.poll(wait_s * 1000)}
            if ended in ready:
                return None
            if control.fileno() in ready:
                wire.receive(control)
                return "owner"
            cpu_left = limits["cpu_time_s"] - _cpu_time(pid)
            wall_left = limits["wall_s"] - (time.monotonic() - started)
        return "cpu" if cpu_left <= 0 else "wall"
    finally:
        os.close(ended)


def _cpu_time(pid: int) -> float:
    """Of a living process, all its threads: clock_getcpuclockid(3), which Python lacks."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0  # It ended just now; the next poll says so.


def _memory_pages() -> MemoryPages:
    with open("/proc/self/statm", "rb") as file:
        fields = file.read().split()
    return MemoryPages(int(fields[0]), int(fields[1]))


def _kill_descendants(host: Host) -> None:
    if host.first_of_namespace:
        # Inside the namespace that the zygote began, -1 is everyone but the zygote and oneself.
        os.kill(-1, signal.SIGKILL)
        return
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
        children = file.read().split()
    for pid in children:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
