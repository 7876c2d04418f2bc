"""`LAYOUT` is the layout of the archive's rows: `kinesis-to-s3` writes them, and a backfill recognises them.

A row is one record of the stream (a user record where several were aggregated): its original bytes and the
position that names it. So a backfill gives its events the origin that they had on the live path, and with it
the same document id. The names of the columns are a stored format, and `VERSION` changes with them.
"""

import base64
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from penstock.io.kinesis.positions import KinesisRecord
from penstock.io.s3.formats._lines import Piece
from penstock.transforms.batch import DeadLetter, Event

__all__ = [
    "AVRO_SCHEMA",
    "COLUMNS",
    "JSON_START",
    "LAYOUT",
    "MARK",
    "VERSION",
    "ArchiveLayout",
    "json_line",
    "row_of",
]

VERSION = "1"
MARK = "penstock.archive"
"""Key of the file's metadata (Parquet, Avro) whose value is the version."""

COLUMNS = (
    "stream",
    "shard_id",
    "sequence_number",
    "sub_sequence_number",
    "user_records",
    "partition_key",
    "arrived_ms",
    "data",
)
"""The columns, in this order in every format; `arrived_ms` is milliseconds since 1970."""

JSON_START = b'{"penstock_archive":1,'
"""The beginning of every line of a JSON lines archive. Bytes that aren't UTF-8 stand in `data_base64`."""

AVRO_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "KinesisRecord",
    "namespace": "penstock.archive",
    "fields": [
        {"name": "stream", "type": "string"},
        {"name": "shard_id", "type": "string"},
        {"name": "sequence_number", "type": "string"},
        {"name": "sub_sequence_number", "type": "int"},
        {"name": "user_records", "type": "int"},
        {"name": "partition_key", "type": "string"},
        {"name": "arrived_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "data", "type": "bytes"},
    ],
}


def row_of(event: Event) -> tuple[Any, ...]:
    """Gives the event's values, in the order of `COLUMNS`."""
    origin: KinesisRecord = event.origin  # type: ignore[assignment]
    return (
        origin.stream, origin.shard_id, origin.sequence_number, event.index, origin.user_records,
        origin.partition_key, origin.arrived_ms, event.data,
    )  # fmt: skip


class _Line(msgspec.Struct, gc=False):
    stream: str
    shard_id: str
    sequence_number: str
    sub_sequence_number: int
    user_records: int
    partition_key: str
    arrived_ms: int
    data: str | None = None
    data_base64: str | None = None


_read = msgspec.json.Decoder(_Line).decode


def json_line(event: Event) -> bytes:
    """Gives the event as a line of a JSON lines archive, with its line end."""
    values = dict(zip(COLUMNS, row_of(event), strict=True))
    try:
        values["data"] = event.data.decode()
    except UnicodeDecodeError:
        del values["data"]
        values["data_base64"] = base64.b64encode(event.data).decode()
    return JSON_START + orjson.dumps(values)[1:] + b"\n"


class ArchiveLayout:
    """The archive as a layout of files in S3; see `penstock.io.s3.formats`."""

    columns = COLUMNS
    line_start = JSON_START

    def is_in(self, names: Iterable[str], metadata: Mapping[str, str]) -> bool:
        """Whether a file with these columns and this metadata is one of ours."""
        return metadata.get(MARK) == VERSION and set(COLUMNS) <= set(names)

    def events_of_columns(self, columns: Sequence[Sequence[Any]]) -> list[Event]:
        """Makes events of the columns' values. Rows of one record that follow each other share its origin."""
        streams, shards, numbers, indices, counts, keys, times, payloads = columns
        if times and isinstance(times[0], datetime.datetime):
            times = [round(time.timestamp() * 1000) for time in times]
        events = []
        last: tuple[Any, ...] = ()
        origin: KinesisRecord | None = None
        for identity, index, data in zip(
            zip(numbers, shards, streams, keys, times, counts, strict=True), indices, payloads, strict=True
        ):
            if origin is None or identity != last:
                number, shard_id, stream, key, arrived_ms, count = last = identity
                origin = KinesisRecord(stream, shard_id, number, key, arrived_ms, count)
            events.append(Event(data, origin, index))
        return events

    def events_of_lines(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Makes events of the lines of a JSON lines archive. Any other line is a dead letter."""
        origin: KinesisRecord | None = None
        for lines, letters in pieces:
            events: list[Event] = []
            refused = list(letters)
            for line in lines:
                try:
                    values = _read(line.data)
                    data = (
                        values.data.encode()
                        if values.data is not None
                        else base64.b64decode(values.data_base64 or "", validate=True)
                    )
                except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                    refused.append(DeadLetter(line, type(error).__name__, str(error)[:300], "s3"))
                    continue
                found = KinesisRecord(
                    values.stream, values.shard_id, values.sequence_number, values.partition_key,
                    values.arrived_ms, values.user_records,
                )  # fmt: skip
                if origin is None or found != origin:
                    origin = found
                events.append(Event(data, origin, values.sub_sequence_number))
            yield events, refused


LAYOUT = ArchiveLayout()
"""Plugged into `ReadFromS3`, it gives records of the archive the origin, and so the ids, of the live path."""
