"""Carrying one unit through a step: items, careful mode, spool, parts, commit. No Ray.

`run_unit` is what a worker does for each unit, on a cluster or here; `run_here` does a whole stage
in this process, one unit after the other, for tests and for looking at one stage with a debugger.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

from codeprm.records import Record, Rejected
from codeprm.steps.base import Item, Stage, Step, Unit
from codeprm.tables import Commit, Directory, PartWriter, finish_directory, start_directory
from codeprm.tables.parts import MAX_DEATHS, Attempts, Spool

EXCERPT_CHARS = 500


async def run_unit(
    step: Step,
    unit: Unit,
    *,
    directory: Directory,
    tables: Sequence[type[Record]],
    session: str,
    careful: asyncio.Lock,
) -> Commit:
    """Process a unit and commit its parts; safe to repeat, killed or not.

    `session` names the run, `careful` is the worker's lock: while it is held to find the item that
    kills workers, no other unit of the worker does the same, so that no innocent item is noted.
    """
    started = time.monotonic()
    attempts = Attempts(directory, unit.name, session)
    spool = Spool(directory, unit.name) if step.spool_key else None
    with PartWriter(directory, unit.name, tables) as writer:
        items = step.items(unit)
        if spool is not None:
            done = _replay(spool, writer, str(step.spool_key))
            items = [item for item in items if item.id not in done]
        async for record in _process(step, items, attempts, careful):
            writer.write(record)
            if spool is not None:
                spool.add(record)
        commit = writer.commit(seconds=time.monotonic() - started, attempts=attempts.number)
    attempts.clear()
    if spool is not None:
        spool.clear()
    return commit


def start_stage(stage: Stage) -> Directory:
    """Claim or continue the stage's directory."""
    return start_directory(
        stage.out,
        job=stage.job,
        config=stage.config,
        inputs=stage.inputs,
        buckets=stage.buckets,
    )


def run_here(stage: Stage) -> dict[str, Any]:
    """Run a whole stage in this process; returns the manifest."""
    directory = start_stage(stage)
    if (manifest := directory.manifest) is not None:
        return manifest
    started = time.monotonic()
    planned = asyncio.run(_run_units(stage, directory))
    extra = {"wall_s": round(time.monotonic() - started, 3)}
    return finish_directory(directory, expected=planned, extra=extra, unique=stage.unique)


async def _run_units(stage: Stage, directory: Directory) -> int:
    step, session, careful = stage.step(), uuid.uuid4().hex, asyncio.Lock()
    done, planned = set(directory.committed()), 0
    try:
        for unit in stage.units():
            planned += 1
            if unit.name not in done:
                await run_unit(
                    step,
                    unit,
                    directory=directory,
                    tables=stage.tables,
                    session=session,
                    careful=careful,
                )
    finally:
        step.close()
    return planned


def rejected(row_id: str, problem_id: str, reason: str, detail: str, row: object) -> Rejected:
    """A dropped row with a bounded excerpt of it."""
    text = row if isinstance(row, str) else repr(row)
    return Rejected(
        row_id=row_id,
        problem_id=problem_id,
        reason=reason,
        detail=detail[:EXCERPT_CHARS],
        excerpt=text[:EXCERPT_CHARS],
    )


def _replay(spool: Spool, writer: PartWriter, key: str) -> set[str]:
    done = set()
    for record in spool.read():
        done.add(record.row_id if isinstance(record, Rejected) else getattr(record, key))
        writer.write(record)
    return done


async def _process(
    step: Step, items: Sequence[Item], attempts: Attempts, careful: asyncio.Lock
) -> AsyncIterator[Record]:
    for item in items:
        if item.id in attempts.condemned:
            detail = f"its worker died {MAX_DEATHS} times"
            yield rejected(item.id, item.problem_id, "killed_worker", detail, item.value)
    left = {item.id: item for item in items if item.id not in attempts.condemned}
    for group in attempts.groups(list(left)):
        if attempts.careful:
            await careful.acquire()
            attempts.enter(group)
        try:
            async for record in _stream(step.process([left[item_id] for item_id in group])):
                yield record
        finally:
            if attempts.careful:
                attempts.enter(())
                careful.release()


async def _stream(records: Iterable[Record] | AsyncIterable[Record]) -> AsyncIterator[Record]:
    if isinstance(records, AsyncIterable):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record
