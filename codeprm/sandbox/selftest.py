"""Does the sandbox hold on this machine? Each promise of its level is put to a program that tries.

    python -m codeprm.sandbox.selftest            a table: level, layers, what each canary met
    python -m codeprm.sandbox.selftest --json     the same as one line
    ... --floor F1                                exit code 2 below this level

Exit code 0 only where every promise of the level holds, 1 where one is broken. The jobs that run
programs ask `require_sound` of each worker's sandbox before they run any.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codeprm.errors import SandboxError, UserError
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput

LIMITS = Limits(cpu_time_s=0.3, memory_mb=256, output_bytes=1 << 20)
SECRET = "6f3c1d90a2"

# Prints "held" where the attempt fails as it should.
TRY = """
import os, socket, sys
try:
    {attempt}
except OSError:
    print("held")
"""
TRIP = "import ctypes; ctypes.CDLL(None).{call}; print('got away')"
FORGED = """
class Same(int):
    def __eq__(self, other): return True
def f(): return Same(7)
"""
FIND_SECRET = f"""
import gc
found = "".join(["{SECRET[:5]}", "{SECRET[5:]}"]) in str(gc.get_objects())
print("found" if found else "held")
"""
# A session whose leader is not to be seen from here has no number.
COUNT_PROCESSES = "import os; print('held' if os.getsid(0) == 0 else os.getsid(0))"


class Canary(NamedTuple):
    """One promise: what is tried, at which level and stronger ones it must fail, and how."""

    name: str
    layers: str
    weakest: Level
    program: str
    status: RunStatus = RunStatus.OK
    stdout: bytes = b"held\n"


def _tried(name: str, layers: str, weakest: Level, attempt: str) -> Canary:
    return Canary(name, layers, weakest, TRY.format(attempt=attempt))


def _tripped(name: str, call: str) -> Canary:
    return Canary(name, "seccomp", Level.F2, TRIP.format(call=call), RunStatus.SECURITY, b"")


CANARIES: tuple[Canary, ...] = (
    _tried("start a process", "seccomp", Level.F2, "os.fork()"),
    _tried("run another program", "seccomp", Level.F2, "os.execv('/bin/true', ['true'])"),
    _tried("signal the supervisor", "seccomp", Level.F2, "os.kill(os.getppid(), 0)"),
    _tried("signal everyone", "seccomp", Level.F2, "os.kill(-1, 0)"),
    _tried("open a socket", "seccomp", Level.F2, "socket.socket()"),
    _tripped("enter a namespace", "unshare(0)"),
    _tripped("trace the parent", "ptrace(16, 1, 0, 0)"),
    _tripped("make a file to execute", "memfd_create(b'x', 0)"),
    _tried("write a file", "seccomp, landlock", Level.F2, "open('/tmp/canary', 'w')"),
    _tried("write into the library", "seccomp, landlock", Level.F2, "open(os.__file__, 'a')"),
    _tried("read /etc/passwd", "landlock, mnt", Level.F1B, "open('/etc/passwd')"),
    _tried("list /", "landlock", Level.F1B, "os.listdir('/')"),
    _tried("read the parent's memory", "landlock, mnt", Level.F1B, "open('/proc/1/mem', 'rb')"),
    _tried("connect", "seccomp, landlock, net", Level.F2,
           "socket.create_connection(('127.0.0.1', 22), timeout=1)"),
    Canary("see other processes", "pid", Level.F0, COUNT_PROCESSES),
    Canary("fill memory", "rlimit", Level.F3, "x = bytes(1 << 40)", RunStatus.MEMORY_LIMIT, b""),
    Canary("flood stdout", "parent", Level.F3, "while True: print('x' * 9999)",
           RunStatus.OUTPUT_LIMIT, b""),
    Canary("run forever", "parent", Level.F3, "while True: pass", RunStatus.TIME_LIMIT, b""),
    Canary("print a verdict", "parent", Level.F3, "print('PASSED'); raise SystemExit(3)",
           RunStatus.RUNTIME_ERROR, b"PASSED\n"),
    Canary("find an expected output", "parent", Level.F3, FIND_SECRET),
)  # fmt: skip


class Finding(NamedTuple):
    """What became of a canary; `promised` tells whether this level promises it."""

    name: str
    layers: str
    promised: bool
    held: bool
    detail: str


def require_sound(sandbox: Sandbox) -> None:
    """SandboxError where a promise of the sandbox's level is broken."""
    broken = [finding for finding in findings(sandbox) if finding.promised and not finding.held]
    if broken:
        raise SandboxError(
            f"the sandbox claims {sandbox.level}, but a program could "
            f"{'; '.join(f'{finding.name} ({finding.detail})' for finding in broken)}"
        )


def findings(sandbox: Sandbox) -> Iterator[Finding]:
    """One for each canary, and for a value that claims to equal everything."""
    level = Level(sandbox.level.split("+")[0])
    for canary in CANARIES:
        result = next(sandbox.run(canary.program, [StdinInput(b"")], LIMITS))
        # Output that was cut off is not compared.
        held = result.status is canary.status and (
            not canary.stdout or result.stdout == canary.stdout
        )
        promised = level.reaches(canary.weakest)
        yield Finding(canary.name, canary.layers, promised, held, _said(result))
    call = CallInput(entry_point="f", arguments=b"[]")
    result = next(sandbox.run(FORGED, [call], LIMITS))
    honest = type(result.value) is int and result.value == 7
    yield Finding("return a value that equals all", "parent", True, honest, _said(result))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m codeprm.sandbox.selftest", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--floor", default="F2", choices=list(Level), help="weakest level allowed")
    given = parser.parse_args(arguments)
    try:
        with Sandbox(floor=Level(given.floor)) as sandbox:
            level, found = sandbox.level, list(findings(sandbox))
    except (UserError, SandboxError) as error:
        print(json.dumps({"error": str(error)}) if given.json else f"error: {error}")
        return 2
    sound = all(finding.held for finding in found if finding.promised)
    if given.json:
        rows = [finding._asdict() for finding in found]
        print(json.dumps({"level": level, "sound": sound, "canaries": rows}))
    else:
        print("\n".join(_table(level, found, sound=sound)))
    return 0 if sound else 1


def _table(level: str, found: Sequence[Finding], *, sound: bool) -> Iterator[str]:
    yield f"level {level}"
    for finding in found:
        word = "held" if finding.held else "BROKEN" if finding.promised else "open"
        detail = "" if finding.held else f"  {finding.detail}"
        yield f"  {word:7} {finding.name:32} {finding.layers}{detail}"
    yield "every promise of this level holds" if sound else "a promise of this level is broken"


def _said(result: RunResult) -> str:
    last = result.stderr_tail.strip().splitlines()[-1:]
    return " ".join([result.status.value, result.stdout[:60].decode("utf-8", "replace"), *last])


if __name__ == "__main__":
    sys.exit(main())
