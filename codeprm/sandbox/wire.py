"""Messages between a slot's owner and its processes: one JSON object a packet.

    owner -> zygote      {"do": "load", "memory_mb", "cpu_time_s", "wall_s", "call"}
    supervisor -> owner  {"is": "loaded", "error": null or text}
    owner -> supervisor  {"do": "test", "entry_point": null or name}
    supervisor -> owner  {"is": "late", "wall_s"} + descriptor of the test's process
    owner -> supervisor  {"do": "wait", "wall_s"}: how long it may take in all
    owner -> supervisor  {"do": "stop"}: the running test is to be killed
    supervisor -> owner  {"is": "ended", "code", "cpu_s", "wall_s", "peak_kb", "stop"}
    owner -> supervisor  {"do": "unload"}: no answer, the next message is for the zygote
    zygote -> owner      {"is": "ready", "level", "layers"} once,
                         {"is": "lost", "code"} if a supervisor died

Programs, inputs and outputs do not travel here but in files that the slot keeps (`FILES`): the
program, then each input, in turn, is what the memory file at descriptor 0 contains. On the report
pipe a test sends `VALUE` and an encoded value, or `OUT_OF_MEMORY`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

MAX_PACKET = 1 << 16
# Of what the owner says, which is trusted and short.
MAX_ORDER = 1 << 12
MAX_DESCRIPTORS = 4

VALUE = b"V"
OUT_OF_MEMORY = b"M"


class Files(NamedTuple):
    """Descriptors of the zygote and of all that it forks; a test keeps the first four."""

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    report: int = 3
    control: int = 4
    nothing: int = 5
    size: int = 6
    """/proc/self/statm, which a slot cannot open; read and closed by the zygote."""


FILES = Files()


class Message(NamedTuple):
    """`body` is None at the end of the conversation."""

    body: dict[str, Any] | None
    descriptors: list[int]


def send(control: socket.socket, body: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    data = json.dumps(body).encode("ascii")
    if descriptors:
        socket.send_fds(control, [data], descriptors)
    else:
        control.send(data)


def receive(control: socket.socket) -> Message:
    """What a slot says. ValueError where the packet is no JSON object; it holds no descriptors."""
    data, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET, MAX_DESCRIPTORS)
    try:
        body = json.loads(data) if data else None
        if data and not isinstance(body, dict):
            raise ValueError(f"a packet of type {type(body).__name__}")
    except (ValueError, RecursionError) as error:
        close_all(descriptors)
        raise ValueError(f"not a message: {error}") from error
    if body is None:
        close_all(descriptors)
        return Message(None, [])
    return Message(body, list(descriptors))


def close_all(descriptors: Sequence[int]) -> None:
    """Descriptors that came with a message and are of no use."""
    for descriptor in descriptors:
        os.close(descriptor)


def order(control: socket.socket) -> dict[str, Any] | None:
    """What the owner says to its processes; None at the end of the conversation."""
    data = control.recv(MAX_ORDER)
    body: dict[str, Any] | None = json.loads(data) if data else None
    return body
