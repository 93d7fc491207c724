"""What a slot's processes may say to their owner: messages nearly right, and bytes that are none.

One case goes the owner's way without a process: a packet through a real socket, its body through
the parsers, a test's pipes through the drains, all of it into a result.
"""

from __future__ import annotations

import json
import os
import socket
from random import Random
from typing import Any

from codeprm.errors import SandboxError
from codeprm.sandbox import process, values, wire
from codeprm.sandbox.runs import Limits, RunResult, RunStatus
from codeprm.sandbox.streams import Streams
from codeprm.sandbox.timing import MAX_WALL_FACTOR, Ending
from tests.fuzz import returned
from tests.fuzz.engine import Broken, WrongAcceptance

LIMITS = Limits(cpu_time_s=1, memory_mb=64, output_bytes=4096)
ENDED = {"is": "ended", "code": 0, "cpu_s": 0.1, "wall_s": 0.1, "peak_kb": 900, "stop": None}
BODIES: tuple[dict[str, Any], ...] = (
    ENDED, ENDED, ENDED,
    {"is": "ready", "level": "F0", "layers": ["pid", "seccomp"]},
    {"is": "loaded", "error": None},
    {"is": "loaded", "error": "SyntaxError: no"},
    {"is": "lost", "code": -11},
    {"is": "lost", "code": -9},
    {"is": "late", "wall_s": 2.0},
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -9, -24, -31, 0.0, 0.5, -0.5, 1e-320, 1e308, float("nan"),
    float("inf"), float("-inf"), 2**31, 2**63, -(2**64), 10**400, "", "0", "F0", "F9", "ended",
    "cpu", "wall", "\ud800", "\x00", "x" * 70_000, [], ["F0"], [None], [["a"]], {}, {"is": "ended"},
)  # fmt: skip
FRAGMENTS = (b"", b"{", b"}", b"[]", b"null", b"0", b'"is"', b"\xff\xfe", b"NaN", b",", b"\x00")
NESTING = (10, 200, 960, 970, 980, 985, 990, 995, 1000, 1100, 30_000)
REPORTS = (
    b"",
    b"V",
    b"M",
    b"Vnull",
    b"V1",
    b"V[1,",
    b"VV1",
    b"X",
    b"\x00V1",
    b"V{}",
    b'V{"x":"y"}',
)


def case(rng: Random) -> None:
    before = open_descriptors()
    body = received(packet(rng), descriptors=rng.choice((0, 0, 0, 0, 1, 4, 9)))
    if body is not None:
        parsed(body)
    if open_descriptors() != before:
        raise Broken(f"descriptors are left open after {str(body)[:200]}")


def results(rng: Random) -> None:
    """A report of an end, with what the test left in its pipes."""
    body = dict(ENDED)
    if rng.random() < 0.5:
        body.update(mutated(rng, body))
    try:
        ending = process.parse_ending(body)
    except SandboxError:
        return
    check_ending(ending)
    is_call, starved = rng.random() < 0.5, rng.random() < 0.1
    with Streams() as streams:
        streams.begin(LIMITS.output_bytes)
        report = written_report(rng)
        os.write(streams.report.writer, report[:60_000])
        os.write(
            streams.stdout.writer, rng.choice((b"", b"1\n", b"\xff", b"x" * 4096, b"x" * 4097))
        )
        os.write(streams.stderr.writer, rng.choice((b"", b"\xff\xfe", b"Error\n" * 1000)))
        streams.finish()
        troubled = starved or streams.overflowed
        try:
            result = process.result_of(ending, streams, LIMITS, is_call=is_call, starved=starved)
        except SandboxError:
            return
    check_result(result, ending, report, troubled=troubled, is_call=is_call)


