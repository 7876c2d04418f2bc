"""The cores that read peers' replies, rows and files, beside slow and plain readings of the same bytes.

Each `check_...` takes the module under test (so that one with a seeded fault can be given) and bytes, of which it makes an
input whose meaning it knows. It raises where the module says anything else.
"""

import base64
import contextlib
import hashlib
import io
import json
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson
import pyarrow as pa

from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._rows import row_to_json
from penstock.transforms.batch import Event
from penstock.transforms.identity import document_id
from penstock.transforms.time import timestamps
from tests.tools.samples.events import ToyOrigin

__all__ = ["CHECKS", "by_chance"]


def by_chance(count: int) -> Iterator[bytes]:
    """Bytes for `count` inputs, always the same."""
    for seed in range(count):
        luck = random.Random(seed)
        yield luck.randbytes(luck.choice((20, 60, 200, 600)))


class _Dice:
    """Takes decisions out of bytes; zeros when they have run out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        return data

    def number(self, below: int) -> int:
        return int.from_bytes(self.take(2), "big") % below

    def text(self, most: int = 8) -> str:
        return self.take(self.number(most + 1)).decode("latin-1")

    def one(self, *choices: Any) -> Any:
        return choices[self.number(len(choices))]


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes(made) + bytes((number,))


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def check_kpl(module: Any, data: bytes) -> None:
    """KPL's aggregated records, as built here field by field; and the kernel beside its twin on whatever bytes."""
    dice = _Dice(data)
    keys = [dice.text().encode() for _ in range(1 + dice.number(4))]
    explicit = [dice.number(1 << 16) << 112 for _ in range(dice.number(3))]
    message = b"".join(_field(1, key) for key in keys) + b"".join(
        _field(2, b"%d" % each) for each in explicit
    )
    start, end = sorted((dice.number(1 << 16) << 112, (dice.number(1 << 16) << 112) + (1 << 112) - 1))
    datas, outside, broken = [], [], False
    for place in range(dice.number(6)):
        key, payload = dice.number(len(keys) + (dice.number(40) == 1)), dice.take(dice.number(200))
        record, number = _field(1, key), -1
        broken |= key >= len(keys)
        if not broken:
            number = int(hashlib.md5(keys[key]).hexdigest(), 16)
        if explicit and dice.number(2):
            at = dice.number(len(explicit) + (dice.number(40) == 1))
            record += _field(2, at)
            broken |= at >= len(explicit)
            number = explicit[at] if not broken else -1
        message += _field(3, record + _field(3, payload))
        datas.append(payload)
        if not start <= number <= end:
            outside.append(place)
    sealed = b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()
    fate = dice.number(8)
    if fate == 1:
        place = dice.number(len(sealed))
        sealed = sealed[:place] + bytes((sealed[place] ^ 1 << dice.number(8),)) + sealed[place + 1 :]
        broken = True
    elif fate == 2:
        sealed, broken = sealed[: dice.number(len(sealed))], True
    for hash_range, expected in (
        (module.HashRange.of(start, end), outside),
        (module.HashRange.of(0, (1 << 128) - 1), []),
        (None, []),
    ):
        found = module.deaggregate(sealed, hash_range)
        assert (found is None) == broken, (found, broken)
        assert broken or (list(map(bytes, found.data)), found.outside) == (datas, expected)
        together = module.deaggregate_all([b"plain", sealed], hash_range)
        assert together[0] is None
        assert together[1] is None if broken else tuple(together[1]) == (datas, expected)
    wild = b"\xf3\x89\x9a\xc2" + data + hashlib.md5(data).digest()
    mine, twin = module.deaggregate(wild, None), module.deaggregate_all([wild], None)[0]
    assert (mine and (list(mine.data), mine.outside)) == (twin and (list(twin[0]), twin[1]))


