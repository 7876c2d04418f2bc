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


ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def payloads_in(body):
    """What json and base64 find in a reply."""
    return [base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]]


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
    assert [record.data for record in decode_get_records(body).records] == payloads_in(body)


needs_kernel = pytest.mark.skipif(
    _get_reply._kernel is None, reason="the kernel isn't built, or switched off"
)


@needs_kernel
@pytest.mark.parametrize(
    ("records", "taken"),
    [
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data":"YWI="}', True),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data":""}', True),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data": "AAAAAQ=="}', False),
        (FIRST + b',"x":{"Data":"y"}}', False),
        (FIRST + b',"x":{"Data":"YWJj"}}', False),
        (FIRST + b',"Data":"YQ=="}', False),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data":"YWI\\u003d"}', False),
    ],
)  # fmt: skip
def test_the_kernel_takes_only_what_is_written_as_expected(records, taken):
    body = b'{"Records":[' + records % b"YWJj" + b"]}"
    assert (_get_reply._decode_natively(body) is not None) == taken
    assert [record.data for record in decode_get_records(body).records] == payloads_in(body)


@needs_kernel
@given(
    st.text('AQg+/=-_\\ \n"\x00é', max_size=9).map(str.encode) | st.binary(max_size=24).map(base64.b64encode)
)
def test_the_kernel_takes_canonical_base64_only(text):
    taken = _get_reply._kernel.take_data(b'"Data":"' + text + b'"')
    whole = text.partition(b'"')[0]
    try:
        data = base64.b64decode(whole, validate=True)
    except ValueError:
        data = None
    canonical = data is not None and base64.b64encode(data) == whole
    rest = b'"Data":"AAAAAA==' + (text + b'"')[len(whole) :]
    assert taken == ((rest, [data]) if canonical else None)


@needs_kernel
@pytest.mark.parametrize("size", [24, 70, 76, 77, 78, 203])
def test_the_kernel_knows_each_character_at_each_place(size):
    """What is decoded side by side, and what is left at the end, take and refuse the same characters."""
    text = base64.b64encode(bytes(range(256))[:size])
    kernel = _get_reply._kernel
    for place in range(len(text) - 4):
        for value in set(range(256)) - set(b'"'):
            changed = text[:place] + bytes([value]) + text[place + 1 :]
            found = kernel.take_data(b'{"Data":"%b"}' % changed)
            if value in ALPHABET:
                assert found[1] == [base64.b64decode(changed)]
            else:
                assert found is None, (place, value)


@needs_kernel
def test_the_kernel_numbers_records_and_puts_data_where_its_number_is():
    count = 70_000
    body = b",".join([b'{"SequenceNumber":"1","Data":"YQ=="}'] * count)
    rest, datas = _get_reply._kernel.take_data(body)
    assert [int.from_bytes(base64.b64decode(each[-9:-1])) for each in rest.split(b"},")[:-1]] == list(
        range(count - 1)
    )
    records = [Record("1", n.to_bytes(4)) for n in range(count)]
    assert not _get_reply._kernel.put_data(records[1:] + records[:1], Record, datas)
    assert not _get_reply._kernel.put_data(records[1:], Record, datas)
    assert records[5].data == bytes((0, 0, 0, 5))
    assert _get_reply._kernel.put_data(records, Record, datas)
    assert {record.data for record in records} == {b"a"}
    with pytest.raises(TypeError):
        _get_reply._kernel.put_data([1], Record, [b""])


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
