"""A GetRecords reply, decoded the quick way, says what the slow way says."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.kinesis.wire import _get_reply
from penstock.io.kinesis.wire._get_reply import decode_get_records
from penstock.io.kinesis.wire.calls import ChildShard, GetRecordsReply, HashKeyRange, Record


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=200) | st.integers(3000, 10_000).map(bytes),
            st.text(max_size=5) | st.sampled_from(['"Data":"', '","Data":"7', '\\"Data":"']),
        )
    ),
    st.none() | st.text(max_size=9),
    st.none() | st.integers(0, 1 << 40),
    st.booleans(),
    st.booleans(),
    st.sampled_from([-1, 4096]),
)
def test_same_as_json_and_base64(records, iterator, behind, escaped, spaces, long):
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
    text = json.dumps(reply, separators=None if spaces else (",", ":"))
    body = (text.replace("/", "\\/") if escaped else text).encode()
    expected = [Record(str(n), data, key, 1.5 + n) for n, (data, key) in enumerate(records)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_get_reply, "_LONG", long)
        assert decode_get_records(body) == GetRecordsReply(expected, iterator, behind, [])


FIRST = b'{"SequenceNumber":"1","PartitionKey":"","Data":"%b"'
LONG = base64.b64encode(bytes(6000))


@pytest.mark.parametrize(
    ("records", "cut"),
    [
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data":"YQ=="}', True),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data": "MQ=="}', False),
        (FIRST + b',"x\\"Data":"y"}', False),
        (FIRST + b',"x":{"Data":"y"}}', False),
        (FIRST + b',"Data":"YQ=="}', False),
    ],
)  # fmt: skip
def test_only_what_is_written_as_expected_is_cut(records, cut):
    body = b'{"Records":[' + records % LONG + b"]}"
    assert (_get_reply._cut(body) is not None) == cut
    payloads = [base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]]
    assert [record.data for record in decode_get_records(body).records] == payloads


@pytest.mark.parametrize("end", [b"", b'"', b'"}', b'"}]', b'%"}]}', b'\\""}]}', b'"}]}}'])
def test_a_long_reply_that_is_rotten_is_refused(end):
    body = b'{"Records":[{"SequenceNumber":"1","PartitionKey":"a","Data":"' + LONG + end
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode_get_records(body)


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
