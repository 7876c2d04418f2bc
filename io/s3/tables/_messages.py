"""`_messages` defines what a reader and its worker process tell each other. Pure.

A frame is a length of four bytes and so many bytes. The reader sends a `Task`; the worker asks for bytes (`Read`, answered
by frames of them until it has all), says once what the file's columns are (`Table`, answered by `Wanted`), sends rows, and
ends with `Done` or `Failed`. Rows come as `Laid` where they fit into the room that both share (`room`); an empty frame says
that they are taken. MessagePack and not pickle: whatever a hostile file makes of the worker, its words are data.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from penstock.io.s3.formats._rows import Columns, Rows

__all__ = [
    "EDGE_BYTES",
    "LENGTH",
    "MESSAGE_LIMIT",
    "PART_BYTES",
    "Done",
    "Failed",
    "FromWorker",
    "Laid",
    "Lying",
    "Plain",
    "Read",
    "Table",
    "Task",
    "Wanted",
    "arrays_of",
    "parts_of",
    "put_back",
    "without",
]

LENGTH = struct.Struct(">I")
EDGE_BYTES = 4
_ALIGNED = 8
MESSAGE_LIMIT = 1 << 30
"""A frame; a single row may be as long."""
PART_BYTES = 8 << 20
"""What rows, or bytes of the object, travel in at most; a single larger row goes alone."""


class Task(msgspec.Struct, array_like=True, tag="task"):
    """What is to be done with an object.

    Attributes:
        what: `rows`; `count` for their number (not of Avro), `plan` for ranges of row groups (of Parquet).
        form: `parquet`, `orc` or `avro`.
        size: bytes of the object.
        start: the first row group, or byte.
        end: behind the last one; None for the end.
        columns: to be read; empty for all.
        position: names the object for ever.
        split_bytes: of a range of row groups, about.
    """

    what: str
    form: str
    size: int
    start: int = 0
    end: int | None = None
    columns: list[str] = []
    position: bytes = b""
    split_bytes: int = 0


class Wanted(msgspec.Struct, array_like=True, tag="wanted"):
    """The columns whose values are wanted as such; None where the rows are documents."""

    columns: list[str] | None


class Read(msgspec.Struct, array_like=True, tag="read"):
    """Asks for bytes of the object."""

    offset: int
    size: int


class Table(msgspec.Struct, array_like=True, tag="table"):
    """The columns and the metadata of a file."""

    names: list[str]
    marks: dict[str, str]


class Done(msgspec.Struct, array_like=True, tag="done"):
    """The end of a task; numbers where it asked for some."""

    numbers: list[list[int]] = []


class Failed(msgspec.Struct, array_like=True, tag="failed"):
    """The end of a task that can't be done: the kind of the letter, and its reason."""

    kind: str
    reason: str


class Lying(msgspec.Struct, array_like=True, gc=False):
    """An array of bytes that lies in the room.

    Attributes:
        count: of its values.
        size: of all of them together.
    """

    count: int
    size: int

    @property
    def room(self) -> tuple[int, int]:
        """The bytes that its edges take, and its values; each begins at a multiple of eight."""
        return -(-EDGE_BYTES * (self.count + 1) // _ALIGNED) * _ALIGNED, -(-self.size // _ALIGNED) * _ALIGNED


class Laid(msgspec.Struct, array_like=True, tag="laid"):
    """Rows whose bytes lie in the shared room.

    Attributes:
        rows: the rows without them.
        lying: the arrays that lie there.
        places: of each, which of the columns it is; 0 where the rows are documents.
    """

    rows: Rows | Columns
    lying: list[Lying]
    places: list[int]


Plain = Read | Table | Rows | Columns | Done | Failed
FromWorker = Plain | Laid


def arrays_of(message: Rows | Columns) -> dict[int, Any]:
    """Gives the arrays that may lie in the room, by their places."""
    if isinstance(message, Columns):
        return {n: values for n, (values, _) in enumerate(message.runs) if isinstance(values, pa.Array)}
    texts = message.texts
    return {0: texts if isinstance(texts, pa.Array) else pa.array(texts, pa.binary())} if len(texts) else {}


def put_back(laid: Laid, values: list[list[bytes]]) -> Rows | Columns:
    """Gives the rows, with what lay in the room.

    Raises:
        ValueError: there is no such place.
    """
    rows = laid.rows
    for place, found in zip(laid.places, values, strict=True):
        if isinstance(rows, Rows):
            rows.texts = found
        elif 0 <= place < len(rows.runs):
            rows.runs[place] = (found, rows.runs[place][1])
        else:
            message = f"column {place} of {len(rows.runs)}"
            raise ValueError(message)
    return rows


def without(message: Rows | Columns, places: Iterable[int]) -> Rows | Columns:
    """Takes the arrays of these places out of the rows."""
    if isinstance(message, Columns):
        for place in places:
            message.runs[place] = ([], message.runs[place][1])
    else:
        message.texts = []
    return message


def parts_of(rows: Rows) -> Iterator[Rows]:
    """Gives the rows in parts of about `PART_BYTES`; the letters go with the last."""
    start = size = 0
    for number, text in enumerate(rows.texts):
        if size and size + len(text) > PART_BYTES:
            yield _part(rows, start, number)
            start, size = number, 0
        size += len(text)
    if not start:
        yield rows
    else:
        last = _part(rows, start, len(rows.texts))
        last.letters = rows.letters
        yield last


def _part(rows: Rows, start: int, end: int) -> Rows:
    numbers, ids, times = (
        None if each is None else each[start:end] for each in (rows.numbers, rows.ids, rows.times)
    )
    return Rows(rows.texts[start:end], rows.first + start, numbers, ids, times)  # type: ignore[arg-type]
