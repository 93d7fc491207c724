"""Who runs below this process: Ray's workers, the sandboxes below them, and who outlives whom.

A process is known by its number and its start, so a number that is given again is another process.
A sandbox's process belongs to the worker that it was first seen below, wherever it is moved when
that worker ends.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

WORKER = b"ray::"
POLL_S = 0.1


class Process(NamedTuple):
    """`started` is in the kernel's ticks."""

    pid: int
    started: int


class Entry(NamedTuple):
    """A line of the process table."""

    process: Process
    parent: int
    is_zombie: bool


class Sandboxed(NamedTuple):
    """A process of a slot: `depth` is 1 where the worker itself started it."""

    process: Process
    owner: Process
    depth: int


def process_table() -> dict[int, Entry]:
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(name)
        table[pid] = Entry(Process(pid, int(fields[19])), int(fields[1]), fields[0] in "ZX")
    return table


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def sandboxes(table: dict[int, Entry], root: int) -> list[Sandboxed]:
    """Everything below the workers of Ray that are below `root`."""
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found: list[Sandboxed] = []
    todo: list[tuple[int, Process | None, int]] = [(pid, None, 0) for pid in children.get(root, ())]
    while todo:
        pid, owner, depth = todo.pop()
        process = table[pid].process
        if owner is not None:
            found.append(Sandboxed(process, owner, depth))
        elif command_of(pid).startswith(WORKER):
            owner = process
        below = depth + 1 if owner is not None else 0
        todo += [(child, owner, below) for child in children.get(pid, ())]
    return found


@dataclass
class Watch:
    """Looks on from a thread of its own, and measures how long slots outlive their workers."""

    root: int = field(default_factory=os.getpid)
    longest_s: float = 0.0
    """The longest that any process of a slot was seen after its worker was gone."""
    late: list[str] = field(default_factory=list)
    owners_gone: int = 0
    _families: dict[Process, set[Process]] = field(default_factory=dict)
    _gone_at: dict[Process, float] = field(default_factory=dict)
    _latest: list[Sandboxed] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def look(self, *, limit_s: float) -> None:
        table, now = process_table(), time.monotonic()
        self._latest = sandboxes(table, self.root)
        for sandboxed in self._latest:
            self._families.setdefault(sandboxed.owner, set()).add(sandboxed.process)
        for owner in list(self._families):
            if not _lives(table, owner):
                self._outlived(table, owner, now, limit_s)

    def run(self, limit_s: float) -> None:
        while not self._stopped.wait(POLL_S):
            self.look(limit_s=limit_s)

    def stop(self) -> None:
        self._stopped.set()

    @property
    def latest(self) -> list[Sandboxed]:
        """As of the last look."""
        return self._latest

    @property
    def remaining(self) -> list[Process]:
        """Processes of slots that were seen alive, still are, and have no worker."""
        table = process_table()
        return [
            process
            for owner, family in self._families.items()
            if not _lives(table, owner)
            for process in family
            if _lives(table, process)
        ]

    def _outlived(
        self, table: dict[int, Entry], owner: Process, now: float, limit_s: float
    ) -> None:
        if owner not in self._gone_at:
            self._gone_at[owner] = now
            self.owners_gone += 1
        family = {process for process in self._families[owner] if _lives(table, process)}
        self._families[owner] = family
        lasted_s = now - self._gone_at[owner]
        if not family:
            del self._families[owner]
            return
        self.longest_s = max(self.longest_s, lasted_s)
        if lasted_s > limit_s:
            self.late += [
                f"{process.pid} ({command_of(process.pid)[:80]!r}) {lasted_s:.1f} s after its "
                f"worker {owner.pid}"
                for process in family
            ]
            del self._families[owner]


def kill(process: Process) -> bool:
    """SIGKILL to this very process; False if it is gone."""
    return _kill_if(process.pid, lambda: _lives(process_table(), process))


def kill_below(owner: Process, depth: int, rng: random.Random) -> bool:
    """SIGKILL to a process so far below; those of a test live for milliseconds only."""
    pid = parent = owner.pid
    for _ in range(depth):
        children = _children(pid)
        if not children:
            return False
        parent, pid = pid, rng.choice(children)
    return _kill_if(pid, lambda: pid in _children(parent))


def _kill_if(pid: int, condition: Callable[[], bool]) -> bool:
    """What holds while a descriptor of the process is open holds of this very process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not condition():
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def _children(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:  # it ended meanwhile
        return found
    return found


def _lives(table: dict[int, Entry], process: Process) -> bool:
    entry = table.get(process.pid)
    return entry is not None and entry.process == process and not entry.is_zombie
