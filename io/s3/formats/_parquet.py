"""Parquet files, row group by row group, only the columns that are asked for.

Problem. A row group may be larger than memory; a file may be cut short, or lie about its columns; the files of one
data set need not have one schema.

Plan. The footer tells the row groups, which are the unit of work. Column chunks are read through a bounded buffer
(`buffer_size`), not whole, and rows are made `ROWS` at a time. Each file is read by its own schema: a column that
was asked for and isn't there is left out.

Memory: the buffer for each column that is read, and the pages and rows of one batch. A page, or a dictionary, that is
itself huge must fit.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._json_columns import json_rows, times_as_text
from penstock.io.s3.formats._layouts import Layout, layout_of_table
from penstock.io.s3.formats._lines import Piece
from penstock.io.s3.formats._rows import TIME, RowMaker
from penstock.io.s3.origin import S3Record

__all__ = ["MAGIC", "count_rows", "plan_row_groups", "read_row_groups"]

MAGIC = b"PAR1"
ROWS = 2000
_BUFFER = 4 << 20
_ERRORS = (pa.ArrowException, OSError, ValueError, EOFError)


def _open(file: Any) -> Any:
    try:
        return pq.ParquetFile(pa.PythonFile(file, "r"), buffer_size=_BUFFER, pre_buffer=False)
    except _ERRORS as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> Damaged:
    message = f"the Parquet file cannot be read: {' '.join(str(error).split())}"
    return Damaged(message[:300])


def count_rows(file: Any) -> int:
    """How many rows the footer promises. Raises `Damaged` when there is none."""
    return int(_open(file).metadata.num_rows)


def plan_row_groups(file: Any, split_bytes: int) -> list[tuple[int, int]]:
    """Ranges of row groups, each of about `split_bytes` of compressed data, at least one row group.

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
    file: Any,
    start: int,
    end: int | None,
    columns: Sequence[str],
    origin: S3Record,
    layouts: Sequence[Layout] = (),
) -> Iterator[Piece]:
    """The rows of the row groups from `start` to before `end`, as events.

    Args:
        file: the object, seekable.
        start: the first row group.
        end: behind the last one; None for the end.
        columns: names to read (`a.b` for a field of a struct); empty for all.
        origin: of its events, unless a layout gives them another.
        layouts: those that are known.

    Raises:
        Damaged: cut short or corrupt; what could be read was yielded.
    """
    parquet = _open(file)
    metadata, schema = parquet.metadata, parquet.schema_arrow
    end = metadata.num_row_groups if end is None else min(end, metadata.num_row_groups)
    marks = {
        key.decode(errors="replace"): text.decode(errors="replace")
        for key, text in (schema.metadata or {}).items()
    }
    layout = layout_of_table(layouts, schema.names, marks)
    if layout is not None:
        for batch in _batches(parquet, start, end, list(layout.columns)):
            yield layout.events_of_columns([_values(batch.column(name)) for name in layout.columns]), []
        return
    wanted = [name for name in columns if name.partition(".")[0] in schema.names] if columns else None
    row = sum(metadata.row_group(number).num_rows for number in range(start))
    tops = {name.partition(".")[0] for name in (schema.names if wanted is None else wanted)}
    kept = [field for field in schema if field.name in tops]
    maker = RowMaker(origin, schema.names, simple=all(_is_simple(field.type) for field in kept))
    for batch in _batches(parquet, start, end, wanted):
        names = batch.schema.names
        if maker.takes_json and (texts := json_rows(batch)) is not None:
            yield maker.events_of_json(texts, row, _times(batch)), []
            row += batch.num_rows
            continue
        rows = (
            zip(*[_values(column) for column in batch.columns], strict=True)
            if names
            else [()] * batch.num_rows
        )
        yield maker.events((dict(zip(names, values)) for values in rows), row)  # noqa: B905  equally many
        row += batch.num_rows


def _is_simple(kind: Any) -> bool:
    types = pa.types
    return any(
        check(kind)
        for check in (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean,
                      types.is_null, types.is_timestamp)
    )  # fmt: skip


def _batches(parquet: Any, start: int, end: int, columns: list[str] | None) -> Iterator[Any]:
    # One row group at a time: Arrow would prepare all that it is given at once.
    for number in range(start, end):
        try:
            yield from parquet.iter_batches(
                batch_size=ROWS, row_groups=[number], columns=columns, use_threads=False
            )
        except _ERRORS as error:
            raise _damaged(error) from error


def _times(batch: Any) -> list[Any] | None:
    """The values of `@timestamp`, where the batch has it."""
    return _values(batch.column(TIME)) if TIME in batch.schema.names else None


def _values(column: Any) -> list[Any]:
    """A column as Python values; times as text."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return times_as_text(column).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_nested(kind):
        return column.to_pylist(maps_as_pydicts="lossy")  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]
