"""A rank's checkpoints on their way from its own disk to the run's store, one at a time.

    staged() a folder -> the step loop fills it -> carry() it, in another thread -> it is deleted

The step loop waits while a checkpoint is written to the local disk, and goes on while it is
carried. The next checkpoint waits for the one before, so a slow store holds the run up and does not
fill the disk. A store that fails is tried again; what ends an upload is raised where it runs and,
so that nothing is made of a run whose checkpoints are lost, in the step loop that waits for it. A
process that was killed leaves its folder: the next of the same run on that machine sweeps it away.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from codeprm.errors import DataError
from codeprm.training.room import is_full, needs_room

# between tries; a store that is away for longer ends the run, which goes on when it is run again
PAUSES_S = (2.0, 10.0, 30.0)

T = TypeVar("T")
logger = logging.getLogger("codeprm.train")


class Uploads:
    """Of one rank of the run whose checkpoints are kept in `store`, a path or a URI."""

    def __init__(self, store: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.store = store
        self._pause = pause
        self._idle = threading.Event()
        self._idle.set()
        self._failure: BaseException | None = None

    def wait(self) -> None:
        """Until nothing is on its way; raises what ended the last upload."""
        if not self._idle.is_set():
            logger.info("training waits for a checkpoint that is still being uploaded")
        self._idle.wait()
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty local folder to fill and hand to `carry`, once the one before is carried."""
        self.wait()
        with needs_room("a checkpoint", tempfile.gettempdir()):
            folder = Path(tempfile.mkdtemp(prefix=prefix_of(self.store)))
        self._idle.clear()
        try:
            yield folder
        except BaseException:
            self._forget(folder)
            raise

    def carry(self, folder: Path, copy: Callable[[], T]) -> T:
        """Copy a staged folder to the store and delete it; for a thread beside the step loop.

        Raises `DataError` where the store is full or goes on failing. What has failed stays so:
        Ray Train calls again after some errors of AWS, when the folder is gone.
        """
        if self._failure is not None:
            raise self._failure
        try:
            with needs_room("a checkpoint", self.store):
                return self._retried(copy)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._forget(folder)

    def _retried(self, copy: Callable[[], T]) -> T:
        for pause_s in PAUSES_S:
            try:
                return copy()
            except OSError as error:
                if is_full(error, self.store):
                    raise
                logger.warning(
                    "a checkpoint could not be written to %s (%s): trying again in %.0f s",
                    self.store, error, pause_s,
                )  # fmt: skip
                self._pause(pause_s)
        try:
            return copy()
        except OSError as error:
            if is_full(error, self.store):
                raise
            raise DataError(
                f"a checkpoint could not be written to {self.store} in {len(PAUSES_S) + 1} tries "
                f"({error}): the checkpoints before are kept, so see to the store and run the same "
                "command again"
            ) from error

    def _forget(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._idle.set()


def sweep(store: str) -> None:
    """Delete what killed processes of a run left on this machine's disk; none may be running."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix_of(store)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def prefix_of(store: str) -> str:
    """What the names of a run's local folders begin with, on a machine that it may share."""
    return f"codeprm-checkpoint-{hashlib.sha256(store.encode()).hexdigest()[:16]}-"
