"""The owner's ends of one test's files: it reads all that comes, keeps what the limits allow.

A program is never blocked by a full pipe, and memory here is bounded whatever it writes.
"""

from __future__ import annotations

import os
from typing import Self

CHUNK_BYTES = 1 << 16
TAIL_BYTES = 4096
# What an unprivileged process may make of a pipe's capacity, by Linux's default.
MAX_PIPE_BYTES = 1 << 20


class Drain:
    """A pipe whose writing end goes to the program: the first `keep` bytes are kept."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.kept = bytearray()
        self.overflowed = False
        self.ended = False
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> bool:
        """Takes up to a pipe's worth; False if there is nothing now, `ended` if never again."""
        try:
            chunk = os.read(self.reader, CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.ended = not chunk
        self.take(chunk)
        return bool(chunk)

    def take(self, chunk: bytes) -> None:
        room = self.keep - len(self.kept)
        self.overflowed |= len(chunk) > room
        self.kept += chunk[: max(0, room)]

    def close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def close(self) -> None:
        self.close_writer()
        os.close(self.reader)


class TailDrain(Drain):
    """Keeps the last bytes, where an error message ends."""

    def take(self, chunk: bytes) -> None:
        self.kept += chunk
        del self.kept[: -self.keep]


class Streams:
    """Files of one test: `descriptors` are handed over and closed here at once."""

    def __init__(self, given: bytes, output_bytes: int) -> None:
        self.input = memory_file(given)
        self.stdout = Drain(output_bytes)
        self.stderr = TailDrain(TAIL_BYTES)
        self.report = Drain(output_bytes)

    @property
    def drains(self) -> tuple[Drain, Drain, Drain]:
        return self.stdout, self.stderr, self.report

    @property
    def descriptors(self) -> list[int]:
        return [self.input, *(drain.writer for drain in self.drains)]

    @property
    def overflowed(self) -> bool:
        return self.stdout.overflowed or self.report.overflowed

    def hand_over(self) -> None:
        """The child has its copies: without ours, the end of the program is the end of the pipe."""
        for drain in self.drains:
            drain.close_writer()

    def finish(self) -> None:
        """The test is dead: what is left in the pipes is all there will be."""
        for drain in self.drains:
            # Bounded all the same, in case a process got away and still writes.
            for _ in range(MAX_PIPE_BYTES // CHUNK_BYTES):
                if not drain.read():
                    break

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.input)
        for drain in self.drains:
            drain.close()


def memory_file(content: bytes) -> int:
    """A descriptor of an anonymous file, at its start: a program may seek, map and stat it."""
    descriptor = os.memfd_create("input", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
