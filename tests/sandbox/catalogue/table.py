"""The whole catalogue, in the order of its numbers."""

from __future__ import annotations

from tests.sandbox.catalogue import (
    cheating,
    escape,
    files,
    honest,
    leaks,
    memory,
    network,
    processes,
    protocol,
    timing,
)
from tests.sandbox.catalogue.row import Row

ROWS: tuple[Row, ...] = (
    *processes.ROWS,
    *memory.ROWS,
    *files.ROWS,
    *network.ROWS,
    *escape.ROWS,
    *leaks.ROWS,
    *cheating.ROWS,
    *protocol.ROWS,
    *timing.ROWS,
    *honest.ROWS,
)
BY_ID = {row.id: row for row in ROWS}
