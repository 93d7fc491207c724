"""One slot's processes, as their owner sees them; every fault of ours is a `SandboxError`."""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

from codeprm.errors import SandboxError
from codeprm.sandbox import values, wire
from codeprm.sandbox.launcher import command
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput
from codeprm.sandbox.streams import Streams, memory_file

START_TIMEOUT_S = 60.0
COMPILE_TIMEOUT_S = 30.0
# Beyond the wall limit, which the supervisor enforces: after this it is taken for lost.
GRACE_S = 10.0
LEVEL = "F3"

ENVIRONMENT = {
    "HOME": "/",
    "LC_ALL": "C.UTF-8",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    # One order of sets for all runs: a verdict must not depend on it.
    "PYTHONHASHSEED": "0",
}


class ZygoteProcess:
    """Started when made; usable until the first SandboxError, then only to be closed."""

    def __init__(self, python: str) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log = os.memfd_create("log", os.MFD_CLOEXEC)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    command(python, "launcher", theirs.fileno(), LEVEL, _library_paths()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self.log,
                    cwd="/",
                    env=ENVIRONMENT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            self.control.close()
            os.close(self.log)
            raise SandboxError(f"the sandbox cannot start {python}: {error}") from error
        self.level = ""

    def wait_until_ready(self) -> None:
        self.level = str(self._expect("ready", START_TIMEOUT_S)["level"])

    def load(self, program: bytes, limits: Limits) -> str | None:
        """Compiles; the reason if that is impossible."""
        descriptor = memory_file(program)
        body = {
            "do": "load",
            "memory_mb": limits.memory_mb,
            "cpu_time_s": limits.cpu_time_s,
            "wall_s": limits.wall_s,
        }
        try:
            self._send(body, [descriptor])
        finally:
            os.close(descriptor)
        answer = self._expect("loaded", COMPILE_TIMEOUT_S, or_lost=True)
        if answer["is"] == "lost":
            return f"the compiler ended with status {answer['code']}"
        error = answer["error"]
        return None if error is None else str(error)

    def unload(self) -> None:
        self._send({"do": "unload"})

    def run(self, test: StdinInput | CallInput, limits: Limits) -> RunResult:
        call = isinstance(test, CallInput)
        given = test.arguments if isinstance(test, CallInput) else test.data
        with Streams(given, limits.output_bytes) as streams:
            entry_point = test.entry_point if isinstance(test, CallInput) else None
            self._send({"do": "test", "entry_point": entry_point}, streams.descriptors)
            streams.hand_over()
            ending = self._pump(streams, limits)
            streams.finish()
            return _result(ending, streams, limits, call=call)

    def close(self) -> None:
        """The end of the control socket ends the zygote; the launcher takes the rest with it."""
        self.control.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.log)

    def _pump(self, streams: Streams, limits: Limits) -> dict[str, Any]:
        """Reads the test's pipes until its supervisor reports the end."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        drains = {drain.reader: drain for drain in streams.drains}
        for reader in drains:
            poller.register(reader, select.POLLIN)
        deadline = time.monotonic() + limits.wall_s + GRACE_S
        stopped = False
        while True:
            left_ms = (deadline - time.monotonic()) * 1000
            ready = [descriptor for descriptor, _ in poller.poll(max(0.0, left_ms))]
            if self.control.fileno() in ready or left_ms <= 0:
                return self._expect("ended", 0)
            for reader in ready:
                drains[reader].read()
                if drains[reader].ended:
                    poller.unregister(reader)
            if streams.overflowed and not stopped:
                self._send({"do": "stop"})
                stopped = True

    def _send(self, body: dict[str, Any], descriptors: list[int] | None = None) -> None:
        try:
            wire.send(self.control, body, descriptors or [])
        except OSError as error:
            raise self._fault(f"does not listen ({error})") from error

    def _expect(self, kind: str, timeout_s: float, *, or_lost: bool = False) -> dict[str, Any]:
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            raise self._fault(f"did not say {kind!r} in time")
        try:
            body = wire.receive(self.control).body
        except (OSError, ValueError) as error:
            raise self._fault(f"cannot be understood ({error})") from error
        if body is None:
            raise self._fault("ended")
        if body["is"] != kind and not (or_lost and body["is"] == "lost"):
            raise self._fault(f"said {body} in place of {kind!r}")
        return body

    def _fault(self, what: str) -> SandboxError:
        size = os.fstat(self.log).st_size
        tail = os.pread(self.log, 1000, max(0, size - 1000)).decode("utf-8", "replace").strip()
        return SandboxError(
            f"the sandbox process {self.process.pid} {what}: {tail or 'no message'}"
        )


def _result(ending: dict[str, Any], streams: Streams, limits: Limits, *, call: bool) -> RunResult:
    report = bytes(streams.report.kept)
    status = _status(ending, limits, report=report, overflowed=streams.overflowed)
    stderr = bytes(streams.stderr.kept).decode("utf-8", "replace")
    value = None
    if call and status is RunStatus.OK:
        try:
            if not report.startswith(wire.VALUE):
                raise ValueError("the program ended before its call returned")
            value = values.decode(report[len(wire.VALUE) :])
        except ValueError as error:
            status, stderr = RunStatus.RUNTIME_ERROR, f"{stderr}\n{error}".strip()
    return RunResult(
        status=status,
        stdout=bytes(streams.stdout.kept),
        value=value,
        stderr_tail=stderr,
        exit_code=ending["code"],
        cpu_s=ending["cpu_s"],
        wall_s=ending["wall_s"],
    )


def _status(
    ending: dict[str, Any], limits: Limits, *, report: bytes, overflowed: bool
) -> RunStatus:
    code = ending["code"]
    if overflowed:
        return RunStatus.OUTPUT_LIMIT
    if ending["stop"] or ending["cpu_s"] > limits.cpu_time_s or code == -signal.SIGXCPU:
        return RunStatus.TIME_LIMIT
    if report.startswith(wire.OUT_OF_MEMORY) or ending["peak_kb"] > limits.memory_mb * 1024:
        return RunStatus.MEMORY_LIMIT
    if code == -signal.SIGSYS:
        return RunStatus.SECURITY
    if code == -signal.SIGKILL:
        # Not by us, and within its limits: most likely the machine ran out of memory.
        raise SandboxError("the test process was killed from outside")
    return RunStatus.OK if code == 0 else RunStatus.RUNTIME_ERROR


def _library_paths() -> list[str]:
    """Where codeprm lies, then where numpy does; the interpreter knows its own library."""
    import codeprm

    numpy = importlib.util.find_spec("numpy")
    if numpy is None or numpy.origin is None or codeprm.__file__ is None:
        raise SandboxError("the sandbox needs numpy beside it: pip install numpy")
    libraries = [
        str(Path(numpy.origin).parents[1]),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    ]
    return [str(Path(codeprm.__file__).parents[1]), *dict.fromkeys(libraries)]
