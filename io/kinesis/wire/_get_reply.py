"""`decode_get_records` decodes a GetRecords reply.

Most of the work is base64. There are two quick ways; a reply that neither reads is read step by step.

- Short records: the kernel (`_native_get_reply.c`) makes the records, and leaves msgspec the JSON around them. Without the
  kernel msgspec does both in one step, at three times the CPU; every further step in Python would cost more.
- Long records (KPL makes 50 KB): pybase64 decodes them with half of msgspec's CPU. Even to skip a long string costs msgspec
  as much as pybase64 needs to decode it. So long strings are first cut out of the JSON: `find` is ten times faster.
  A number in the place of each record's data shows that all were found.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson
import pybase64

from penstock.io.kinesis.wire.calls import ChildShard, GetRecordsReply, Record
from penstock.transforms.kernels import native

__all__ = ["decode_get_records"]

_DATA = b'"Data":"'
"""The text before a record's data. It stands nowhere else: inside a JSON string its quotes would be escaped."""
_LONG = 4096
"""Characters of the first record's data from which cutting is worthwhile: a shorter one is skipped as fast."""


class _Reply(msgspec.Struct, rename="pascal"):
    next_shard_iterator: str | None = None
    millis_behind_latest: int | None = None
    child_shards: list[ChildShard] | None = None  # kinesis-local sends null


class _ShortReply(_Reply, rename="pascal", kw_only=True):
    records: list[Record]


class _RawRecord(msgspec.Struct, rename="pascal", gc=False):
    sequence_number: str
    data: msgspec.Raw
    partition_key: str = ""
    approximate_arrival_timestamp: float = 0.0


class _RawReply(_Reply, rename="pascal", kw_only=True):
    records: list[_RawRecord]


class _CutRecord(msgspec.Struct, rename="pascal", gc=False):
    sequence_number: str
    data: str
    partition_key: str = ""
    approximate_arrival_timestamp: float = 0.0


class _CutReply(_Reply, rename="pascal", kw_only=True):
    records: list[_CutRecord]


_kernel: Any = native.load(
    "penstock.io.kinesis.wire._native_get_reply", lambda kernel: kernel.take_records(b"", Record)
)
_decode_short = msgspec.json.Decoder(_ShortReply).decode
_decode = msgspec.json.Decoder(_RawReply).decode
_decode_cut = msgspec.json.Decoder(_CutReply).decode


def decode_get_records(body: bytes) -> GetRecordsReply:
    """Decodes the reply in `body`.

    Raises:
        msgspec.MsgspecError: `body` is not the JSON that the API promises.
        ValueError: a record's data isn't base64.
    """
    first = body.find(_DATA)
    if first >= 0 and body.find(b'"', first + len(_DATA)) - first > _LONG:
        cut = _cut(body)
        if cut is not None:
            return cut
    else:
        known = _decode_natively(body)
        if known is not None:
            return known
        try:
            short = _decode_short(body)
        except msgspec.MsgspecError:
            pass
        else:
            return _reply(short, short.records)
    raw = _decode(body)
    return _reply(raw, _records(raw.records, [_content(record.data) for record in raw.records]))


def _decode_natively(body: bytes) -> GetRecordsReply | None:
    """Decodes the reply with the kernel; None where there is none, or the reply isn't written as expected."""
    taken = _kernel.take_records(body, Record) if _kernel is not None else None
    if taken is None:
        return None
    rest, records = taken
    try:
        around = _decode_short(rest)
    except msgspec.MsgspecError:
        return None
    return None if around.records else _reply(around, records)  # a second array, its key written with escapes


def _cut(body: bytes) -> GetRecordsReply | None:
    """Decodes the reply without its data; None where the JSON isn't written as expected."""
    texts: list[memoryview] = []
    pieces: list[bytes] = []
    view = memoryview(body)
    at = 0
    while (found := body.find(_DATA, at)) >= 0:
        start = found + len(_DATA)
        end = body.find(b'"', start)
        pieces += (body[at:start], b"%d" % len(texts))
        texts.append(view[start:end])
        at = end
        if end < 0:
            return None
    pieces.append(body[at:])
    try:
        reply = _decode_cut(b"".join(pieces))
    except msgspec.MsgspecError:
        return None
    if [record.data for record in reply.records] != list(map(str, range(len(texts)))):
        return None
    return _reply(reply, _records(reply.records, texts))


def _reply(reply: _Reply, records: list[Record]) -> GetRecordsReply:
    return GetRecordsReply(
        records, reply.next_shard_iterator, reply.millis_behind_latest, reply.child_shards or []
    )


def _records(records: Iterable[_RawRecord | _CutRecord], texts: list[memoryview]) -> list[Record]:
    return [
        Record(
            record.sequence_number, _payload(text), record.partition_key, record.approximate_arrival_timestamp
        )
        for record, text in zip(records, texts, strict=True)
    ]


def _content(raw: msgspec.Raw) -> memoryview:
    text = memoryview(raw)
    if text[0] != ord('"'):
        message = "a record's data is not a string"
        raise ValueError(message)
    return text[1:-1]


def _payload(text: memoryview) -> bytes:
    payload: bytes
    try:
        payload = pybase64.b64decode(text, validate=True)
    except ValueError:
        # Some encoders write "/" as "\/": legal JSON, and rare enough to cost a second attempt.
        payload = pybase64.b64decode(orjson.loads(b'"%b"' % text.tobytes()), validate=True)
    return payload
