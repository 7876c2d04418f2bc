"""`read_blocks` reads Avro object container files, block by block; in parts where the file is large.

Plan. The file's header (schema, codec, sync marker) is read for every part; then the part's bytes are looked through
for the sync marker, behind which a block begins. A block belongs to the part in which the marker before it ends,
the rule of Hadoop's readers, so each block is read once however the file is split.

The frame is read, inflated and bounded by `_avro_blocks`; fastavro decodes rows. A row with a value that has no right form
(a date of the year 20000) is read again as it is stored, which finds its end: it costs itself.

Events of a block are numbered by its place in the file and the row in it (see `origin`), the same in every split.
Codecs: null, deflate, snappy, zstandard, bzip2, xz, and lz4 as fastavro writes it.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

import datetime
import io
import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import fastavro
from fastavro import _read_py
from fastavro.io.binary_decoder import BinaryDecoder
from fastavro.read import LOGICAL_READERS

from penstock.io.s3.formats._avro_blocks import SYNC_BYTES, Block, Container, Feed, read_header
from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._rows import Choose, Columns, RowMaker, Rows

__all__ = ["read_blocks"]

_ROW_BITS = 20
_ROWS = 2000
"""The most rows of a piece."""
_LOOK = 64 << 10
_ITEMS = 1 << 16
"""The most items without bytes (nulls, empty records) of arrays that are decoded at once."""


class _Counting(BinaryDecoder):
    """Reads at most so many items of arrays as the data has bytes, and `_ITEMS`: 4 bytes may claim 30 million nulls."""

    _items = 0

    def iter_array(self) -> Iterator[None]:
        for each in super().iter_array():  # type: ignore[no-untyped-call]
            self._items += 1
            if self._items > _ITEMS and self._items > _ITEMS + self.fo.tell():
                message = f"an array claims more than {_ITEMS} items that take no bytes"
                raise ValueError(message)
            yield each


_read_py.BinaryDecoder = _Counting  # type: ignore[attr-defined]


class _Buffered:
    """A stream that can be searched: bytes before the found marker are gone, the rest is read."""

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


def read_blocks(
    open_at: Any, start: int, end: int | None, columns: Sequence[str], position: bytes, choose: Choose
) -> Iterator[Rows | Columns]:
    """Gives the rows of the blocks that belong to a part.

    Args:
        open_at: a function from an offset to a stream (`read(size)`) of the object from there.
        start: where the part begins; 0 for the file's beginning.
        end: where the next part begins; None for the last.
        columns: top-level fields to keep; empty for all.
        position: names the object for ever.
        choose: says whether, and which, columns are wanted as such.

    Raises:
        Damaged: the file is cut short or corrupt. The blocks before were yielded.
    """
    stream: Any = open_at(0)
    header = read_header(stream)
    feed: Any = Feed(header)
    bites = _is_recursive(header.schema, frozenset()) or _has_items_of_nothing(header.schema, set())
    library = _read_py if bites else fastavro
    try:
        file = library.block_reader(feed)  # reads no further than the header
        schema = file.writer_schema
        plain = fastavro.parse_schema(_as_stored(schema))
    except Exception as error:
        raise _damaged(error) from error
    base = header.size
    if start > base:
        begin = max(base - SYNC_BYTES, start - SYNC_BYTES)
        stream = _Buffered(open_at(begin))
        passed = stream.skip_behind(header.sync)
        if passed is None:
            return
        base = begin + passed
    fields = _fields(schema)
    names = [field["name"] for field in fields]
    marks = {key: value.decode(errors="replace") for key, value in header.metadata.items()}
    chosen = choose(names, marks)
    maker = RowMaker(
        position, names, simple=bool(fields) and all(_is_simple(field["type"]) for field in fields)
    )
    for block in Container(header, stream, base).blocks(end):
        number = block.offset << _ROW_BITS
        if block.damage:
            reason = f"the Avro block at byte {block.offset} is not read: {block.damage}"
            yield _letter(number, "DamagedObject", reason)
            continue
        feed.put(block)
        held = next(file)
        rows = iter(held)
        while True:
            try:
                found: list[Any] = list(itertools.islice(rows, _ROWS))
            except MemoryError:
                raise
            except Exception:  # a value that Python has no form for, or bytes that are no rows
                yield from _row_by_row(
                    block,
                    number - (block.offset << _ROW_BITS),
                    library,
                    schema,
                    plain,
                    maker,
                    columns,
                )
                break
            if not found:
                if left := len(block.data) - held.bytes_.tell():
                    reason = (
                        f"the Avro block at byte {block.offset} claims {block.rows} rows, "
                        f"behind which {left} more bytes stand: rows are missing, or wrong"
                    )
                    yield _letter(number, "DamagedObject", reason)
                break
            if chosen is not None:
                yield Columns([([row[name] for row in found], None) for name in chosen])
            else:
                yield maker.rows(_documents(found, columns), range(number, number + len(found)))
            number += len(found)


def _row_by_row(
    block: Block,
    done: int,
    library: Any,
    schema: Any,
    plain: Any,
    maker: RowMaker,
    columns: Sequence[str],
) -> Iterator[Rows]:
    """Gives the rest of a block in which a row could not be read, from the row `done` on.

    Rows behind a bad one are taken only where all rows together, as they are stored, take exactly the block's bytes.
    Otherwise a length is wrong somewhere, and the bytes are no rows.
    """
    data = io.BytesIO(block.data)
    first = block.offset << _ROW_BITS
    sound = _is_sound(block, library, plain)
    for row in range(block.rows):
        begin = data.tell()
        try:
            found: Any = library.schemaless_reader(data, schema, None)
        except Exception as error:
            words = " ".join(str(error).split()) or type(error).__name__
            where = f"row {row} of the Avro block at byte {block.offset}"
            if not sound:
                reason = f"{where} and what follows it in the block cannot be read: {words}"
                yield _letter(first + row, "DamagedObject", reason)
                return
            data.seek(begin)
            library.schemaless_reader(data, plain, None)
            yield _letter(first + row, "UnreadableValue", f"{where}: {words}")
            continue
        if row >= done:
            yield maker.rows(_documents([found], columns), (first + row,))


def _is_sound(block: Block, library: Any, plain: Any) -> bool:
    data = io.BytesIO(block.data)
    try:
        for _ in range(block.rows):
            library.schemaless_reader(data, plain, None)
    except Exception:
        return False
    return data.tell() == len(block.data)


def _is_recursive(schema: Any, inside: frozenset[str]) -> bool:
    """Whether a type holds itself: fastavro's C code recurses as deep as such data, to a crash; its Python code stops."""
    if isinstance(schema, str):
        return schema.rpartition(".")[2] in inside
    if isinstance(schema, list):
        return any(_is_recursive(each, inside) for each in schema)
    if not isinstance(schema, dict):
        return False
    if isinstance(name := schema.get("name"), str) and "fields" in schema:
        inside = inside | {name.rpartition(".")[2]}
        return any(
            _is_recursive(field.get("type"), inside) for field in schema["fields"] if isinstance(field, dict)
        )
    return any(_is_recursive(schema.get(key), inside) for key in ("type", "items", "values"))


