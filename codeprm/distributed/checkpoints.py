"""Checkpoints of one rank, handed to Ray Train and taken back.

Every rank saves its share to its own disk, which the step loop waits for; Ray Train uploads the
shares in a thread of each worker and registers a checkpoint when all ranks' are there, so one that
is cut short never counts (`codeprm.training.uploads`). No other is begun until it is. A run that
begins or goes on first deletes what a killed one left: local folders, and checkpoints in the store
that were never registered.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import ray
from ray.train import Checkpoint, CheckpointConsistencyMode, CheckpointUploadMode
from ray.train.v2._internal.execution import context as ray_train_context
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from codeprm.errors import UserError
from codeprm.training.engine import load_checkpoint, save_checkpoint
from codeprm.training.following import History
from codeprm.training.room import needs_room
from codeprm.training.uploads import Uploads, prefix_of, sweep

# what Ray Train's names of a checkpoint's folder begin with
FOLDERS = "checkpoint_"
SWEEP_TIMEOUT_S = 60.0


class Checkpoints:
    """This rank's, of the run whose checkpoints are in `store`; made inside a Ray Train worker."""

    def __init__(self, store: str) -> None:
        self._storage = ray.train.get_context().get_storage()
        self._uploads = Uploads(store)
        # two lines a checkpoint and rank; what ends an upload ends the run, and is told there
        logging.getLogger(ray_train_context.__file__).setLevel(logging.CRITICAL)

    def resume(self, engine: Any) -> History:
        """What was told so far; the engine is as it was after those steps. Every rank must call."""
        import torch.distributed as dist

        self._sweep()
        # nobody stages a folder that another rank of its machine would sweep away
        dist.barrier()
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return History()
        with self._at_hand(checkpoint) as folder:
            state = load_checkpoint(engine, folder)
        return History(**state["history"])

    def save(self, engine: Any, history: History) -> None:
        """Save, and begin to upload, once the one before is registered. Every rank must call."""
        self.finish()
        with self._uploads.staged() as folder:
            with needs_room("a checkpoint", folder):
                save_checkpoint(engine, folder, {"history": history.state()})
            ray.train.report(
                {"step": len(history.steps), "loss": history.losses[-1]},
                checkpoint=Checkpoint.from_directory(folder),
                checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
                checkpoint_upload_fn=self._upload,
                # `_upload` does, also where it fails
                delete_local_checkpoint_after_upload=False,
            )

    def finish(self) -> None:
        """Wait until all checkpoints are registered; raises what ended this rank's upload."""
        self._uploads.wait()
        # answers when all ranks' reports so far are taken in
        self._registered()

    def _upload(self, checkpoint: Checkpoint, name: str) -> Checkpoint:
        def copy() -> Checkpoint:
            return self._storage.persist_current_checkpoint(checkpoint, name)

        with no_traceback():
            return self._uploads.carry(Path(checkpoint.path), copy)

    @contextmanager
    def _at_hand(self, checkpoint: Checkpoint) -> Iterator[Path]:
        """Where this machine reads a checkpoint; one that is elsewhere is downloaded for a while.

        Not by `as_directory`, which leaves in TMPDIR what a killed process had of it.
        """
        import torch.distributed as dist

        if isinstance(checkpoint.filesystem, pafs.LocalFileSystem):
            yield Path(checkpoint.path)
            return
        scratch = Path(tempfile.gettempdir())
        folder = scratch / f"{prefix_of(self._uploads.store)}{Path(checkpoint.path).name}"
        is_first = ray.train.get_context().get_local_rank() == 0
        try:
            if is_first:
                with needs_room("the checkpoint to go on from", scratch):
                    checkpoint.to_directory(folder)
            dist.barrier()
            yield folder
            # nobody deletes what another rank still reads
            dist.barrier()
        finally:
            if is_first:
                shutil.rmtree(folder, ignore_errors=True)

    def _registered(self) -> set[str]:
        """Names of the checkpoints that are kept."""
        reported = ray.train.get_all_reported_checkpoints(
            consistency_mode=CheckpointConsistencyMode.COMMITTED
        )
        return {Path(each.checkpoint.path).name for each in reported}

    def _sweep(self) -> None:
        context = ray.train.get_context()
        if context.get_local_rank() == 0:
            sweep(self._uploads.store)
        if context.get_world_rank() == 0:
            self._sweep_store()

    def _sweep_store(self) -> None:
        kept = self._registered()
        fs, root = self._storage.storage_filesystem, self._storage.experiment_fs_path
        for info in fs.get_file_info(pafs.FileSelector(root)):
            is_one = info.type == pafs.FileType.Directory and info.base_name.startswith(FOLDERS)
            if is_one and info.base_name not in kept:
                fs.delete_dir(info.path)


@contextmanager
def no_traceback() -> Iterator[None]:
    """Around a worker's work: Ray Train shows none of a `UserError`, which the driver tells."""
    try:
        yield
    except UserError:
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)
        raise


def sweep_nodes(store: str) -> None:
    """`sweep` on every machine of the cluster, after a run that failed."""
    task = ray.remote(num_cpus=0)(sweep)
    here = [
        NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        for node in ray.nodes()
        if node["Alive"]
    ]
    swept = [task.options(scheduling_strategy=each).remote(store) for each in here]
    # a machine that is lost meanwhile keeps its folders, and the run its error
    ray.wait(swept, num_returns=len(swept), timeout=SWEEP_TIMEOUT_S)
