"""Messages between a slot's owner and its processes: one JSON object a packet, with descriptors.

    owner -> zygote      {"do": "load", "memory_mb", "cpu_time_s", "wall_s"}   + program
    supervisor -> owner  {"is": "loaded", "error": null or text}
    owner -> supervisor  {"do": "test", "entry_point": null or name}
                                                         + input, stdout, stderr, report
    owner -> supervisor  {"do": "stop"}: the running test is to be killed
    supervisor -> owner  {"is": "ended", "code", "cpu_s", "wall_s", "peak_kb", "stop"}
    owner -> supervisor  {"do": "unload"}: no answer, the next message is for the zygote
    zygote -> owner      {"is": "ready", "level"} once, {"is": "lost", "code"} if a supervisor died

Programs, inputs and outputs travel in files and pipes of their own, so a packet stays small.
On the report pipe a test sends `VALUE` and an encoded value, or `OUT_OF_MEMORY`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

MAX_PACKET = 1 << 16
MAX_DESCRIPTORS = 4

VALUE = b"V"
OUT_OF_MEMORY = b"M"


class Message(NamedTuple):
    """`body` is None at the end of the conversation."""

    body: dict[str, Any] | None
    descriptors: list[int]


def send(control: socket.socket, body: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    socket.send_fds(control, [json.dumps(body).encode("ascii")], descriptors)


def receive(control: socket.socket) -> Message:
    data, descriptors, _, _ = socket.recv_fds(control, MAX_PACKET, MAX_DESCRIPTORS)
    return Message(json.loads(data) if data else None, list(descriptors))
