"""A full disk, told in one sentence wherever a training run writes."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codeprm.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXTS = ("no space left", "disk quota exceeded")
# torch's writer fails without an error number, in one of these ways
TORCH_TEXTS = ("pytorchstreamwriter", "iostream error", "unexpected pos")
# a disk with less than this has no room
TOO_LITTLE = 16 << 20


@contextmanager
def needs_room(what: str, folder: str | Path) -> Iterator[None]:
    """Around what writes `what` to `folder`: raises `DataError` if the disk is full."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not is_full(error, folder):
            raise
        raise no_room(what, folder) from error


def no_room(what: str, folder: str | Path) -> DataError:
    """The error that tells of it."""
    return DataError(
        f"no room for {what}: the disk of {folder} is full; what was written before is kept, "
        "so make room (TMPDIR says where temporary files go) and run the same command again"
    )


def is_full(error: BaseException, folder: str | Path) -> bool:
    """Whether an error while writing to `folder`, or one that it comes from, is a full disk."""
    here: BaseException | None = error
    while here is not None:
        if isinstance(here, OSError) and here.errno in FULL:
            return True
        if any(text in str(here).lower() for text in FULL_TEXTS):
            return True
        here = here.__cause__ or here.__context__
    is_torch = isinstance(error, RuntimeError) and any(
        text in str(error).lower() for text in TORCH_TEXTS
    )
    return is_torch and _free_bytes(folder) < TOO_LITTLE


def _free_bytes(folder: str | Path) -> int:
    """Of the disk that a local folder is on; 0 where it cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
