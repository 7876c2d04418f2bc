"""`encode` makes a file of the archive, and `name_of` its name.

The name holds the positions of the first and the last record. So files of one name hold the same records, whoever wrote
them, and a file never replaces one that holds more. (Until version 0.1.0 it held only the first position.)
"""

import datetime
import io
from collections.abc import Iterator, Sequence
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd
from isal import isal_zlib

from penstock.io.archive._rows import AVRO_SCHEMA, COLUMNS, MARK, VERSION, json_line, row_of
from penstock.io.kinesis.positions import KinesisRecord
from penstock.transforms.batch import Event

__all__ = ["encode", "hour_of", "name_of"]

_SCHEMA = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("shard_id", pa.string(), nullable=False),
        pa.field("sequence_number", pa.string(), nullable=False),
        pa.field("sub_sequence_number", pa.int32(), nullable=False),
        pa.field("user_records", pa.int32(), nullable=False),
        pa.field("partition_key", pa.string(), nullable=False),
        pa.field("arrived_ms", pa.int64(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ],
    metadata={MARK: VERSION},
)
_GROUP_ROWS = 20_000
_GROUP_BYTES = 4 << 20
"""A row group of Parquet, or a piece of text that is compressed at once, ends at either. Files of 32 MiB that were encoded
at once took 120 MiB of memory, and more CPU; these take 60.
"""
_SUFFIXES = {
    ("parquet", "zstd"): "parquet",
    ("parquet", "gzip"): "parquet",
    ("avro", "zstd"): "avro",
    ("avro", "gzip"): "avro",
    ("json", "zstd"): "jsonl.zst",
    ("json", "gzip"): "jsonl.gz",
}


def hour_of(event: Event) -> int:
    """Gives the hour in which the record reached the stream, in hours since 1970, UTC."""
    return event.origin.arrived_ms // 3_600_000


def name_of(prefix: str, first: Event, last: Event, kind: str, compression: str) -> str:
    """Gives a file's key: `PREFIX/dt=YYYY-MM-DD/hour=HH/STREAM-SHARD-SEQUENCE-SUB_SEQUENCE-SUB.SUFFIX`, first and last."""
    origin: KinesisRecord = first.origin  # type: ignore[assignment]
    end: KinesisRecord = last.origin  # type: ignore[assignment]
    hour = datetime.datetime.fromtimestamp(hour_of(first) * 3600, datetime.UTC)
    begin = f"{origin.stream}-{origin.shard_id}-{origin.sequence_number}-{first.index}"
    name = f"{begin}_{end.sequence_number}-{last.index}"
    key = f"dt={hour:%Y-%m-%d}/hour={hour:%H}/{name}.{_SUFFIXES[kind, compression]}"
    return f"{prefix}/{key}" if prefix else key


def encode(events: Sequence[Event], kind: str, compression: str) -> bytes:
    """Makes the file's bytes.

    Args:
        events: the events of Kinesis records, in order.
        kind: `parquet`, `avro` or `json`.
        compression: `zstd` or `gzip`.
    """
    output = io.BytesIO()
    if kind == "json":
        # Made anew for each file: a compressor is of one stream.
        compressor: Any = zstd.ZstdCompressor(3) if compression == "zstd" else _gzip()
        for some in _groups(events):
            output.write(compressor.compress(b"".join([json_line(event) for event in some])))
        output.write(compressor.flush())
    elif kind == "avro":
        codec = "zstandard" if compression == "zstd" else "deflate"
        fastavro.writer(
            output,
            AVRO_SCHEMA,
            (dict(zip(COLUMNS, row_of(event), strict=True)) for event in events),
            codec=codec,
            sync_interval=256 << 10,
            metadata={MARK: VERSION},
        )
    else:
        dictionaries = ["stream", "shard_id"]
        with pq.ParquetWriter(
            output, _SCHEMA, compression=compression, use_dictionary=dictionaries
        ) as writer:
            for some in _groups(events):
                columns: list[Any] = [list(column) for column in zip(*map(row_of, some), strict=True)]
                writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=_GROUP_ROWS)
    return output.getvalue()


def _gzip() -> Any:
    return isal_zlib.compressobj(1, wbits=31)


def _groups(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Gives the events, some at a time: a file needs little more memory than its events and its bytes."""
    begin = size = 0
    for at, event in enumerate(events):
        if at - begin == _GROUP_ROWS or size >= _GROUP_BYTES:
            yield events[begin:at]
            begin, size = at, 0
        size += len(event.data)
    if begin < len(events):
        yield events[begin:]