def packet(rng: Random) -> bytes:
    kind = rng.random()
    if kind < 0.03:
        return rng.randbytes(rng.choice((1, 8, 300)))
    if kind < 0.08:
        return deep(rng)
    body = dict(rng.choice(BODIES))
    if rng.random() < 0.8:
        body = mutated(rng, body)
    data = json.dumps(body).encode()
    if rng.random() < 0.2:
        at = rng.randint(0, len(data))
        data = (
            data[:at] + rng.choice((*FRAGMENTS, rng.randbytes(2))) + data[at + rng.randrange(3) :]
        )
    return data[: wire.MAX_PACKET + 100]


def mutated(rng: Random, body: dict[str, Any]) -> dict[str, Any]:
    body = dict(body)
    for _ in range(rng.choice((1, 1, 2, 4))):
        key = rng.choice((*body, "is", "extra"))
        if rng.random() < 0.2:
            body.pop(key, None)
        else:
            body[key] = rng.choice(ODD)
    return body


def deep(rng: Random) -> bytes:
    """As deep as can be read, and a little deeper; in a place where it would be told."""
    depth = rng.choice(NESTING) + rng.randrange(-3, 4)
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    value = opening * depth + "0" + closing * depth
    key = rng.choice(("code", "level", "error", "is", "layers", "extra"))
    rest = json.dumps({**rng.choice(BODIES), key: None})
    return rest.replace(f'"{key}": null', f'"{key}": {value}').encode()


def received(data: bytes, *, descriptors: int = 0) -> dict[str, Any] | None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        socket.send_fds(theirs, [data], [0] * descriptors)
        try:
            message = wire.receive(ours)
        except (OSError, ValueError):
            return None
        for descriptor in message.descriptors:
            os.close(descriptor)
    if message.body is not None and type(message.body) is not dict:
        raise Broken(f"a body of type {type(message.body)}")
    return message.body


def parsed(body: dict[str, Any]) -> None:
    """Each parser says what it read or that it cannot be read, whatever the message was for."""
    for parse in (process.parse_ready, process.parse_ending, answer_late):
        try:
            found = parse(body)
        except SandboxError:
            continue
        if isinstance(found, Ending):
            check_ending(found)


def answer_late(body: dict[str, Any]) -> dict[str, Any]:
    """No test gets more time than the rule allows, whatever its supervisor says of it."""
    answer = process.answer_late(body, LIMITS, 1e9)
    if answer.get("wall_s", 0) > LIMITS.wall_s * MAX_WALL_FACTOR:
        raise Broken(f"{answer} to {str(body)[:200]}")
    return answer


def check_ending(ending: Ending) -> None:
    times = [ending.cpu_s, ending.wall_s]
    if any(type(value) not in (int, float) or not 0 <= value < float("inf") for value in times):
        raise Broken(f"times of {ending!r:.200}")
    if type(ending.code) is not int or type(ending.peak_kb) is not int:
        raise Broken(f"numbers of {ending!r:.200}")


def written_report(rng: Random) -> bytes:
    if rng.random() < 0.4:
        return rng.choice(REPORTS)
    return rng.choice((b"V", b"V", b"V", b"", b"M")) + returned.forged(rng)


def check_result(
    result: RunResult, ending: Ending, report: bytes, *, troubled: bool, is_call: bool
) -> None:
    """Only a quiet end within all limits is OK, and a value is what stands in the report."""
    if result.status is not RunStatus.OK:
        if result.value is not None:
            raise Broken(f"a value with {result.status}")
        return
    within = ending.cpu_s <= LIMITS.cpu_time_s and ending.peak_kb <= LIMITS.memory_mb * 1024
    if ending.code != 0 or ending.stop is not None or troubled or not within:
        raise WrongAcceptance(f"{ending} was taken for a normal end")
    if not is_call:
        return
    if report[:1] != wire.VALUE:
        raise WrongAcceptance(f"a value from the report {report[:100]!r}")
    if not returned.identical(result.value, values.decode(report[1:])):
        raise WrongAcceptance(f"{returned.shown(result.value)} from the report {report[:100]!r}")


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))
