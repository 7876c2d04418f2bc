"""`read_orc` reads ORC files from their first row to their last, only the columns that are asked for.

Plan. Arrow's data set scanner hands out `ROWS` rows at a time, so that a stripe (hundreds of megabytes) is never held. It
reads 128 KiB here and there: `_Blocks` makes requests of 1 MiB of them and holds the newest. Rows become events as those
of Parquet do, so that types and ids follow the same rules.

Each stripe is scanned by itself (`_tail` says how), because a fault ends a scan. So a fault costs the rest of its stripe, in
one letter, and the next stripe is read. Arrow reads a little ahead: some thousand good rows before the fault may be
among the rest. A timestamp outside of 1677 to 2262, which Arrow has no form for, is such a fault: the letter names
its column.

An ORC file is one unit of work.
"""

import functools
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pd
import pyarrow.orc

from penstock.io.s3.formats._arrow_values import python_values
from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._rows import (
    ERRORS,
    Choose,
    Columns,
    RowMaker,
    Rows,
    is_simple,
    rows_of_batch,
    words_of,
)
from penstock.io.s3.formats._seekable import Seekable
from penstock.io.s3.formats.orc._tail import OrcTail, Stripe

__all__ = ["count_rows", "read_orc"]

ROWS = 2000
_BLOCK = 1 << 20
_BLOCKS = 32
_NO_TIME = "out of range for nanosecond"


def count_rows(file: Any) -> int:
    """Gives the number of rows that the footer promises. Raises `Damaged` when there is none."""
    try:
        return int(pyarrow.orc.ORCFile(pa.PythonFile(file, "r")).nrows)
    except ERRORS as error:
        raise _damaged(error) from error


def read_orc(file: Any, columns: Sequence[str], position: bytes, choose: Choose) -> Iterator[Rows | Columns]:
    """Gives the rows of a file.

    Args:
        file: the object, seekable.
        columns: top-level names to read (of `a.b`, all of `a`); empty for all.
        position: names the object for ever.
        choose: says whether, and which, columns are wanted as such.

    Raises:
        Damaged: the file is cut short or corrupt. The readable rows were yielded before.
    """
    try:
        blocks = _Blocks(file)
        opened = pyarrow.orc.ORCFile(pa.PythonFile(_View(blocks, blocks.size), "r"))
        tail = OrcTail(opened.reader.serialized_file_tail())
        schema = opened.schema
        chosen = choose(schema.names, {})
        tops = {name.partition(".")[0] for name in (columns if chosen is None else chosen)}
        kept = [field for field in schema if not tops or field.name in tops]
        names = [field.name for field in kept]
        if twice := [name for name in names if names.count(name) > 1]:
            message = f"the ORC file has two columns of the name {twice[0][:100]}. Give --columns without it"
            raise Damaged(message)
        maker = RowMaker(position, names, simple=all(is_simple(field.type) for field in kept))
    except (Damaged, MemoryError):
        raise
    except ERRORS as error:
        raise _damaged(error) from error
    for number, stripe in enumerate(tail.stripes):
        row = stripe.first
        fragment = functools.partial(_fragment, blocks, tail, stripe)
        try:
            for batch in _batches(fragment(), names):
                if chosen is not None:
                    yield Columns([(python_values(batch.column(name)), None) for name in chosen])
                else:
                    yield rows_of_batch(batch, maker, row)
                row += batch.num_rows
        except MemoryError:
            raise
        except ERRORS as error:
            last = stripe.first + stripe.rows - 1
            reason = f"stripe {number} of the ORC file cannot be read from row {row} on (it ends with row {last}): "
            reason += _words_of(error, fragment, names)
            yield Rows(letters=[(row, Damaged.kind, reason[:300])])


def _fragment(blocks: "_Blocks", tail: OrcTail, stripe: Stripe) -> Any:
    view = _View(blocks, tail.content_bytes, tail.of_one(stripe))
    return pd.OrcFileFormat().make_fragment(pa.PythonFile(view, "r"))


def _batches(fragment: Any, columns: list[str]) -> Iterator[Any]:
    scanner = fragment.scanner(
        columns=columns, batch_size=ROWS, batch_readahead=0, fragment_readahead=0, use_threads=False
    )
    return scanner.to_batches()  # type: ignore[no-any-return]


def _words_of(error: Exception, fragment: Callable[[], Any], columns: list[str]) -> str:
    """Says what is wrong in a stripe; of a time that has no form, in which column."""
    words = words_of(error)
    if _NO_TIME not in words:
        return words
    for name in columns:
        try:
            for _ in _batches(fragment(), [name]):
                pass
        except ERRORS as found:
            if _NO_TIME in words_of(found):
                return f"column {name[:60]}: {words}. Give --columns without that column"
    return words


def _damaged(error: Exception) -> Damaged:
    return Damaged(f"the ORC file cannot be read: {words_of(error)[:220]}")


class _Blocks:
    """Reads a file in large blocks, and holds the newest of them. Arrow asks from threads of its own."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._block = functools.lru_cache(_BLOCKS)(self._read_block)
        self.size: int = file.seek(0, io.SEEK_END)

    def read(self, position: int, end: int) -> bytes:
        """Gives the bytes from `position` to before `end`."""
        parts = []
        while position < end:
            number, begin = divmod(position, _BLOCK)
            part = self._block(number)[begin : begin + end - position]
            if not part:
                break
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_block(self, number: int) -> bytes:
        with self._lock:
            self._file.seek(number * _BLOCK)
            return self._file.read(_BLOCK)  # type: ignore[no-any-return]


class _View(Seekable):
    """The first `kept` bytes of a file, with another end behind them."""

    def __init__(self, blocks: _Blocks, kept: int, end: bytes = b"") -> None:
        self._blocks, self._kept, self._end = blocks, min(kept, blocks.size), end
        super().__init__(self._kept + len(end))

    def read(self, size: int = -1, /) -> bytes:
        begin = self._position
        end = self._size if size < 0 else min(begin + size, self._size)
        data = self._blocks.read(begin, min(end, self._kept))
        if end > self._kept:
            data += self._end[max(0, begin - self._kept) : end - self._kept]
        self._position += len(data)
        return data
