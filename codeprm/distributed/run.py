"""Carrying a stage over Ray Data: a stream of units, a pool of part actors, commits.

    source task (0 CPU) -> [unit] -> PartActor pool -> [commit] -> this driver

The source yields units one by one, so an actor starts on the first part of a producer that is still
running. A unit is a row of its own block (`target_max_block_size=1`): it is scheduled, retried and
resumed alone. Rows never pass through Ray or the driver: actors read and write parts themselves and
send back commits. The source asks for no CPU, so a pool that holds every logical CPU cannot stall.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset

from codeprm.distributed.session import connect, require_shared
from codeprm.errors import CodeprmError, UserError
from codeprm.progress import Progress
from codeprm.steps.base import Stage, Unit, Workers
from codeprm.steps.follow import FAILED
from codeprm.steps.run import run_unit, start_stage
from codeprm.tables import Directory, finish_directory
from codeprm.versions import versions

Batch = dict[str, Any]

NO_PROGRESS_S = 6 * 3600
ROUNDS = 3

logger = logging.getLogger(__name__)


class PartActor:
    """Carries a step: unit in, commit out. Several units may be in work at once (engines)."""

    def __init__(self, stage: Stage, session: str) -> None:
        self._step = stage.step()
        self._directory = Directory(stage.out)
        self._tables = stage.tables
        self._session = session
        self._careful = asyncio.Lock()
        # a pool that is done ends its actors' processes; __del__ would come when modules are gone
        atexit.register(self._step.close)

    async def __call__(self, batch: Batch) -> AsyncIterator[Batch]:
        for text in batch["unit"]:
            commit = await run_unit(
                self._step,
                Unit(**json.loads(text)),
                directory=self._directory,
                tables=self._tables,
                session=self._session,
                careful=self._careful,
            )
            yield {"commit": [json.dumps(asdict(commit))]}


def run_stage(stage: Stage, *, follow: bool = False) -> dict[str, Any]:
    """Run a stage, or the rest of it, on the cluster; returns the manifest.

    With `follow` the units are those of a producer that may still be running.
    """
    require_shared(stage.out)
    directory = start_stage(stage)
    if (manifest := directory.manifest) is not None:
        logger.info("%s: %s is complete, nothing to do", stage.job, stage.out)
        return manifest
    connect()
    directory.delete(FAILED)
    try:
        return _run(stage, directory, follow=follow)
    except BaseException as error:
        # whoever follows this directory should not wait for parts that will not come
        directory.write_json({"error": str(error)[:300]}, FAILED)
        raise


def _run(stage: Stage, directory: Directory, *, follow: bool) -> dict[str, Any]:
    started, session = time.monotonic(), uuid.uuid4().hex
    for _ in range(ROUNDS):
        _run_round(stage, directory, session, follow=follow)
        planned = [unit.name for unit in stage.units()]
        missing = set(planned) - set(directory.committed())
        if not missing:
            break
        # a source that was killed and replayed may have left units out
        logger.warning("%s: %d units were left out, running them", stage.job, len(missing))
    else:
        raise CodeprmError(f"{stage.job}: units without a commit after {ROUNDS} rounds: {missing}")
    extra = {"wall_s": round(time.monotonic() - started, 3), "versions": versions()}
    return finish_directory(directory, expected=len(planned), extra=extra, unique=stage.unique)


def _run_round(stage: Stage, directory: Directory, session: str, *, follow: bool) -> None:
    done = len(directory.committed())
    total = None if follow else sum(1 for _ in stage.units())
    if done == total:
        return
    with Progress(stage.job, total=total, done=done) as progress:
        try:
            for row in units_to_commits(stage, directory, session).iter_rows():
                progress.advance(json.loads(row["commit"])["rows"])
        except Exception as error:  # Ray wraps what a worker raised: a user error comes out bare
            if user_error := _user_error(error):
                raise user_error from None
            raise


def units_to_commits(stage: Stage, directory: Directory, session: str) -> Dataset:
    """The stage as a lazy dataset: a row a unit that is not committed yet."""

    def source(_: Batch) -> Iterator[Batch]:
        committed = set(directory.committed())
        for unit in stage.units():
            if unit.name not in committed:
                yield {"unit": [json.dumps(asdict(unit))]}

    context = DataContext.get_current().copy()
    context.target_max_block_size = 1
    context.execution_no_progress_timeout_s = NO_PROGRESS_S
    context.max_consecutive_actor_init_deaths = 5
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with DataContext.current(context):
        units = ray.data.from_items([{"start": 0}]).map_batches(source, num_cpus=0)
        return units.map_batches(
            PartActor,
            fn_constructor_args=(stage, session),
            batch_size=1,
            **actor_arguments(stage.workers),
        )


def actor_arguments(workers: Workers) -> dict[str, Any]:
    """A pool's part of `map_batches`: size, resources, and on which nodes."""
    arguments: dict[str, Any] = {
        "num_cpus": workers.cpus,
        "compute": ActorPoolStrategy(
            min_size=min(workers.min_workers, workers.max_workers),
            max_size=workers.max_workers,
            max_tasks_in_flight_per_actor=2 * workers.units_in_flight,
            max_concurrent_calls_per_actor=workers.units_in_flight,
        ),
    }
    if workers.gpus:
        arguments["num_gpus"] = workers.gpus
    if workers.memory_mb:
        arguments["memory"] = workers.memory_mb << 20
    if workers.pool:
        arguments["label_selector"] = {"pool": workers.pool}
    return arguments


def _user_error(error: BaseException | None) -> UserError | None:
    # Ray raises a class that is both its own and the worker's; what the worker raised is its cause
    seen: set[int] = set()
    found: UserError | None = None
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            found = error
        seen.add(id(error))
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
    if found is not None:
        # Ray Data appends advice of its own to the message, on new lines
        found.args = (str(found).partition("\n")[0],)
    return found
