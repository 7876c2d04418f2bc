"""`read_blocks` reads Avro object container files, block by block; in parts where the file is large.

Plan. The file's header (schema, codec, sync marker) is read for every part; then the part's bytes are looked through
for the sync marker, behind which a block begins. A block belongs to the part in which the marker before it ends,
the rule of Hadoop's readers, so each block is read once however the file is split.

Events of a block are numbered by its place in the file and the row in it (see `origin`), the same in every split.
Codecs: null, deflate, snappy, zstandard, bzip2, xz and lz4, which is fastavro's.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

from collections.abc import Iterator, Sequence
from typing import Any

import fastavro

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._layouts import Layout, layout_of_table
from penstock.io.s3.formats._lines import Piece
from penstock.io.s3.formats._rows import RowMaker
from penstock.io.s3.origin import S3Record

__all__ = ["MAGIC", "read_blocks"]

MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_ROW_BITS = 20
_HEADER_LIMIT = 16 << 20
_LOOK = 64 << 10


class _Joined:
    """The header's bytes, then a stream's; counts what was given out."""

    def __init__(self, header: bytes, stream: Any) -> None:
        self._header = header
        self._stream = stream
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, unless the end is nearer."""
        if self._header:
            data, self._header = self._header[:size], self._header[size:]
        else:
            data = b""
            while len(data) < size and (more := self._stream.read(size - len(data))):
                data += more
        self.given += len(data)
        return data

    def tell(self) -> int:
        """Where it stands, which fastavro notes for each block."""
        return self.given


class _Buffered:
    """A stream that can be looked into: what `find` passes over is gone, the rest is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._held = b""

    def read(self, size: int) -> bytes:
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        return self._stream.read(size)  # type: ignore[no-any-return]

    def skip_behind(self, marker: bytes) -> int | None:
        """Goes on behind the next `marker`; how many bytes that were, or None at the end."""
        passed = 0
        held = b""
        while more := self._stream.read(_LOOK):
            held += more
            found = held.find(marker)
            if found >= 0:
                self._held = held[found + len(marker) :]
                return int(passed + found + len(marker))
            keep = len(marker) - 1
            passed += max(0, len(held) - keep)
            held = held[-keep:]
        return None


class _Recorder:
    """Keeps what is read through it: the header, for parts that begin elsewhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.seen = bytearray()

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = b""
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        self.seen += data
        if len(self.seen) > _HEADER_LIMIT:
            message = f"the Avro header exceeds {_HEADER_LIMIT} bytes"
            raise Damaged(message)
        return data


def read_blocks(
    open_at: Any,
    start: int,
    end: int | None,
    columns: Sequence[str],
    origin: S3Record,
    layouts: Sequence[Layout] = (),
) -> Iterator[Piece]:
    """The rows of the blocks that belong to a part, as events.

    Args:
        open_at: a function from an offset to a stream (`read(size)`) of the object from there.
        start: where the part begins; 0 for the file's beginning.
        end: where the next part begins; None for the last.
        columns: top-level fields to keep; empty for all.
        origin: of its events, unless a layout gives them another.
        layouts: those that are known.

    Raises:
        Damaged: cut short or corrupt; the blocks before were yielded.
    """
    recorder: Any = _Recorder(open_at(0))
    try:
        header = fastavro.reader(recorder)  # reads no further than the header
    except Damaged:
        raise
    except Exception as error:
        raise _damaged(error, 0) from error
    seen = bytes(recorder.seen)
    base = len(seen)
    stream: Any = recorder
    if start > base:
        begin = max(base - _SYNC_BYTES, start - _SYNC_BYTES)
        stream = _Buffered(open_at(begin))
        passed = stream.skip_behind(seen[-_SYNC_BYTES:])
        if passed is None:
            return
        base = begin + passed
    else:
        recorder.seen = _Forgetful()
    fields = _fields(header.writer_schema)
    layout = layout_of_table(layouts, [field["name"] for field in fields], header.metadata)
    simple = bool(fields) and all(_is_simple(field["type"]) for field in fields)
    maker = RowMaker(origin, [field["name"] for field in fields], simple=simple)
    joined: Any = _Joined(seen, stream)
    shift = base - len(seen)
    rows_read = 0
    try:
        blocks = iter(fastavro.block_reader(joined))
        while True:
            offset = joined.given + shift
            if end is not None and offset >= end and joined.given:
                return
            block = next(blocks, None)
            if block is None:
                return
            rows: list[Any] = list(block)
            rows_read += len(rows)
            if layout is not None:
                yield layout.events_of_columns([[row[name] for row in rows] for name in layout.columns]), []
            else:
                yield maker.events(_documents(rows, columns), offset << _ROW_BITS)
    except Damaged:
        raise
    except Exception as error:
        if type(error).__module__.startswith(("penstock", "botocore")):
            raise
        raise _damaged(error, rows_read) from error


class _Forgetful(bytearray):
    """Keeps nothing."""

    def __iadd__(self, other: Any) -> "_Forgetful":  # type: ignore[misc]
        return self


def _fields(schema: Any) -> list[Any]:
    return schema.get("fields", []) if isinstance(schema, dict) else []


def _damaged(error: Exception, rows: int) -> Damaged:
    what = " ".join(str(error).split()) or type(error).__name__
    message = f"the Avro file cannot be read after {rows} rows: {what}"
    return Damaged(message[:300])


_SIMPLE = frozenset({"string", "int", "long", "float", "double", "boolean", "null"})


def _is_simple(kind: Any) -> bool:
    return (
        all(each in _SIMPLE for each in kind)
        if isinstance(kind, list)
        else isinstance(kind, str) and kind in _SIMPLE
    )


def _documents(rows: list[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    documents = rows if not rows or isinstance(rows[0], dict) else [{"value": row} for row in rows]
    if columns:
        return [{name: row[name] for name in columns if name in row} for row in documents]
    return documents
