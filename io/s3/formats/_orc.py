"""`read_orc` reads ORC files from their first row to their last, only the columns that are asked for.

Plan. Arrow's data set scanner hands out `ROWS` rows at a time, so that a stripe (hundreds of megabytes) is never held. It
reads 128 KiB here and there: `_Blocks` makes requests of 1 MiB of them and holds the newest. Rows become events as those
of Parquet do, so that types and ids follow the same rules.

An ORC file is one unit of work, because Arrow's scanner can't begin at a stripe. A fault ends the file with one letter
that says from which row on. Arrow reads a little ahead, so some thousand good rows before it may be among them. A
timestamp outside of 1677 to 2262, which Arrow has no form for, does the same: the letter says to leave its column out.
"""

import functools
import io
from collections.abc import Iterator, Sequence
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

__all__ = ["count_rows", "read_orc"]

ROWS = 2000
_BLOCK = 1 << 20
_BLOCKS = 32


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
    row = 0
    try:
        fragment = _fragment(file)
        schema = fragment.physical_schema
        chosen = choose(schema.names, {})
        tops = {name.partition(".")[0] for name in (columns if chosen is None else chosen)}
        kept = [field for field in schema if not tops or field.name in tops]
        names = [field.name for field in kept]
        if twice := [name for name in names if names.count(name) > 1]:
            message = f"the ORC file has two columns of the name {twice[0][:100]}. Give --columns without it"
            raise Damaged(message)
        maker = RowMaker(position, names, simple=all(is_simple(field.type) for field in kept))
        for batch in _batches(fragment, names):
            if chosen is not None:
                yield Columns([(python_values(batch.column(name)), None) for name in chosen])
            else:
                yield rows_of_batch(batch, maker, row)
            row += batch.num_rows
    except (Damaged, MemoryError):
        raise
    except ERRORS as error:
        raise _damaged(error, row) from error


def _fragment(file: Any) -> Any:
    return pd.OrcFileFormat().make_fragment(pa.PythonFile(_Blocks(file), "r"))


def _batches(fragment: Any, columns: list[str]) -> Iterator[Any]:
    scanner = fragment.scanner(
        columns=columns, batch_size=ROWS, batch_readahead=0, fragment_readahead=0, use_threads=False
    )
    return scanner.to_batches()  # type: ignore[no-any-return]


def _damaged(error: Exception, row: int = 0) -> Damaged:
    words = words_of(error)
    if "out of range for nanosecond" in words:
        words += ". Give --columns without that column"
    return Damaged(f"the ORC file cannot be read from row {row} on: {words[:220]}")


class _Blocks(io.RawIOBase):
    """Reads a file in large blocks, and holds the newest of them."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._position = 0
        self._block = functools.lru_cache(_BLOCKS)(self._read_block)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        )
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        end = self._size if size < 0 else min(self._position + size, self._size)
        parts = []
        while self._position < end:
            number, begin = divmod(self._position, _BLOCK)
            part = self._block(number)[begin : begin + end - self._position]
            if not part:
                break
            parts.append(part)
            self._position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_block(self, number: int) -> bytes:
        self._file.seek(number * _BLOCK)
        return self._file.read(_BLOCK)  # type: ignore[no-any-return]
