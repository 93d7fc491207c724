"""Many awaitable calls, a bounded number of them at once, results as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def as_finished(calls: Iterable[Coroutine[Any, Any, T]], limit: int) -> AsyncIterator[T]:
    """Results in the order of their end; `calls` is drawn on only when there is room.

    The first call that raises ends the stream; what was still running is cancelled.
    """
    source = iter(calls)
    running: set[asyncio.Task[T]] = set()
    try:
        while True:
            while len(running) < limit and (call := next(source, None)) is not None:
                running.add(asyncio.create_task(call))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
