"""`room` is memory that a worker and its reader share: rows go through it, and not through the socket.

Strategy. Rows are arrays of Arrow's in the worker: where each ends, and the bytes of all of them in one piece. Both are
laid into the room as they are, and the reader makes Python's bytes of them. As MessagePack through a socket they would be
copied four times more, a quarter of what reading a plain file costs.

Trust. The kernel lets nobody make the room smaller or larger (it is sealed), so that the reader can map it. The edges are
copied first and checked then, what the worker can't change any more. The values are only bytes, whatever becomes of them.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from io import FileIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.io.s3.tables._messages import EDGE_BYTES, Lying

__all__ = ["ROOM_BYTES", "lay", "new_room", "taken"]

ROOM_BYTES = 9 << 20
"""Rows come in parts of about 8 MiB; what is larger goes through the socket."""


def new_room() -> FileIO:
    """Makes a room; who needs it maps it. The kernel gives it memory when something is laid there."""
    room = FileIO(os.memfd_create("penstock rows", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+")
    room.truncate(ROOM_BYTES)
    fcntl.fcntl(room, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return room


def lay(room: mmap.mmap, arrays: Sequence[Any]) -> list[Lying] | None:
    """Lays arrays into the room, whose content is gone then.

    Args:
        room: the room, mapped.
        arrays: arrays of Arrow's type `binary`, without nulls.

    Returns:
        What lies there; None where they don't fit.
    """
    parts: list[Any] = []
    found = []
    for array in arrays:
        _, edges, data = array.buffers()
        edges = pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, edges], offset=array.offset)
        first, end = edges[0].as_py(), edges[-1].as_py()
        if first:
            edges = pc.subtract(edges, pa.scalar(first, pa.int32()))
        begin = edges.offset * EDGE_BYTES
        parts.append(memoryview(edges.buffers()[1])[begin : begin + len(edges) * EDGE_BYTES])
        parts.append(memoryview(b"" if data is None else data)[first:end])
        found.append(Lying(len(array), end - first))
    places = [size for lying in found for size in lying.room]
    if sum(places) > ROOM_BYTES:
        return None
    at = 0
    for part, size in zip(parts, places, strict=True):
        room[at : at + len(part)] = part
        at += size
    return found


def taken(room: mmap.mmap, lying: Sequence[Lying]) -> list[list[bytes]]:
    """Takes out what lies in the room.

    Args:
        room: the room, mapped.
        lying: what lies there, as the worker says.

    Raises:
        ValueError: no arrays lie there.
    """
    if any(array.count < 0 or array.size < 0 for array in lying):
        message = "an array with fewer than no values"
        raise ValueError(message)
    whole = sum(sum(array.room) for array in lying)
    if whole > ROOM_BYTES:
        message = f"{whole} bytes of rows, which is more than the room has"
        raise ValueError(message)
    buffer = pa.py_buffer(room)
    values = []
    at = 0
    for array in lying:
        edges, size = array.room
        ends = pa.py_buffer(room[at : at + edges])
        found = pa.Array.from_buffers(
            pa.binary(), array.count, [None, ends, buffer.slice(at + edges, array.size)]
        )
        found.validate(full=True)  # edges beyond the bytes, or in no order
        values.append(found.to_pylist())
        at += edges + size
    return values
