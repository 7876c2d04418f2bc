"""An event that nests as deep as readers allow, and deeper than our writer goes, costs itself at most: no step raises."""

import contextlib
import functools

import orjson
import pytest

from penstock.io.beats.origin import client_at
from penstock.io.beats.prepare import enrich, validate
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elements import _element_bytes
from penstock.io.kinesis.write.routing import PartitionKeys, StreamName
from penstock.io.kinesis.write.writer import _payloads
from penstock.io.s3.origin import S3Record
from penstock.testing import batch_of
from penstock.transforms.batch import Event
from penstock.transforms.codecs import _json_cutter
from penstock.transforms.codecs.declarations import CODECS
from penstock.transforms.codecs.decoder import CloudWatchCodec, CodecDecoder
from penstock.transforms.codecs.long_records import LongRecord
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.document import with_document

DEPTHS = (200, 253, 254, 255, 300, 900, 1020, 1024, 5000)
"""orjson writes 254 levels and reads 1,024; Python's recursion ends at 1,000."""
GOOD = {"message": "good", "Records": [{"n": 1}], "agent": {"id": "a"}}


def values(depth):
    lists = b"[" * depth + b"]" * depth
    yield lists
    yield b'{"a":' * depth + b"1" + b"}" * depth
    yield b"[" * depth + b'"\\ud800"' + b"]" * depth  # half a surrogate pair: orjson reads it not, others do


SHAPES = {
    "plain": b'{"message":"x","v":%b}',
    "a Beat's": b'{"agent":{"id":"x"},"v":%b}',
    "with an escaped key": b'{"\\u0040metadata":{"input":1},"v":%b}',
    "a list to expand": b'{"v":1,"Records":[{"n":1},{"v":%b},{"n":2}]}',
    "a field to copy": b'{"v":%b,"Records":[{"n":1},{"n":2}]}',
    "a subscription's": b'{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":[],'
    b'"logEvents":[{"id":"1","timestamp":1,"message":"good"},{"id":"2","timestamp":2,"message":"x",'
    b'"extractedFields":{"v":%b}}]}',
}


@functools.cache
def decoders():
    expanding = {"expand": "Records", "expand_copy": ["v"]}
    cases = [("json", {}), ("json", expanding), ("auto", expanding), ("auto", {"codec_message_json": True}),
             ("cloudwatch_logs", {"codec_message_json": True}), ("lines", {}), ("plain", {})]  # fmt: skip
    return [
        CODECS[name].make(DecodeOptions(codec=name, **options), keep)
        for name, options in cases
        for keep in (True, False)
    ]


@functools.cache
def makers():
    cases = [
        {},
        {"index": "%{[v]}"},
        {"routing": "%{v}"},
        {"action": "update", "document_id": "x", "script": "s"},
    ]
    return [DocumentMaker(ElasticsearchOptions(**{"index": "x", **options})) for options in cases]


def written(events):
    """What sinks do with events, as they came and changed; each is a letter, or bytes."""
    for event in events:
        for each in (event, with_document(event, event.document or orjson.loads(event.data))):
            PartitionKeys(["v", "message"]).of([each])
            StreamName("x-%{v}").of([each])
            _, datas, letters = _payloads([each])
            assert len(datas) + len(letters) == 1
            for maker in makers():
                with contextlib.suppress(ValueError, TypeError):  # of which the writer makes a letter
                    maker.document(each)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_deep_event_costs_itself_at_most(monkeypatch, shape, depth):
    good, client = orjson.dumps(GOOD), client_at("10.0.0.7", 5000)
    for value in values(depth):
        data = shape % value
        batch = batch_of(good, data, good)
        for event in batch.events:
            event.origin = client
        for each in (enrich(batch, ["source_metadata"]), validate(batch)):
            assert len(each.events) + len(each.dead_letters) == 3
            assert {letter.event.data for letter in each.dead_letters} <= {data}
        for decoder in decoders():
            batch = [Event(each, client, index) for index, each in enumerate((good, data, good))]
            found, letters = decoder.decode(batch)
            assert {event.index for event in [*found, *(letter.event for letter in letters)]} == {0, 1, 2}
            written([event for event in found if event.index == 1])
        for hold in (1, 1 << 20):
            monkeypatch.setattr(_json_cutter, "HOLD", hold)
            record = LongRecord(S3Record("b", "k", "e", 0, "line"), 0, 1 << 20, ("Records",), (("v",),))
            pieces = [record.feed(data[at : at + 50]) for at in range(0, len(data), 50)] + [record.finish()]
            assert any(found or letters for found, letters in pieces)


@pytest.mark.parametrize("depth", [260, 900])
def test_a_deep_log_event_costs_itself(depth):
    record = SHAPES["a subscription's"] % (b"[" * depth + b"]" * depth)
    for decoder in decoders():
        found, letters = decoder.decode([Event(record, client_at("10.0.0.7", 5000), 0)])
        if isinstance(decoder, CodecDecoder) and isinstance(decoder.codec, CloudWatchCodec):
            assert [orjson.loads(event.data)["message"] for event in found] == ["good"]
            assert [letter.error for letter in letters] == ["NotJson"]
            assert "cannot be written as JSON again" in letters[0].reason


def test_at_no_depth_enriching_ends_in_an_error_of_its_own():
    client = client_at("10.0.0.7", 5000)
    for depth in range(880, 1024):
        batch = batch_of(
            SHAPES["with an escaped key"] % b'{"a":"\\ud800","v":%b}' % (b"[" * depth + b"]" * depth)
        )
        batch.events[0].origin = client
        batch = enrich(batch, ["source_metadata"])
        assert len(batch.events) + len(batch.dead_letters) == 1


def test_an_element_that_is_too_deep_is_shown_by_its_kind():
    value = []
    for _ in range(100_000):  # deeper than repr goes on any Python
        value = [value]
    assert _element_bytes.shown(value) == b"<list: RecursionError>"
