"""The owner's ends of a slot's files: made once, used by one test after the other.

Input is a memory file that the owner fills before each test; outputs are pipes, whose writing ends
stay open here, so that a pipe outlives its writers. All that comes is read and what the limits
allow is kept: a program is never blocked by a full pipe, and memory here is bounded whatever it
writes. A test that has ended has no process left that could write into the next one's pipes.
"""

from __future__ import annotations

import fcntl
import os
from typing import Self

CHUNK_BYTES = 1 << 16
TAIL_BYTES = 4096
# What an unprivileged process may make of a pipe's capacity, by Linux's default.
MAX_PIPE_BYTES = 1 << 20


class Drain:
    """A pipe whose writing end goes to programs: the first `keep` bytes are kept."""

    def __init__(self) -> None:
        self.keep = 0
        self.kept = bytearray()
        self.overflowed = False
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._flags = fcntl.fcntl(self.writer, fcntl.F_GETFL)

    def begin(self, keep: int) -> None:
        """For the next test: empty, and as it was made, whatever flags the last one set."""
        self.keep = keep
        self.kept = bytearray()
        self.overflowed = False
        fcntl.fcntl(self.writer, fcntl.F_SETFL, self._flags)

    def read(self) -> bool:
        """Takes up to a pipe's worth; False if there is nothing now."""
        try:
            chunk = os.read(self.reader, CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.take(chunk)
        return True

    def take(self, chunk: bytes) -> None:
        """Keep what there is room for."""
        room = self.keep - len(self.kept)
        self.overflowed |= len(chunk) > room
        self.kept += chunk[: max(0, room)]

    def finish(self) -> None:
        """Take all that is left; bounded, in case a process got away and still writes."""
        for _ in range(MAX_PIPE_BYTES // CHUNK_BYTES + 1):
            if not self.read():
                return

    def close(self) -> None:
        """Both ends."""
        os.close(self.writer)
        os.close(self.reader)


class TailDrain(Drain):
    """Keeps the last bytes, where an error message ends."""

    def take(self, chunk: bytes) -> None:
        self.kept += chunk
        del self.kept[: -self.keep]


class Streams:
    """Files of a slot. `stdin` is what programs read, through a descriptor that cannot write."""

    def __init__(self) -> None:
        self._input = os.memfd_create("input", os.MFD_CLOEXEC)
        self.stdin = os.open(f"/proc/self/fd/{self._input}", os.O_RDONLY | os.O_CLOEXEC)
        self._flags = fcntl.fcntl(self.stdin, fcntl.F_GETFL)
        self.stdout = Drain()
        self.stderr = TailDrain()
        self.report = Drain()
        self.drains = (self.stdout, self.stderr, self.report)

    @property
    def overflowed(self) -> bool:
        """Whether a test wrote more than it may."""
        return self.stdout.overflowed or self.report.overflowed

    def give(self, content: bytes) -> None:
        """What the next reader finds at descriptor 0, from its beginning."""
        os.ftruncate(self._input, 0)
        view = memoryview(content)
        offset = 0
        while offset < len(view):
            offset += os.pwrite(self._input, view[offset:], offset)
        fcntl.fcntl(self.stdin, fcntl.F_SETFL, self._flags)
        os.lseek(self.stdin, 0, os.SEEK_SET)

    def begin(self, output_bytes: int) -> None:
        """For the next test."""
        self.stdout.begin(output_bytes)
        self.stderr.begin(TAIL_BYTES)
        self.report.begin(output_bytes)

    def finish(self) -> None:
        """The test is dead: what is left in the pipes is all there will be."""
        for drain in self.drains:
            drain.finish()

    def close(self) -> None:
        """All of it."""
        os.close(self.stdin)
        os.close(self._input)
        for drain in self.drains:
            drain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
