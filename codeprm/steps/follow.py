"""Units that are another stage's parts: those it has, or those it will have.

A following consumer reads parts as they are committed and ends with the producer's manifest. If the
producer leaves word that it failed, or if no part comes for `silence_s`, the consumer stops with a
sentence; what it did is kept, and a later run continues.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from codeprm.errors import DataError
from codeprm.steps.base import Unit
from codeprm.tables import open_directory

POLL_S = 0.5
FAILED = "failed.json"
SILENCE_S = 3600.0


def part_units(uri: str, *, follow: bool = False, silence_s: float = SILENCE_S) -> Iterator[Unit]:
    """One unit a part of the directory, of the same name."""
    directory = open_directory(uri)
    if not follow:
        directory.require_complete()
        yield from (_unit(part) for part in directory.committed())
        return
    directory.require_started()
    seen: set[str] = set()
    last = time.monotonic()
    while True:
        # read before the parts are listed, or the last ones could be missed
        complete = directory.manifest is not None
        for part in directory.committed():
            if part not in seen:
                seen.add(part)
                last = time.monotonic()
                yield _unit(part)
        if complete:
            return
        if (failed := directory.read_json(FAILED)) is not None:
            raise DataError(
                f"the job that writes {uri} has failed ({failed['error']}): run it again, then "
                "this one"
            )
        if time.monotonic() - last > silence_s:
            raise DataError(
                f"{uri} got no new part for {silence_s:.0f} s and has no manifest: run the job "
                "that writes it again, then this one"
            )
        time.sleep(POLL_S)


def bucket_units(buckets: int) -> Iterator[Unit]:
    """One unit a bucket of problems."""
    for bucket in range(buckets):
        yield Unit(name=f"part-{bucket:05d}", bucket=bucket)


def _unit(part: str) -> Unit:
    return Unit(name=part, bucket=int(part.split("-")[1]), source={"part": part})