def check_get_records(module: Any, data: bytes) -> None:
    """Replies to GetRecords, written in any legal way."""
    dice = _Dice(data)
    records, meant = [], []
    for _ in range(dice.number(5)):
        payload = dice.take(dice.number(60)) * dice.one(1, 1, 200)
        text = base64.b64encode(payload).decode()
        record = {"SequenceNumber": str(dice.number(1000)), "Data": text, "PartitionKey": dice.text()}
        if dice.number(2):
            record["ApproximateArrivalTimestamp"] = dice.number(1000) + 0.5  # type: ignore[assignment]
        if dice.number(4) == 1:
            record = dict(reversed(record.items()))
        if dice.number(4) == 1:
            record["EncryptionType"] = dice.one("KMS", '"Data":"', "NONE")
        meant.append(
            (
                record["SequenceNumber"],
                payload,
                record["PartitionKey"],
                record.get("ApproximateArrivalTimestamp", 0.0),
            )
        )
        records.append(record)
    reply: dict[str, Any] = {"Records": records, "NextShardIterator": dice.one(None, "AAA", '\\"Data":"')}
    if dice.number(2):
        reply["MillisBehindLatest"] = dice.number(1000)
    body = json.dumps(reply, separators=dice.one((",", ":"), (", ", ": ")))
    if dice.number(4) == 1:
        body = body.replace("/", "\\/")
    found = module.decode_get_records(body.encode())
    assert [
        (each[0], bytes(each[1]), each[2], each[3]) for each in map(tuple, _fields_of(found.records))
    ] == meant
    assert found.next_shard_iterator == reply["NextShardIterator"]
    assert found.millis_behind_latest == reply.get("MillisBehindLatest")
    if meant:
        at = body.index('"Data":') + len('"Data":')
        at = body.index('"', at) + 1
        rotten = body[:at] + "!!!!" + body[at:]
        try:
            module.decode_get_records(rotten.encode())
        except ValueError:
            pass
        else:
            raise AssertionError(rotten)
    place = dice.number(len(body))
    with contextlib.suppress(msgspec.MsgspecError, ValueError):
        module.decode_get_records(
            body.encode()[:place] + dice.take(3) + body.encode()[place + dice.number(4) :]
        )


def _fields_of(records: Any) -> Iterator[tuple[Any, ...]]:
    for each in records:
        yield tuple(getattr(each, name) for name in type(each).__struct_fields__)


def check_bulk(module: Any, data: bytes) -> None:
    """Replies to `_bulk`: one item per document, whatever else the reply says."""
    dice = _Dice(data)
    items, statuses = [], []
    for _ in range(dice.number(6)):
        status = dice.one(200, 201, 201, 409, 429, 503, 299, dice.number(1000))
        item: dict[str, Any] = {"status": status}
        if status >= 300:
            item["error"] = {"type": dice.one("x_exception", '"status":201'), "reason": dice.text()}
        elif dice.number(8) == 1:
            item["failure_store"] = dice.one("used", "not_applicable_or_unknown")
        items.append({dice.one("create", "index"): item})
        statuses.append(status)
    expected = max(0, len(items) + dice.one(0, 0, 0, 1, -1))
    errors = dice.one(any(status >= 300 for status in statuses), dice.number(2) == 1)
    reply = json.dumps({"errors": errors, "items": items}, separators=(",", ":")).encode()
    good = expected == len(items) and all(200 <= status < 600 for status in statuses)
    try:
        found = module.read_reply(reply, expected)
    except module.BadReply:
        assert not good, (reply, expected)
        return
    assert good, (reply, expected)
    if found is None:
        assert all(status in range(200, 210) for status in statuses), reply
        assert not any(each.get("failure_store") == "used" for item in items for each in item.values()), reply
    else:
        assert [each.status for each in found] == statuses
        assert [bool(each.error) for each in found] == [status >= 300 for status in statuses]


_NUMBERS = (
    "leaseCounter",
    "ownerSwitchesSinceCheckpoint",
    "penstockStartedMillis",
    "penstockReadUntilMillis",
)


