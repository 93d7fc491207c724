"""How much holds a program on this machine, from all of it (F0) to limits alone (F3).

A level is a promise: every layer that it names was seen to refuse, by canaries that each slot runs
when it starts. It is written into every verdict, followed by the layers, so that labels made on a
weaker machine can be told from others. A slot refuses to start below its floor.

    F0   namespaces (processes, network, mounts, IPC) + Landlock + seccomp
    F1   Landlock (ABI 6: files, signals, abstract sockets) + seccomp: an unprivileged container
    F1b  an older Landlock + seccomp, which covers what that Landlock does not
    F2   seccomp alone: files that anyone may read can be read
    F3   resource limits alone: for development, with programs that one trusts
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

LANDLOCK_WITH_SCOPES = 6
NAMESPACES = frozenset({"pid", "net", "ipc", "mnt"})


class Level(StrEnum):
    """Strongest first."""

    F0 = "F0"
    F1 = "F1"
    F1B = "F1b"
    F2 = "F2"
    F3 = "F3"

    def reaches(self, floor: Level) -> bool:
        """Whether it is at least as strong as the floor."""
        order = list(Level)
        return order.index(self) <= order.index(floor)


def level_of(layers: Collection[str], landlock: int) -> Level:
    """From the layers that hold ("pid", "net", ..., "seccomp") and Landlock's ABI (0: none)."""
    if "seccomp" not in layers:
        return Level.F3
    if landlock == 0:
        return Level.F2
    if set(layers) >= NAMESPACES:
        return Level.F0
    return Level.F1 if landlock >= LANDLOCK_WITH_SCOPES else Level.F1B


def describe(level: Level, layers: Collection[str]) -> str:
    """What stands in a verdict. Example: `F0+ipc+landlock7+mnt+net+pid+seccomp`."""
    return "+".join([level.value, *sorted(layers)])
