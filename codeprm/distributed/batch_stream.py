"""Batches of a training run, streamed by Ray Data: read and packed beside the training processes.

    plan -> chunks of steps -> loaders (files -> tokens -> passes) -> rank 0 -> every rank

The order is that of the plan, which follows from the run's configuration, so a run that is resumed
streams the rest of the same batches. Rank 0 reads the stream and hands each batch to all: a batch
is small beside what a step computes, and files need not be read on every rank. Loaders ask for no
CPU, so a cluster whose CPUs all train cannot stall them, and Ray Data is told how many bytes may
wait for the trainer.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import ray.data
from ray.data import ActorPoolStrategy, DataContext, ExecutionResources

from codeprm.errors import UserError
from codeprm.tables import Directory
from codeprm.training.batches import Indices, Step
from codeprm.training.loading import Batch, chunks, load_batch
from codeprm.training.packing import Packing
from codeprm.training.prepare import tokens_of
from codeprm.training.token_files import TokenFiles

LOADERS = 2
WAITING_BYTES = 256 << 20


class LoaderActor:
    """Loads chunks of steps; keeps the files open and what it read lately."""

    def __init__(self, directory: Directory, packing: Packing | None) -> None:
        self._files = TokenFiles(tokens_of(directory))
        self._packing = packing

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        steps = [step for chunk in batch["steps"] for step in pickle.loads(chunk)]
        loaded: list[Batch | UserError] = []
        try:
            for step in steps:
                loaded.append(load_batch(step, self._files.take, self._packing))
        except UserError as error:
            # as data: Ray Data keeps but the text of what a loader raises
            loaded.append(error)
        return {"batch": [pickle.dumps(each) for each in loaded]}


def stream_batches(
    directory: Directory, plan: Sequence[Step], lengths: Indices, packing: Packing | None
) -> Iterator[bytes]:
    """The plan's batches in its order, each for `unpacked`; `lengths` are those of all rows."""
    # it tells when each of its datasets ends; the run has lines of its own
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.execution_options.resource_limits = ExecutionResources(
        object_store_memory=WAITING_BYTES
    )
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"steps": pickle.dumps(chunk)} for chunk in chunks(plan, lengths)]
    with DataContext.current(context):
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            LoaderActor,
            fn_constructor_args=(directory, packing),
            batch_size=None,
            num_cpus=0,
            compute=ActorPoolStrategy(min_size=1, max_size=LOADERS),
        )
        for row in dataset.iter_rows():
            yield row["batch"]


def shared_batches(
    directory: Directory,
    plan: Sequence[Step],
    lengths: Indices,
    packing: Packing | None,
) -> Iterator[Batch]:
    """The same batches on every rank; every rank must take each of them."""
    import torch.distributed as dist

    is_first = dist.get_rank() == 0
    stream = stream_batches(directory, plan, lengths, packing) if is_first else iter(())
    for _ in plan:
        box = [next(stream) if is_first else None]
        dist.broadcast_object_list(box, src=0)
        assert box[0] is not None, "rank 0 gave a batch"
        yield unpacked(box[0])


def unpacked(given: bytes) -> Batch:
    """A batch of the stream; raises what its loader had to say instead."""
    batch: Batch | UserError = pickle.loads(given)
    if isinstance(batch, UserError):
        raise batch
    return batch
