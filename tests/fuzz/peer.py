"""A slot's process that says and does what it is told: the liar at the other end of the socket.

It stands in for the interpreter that an owner starts. What it plays is a list of steps in JSON: at
its start that of the file beside it (`start.json`), then, at each message that it gets, what the
owner put into descriptor 0 for the program or for the test.

    ["say", text, n]      a packet, as bytes in Latin-1, with n descriptors
    ["flood", text, s]    the same packet again and again, for so many seconds
    ["write", fd, text, n]    text, n times, to stdout, stderr or the report pipe (1, 2, 3)
    ["hear"]              wait for a message and forget it
    ["wait", s]           do nothing
    ["end", code]         exit, or die of a signal where it is below 0
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import sys
import time
from typing import Any, NoReturn

MAX_PACKET = 1 << 16


def main() -> NoReturn:
    # What an owner does to a real slot ends this one, too: its end of the socket goes.
    signal.alarm(60)
    control, report = given_files()
    with open(f"{sys.argv[0]}.json", encoding="utf-8") as file:
        play(json.load(file), control, report)
    while True:
        message = control.recv(MAX_PACKET)
        if not message:
            sys.exit(0)
        if json.loads(message)["do"] in ("load", "test"):
            size = os.fstat(0).st_size
            play(json.loads(os.pread(0, size, 0)), control, report)


def given_files() -> tuple[socket.socket, int]:
    """Among the descriptors that were handed down, wherever they lie."""
    control, report = -1, -1
    for number in range(3, 256):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if stat.S_ISSOCK(mode):
            control = number
        elif stat.S_ISFIFO(mode):
            report = number
    return socket.socket(fileno=control), report


def play(steps: list[list[Any]], control: socket.socket, report: int) -> None:
    for kind, *arguments in steps:
        # An owner that has heard enough closes its ends: the rest of the play is for nobody.
        with contextlib.suppress(OSError):
            perform(kind, arguments, control, report)


def perform(kind: str, arguments: list[Any], control: socket.socket, report: int) -> None:
    if kind == "say":
        text, descriptors = arguments
        socket.send_fds(control, [text.encode("latin-1")], [0] * descriptors)
    elif kind == "flood":
        text, seconds = arguments
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            control.send(text.encode("latin-1"))
    elif kind == "write":
        descriptor, text, times = arguments
        for _ in range(times):
            os.write(report if descriptor == 3 else descriptor, text.encode("latin-1"))
    elif kind == "hear":
        control.recv(MAX_PACKET)
    elif kind == "wait":
        time.sleep(arguments[0])
    elif arguments[0] < 0:
        os.kill(os.getpid(), -arguments[0])
    else:
        os._exit(arguments[0])
