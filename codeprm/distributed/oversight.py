"""What watches over a training run beside Ray Train's own controller.

Ray Train starts lost workers anew, which helps against lost machines and not against a full disk or
a tokenizer that is refused: a `UserError` ends the run at once.

Which checkpoints there are is in a small file that Ray Train writes anew in place, before it
deletes the oldest one. Should that end half-way, what the file was before names the very
checkpoints that are there: `Oversight` keeps a copy, `restore_list` puts it back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pyarrow.fs as pafs
from ray.train import Checkpoint
from ray.train.v2._internal.constants import CHECKPOINT_MANAGER_SNAPSHOT_FILENAME
from ray.train.v2.api.callback import UserCallback

from codeprm.errors import UserError
from codeprm.tables import Directory
from codeprm.training.prepare import WORK

LIST = CHECKPOINT_MANAGER_SNAPSHOT_FILENAME
LIST_COPY = f"{LIST}.before"

logger = logging.getLogger(__name__)


class Oversight(UserCallback):
    """Called in Ray Train's controller, of the run `name`."""

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory, self._name = directory, name

    def after_report(self, run_context: Any, metrics: Any, checkpoint: Checkpoint | None) -> None:
        """Copy the list of checkpoints: it is written, and the oldest one deleted."""
        try:
            data = self._directory.read_bytes(WORK, self._name, LIST)
            self._directory.write_bytes(data, WORK, self._name, LIST_COPY)
        except OSError as error:
            logger.warning("no copy of %s/%s: %s", self._name, LIST, error)

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
        """End the run at an error that the user can mend: what is raised here is not retried."""
        for error in worker_exceptions.values():
            if isinstance(error, UserError):
                # it is told without a traceback, by the driver
                logging.getLogger("ray.train").setLevel(logging.CRITICAL)
                raise error


def restore_list(directory: Directory, name: str) -> None:
    """Before a run goes on: a list that is not whole becomes what it was before, or none.

    Of one that is whole a copy is made: the driver may have been killed before it made its own.
    """
    names = directory.list_names(WORK, name)
    if LIST not in names:
        return
    for source, target in ((LIST, LIST_COPY), (LIST_COPY, LIST)):
        if source in names and _is_whole(directory, name, source):
            directory.write_bytes(directory.read_bytes(WORK, name, source), WORK, name, target)
            return
    # it was the first, so there is no checkpoint to go on from
    directory.delete(WORK, name, LIST)


def other_runs(directory: Directory, name: str) -> list[str]:
    """Runs in a directory that have checkpoints, if `name` has none."""
    infos = directory.fs.get_file_info(
        pafs.FileSelector(directory.path(WORK), allow_not_found=True)
    )
    names = [info.base_name for info in infos if info.type == pafs.FileType.Directory]
    having = [each for each in names if LIST in directory.list_names(WORK, each)]
    return [] if name in having else sorted(having)


def _is_whole(directory: Directory, name: str, file: str) -> bool:
    try:
        json.loads(directory.read_bytes(WORK, name, file))
    except ValueError:
        return False
    return True
