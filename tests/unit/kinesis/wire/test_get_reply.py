"""A GetRecords reply, decoded the quick way, says what the slow way says."""

import base64
import json
import re

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
        (FIRST + b' , "EncryptionType" : "KMS" } , {"Data": "AAAAAQ==" ,"SequenceNumber":"2"}', True),
        (FIRST + b',"ApproximateArrivalTimestamp":1.5},{"Data":"","SequenceNumber":""}', True),
        (FIRST + b',"x":null}', False),
        (FIRST + b',"x":"Records","y":7}', True),
        (FIRST + b',"x":"Record","y":-7e3}', True),
        (FIRST + b',"PartitionKey":"a"}', False),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"\\u0061","Data":"YWI="}', False),
        (FIRST + b'}],"Records":[' + FIRST + b'}', False),
        (FIRST + b',"x":{"Data":"y"}}', False),
        (FIRST + b',"x":{"Data":"YWJj"}}', False),
        (FIRST + b',"Data":"YQ=="}', False),
        (FIRST + b'},{"SequenceNumber":"2","PartitionKey":"","Data":"YWI\\u003d"}', False),
    ],
)  # fmt: skip
def test_the_kernel_takes_only_what_is_written_as_expected(records, taken):
    body = b'{"Records":[' + records.replace(b"%b", b"YWJj") + b"]}"
    assert (_get_reply._decode_natively(body) is not None) == taken
    assert [record.data for record in decode_get_records(body).records] == payloads_in(body)


@needs_kernel
@given(
    st.text('AQg+/=-_\\ \n"\x00é', max_size=9).map(str.encode) | st.binary(max_size=24).map(base64.b64encode)
)
def test_the_kernel_takes_canonical_base64_only(text):
    head, tail = b'{"Records":[', b'],"x":[]}'
    record = b'{"SequenceNumber":"1","Data":"%b"}'
    taken = _get_reply._kernel.take_records(head + record % text + tail, Record)
    whole = text.partition(b'"')[0]
    try:
        data = base64.b64decode(whole, validate=True)
    except ValueError:
        data = None
    canonical = data is not None and base64.b64encode(data) == whole
    if canonical and whole == text:
        assert taken == (head + tail, [Record("1", data)])
    else:
        assert taken is None


@needs_kernel
@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?", fullmatch=True)
    | st.floats(0, 1e11).map(repr)
    | st.sampled_from(["", "-", "01", "1.", ".5", "1e", "+1", "NaN", "null", '"1"', "1e999", "1" * 300])
)
def test_the_kernel_reads_times_as_python_does(text):
    record = b'{"SequenceNumber":"1","Data":"","ApproximateArrivalTimestamp":%b}' % text.encode()
    taken = _get_reply._kernel.take_records(b'{"Records":[%b]}' % record, Record)
    if taken is None:
        assert re.fullmatch(r"-?\d{1,19}(\.\d{1,18})?([eE][-+]?\d{1,2})?", text) is None or re.match(
            "-?0[0-9]", text
        )
    else:
        assert taken[1][0].approximate_arrival_timestamp == float(text)


@needs_kernel
@pytest.mark.parametrize("size", [24, 70, 76, 77, 78, 203])
def test_the_kernel_knows_each_character_at_each_place(size):
    """What is decoded side by side, and what is left at the end, take and refuse the same characters."""
    text = base64.b64encode(bytes(range(256))[:size])
    kernel = _get_reply._kernel
    for place in range(len(text) - 4):
        for value in set(range(256)) - set(b'"'):
            changed = text[:place] + bytes([value]) + text[place + 1 :]
            found = kernel.take_records(b'{"Records":[{"Data":"%b","SequenceNumber":"1"}]}' % changed, Record)
            if value in ALPHABET:
                assert found[1] == [Record("1", base64.b64decode(changed))]
            else:
                assert found is None, (place, value)


@needs_kernel
@pytest.mark.parametrize(
    "body",
    [
        b'{"NextShardIterator":"Records","Records":[]}',
        b'{"Records":{}}',
        b'{"Records":[],"Records":[]}',
        b'{"Records":[{"SequenceNumber":"1","Data":""},]}',
        b'{"Records":[{"Data":""}]}',
        b'{"Records":[{"SequenceNumber":"1"}]}',
        b'{"Records":[{}]}',
        b'{"Records":[7]}',
    ],
)
def test_the_kernel_leaves_an_unusual_reply_to_others(body):
    assert _get_reply._kernel.take_records(body, Record) is None


def test_of_two_arrays_the_last_counts_however_its_key_is_written():
    record = b'{"SequenceNumber":"%b","Data":""}'
    body = b'{"Records":[' + record % b"1" + b'],"Record\\u0073":[' + record % b"2" + b"]}"
    assert [found.sequence_number for found in decode_get_records(body).records] == ["2"]


def test_records_that_are_nested_are_not_the_replys():
    body = b'{"x":{"Records":[{"SequenceNumber":"1","Data":""}]}}'
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode_get_records(body)


@needs_kernel
def test_the_kernel_gives_up_wherever_a_reply_ends_too_early():
    record = '{"SequenceNumber":"1","Data":"YWJj","PartitionKey":"\u00e9","ApproximateArrivalTimestamp":1.5,"E":"K"}'
    body = ('{"x":1,"Records":[' + record + "," + record + '],"MillisBehindLatest":0}').encode()
    rest, records = _get_reply._kernel.take_records(body, Record)
    assert rest == b'{"x":1,"Records":[],"MillisBehindLatest":0}'
    assert records == [Record("1", b"abc", "\u00e9", 1.5)] * 2
    for size in range(body.index(b"],")):
        assert _get_reply._kernel.take_records(body[:size], Record) is None


@needs_kernel
def test_the_kernel_makes_records_of_the_class_it_was_built_for_only():
    class Larger(Record):
        more: int = 0

    with pytest.raises(TypeError, match="another layout"):
        _get_reply._kernel.take_records(b"{}", Larger)


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
