"""What must not be there after a row: processes, files, IPC objects. All of it is looked for from
outside of the sandbox.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

MARKER = "codeprm-marker"
SYSV_KEY = 0x434F4445
FOLDERS = ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", ".")
PR_SET_CHILD_SUBREAPER = 36
PATIENCE_S = 1.0


def adopt_orphans() -> None:
    """A process that outlives its parents becomes a child of this one, and so is found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> set[int]:
    """Living ones, at any depth and in any namespace, as seen from here."""
    children: dict[int, list[int]] = {}
    for child, parent in _living():
        children.setdefault(parent, []).append(child)
    found, left = set(), [pid]
    while left:
        below = children.get(left.pop(), [])
        found.update(below)
        left += below
    return found


def gone(pids: set[int], within_s: float = PATIENCE_S) -> set[int]:
    """Those of them that are still alive after that time."""
    deadline = time.monotonic() + within_s
    while left := pids & {pid for pid, _ in _living()}:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.01)
    return set()


def extra_processes(standing: int, within_s: float = PATIENCE_S) -> str:
    """More processes below this one than its slots keep; empty if there are none."""
    deadline = time.monotonic() + within_s
    while len(left := descendants(os.getpid())) > standing:
        if time.monotonic() > deadline:
            return f"{len(left)} processes where {standing} stand"
        time.sleep(0.005)
    return ""


def left_behind() -> list[str]:
    """Names of marked files, which are removed for the rows that follow, and of IPC objects."""
    found = []
    for folder in map(Path, FOLDERS):
        for path in folder.glob(f"*{MARKER}*"):
            found.append(str(path))
            path.rmdir() if path.is_dir() else path.unlink()
    for kind in ("shm", "msg", "sem"):
        table = Path("/proc/sysvipc", kind)
        if table.exists():
            keys = [line.split()[0] for line in table.read_text().splitlines()[1:]]
            found += [f"System V {kind}" for key in keys if int(key) == SYSV_KEY]
    return found


def _living() -> Iterator[tuple[int, int]]:
    """(process, its parent); zombies are dead."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            state, parent = Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            yield int(entry), int(parent)
