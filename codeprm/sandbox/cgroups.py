"""A control group of its own for a slot, where the machine hands out groups (cgroup v2).

The kernel then counts what all processes of the slot hold, page cache and stacks included, and ends
the test that passes its limit; without it the limit is the address space. A group can be made where
the worker may write below its own group, or beside it, and memory is counted there: systemd's
`Delegate=yes`, or a container whose entry point moved the worker into a group below its root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
# Of the zygote and the supervisor, beside what the program may use.
OWN_BYTES = 128 << 20
MAX_PROCESSES = 1024


class Group:
    """One group; made empty, ended with all that is in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, pid: int) -> bool:
        """A process, and with it all that it will start; False if it cannot be moved."""
        try:
            self._write("cgroup.procs", str(pid))
        except OSError:
            return False
        return True

    def limit_memory(self, program_bytes: int) -> None:
        """What a program may hold from now on."""
        self._write("memory.max", str(program_bytes + OWN_BYTES))

    def ended_for_memory(self) -> int:
        """How many processes the kernel has ended here because memory ran out, so far."""
        with contextlib.suppress(OSError, ValueError):
            for line in (self._path / "memory.events").read_text().splitlines():
                name, count = line.split()
                if name == "oom_kill":
                    return int(count)
        return 0

    def close(self) -> None:
        """Ends what is left in it."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", "1")
        with contextlib.suppress(OSError):
            self._path.rmdir()

    def _write(self, name: str, value: str) -> None:
        (self._path / name).write_text(value)


def make_group(name: str, *, mount: Path = MOUNT, own: str | None = None) -> Group | None:
    """An empty group with memory counted and swap off; None where none can be made.

    `own` is the worker's group as /proc/self/cgroup has it.
    """
    for parent in _parents(mount, _own_group() if own is None else own):
        path = parent / name
        try:
            if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                continue
            path.mkdir()
            group = Group(path)
            (path / "memory.swap.max").write_text("0")
            (path / "pids.max").write_text(str(MAX_PROCESSES))
        except OSError:
            with contextlib.suppress(OSError):
                path.rmdir()
            continue
        return group
    return None


def _parents(mount: Path, own: str | None) -> Iterator[Path]:
    """Where a group might be made: below one's own, then beside it."""
    if own is None:
        return
    here = mount / own.strip("/")
    yield here
    if here != mount:
        yield here.parent


def _own_group() -> str | None:
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="ascii") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].strip()
    return None


def group_name(slot: int) -> str:
    """Of a slot; no two of a machine are the same at one time."""
    return f"codeprm-slot-{os.getpid()}-{slot}"
