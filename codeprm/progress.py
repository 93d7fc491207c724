"""How far a stage is: a bar on a terminal, a line now and then in a job's log."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from typing import Self

logger = logging.getLogger(__name__)

LINE_EVERY_S = 20.0


class Progress:
    """Counts finished units and rows of one stage; `total` is None while a producer still runs."""

    def __init__(self, label: str, *, total: int | None, done: int = 0) -> None:
        self._label = label
        self._total = total
        self._done = done
        self._first = done
        self._rows: Counter[str] = Counter()
        self._started = self._last_line = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._done > self._first:
            sys.stderr.write(f"\r\x1b[2K{self.line()}\n")
            sys.stderr.flush()

    def advance(self, rows: dict[str, int]) -> None:
        """One more unit, which wrote so many rows a table."""
        self._done += 1
        self._rows.update(rows)
        now = time.monotonic()
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{self.line()}")
            sys.stderr.flush()
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            logger.info("%s", self.line())

    def line(self) -> str:
        """`execute: 12/40 units, 3072 verdicts, 41 s, about 95 s left`."""
        elapsed = time.monotonic() - self._started
        of_total = f"{self._done}/{self._total}" if self._total is not None else str(self._done)
        rows = [f"{count} {table}" for table, count in self._rows.items() if count]
        parts = [f"{of_total} units", *rows, f"{elapsed:.0f} s"]
        new = self._done - self._first
        if self._total is not None and new > 0 and self._done < self._total:
            parts.append(f"about {elapsed / new * (self._total - self._done):.0f} s left")
        return f"{self._label}: {', '.join(parts)}"
