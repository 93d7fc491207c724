"""The most memory that this process and all it started held at once.

Resident sizes are summed over the process tree once a second; memory that processes share is
counted once for each, so the figure is an upper bound. It is kept in the run directory, so that a
run that was resumed reports the peak of all its sessions. Where workers are on other machines the
tree is the driver's alone.
"""

from __future__ import annotations

import threading
from typing import Self

import psutil

from codeprm.tables import Directory

EVERY_S = 1.0
FILE = "memory.json"
GIB = 1 << 30


class MemoryWatch:
    """Samples in a thread of its own while it is entered."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._peak_bytes = int((directory.read_json(FILE) or {}).get("peak_bytes", 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def peak_gib(self) -> float:
        """The peak so far, GiB."""
        return round(self._peak_bytes / GIB, 3)

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            if (now := tree_bytes()) > self._peak_bytes * 1.01:
                self._peak_bytes = now
                self._directory.write_json({"peak_bytes": now}, FILE)


def tree_bytes() -> int:
    """Resident memory of this process and its descendants, bytes."""
    total = 0
    here = psutil.Process()
    for process in [here, *here.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return total
