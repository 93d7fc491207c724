"""The whole owner against processes that lie: `Sandbox` with a peer in place of the interpreter.

Whatever a peer says, each input gets a result, nothing is raised but what is announced, the owner
is done in bounded time, and no process and no descriptor is left. A play of one honest test must
come out as it was played, and nothing but such a play may come out as OK.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from codeprm.errors import ConfigError, SandboxError
from codeprm.sandbox import process, runner
from codeprm.sandbox.levels import Level
from codeprm.sandbox.runner import Sandbox
from codeprm.sandbox.runs import CallInput, Limits, RunResult, RunStatus, StdinInput
from tests.fuzz import packets, returned
from tests.fuzz.engine import Broken, WrongAcceptance

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """#!{python} -IS
import sys
sys.path.insert(0, {root!r})
from tests.fuzz.peer import main
main()
"""
LIMITS = Limits(cpu_time_s=0.05, wall_time_s=0.02, memory_mb=64, output_bytes=1 << 17)
READY = json.dumps({"is": "ready", "level": "F0", "layers": ["pid"]})
LOADED = json.dumps({"is": "loaded", "error": None})
LATE = json.dumps({"is": "late", "wall_s": 1.0})
ENDED = json.dumps(
    {"is": "ended", "code": 0, "cpu_s": 0.01, "wall_s": 0.02, "peak_kb": 9, "stop": None}
)
HONEST: list[list[Any]] = [["say", READY, 0], ["say", ENDED, 0]]
HONEST_LOAD: list[list[Any]] = [["say", LOADED, 0]]
# With a silent or a lying peer, which a fuzz would otherwise spend its time with.
PATIENCE: tuple[tuple[ModuleType, str, float], ...] = (
    (process, "START_TIMEOUT_S", 2.0),
    (process, "COMPILE_TIMEOUT_S", 0.2),
    (process, "GRACE_S", 0.1),
    (runner, "RETRIES", 1),
)

Steps = list[list[Any]]


def case(rng: Random) -> None:
    before = packets.open_descriptors()
    with tempfile.TemporaryDirectory(prefix="peer-") as folder, patience():
        hello = greeting(rng)
        peer = write_peer(Path(folder), hello)
        with Sandbox(python=str(peer), floor=rng.choice((Level.F3, Level.F3, Level.F2))) as sandbox:
            session(rng, sandbox, hello)
    if packets.open_descriptors() != before:
        raise Broken("descriptors are left open")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        raise Broken("a process is left")


def session(rng: Random, sandbox: Sandbox, hello: Steps) -> None:
    """Several programs of several tests; a slot that lied once is started anew."""
    for _ in range(rng.choice((1, 1, 2))):
        program = json.dumps(loading(rng))
        plays = [testing(rng) for _ in range(rng.choice((1, 1, 2)))]
        tests = [as_input(rng, steps) for steps in plays]
        try:
            if rng.random() < 0.2:
                sandbox.level  # noqa: B018  asking starts the slot
            results = list(sandbox.run(program, tests, LIMITS))
        except (SandboxError, ConfigError):
            continue
        if len(results) != len(tests):
            raise Broken(f"{len(results)} results of {len(tests)} tests")
        for steps, test, result in zip(plays, tests, results, strict=True):
            check(steps, test, result)
        honest = [is_honest(hello), json.loads(program) == HONEST_LOAD, *map(is_honest, plays)]
        if all(honest) and any(r.status is RunStatus.SANDBOX_ERROR for r in results):
            raise Broken(f"honest plays failed: {results!r:.500} of {plays!r:.1000}")


def is_honest(steps: Steps) -> bool:
    """A play that says what a slot says, once, at its end."""
    return [step[0] for step in steps if step[0] != "write"] == ["say"] and steps[-1] in HONEST


def check(steps: Steps, test: StdinInput | CallInput, result: RunResult) -> None:
    """OK is for tests that were said to end well, with the output that was written."""
    if result.status is not RunStatus.OK:
        return
    said = [step[1] for step in steps if step[0] in ("say", "flood")]
    if not any(ends_well(text) for text in said):
        raise WrongAcceptance(f"{result!r:.500} of {steps!r:.1000}")
    if isinstance(test, StdinInput) and result.stdout != written(steps, 1):
        raise Broken(f"stdout {result.stdout[:100]!r} of {steps!r:.1000}")
    if isinstance(test, CallInput) and not written(steps, 3).startswith(b"V"):
        raise WrongAcceptance(f"value {returned.shown(result.value)} of {steps!r:.1000}")


def ends_well(text: str) -> bool:
    """By the text of the protocol, not by its parser."""
    try:
        body = json.loads(text.encode("latin-1"))
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and (body.get("is"), body.get("code")) == ("ended", 0)


def written(steps: Steps, descriptor: int) -> bytes:
    parts = [step for step in steps if step[:2] == ["write", descriptor]]
    return b"".join(text.encode("latin-1") * times for _, _, text, times in parts)


def as_input(rng: Random, steps: Steps) -> StdinInput | CallInput:
    data = json.dumps(steps).encode()
    if rng.random() < 0.5:
        return StdinInput(data)
    return CallInput(entry_point="solve", arguments=data)


def greeting(rng: Random) -> Steps:
    if rng.random() < 0.85:
        return [["say", READY, 0]]
    return [*noise(rng), ["say", rng.choice((READY, LOADED, packet(rng))), rng.choice((0, 2))]]


def loading(rng: Random) -> Steps:
    if rng.random() < 0.85:
        return [["say", LOADED, 0]]
    return [*noise(rng), ["say", rng.choice((LOADED, ENDED, packet(rng))), rng.choice((0, 0, 3))]]


def testing(rng: Random) -> Steps:
    steps = output(rng)
    if rng.random() < 0.5:
        return [*steps, ["say", ENDED, 0]]
    return [*steps, *noise(rng), ["say", rng.choice((ENDED, packet(rng))), rng.choice((0, 0, 1))]]


def output(rng: Random) -> Steps:
    kind = rng.random()
    if kind < 0.3:
        return [["write", 3, (b"V" + returned.forged(rng)[:50_000]).decode("latin-1"), 1]]
    if kind < 0.6:
        text = rng.choice(("1 2\n", "\xff\xfe", "", "x" * 4000))
        return [["write", rng.choice((1, 1, 2)), text, rng.choice((1, 1, 3, 40))]]
    return []


def noise(rng: Random) -> Steps:
    steps: Steps = []
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        steps.append(rng.choice(NOISES)(rng))
    return steps


def packet(rng: Random) -> str:
    return packets.packet(rng).decode("latin-1")


NOISES = (
    lambda rng: ["say", packet(rng), rng.choice((0, 0, 1, 4, 20))],
    lambda rng: ["say", LATE, rng.choice((0, 1, 3))],
    lambda rng: ["say", json.dumps({"is": "lost", "code": rng.choice((-9, 1, None))}), 0],
    lambda rng: [
        "flood",
        json.dumps({"is": "late", "wall_s": 1.0}),
        rng.choice((0.01, 0.01, 0.01, 0.5)),
    ],
    lambda rng: ["write", rng.choice((1, 2, 3)), "y" * 5000, rng.choice((1, 1, 1, 1, 30))],
    lambda rng: ["wait", rng.choice((0.001, 0.01, 0.1))],
    lambda rng: ["end", rng.choice((0, 1, -9, -11))],
    lambda _: ["hear"],
)


def write_peer(folder: Path, steps: Steps) -> Path:
    peer = folder / "peer"
    peer.write_text(SCRIPT.format(python=sys.executable, root=str(ROOT)))
    peer.chmod(0o755)
    (folder / "peer.json").write_text(json.dumps(steps))
    return peer


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """The owner is told to be quick, and does not log what it repeats."""
    before = [(module, name, getattr(module, name)) for module, name, _ in PATIENCE]
    level = runner.logger.level
    runner.logger.setLevel(logging.ERROR)
    for module, name, value in PATIENCE:
        setattr(module, name, value)
    try:
        yield
    finally:
        runner.logger.setLevel(level)
        for module, name, value in before:
            setattr(module, name, value)