def check_lease_row(module: Any, data: bytes) -> None:
    """Rows of the lease table: what is read is what stands there, and it is written back as it was."""
    dice = _Dice(data)
    checkpoint = dice.one(
        "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END", str(1 + dice.number(1 << 16))
    )
    sub = dice.number(100) if checkpoint.isdigit() else 0
    item: dict[str, Any] = {
        "leaseKey": {"S": f"shardId-{dice.number(1000):012}"},
        "checkpoint": {"S": checkpoint},
        "checkpointSubSequenceNumber": {"N": str(sub)},
    }
    item |= {name: {"N": str(1 + dice.number(1 << 16))} for name in _NUMBERS}
    if dice.number(2):
        item["leaseOwner"] = {"S": dice.text() + "w"}
    for name in ("parentShardId", "childShardIds"):
        if dice.number(2):
            item[name] = {"SS": sorted({f"shardId-{dice.number(9)}" for _ in range(1 + dice.number(3))})}
    if dice.number(2):
        item |= {
            "startingHashKey": {"S": str(dice.number(99))},
            "endingHashKey": {"S": str(100 + dice.number(99))},
        }
    if dice.number(2):
        item |= {"penstockStreamArn": {"S": "arn:" + dice.text()}, "penstockStreamCreatedMillis": {"N": "5"}}
    lease = module.Lease.from_item(item)
    assert lease.to_item() == item
    assert (lease.shard_id, lease.counter) == (item["leaseKey"]["S"], int(item["leaseCounter"]["N"]))
    taken, released = lease.taken_by("other"), lease.released()
    assert (taken.owner, taken.counter) == ("other", lease.counter + 1)
    assert (released.owner, released.counter, released.position) == (None, lease.counter + 1, lease.position)
    name = dice.one(*item)
    rotten = item | {name: dice.one({"BOOL": True}, {"NULL": True}, {})}
    try:
        module.Lease.from_item(rotten)
    except ValueError:
        pass
    else:
        raise AssertionError(rotten)
    assert module.Lease.from_item(item | {"entityType": {"S": "WORKER_METRIC_STATS"}}) is None


def _zigzag(number: int) -> bytes:
    return _varint(number << 1)


def check_avro_frame(module: Any, data: bytes) -> None:
    """The frame of an Avro file: each block with its place, rows and bytes; what lies costs its block."""
    dice = _Dice(data)
    sync = bytes(range(100, 116))
    codec = dice.one("null", "deflate")
    pairs = {"avro.schema": b'"bytes"', "avro.codec": codec.encode(), dice.text() + "x": dice.take(5)}
    head = b"Obj\x01" + _zigzag(len(pairs))
    for key, value in pairs.items():
        head += _zigzag(len(key.encode())) + key.encode() + _zigzag(len(value)) + value
    head += b"\0" + sync
    body, blocks = b"", []
    for _ in range(dice.number(5)):
        content = dice.take(dice.number(50)) * dice.one(1, 1, 50)
        rows = dice.one(dice.number(len(content) + 1), dice.number(len(content) + 1), (1 << 16) + 1)
        stored = content
        if codec == "deflate":
            squeeze = zlib.compressobj(wbits=-15)
            stored = squeeze.compress(content) + squeeze.flush()
            if dice.number(10) == 1:
                stored, content, rows = stored[:-1], b"", -1
        damaged = rows == -1 or rows > max(len(content), 1 << 16)
        blocks.append((len(head) + len(body), 0 if damaged else rows, b"" if damaged else content, damaged))
        body += _zigzag(max(rows, 0)) + _zigzag(len(stored)) + stored + sync
    fate = dice.number(6) if body else 0
    torn = fate in (1, 2)
    if fate == 2:
        body = body[:-1] + b"x"
    elif torn:
        body = body[: -1 - dice.number(min(len(body) - 1, 15))]
    header = module.read_header(io.BytesIO(head))
    assert (header.size, header.sync, header.metadata) == (len(head), sync, pairs)
    found = []
    try:
        for block in module.Container(header, io.BytesIO(body), len(head)).blocks(None):
            found.append((block.offset, block.rows, block.data, bool(block.damage)))
    except Damaged:
        assert torn
        blocks.pop()
    else:
        assert not torn
    assert found == blocks
    if len(blocks) > 1:
        cut = blocks[1][0]
        part = module.Container(header, io.BytesIO(body), len(head)).blocks(cut)
        assert [block.offset for block in part] == [blocks[0][0]]


