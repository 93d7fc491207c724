"""Which rows a layer holds by itself, with all other layers left out of the sandbox.

A layer that only ever works behind another has never been seen to work. The text is what the
program prints where this layer refuses in its own way; None where that is what the table says.
What a system-call filter holds alone is level F2: all its rows that name it, by the table.
"""

from __future__ import annotations

import dataclasses

from codeprm.sandbox.levels import Level
from tests.sandbox.catalogue.row import Row
from tests.sandbox.catalogue.table import BY_ID, ROWS

FILES_UNWRITTEN = ("35a", "35b", "35c", "35d", "36a", "37", "42a", "44a", "85", "88")
FILES_UNREAD = ("39a", "39b", "39c", "39e", "42b", "56a", "56b", "56c", "75")

ALONE: dict[str, dict[str, str | None]] = {
    "namespaces": {
        **dict.fromkeys((*FILES_UNWRITTEN, *FILES_UNREAD, "40", "44d", "53a")),
        "16a": "ENOENT",
        "45a": "done ENETUNREACH",
        "46": "done ENETUNREACH",
        "47": "done ENETUNREACH",
        "48a": "ENOENT ENOENT ENOENT",
        "48b": "ECONNREFUSED ECONNREFUSED ECONNREFUSED",
        # Binding a name of its own is no way out; sending is.
        "48c": "done: [1]",
        "48d": "done: [1]",
    },
    "landlock": {
        **dict.fromkeys((*FILES_UNWRITTEN, *FILES_UNREAD, "39d")),
        "16a": "EACCES",
        "45a": "done EACCES",
        "46": "done EACCES",
        # Sockets for datagrams have other names: nobody listens there.
        "48b": "EPERM ECONNREFUSED ECONNREFUSED",
        "48d": "done: [1]",
    },
    "seccomp": {
        row.id: None
        for row in ROWS
        if "seccomp" in row.layers and row.expected[Level.F2] == row.expected[Level.F0]
    },
    "uid": dict.fromkeys(("39c", "39d", "56a", "56b", "56c")),
}


def rows_of(layer: str) -> list[Row]:
    """As they run with this layer alone."""
    return [_adapted(BY_ID[name], text) for name, text in ALONE[layer].items()]


def _adapted(row: Row, text: str | None) -> Row:
    if text is None:
        return row
    return dataclasses.replace(row, cases=tuple((given, text) for given, _ in row.cases))
