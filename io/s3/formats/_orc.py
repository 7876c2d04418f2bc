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

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._lines import Piece
from penstock.io.s3.formats._rows import ERRORS, RowMaker, batch_piece, is_simple, words_of
from penstock.io.s3.origin import S3Record

__all__ = ["batches", "count_rows", "is_orc", "names_of", "read_orc"]

ROWS = 2000
_MAGIC = b"ORC"
_TEXT = bytes(range(9))
_BLOCK = 1 << 20
_BLOCKS = 32


def is_orc(head: bytes) -> bool:
    """Whether an object that begins with `head` is an ORC file; a line may begin with ORC too, but holds no controls."""
    return head.startswith(_MAGIC) and any(code in head for code in _TEXT)


def count_rows(file: Any) -> int:
    """Gives the number of rows that the footer promises. Raises `Damaged` when there is none."""
    try:
        return int(pyarrow.orc.ORCFile(pa.PythonFile(file, "r")).nrows)
    except ERRORS as error:
        raise _damaged(error) from error


def read_orc(file: Any, columns: Sequence[str], origin: S3Record) -> Iterator[Piece]:
    """Gives the rows of a file as events.

    Args:
        file: the object, seekable.
        columns: top-level names to read (of `a.b`, all of `a`); empty for all.
        origin: the origin of its events.

    Raises:
        Damaged: the file is cut short or corrupt. The readable rows were yielded before.
    """
    row = 0
    try:
        fragment = _fragment(file)
        schema = fragment.physical_schema
        tops = {name.partition(".")[0] for name in columns}
        kept = [field for field in schema if not tops or field.name in tops]
        names = [field.name for field in kept]
        if twice := [name for name in names if names.count(name) > 1]:
            message = f"the ORC file has two columns of the name {twice[0][:100]}. Give --columns without it"
            raise Damaged(message)
        maker = RowMaker(origin, names, simple=all(is_simple(field.type) for field in kept))
        for batch in _batches(fragment, names):
            yield batch_piece(batch, maker, row, origin)
            row += batch.num_rows
    except Damaged:
        raise
    except ERRORS as error:
        raise _damaged(error, row) from error


def names_of(file: Any) -> list[str]:
    """Gives the columns of a file. Raises what Arrow raises."""
    return list(_fragment(file).physical_schema.names)


def batches(file: Any, columns: list[str]) -> Iterator[Any]:
    """Gives these columns of a file, as record batches. Raises what Arrow raises."""
    return _batches(_fragment(file), columns)


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
