"""`evidence` asks the servers themselves, and not our own code, what became of the lines.

- The stream is read with boto3 from its beginning; user records are counted by walking the KPL format anew.
- Every document's file and offset is fetched and held against the lines that were shipped, so that neither
  a lost line nor a double one can hide behind a right total.
"""

import collections
import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from elasticsearch import ApiError

from local.demo.logs import LogFile, offsets

__all__ = [
    "Arrival",
    "StreamCount",
    "arrival",
    "count_dead_letters",
    "count_documents",
    "count_stream",
    "documents",
    "stream_events",
]

KPL_MAGIC = b"\xf3\x89\x9a\xc2"
PAGE = 10_000


@dataclasses.dataclass(frozen=True)
class StreamCount:
    """What is in a stream.

    Attributes:
        records: Kinesis records.
        aggregated: how many of them are aggregated.
        events: events in all of them.
    """

    records: int
    aggregated: int
    events: int


def count_stream(kinesis: Any, stream: str) -> StreamCount:
    """Reads all of a stream with a boto3 client and counts."""
    records = aggregated = events = 0
    for data in _records(kinesis, stream):
        held = _user_records(data)
        records += 1
        aggregated += held is not None
        events += 1 if held is None else len(held)
    return StreamCount(records, aggregated, events)


def stream_events(kinesis: Any, stream: str) -> Iterator[bytes]:
    """The payload of every event in a stream."""
    for data in _records(kinesis, stream):
        held = _user_records(data)
        yield from [data] if held is None else held


def _records(kinesis: Any, stream: str) -> Iterator[bytes]:
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            reply = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            for record in reply["Records"]:
                yield record["Data"]
            if not reply["Records"] and not reply["MillisBehindLatest"]:
                break
            iterator = reply.get("NextShardIterator")


def _user_records(data: bytes) -> list[bytes] | None:
    """The payloads of an aggregated record's user records, None for a plain one.

    Source: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
    (magic, protobuf AggregatedRecord, MD5; its field 3 is a Record, whose field 3 is the payload).
    """
    body = data[len(KPL_MAGIC) : -16]
    if not data.startswith(KPL_MAGIC) or hashlib.md5(body, usedforsecurity=False).digest() != data[-16:]:
        return None
    return [payload for record in _field_3(body) for payload in _field_3(record)]


def _field_3(message: bytes) -> list[bytes]:
    """The values of field 3 of a protobuf message that has only integers and bytes."""
    found = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if tag & 7 == 2:  # bytes, whose length we just read
            if tag >> 3 == 3:
                found.append(message[at : at + value])
            at += value
    return found


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def count_documents(client: Any, index: str) -> int:
    """How many documents an index, or a pattern of them, holds; 0 before there is one."""
    options = {"ignore_unavailable": True, "allow_no_indices": True}
    try:
        client.indices.refresh(index=index, **options)
        return int(client.options(max_retries=0).count(index=index, **options)["count"])
    except ApiError as error:
        if error.status_code == 503:  # the index is just being made, its shard not yet assigned
            return 0
        raise


def documents(client: Any, index: str) -> list[dict[str, Any]]:
    """The documents of an index, or of a pattern, of up to 10,000; none before its shard can be asked."""
    if not count_documents(client, index):
        return []
    reply = client.search(index=index, size=10_000, ignore_unavailable=True)
    return [hit["_source"] for hit in reply["hits"]["hits"]]


@dataclasses.dataclass(frozen=True)
class Arrival:
    """Documents held against lines.

    Attributes:
        documents: how many there are.
        missing: lines without a document.
        duplicates: documents beyond the first of their line.
        strangers: documents of no line that was to be shipped (a log that grew meanwhile has some).
        examples: a few missing or double lines, `file:offset`, for a message.
    """

    documents: int
    missing: int
    duplicates: int
    strangers: int
    examples: list[str]

    @property
    def exactly_once(self) -> bool:
        """Whether every line is there, once."""
        return not self.missing and not self.duplicates


def arrival(client: Any, index: str, files: Sequence[LogFile]) -> Arrival:
    """Fetches file and offset of every document, and compares them with the lines of the files."""
    found: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    reply = client.search(
        index=index,
        size=PAGE,
        scroll="2m",
        sort="_doc",
        source=["log.file.path", "log.offset"],
        ignore_unavailable=True,
        allow_no_indices=True,
    )
    documents = 0
    while reply["hits"]["hits"]:
        for hit in reply["hits"]["hits"]:
            documents += 1
            log = hit["_source"].get("log", {})
            found[str(log.get("file", {}).get("path"))][int(log.get("offset", -1))] += 1
        reply = client.scroll(scroll_id=reply["_scroll_id"], scroll="2m")
    client.clear_scroll(scroll_id=reply["_scroll_id"])

    duplicates = sum(count - 1 for counter in found.values() for count in counter.values())
    examples = [
        f"{path}:{offset} ({count} times)"
        for path, counter in found.items()
        for offset, count in counter.items()
        if count > 1
    ][:3]
    missing = known = 0
    for file in files:
        counter = found.get(str(file.path), collections.Counter())
        for begin, _ in offsets(file.path, file.end):
            if begin in counter:
                known += 1
            else:
                missing += 1
                if len(examples) < 6:
                    examples.append(f"{file.path}:{begin} (missing)")
    return Arrival(documents, missing, duplicates, sum(map(len, found.values())) - known, examples)


def count_dead_letters(folder: Path) -> int:
    """How many events both jobs have set aside."""
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl"))


def acknowledged_by_filebeat(log: str) -> int | None:
    """The events that a Filebeat's closing metrics call acknowledged."""
    found = re.findall(r'"output":\{[^{}]*"events":\{[^{}]*"acked":(\d+)', log)
    return int(found[-1]) if found else None
