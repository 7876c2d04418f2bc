"""A GetRecords reply, decoded the quick way, says what the slow way says."""

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.io.kinesis._get_reply import decode_get_records
from penstock.io.kinesis.calls import ChildShard, GetRecordsReply, HashKeyRange, Record


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=200), st.text(max_size=5))),
    st.none() | st.text(max_size=9),
    st.none() | st.integers(0, 1 << 40),
    st.booleans(),
)
def test_same_as_json_and_base64(records, iterator, behind, escaped):
    reply = {
        "Records": [
            {
                "SequenceNumber": str(n),
                "Data": base64.b64encode(data).decode(),
                "PartitionKey": key,
                "ApproximateArrivalTimestamp": 1.5 + n,
                "EncryptionType": "KMS",
            }
            for n, (data, key) in enumerate(records)
        ],
        "NextShardIterator": iterator,
        "MillisBehindLatest": behind,
        "ChildShards": None,  # as kinesis-local has it
    }
    text = json.dumps(reply)
    body = (text.replace("/", "\\/") if escaped else text).encode()
    expected = [Record(str(n), data, key, 1.5 + n) for n, (data, key) in enumerate(records)]
    assert decode_get_records(body) == GetRecordsReply(expected, iterator, behind, [])


def test_the_end_of_a_shard_with_its_children():
    body = (
        b'{"Records":[],"NextShardIterator":null,"MillisBehindLatest":0,"ChildShards":[{"ShardId":"c","ParentShards":["p"],'
        b'"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}]}'
    )
    children = [ChildShard("c", ["p"], HashKeyRange("0", "9"))]
    assert decode_get_records(body) == GetRecordsReply([], None, 0, children)


@pytest.mark.parametrize("data", ['"a b="', '"abc"', "7", "null", '"\\u12"', "[]", '"=="', '"YQ==YQ=="'])
def test_data_that_is_not_base64_is_refused(data):
    body = b'{"Records":[{"SequenceNumber":"1","PartitionKey":"a","Data":' + data.encode() + b"}]}"
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode_get_records(body)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"Records":{}}', b"\xff", b'{"Records":[{}]}'])
def test_what_is_no_reply_is_refused(body):
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode_get_records(body)