def check_json_columns(module: Any, data: bytes) -> None:
    """Columns of Arrow written as JSON, beside each row written by itself."""
    dice = _Dice(data)
    count = 1 + dice.number(5)
    columns: dict[str, Any] = {}
    for _ in range(1 + dice.number(4)):
        make: Callable[[], Any] = dice.one(
            lambda: dice.one(dice.text(), dice.text() + dice.one('"', "\\", "\n", "\x01", "é")),
            lambda: dice.number(1 << 16) - 100,
            lambda: dice.one(dice.number(100) / 8, float("nan"), float("inf")),
            lambda: dice.number(2) == 1,
        )
        columns[dice.text() + str(len(columns))] = [
            None if dice.number(8) == 1 else make() for _ in range(count)
        ]
    batch = pa.RecordBatch.from_pydict(columns)
    found = module.json_rows(batch)
    rows = [orjson.loads(row_to_json(row)) for row in batch.to_pylist()]
    if found is not None:
        assert [orjson.loads(text) for text in found.to_pylist()] == rows
    else:
        assert any(
            ord(each) < 32
            for row in rows
            for value in row.values()
            if isinstance(value, str)
            for each in value
        )


_BEAT = {
    "@timestamp": "2026-11-22T12:00:00.000Z",
    "@metadata": {"beat": "filebeat"},
    "agent": {"ephemeral_id": "e", "id": "i"},
    "log": {"offset": 5, "file": {"path": "/p"}},
    "message": "m",
}


def check_scan(module: Any, data: bytes) -> None:
    """The scan of a JSON event, by the kernel and by Python, says what the full decoder says, or nothing."""
    dice = _Dice(data)
    document: dict[str, Any] = {name: value for name, value in _BEAT.items() if dice.number(8) != 1}
    if dice.number(4) == 1:
        document = {"message": "m"}
    for _ in range(dice.number(3)):
        name = dice.one("@timestamp", "@metadata", "agent", "log", "beat", dice.text())
        document[name] = dice.one(
            None, 5, dice.text(), [], {"_id": dice.text()},
            {"offset": dice.one(-1, 1 << 63, 1 << 64, 0.5), "file": {"path": "/q"}},
            {"id": dice.text()}, {"beat": dice.text()}, {"name": "b", "hostname": "h"},
        )  # fmt: skip
    text = json.dumps(document, ensure_ascii=dice.number(2) == 1).encode(errors="replace")
    if dice.number(3) == 1:
        place = dice.number(len(text))
        text = text[:place] + dice.take(dice.number(3)) + text[place + dice.number(3) :]
    for scan in (module.scan, module.scan_in_python):
        event = Event(text, ToyOrigin(b"p"), 3, 0, "before", "before")
        if scan([event], 1 << 20):
            assert (event.id, event.timestamp) == ("before", "before")
            continue
        decoded = orjson.loads(text) if b"e" not in text or _is_json(text) else msgspec.json.decode(text)
        assert isinstance(decoded, dict)
        assert event.id == document_id(Event(text, ToyOrigin(b"p"), 3), decoded), text
        assert event.timestamp == timestamps.of_value(decoded.get("@timestamp")), text


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


CHECKS: dict[str, Callable[[Any, bytes], None]] = {
    "penstock.io.kinesis.kpl._deaggregation": check_kpl,
    "penstock.io.kinesis.wire._get_reply": check_get_records,
    "penstock.io.kinesis.lease.rules._rows": check_lease_row,
    "penstock.io.elasticsearch.bulk._bulk": check_bulk,
    "penstock.io.s3.formats._avro_blocks": check_avro_frame,
    "penstock.io.s3.formats._json_columns": check_json_columns,
    "penstock.transforms.kernels._scan": check_scan,
}
"""The module under test, by its name, and what holds it."""