def _has_items_of_nothing(schema: Any, empty: set[str]) -> bool:
    """Whether an array's items take no bytes, which only Python's reader can bound. Fills in `empty` types."""
    if isinstance(schema, list):
        return any(_has_items_of_nothing(each, empty) for each in schema)
    if not isinstance(schema, dict):
        return False
    inner = [schema.get(key) for key in ("type", "items", "values")]
    inner += [field.get("type") for field in schema.get("fields", ()) if isinstance(field, dict)]
    if any(_has_items_of_nothing(each, empty) for each in inner):
        return True
    if isinstance(name := schema.get("name"), str) and _takes_nothing(schema, empty):
        empty.add(name.rpartition(".")[2])
    return "items" in schema and _takes_nothing(schema["items"], empty)


def _takes_nothing(schema: Any, empty: set[str]) -> bool:
    if isinstance(schema, str):
        return schema == "null" or schema.rpartition(".")[2] in empty
    if not isinstance(schema, dict):
        return False  # a union has an index
    if "fields" in schema:
        return all(
            isinstance(each, dict) and _takes_nothing(each.get("type"), empty) for each in schema["fields"]
        )
    return schema.get("size") == 0 or _takes_nothing(schema.get("type"), empty)


def _letter(number: int, kind: str, reason: str) -> Rows:
    return Rows(letters=[(number, kind, reason[:300])])


def _as_stored(schema: Any) -> Any:
    """Gives the same schema without logical types: values are read as they are stored."""
    if isinstance(schema, list):
        return [_as_stored(each) for each in schema]
    if not isinstance(schema, dict):
        return "bytes" if schema == "string" else schema
    return {
        key: _as_stored(value) if key in ("type", "items", "values", "fields") else value
        for key, value in schema.items()
        if key != "logicalType" and not key.startswith("__")
    }


def _fields(schema: Any) -> list[Any]:
    return schema.get("fields", []) if isinstance(schema, dict) else []


def _damaged(error: Exception) -> Damaged:
    what = " ".join(str(error).split()) or type(error).__name__
    message = f"the schema of the Avro file cannot be read: {what}"
    return Damaged(message[:300])


_SIMPLE = frozenset({"string", "int", "long", "float", "double", "boolean", "null"})


def _is_simple(kind: Any) -> bool:
    if isinstance(kind, list):
        return all(isinstance(each, str) and each in _SIMPLE for each in kind)
    return isinstance(kind, str) and kind in _SIMPLE


def _documents(rows: list[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    documents = [row if isinstance(row, dict) else {"value": row} for row in rows]
    if columns:
        return [{name: row[name] for name in columns if name in row} for row in documents]
    return documents


def _nanoseconds(value: Any, *_: Any) -> str:
    seconds, fraction = divmod(value, 10**9)
    time = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


# Logical types of Avro 1.12 that fastavro does not know yet.
LOGICAL_READERS.setdefault("long-timestamp-nanos", _nanoseconds)
LOGICAL_READERS.setdefault("long-local-timestamp-nanos", _nanoseconds)
LOGICAL_READERS.setdefault("fixed-uuid", lambda value, *_: uuid.UUID(bytes=value))
