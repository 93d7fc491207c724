"""TensorBoard's event files, read back.

tensorboardX writes them and reads none; TensorBoard itself is no dependency of the project. A file
is a row of TFRecords: the event's length (8 bytes, little-endian), that length's checksum, the
event, its checksum (4 bytes each).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def events_of(file: Path) -> Iterator[Any]:
    """The file's events in order; a last one that a killed writer left torn is left out."""
    from tensorboardX.proto.event_pb2 import Event

    data, start = file.read_bytes(), 0
    while start + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        end = start + 12 + length
        if end + 4 > len(data):
            return
        yield Event.FromString(data[start + 12 : end])
        start = end + 4


def scalars_of(file: Path) -> list[tuple[int, str, float]]:
    """(step, tag, value) of every number in the file, in the order of writing."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in events_of(file)
        for value in event.summary.value
    ]
