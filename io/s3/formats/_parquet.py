"""`read_row_groups` reads Parquet files, row group by row group, only the columns that are asked for.

Problem. A row group may be larger than memory; a file may be cut short, or lie about its columns; the files of one
data set need not have one schema.

Plan. The footer tells the row groups, which are the unit of work. Column chunks are read through a bounded buffer
(`buffer_size`), not whole, and rows are made `ROWS` at a time. Each file is read by its own schema: a column that
was asked for and isn't there is left out. A value that has no right form in JSON costs its row, a row group that can't
be read costs that group; each is a letter, and the rest is read.

INT96 (Spark's and Hive's old timestamps) counts nanoseconds, but may name any year, and Arrow wraps what is beyond 2262.
So such a column is read twice: in microseconds, and in nanoseconds for the values that fit.

Memory: the buffer for each column that is read, and the pages and rows of one batch. A page, or a dictionary, that is
itself huge must fit.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.io.s3.formats._arrow_values import python_values, times_as_text
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

__all__ = ["count_rows", "plan_row_groups", "read_row_groups"]

ROWS = 4000
"""A fifth less CPU than with half as many: each batch is a message to another process."""
_BATCH_BYTES = 4 << 20
"""What a batch's rows may come to by the row group's own account, so that they fit into what both processes share."""
_BUFFER = 4 << 20
_NS_RANGE_US = 2**63 // 1000 - 1


def _open(file: Any, unit: str = "us") -> Any:
    """Opens the file; INT96 timestamps become `unit`."""
    try:
        return pq.ParquetFile(
            pa.PythonFile(file, "r"),
            buffer_size=_BUFFER,
            pre_buffer=False,
            coerce_int96_timestamp_unit=unit,
            page_checksum_verification=True,
        )
    except ERRORS as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> Damaged:
    message = f"the Parquet file cannot be read: {words_of(error)}"
    return Damaged(message[:300])


def count_rows(file: Any) -> int:
    """Gives the number of rows that the footer promises. Raises `Damaged` when there is none."""
    return int(_open(file).metadata.num_rows)


def plan_row_groups(file: Any, split_bytes: int) -> list[tuple[int, int]]:
    """Gives ranges of row groups, each of about `split_bytes` of compressed data, at least one row group.

    Raises:
        Damaged: the file has no readable footer.
    """
    metadata = _open(file).metadata
    parts: list[tuple[int, int]] = []
    start = size = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        size += sum(group.column(column).total_compressed_size for column in range(group.num_columns))
        if size >= split_bytes:
            parts.append((start, number + 1))
            start, size = number + 1, 0
    if start < metadata.num_row_groups or not parts:
        parts.append((start, metadata.num_row_groups))
    return parts


def read_row_groups(
    file: Any, start: int, end: int | None, columns: Sequence[str], position: bytes, choose: Choose
) -> Iterator[Rows | Columns]:
    """Gives the rows of the row groups from `start` to before `end`.

    Args:
        file: the object, seekable.
        start: the first row group.
        end: behind the last one; None for the end.
        columns: names to read (`a.b` for a field of a struct); empty for all.
        position: names the object for ever.
        choose: says whether, and which, columns are wanted as such.

    Raises:
        Damaged: the file is cut short or corrupt. The readable rows were yielded before.
    """
    parquet = _open(file)
    metadata, schema = parquet.metadata, parquet.schema_arrow
    end = metadata.num_row_groups if end is None else min(end, metadata.num_row_groups)
    marks = {
        key.decode(errors="replace"): text.decode(errors="replace")
        for key, text in (schema.metadata or {}).items()
    }
    chosen = choose(schema.names, marks)
    wanted = [name for name in columns if name.partition(".")[0] in schema.names] if columns else None
    if chosen is not None:
        wanted = list(chosen)
    tops = [name.partition(".")[0] for name in (schema.names if wanted is None else wanted)]
    kept = [field for field in schema if field.name in tops]
    if len({field.name for field in kept}) < len(kept):
        twice = next(name for name in schema.names if name in tops and schema.names.count(name) > 1)
        message = f"the Parquet file has two columns of the name {twice[:100]}. Give --columns without it"
        raise Damaged(message)
    maker = RowMaker(position, schema.names, simple=all(is_simple(field.type) for field in kept))
    groups = _Groups(file, parquet, wanted, _int96(parquet, tops))
    row = sum(metadata.row_group(number).num_rows for number in range(start))
    for number in range(start, end):
        at = row
        try:
            for batch in groups.batches(number):
                if chosen is not None:
                    yield Columns([_runs(batch.column(name)) for name in chosen])
                else:
                    yield rows_of_batch(batch, maker, at)
                at += batch.num_rows
        except MemoryError:  # one of Arrow's too
            raise
        except ERRORS as error:
            reason = (
                f"row group {number} of the Parquet file cannot be read from row {at} on: {words_of(error)}"
            )
            yield Rows(letters=[(at, "DamagedObject", reason[:300])])
        row += metadata.row_group(number).num_rows


def _runs(column: Any) -> tuple[Any, list[int] | None]:
    """Gives a column's values (bytes as an array of Arrow's); where they mostly repeat, each run once, with its length."""
    types, kind = pa.types, column.type
    if types.is_binary(kind) and not column.null_count:
        return column, None
    if len(column) and (types.is_string(kind) or types.is_integer(kind)):
        encoded = pc.run_end_encode(column)
        ends = encoded.run_ends.to_pylist()
        if len(ends) * 2 <= len(column):
            return python_values(encoded.values), [
                end - begin for begin, end in zip([0, *ends], ends, strict=False)
            ]
    return python_values(column), None


class _Groups:
    """The row groups of a file as record batches, with INT96 columns as text."""

    def __init__(self, file: Any, parquet: Any, columns: list[str] | None, int96: list[str]) -> None:
        self._parquet = parquet
        self._columns = columns
        self._int96 = int96
        self._exact = _open(file, "ns") if int96 else None

    def batches(self, number: int) -> Iterator[Any]:
        # One row group at a time: Arrow would prepare all that it is given at once.
        found = self._read(self._parquet, number, self._columns)
        if self._exact is None:
            yield from found
            return
        for batch, exact in zip(found, self._read(self._exact, number, self._int96), strict=True):
            for name in self._int96:
                text = _int96_as_text(batch.column(name), exact.column(name))
                batch = batch.set_column(batch.schema.get_field_index(name), name, text)
            yield batch

    def _read(self, parquet: Any, number: int, columns: list[str] | None) -> Any:
        group = parquet.metadata.row_group(number)
        each = max(1, group.total_byte_size // max(1, group.num_rows))
        rows = max(1, min(ROWS, _BATCH_BYTES // each))
        return parquet.iter_batches(batch_size=rows, row_groups=[number], columns=columns, use_threads=False)


def _int96(parquet: Any, tops: list[str]) -> list[str]:
    """Gives the top-level columns of INT96 that are read."""
    leaves = [parquet.schema.column(number) for number in range(len(parquet.schema))]
    return [leaf.path for leaf in leaves if leaf.physical_type == "INT96" and leaf.path in tops]


def _int96_as_text(microseconds: Any, nanoseconds: Any) -> Any:
    """Gives the exact text where nanoseconds since 1970 fit into 64 bits; elsewhere the text in microseconds."""
    count = microseconds.cast(pa.int64())
    fits = pc.and_(pc.greater(count, -_NS_RANGE_US), pc.less(count, _NS_RANGE_US))
    exact = times_as_text(nanoseconds)
    if pc.all(fits).as_py() is not False:
        return exact
    return pc.if_else(fits, exact, times_as_text(microseconds))
