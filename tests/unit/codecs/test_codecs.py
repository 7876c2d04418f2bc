"""Each codec on real-shaped records: what becomes of them, in which order, under which ids."""

import gzip
import re
import zlib

import orjson
import pytest
from backports import zstd

from penstock.transforms.batch import Event
from penstock.transforms.codecs.declarations import CODECS
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.document import payload_of
from tests.tools.samples.events import ToyOrigin, event
from tests.unit.codecs import samples

ARRIVED = "2026-11-18T11:06:40.000Z"  # of `event`


def decode(*records: bytes, keep=False, **options):
    """The stored documents, and the letters, of these records by `DecodeOptions`."""
    decoder = DecodeOptions(**options).decoder(keep_documents=keep)
    events, letters = decoder.decode([event(record, index) for index, record in enumerate(records)])
    return [orjson.loads(payload_of(one)) for one in events], letters


def ids(*records: bytes, **options):
    decoder = DecodeOptions(**options).decoder(keep_documents=False)
    return [one.id for one in decoder.decode([event(record, i) for i, record in enumerate(records)])[0]]


TEXTS = {
    "vpcflow": (
        samples.VPC,
        "2014-12-14T04:06:50.000Z",
        {"version": 2, "srcaddr": "172.31.16.139", "dstport": 22, "bytes": 4249, "action": "ACCEPT", "log_status": "OK"},
    ),
    "vpcflow without data": (
        samples.VPC_NODATA, "2015-05-10T18:01:16.000Z", {"log_status": "NODATA", "srcaddr": None, "bytes": None},
    ),
    "vpcflow with IPv6": (
        samples.VPC_IPV6, "2016-10-31T11:35:08.000Z", {"dstaddr": "2001:db8:1234:a102:3304:8879:34cf:4071"},
    ),
    "vpcflow, its header names the fields": (
        samples.VPC_CUSTOM,
        "2019-08-26T19:47:55.000Z",
        {
            "version": 3, "vpc_id": "vpc-abcdefab012345678", "bytes": 568, "packets": 8, "tcp_flags": 2,
            "pkt_srcaddr": "52.213.180.42",
        },
    ),
    "alb": (
        samples.ALB,
        "2018-07-02T22:23:00.186Z",
        {
            "client_port": {"ip": "10.0.1.252", "port": 48160},
            "target_processing_time": 0.002,
            "elb_status_code": 200,
            "request": {"method": "GET", "url": "https://10.0.2.105:773/", "version": "HTTP/2.0"},
            "actions_executed": ["redirect"],
            "domain_name": None,
            "conn_trace_id": "TID_1234abcd5678ef90",
            "more": ["brand-new"],
        },
    ),
    "alb, cut short, IPv6, quotes in quotes": (
        samples.ALB_UNREACHABLE,
        "2018-07-02T22:23:00.186Z",
        {
            "client_port": {"ip": "2001:db8::1", "port": 2817}, "target_port": None, "elb_status_code": 502,
            "target_status_code": None, "user_agent": 'an "odd"er agent', "request_processing_time": -1.0,
        },
    ),
    "nlb": (samples.NLB, "2018-12-20T02:59:40.000Z", {"tls_handshake_time": 2, "tls_protocol_version": "tlsv12"}),
    "elb": (samples.ELB, "2015-05-13T23:39:43.945Z", {"backend_port": {"ip": "10.0.0.1", "port": 80}, "sent_bytes": 29}),
    "cloudfront": (
        samples.CLOUDFRONT,
        "2019-12-04T21:02:31.000Z",
        {"cs_host": "d111111abcdef8.cloudfront.net", "sc_status": 200, "cs_user_agent": "Mozilla/5.0 (Windows NT 10.0)"},
    ),
    "cloudfront_realtime": (
        samples.REALTIME, "2020-09-04T18:14:02.112Z", {"c_ip": "2001:db8::7", "sc_bytes": 1045, "cs_protocol": "https"},
    ),
    "s3access": (
        samples.S3_ACCESS,
        "2019-02-06T00:00:38.000Z",
        {
            "remote_ip": "192.0.2.3", "key": "my%20key", "http_status": 200, "error_code": None, "bytes_sent": 113,
            "user_agent": "S3Console/0.4", "acl_required": "Yes", "tls_version": "TLSV1.2",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_lines_that_aws_services_write(case):
    record, timestamp, expected = TEXTS[case]
    codec = case.split()[0].strip(",")
    for wrapped in (record, gzip.compress(record), zstd.compress(record), zlib.compress(record)):
        (document,), letters = decode(wrapped, codec=codec)
        assert not letters
        assert document.keys() == {"@timestamp", "aws"}
        assert document["@timestamp"] == timestamp
        found = document["aws"][codec]
        assert {name: found.get(name) for name in expected} == expected
        assert not any(name.endswith("_text") for name in found)


def test_one_odd_value_costs_itself_and_one_odd_line_costs_itself():
    lines = b"\n".join(
        [samples.VPC, b"nothing like it", samples.VPC.replace(b" 22 ", b" ssh "), b"", samples.VPC_IPV6]
    )
    documents, (letter,) = decode(lines, codec="vpcflow")
    assert [document["aws"]["vpcflow"].get("dstport") for document in documents] == [22, None, 22]
    assert documents[1]["aws"]["vpcflow"]["dstport_text"] == "ssh"
    assert (letter.event.data, letter.event.part, letter.error) == (b"nothing like it", 1, "FieldError")


@pytest.mark.parametrize(
    "codec", [codec for codec in CODECS if CODECS[codec].source and codec != "cloudwatch_logs"]
)
def test_lines_of_another_format_are_letters(codec):
    """No codec of AWS' texts takes what another service wrote; the letter names the codec that does, where it is known."""
    others = {
        "vpcflow": samples.VPC,
        "alb": samples.ALB,
        "nlb": samples.NLB,
        "elb": samples.ELB,
        "s3access": samples.S3_ACCESS,
        "cloudfront": samples.CLOUDFRONT,
        "cloudfront_realtime": samples.REALTIME,
        "json": b'{"a": 1, "b": "x y z", "c": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]}',
    }
    for other, record in others.items():
        if other != codec:
            documents, letters = decode(record, codec=codec)
            assert not documents, other
            if other not in ("json", "cloudfront", "cloudfront_realtime"):
                assert letters[0].reason.endswith(f"--codec {other})")


def test_fields_of_a_custom_format_are_named_by_the_user_and_typed_by_us():
    (document,), letters = decode(
        b"10.0.0.1 443 1566848875 vpc-1",
        codec="vpcflow",
        codec_fields=["srcaddr", "dstport", "start", "vpc-id"],
    )
    assert not letters
    assert document == {
        "@timestamp": "2019-08-26T19:47:55.000Z",
        "aws": {"vpcflow": {"srcaddr": "10.0.0.1", "dstport": 443, "start": 1566848875, "vpc_id": "vpc-1"}},
    }


def test_cloudwatch_logs_in_every_wrapping():
    one, two = (
        samples.subscription("START", 'say "hi"\n', stream="a"),
        samples.subscription("END", stream="b"),
    )
    control = samples.subscription(kind="CONTROL_MESSAGE")
    plain, _ = decode(one, control, two, codec="cloudwatch_logs")
    assert [document["message"] for document in plain] == ["START", 'say "hi"\n', "END"]
    assert plain[1] == {
        "@timestamp": "2015-05-28T15:27:35.001Z",
        "message": 'say "hi"\n',
        "event": {"id": "3195310660696698337880902507980421114328961542429EXAMPLE1"},
        "aws": {
            "cloudwatch": {
                "log_group": "/aws/lambda/orders",
                "log_stream": "a",
                "subscription_filters": ["all"],
            }
        },
        "cloud": {"provider": "aws", "account": {"id": "123456789012"}},
    }
    known = ids(one, control, two, codec="cloudwatch_logs")
    assert len(set(known)) == 3
    for record in (
        gzip.compress(one) + gzip.compress(control) + gzip.compress(two),
        gzip.compress(gzip.compress(one + two)),
        one + b"\n" + two,
        zstd.compress(one + control + two),
    ):
        documents, letters = decode(record, codec="cloudwatch_logs")
        assert not letters
        assert documents == plain
        assert ids(record, codec="cloudwatch_logs") == known, (
            "the same events in another record are the same documents"
        )


def test_messages_may_look_like_the_end_of_a_record():
    one, two = samples.subscription("[main] [worker] {}{}", '{"a":1}\n{"b":2}'), samples.subscription("]}{[")
    for record in (one + two, one + b"\n" + two):
        documents, letters = decode(record, codec="cloudwatch_logs")
        assert not letters
        assert [d["message"] for d in documents] == ["[main] [worker] {}{}", '{"a":1}\n{"b":2}', "]}{["]
    documents, (letter,) = decode(one + b'{"other":1}' + two, codec="cloudwatch_logs")
    assert len(documents) == 3
    assert (letter.event.data, letter.event.part) == (b'{"other":1}', 2)


def test_a_message_that_is_json_is_laid_over_the_event():
    record = samples.subscription('{"level":"warn","@timestamp":"x","cloud":1}', "{not json}", "text")
    documents, letters = decode(record, codec="cloudwatch_logs", codec_message_json=True)
    assert not letters
    assert documents[0]["level"] == "warn"
    assert "message" not in documents[0]
    assert documents[0]["@timestamp"] == "2015-05-28T15:27:35.000Z"
    assert documents[0]["cloud"]["account"] == {"id": "123456789012"}
    assert [document.get("message") for document in documents[1:]] == ["{not json}", "text"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            b'{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":"soon","message":"x"}]}',
            "timestamp",
        ),
        (
            b'{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":9e18,"message":"x"}]}',
            "timestamp",
        ),
        (b'{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":{}}]}', "no text"),
        (b'{"messageType":"SOMETHING_NEW","logEvents":[]}', "SOMETHING_NEW"),
        (b'{"a":1}', "no record of a CloudWatch"),
        (gzip.compress(samples.subscription("x"))[:-4], "cut short"),
        (gzip.compress(b"a" * (40 << 20)), "more than the limit"),
        (b"\xff\x00", "no record"),
    ],
)
def test_what_is_no_subscription_is_a_letter_and_the_rest_goes_on(record, reason):
    documents, (letter,) = decode(
        samples.subscription("before"), record, samples.subscription("after"), codec="cloudwatch_logs"
    )
    assert [document["message"] for document in documents] == ["before", "after"]
    assert letter.event.data == record
    assert re.search(reason, letter.reason), letter.reason


BAD_LOG_EVENTS = {
    "no id": (b'{"timestamp":1,"message":"x"}', "id"),
    "a timestamp of text": (b'{"id":"1","timestamp":"soon","message":"x"}', "timestamp"),
    "a timestamp that is no time": (b'{"id":"1","timestamp":9000000000000000000,"message":"x"}', "no time"),
    "an object as message": (b'{"id":"1","timestamp":1,"message":{"a":[]}}', "no text"),
    "no UTF-8": (b'{"id":"1","timestamp":1,"message":"\xff"}', "utf-8"),
    "a timestamp with a fraction": (b'{"id":"1","timestamp":1.5,"message":"x"}', "timestamp"),
    "no object": (b"7", "object"),
}


@pytest.mark.parametrize("case", BAD_LOG_EVENTS)
@pytest.mark.parametrize("codec", ["cloudwatch_logs", "auto"])
def test_a_bad_log_event_costs_itself(case, codec):
    bad, reason = BAD_LOG_EVENTS[case]
    if codec == "auto" and case == "no UTF-8":
        return  # no JSON at all
    good = samples.subscription("before", "after")
    record = good.replace(b"},{", b"}," + bad + b",{")
    assert record != good
    other = samples.subscription("other")
    documents, (letter,) = decode(gzip.compress(record + other), codec=codec)
    assert [document["message"] for document in documents] == ["before", "after", "other"]
    assert ids(record + other, codec=codec) == ids(good + other, codec=codec)
    assert (letter.error, letter.event.part) == ("NotJson", 1)
    assert "--codec cloudwatch_logs" not in letter.reason
    assert re.search(f"log event 1 of the record: .*{reason}", letter.reason), letter.reason
    # The letter's bytes are a record: once its event can be read, it has the id that it would have had.
    assert letter.event.data.count(b'"message"') == bad.count(b'"message"')
    mended = letter.event.data.replace(bad, b'{"id":"77","timestamp":5,"message":"mended"}')
    assert (
        ids(mended, codec="cloudwatch_logs")
        == ids(record.replace(bad, b'{"id":"77","timestamp":5,"message":"mended"}'), codec="cloudwatch_logs")[
            1:2
        ]
    )


JSON = {
    "concatenated": b'{"n":0}{"n":1}{"n":2}',
    "with braces in strings": b'{"n":0,"s":"}{"}{"n":1}{"n":2,"s":"} {"}',
    "pretty-printed": b'{\n  "n": 0\n}\n{\n  "n": 1\n}\n\n{\n  "n": 2\n}\n',
    "newline-delimited": b'{"n":0}\n{"n":1}\r\n{"n":2}\n',
    "an array": b'[{"n":0},{"n":1},{"n":2}]',
    "an array with braces in strings": b'[{"n":0,"s":"}{"},{"n":1},{"n":2}]',
    "arrays among objects": b'[{"n":0}][]{"n":1}\n[{"n":2}]',
    "arrays with the ends of arrays in strings": b'[{"n":0,"s":"]["}][{"n":1},{"n":2,"s":"}{"}]',
    "with a byte order mark": b'\xef\xbb\xbf{"n":0}{"n":1}{"n":2}',
    "UTF-16": '{"n":0}{"n":1}{"n":2}'.encode("utf-16"),
    "gzip": gzip.compress(b'{"n":0}{"n":1}{"n":2}'),
    "gzip in gzip": gzip.compress(gzip.compress(b'{"n":0}\n{"n":1}\n{"n":2}')),
    "gzip members": gzip.compress(b'{"n":0}{"n":1}') + gzip.compress(b'{"n":2}'),
}


@pytest.mark.parametrize("how", JSON)
@pytest.mark.parametrize("keep", [True, False])
def test_json_in_any_row(how, keep):
    documents, letters = decode(JSON[how], keep=keep, codec="json")
    assert not letters
    assert [document["n"] for document in documents] == [0, 1, 2]
    assert len(set(ids(JSON[how], codec="json"))) == 3


def test_a_bad_part_is_one_letter():
    documents, (letter,) = decode(b'{"n":0}\n{"n":}\n{"n":2}', codec="json")
    assert [document["n"] for document in documents] == [0, 2]
    assert (letter.event.data, letter.event.part) == (b'{"n":}', 1)


def test_expand_makes_an_event_of_each_element_and_copies_what_is_named():
    record = (
        b'{"Records":[{"a":1},{"a":2,"owner":"own"},7],"owner":"outer","x":{"y":3}}'
        b'{"other":true}{"Records":[]}{"Records":[{"a":4}]}'
    )
    documents, (letter,) = decode(record, codec="json", expand="Records", expand_copy=["owner", "x.y"])
    assert documents == [
        {"a": 1, "owner": "outer", "x": {"y": 3}},
        {"a": 2, "owner": "own", "x": {"y": 3}},
        {"other": True},
        {"a": 4},
    ]
    assert letter.event.data == b"7"
    assert len(set(ids(record, codec="json", expand="Records"))) == 4


def test_an_element_that_has_no_room_for_a_copied_field_costs_itself():
    record = b'{"x":{"y":3},"Records":[{"a":1},{"a":2,"x":null},{"a":3}]}'
    documents, (letter,) = decode(record, codec="json", expand="Records", expand_copy=["x.y"])
    assert [document["a"] for document in documents] == [1, 3]
    assert letter.reason == "cannot set x.y: x is no object"
    assert b'"a":2' in letter.event.data


CSV = b'name,n,note\nanna,1,"a, ""quoted"" note"\n\nbert,two,\n'


def test_csv_by_header_and_by_given_columns():
    documents, letters = decode(CSV, codec="csv")
    assert not letters
    assert documents == [
        {"@timestamp": ARRIVED, "name": "anna", "n": "1", "note": 'a, "quoted" note'},
        {"@timestamp": ARRIVED, "name": "bert", "n": "two"},
    ]
    assert decode(b",,", codec="csv", codec_fields=["a", "b"]) == (
        [{"@timestamp": ARRIVED, "more": [""]}],
        [],
    )
    assert decode(b",", codec="csv", codec_fields=["a", "b"]) == ([{"@timestamp": ARRIVED}], [])
    (document, other), letters = decode(
        b"anna\t1\ttrue\t4\nbert\tx\t\t", codec="tsv", codec_fields=["name", "n:int", "ok:bool"]
    )
    assert not letters
    assert document == {"@timestamp": ARRIVED, "name": "anna", "n": 1, "ok": True, "more": ["4"]}
    assert other == {"@timestamp": ARRIVED, "name": "bert", "n_text": "x", "more": [""]}


def test_the_header_of_an_object_holds_for_its_later_lines_and_for_no_other_object():
    decoder = DecodeOptions(codec="csv").decoder()
    one, two = ToyOrigin(b"one"), ToyOrigin(b"two")
    first = decoder.decode([Event(b"a,b", one, 0), Event(b"1,2", one, 1), Event(b"c", two, 0)])[0]
    events, letters = decoder.decode(
        [Event(b"3", two, 1), Event(b"5,6", one, 2), Event(b"7", ToyOrigin(b"three"), 9)]
    )
    found = [orjson.loads(payload_of(each)) for each in (*first, *events)]
    assert [{k: v for k, v in each.items() if k != "@timestamp"} for each in found] == [
        {"a": "1", "b": "2"}, {"c": "3"}, {"a": "5", "b": "6"},
    ]  # fmt: skip
    assert "--codec_fields" in letters[0].reason


TRACE = b"first\n  at a\n  at b\nsecond\nthird\n  at c"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["first", "  at a", "  at b", "second", "third", "  at c"]),
        ({"codec_multiline": r"^\s"}, ["first\n  at a\n  at b", "second", "third\n  at c"]),
        (
            {"codec_multiline": r"^\S", "codec_negate": True},
            ["first\n  at a\n  at b", "second", "third\n  at c"],
        ),
        (
            {"codec_multiline": r"st$|ond$", "codec_what": "next"},
            ["first\n  at a", "  at b", "second\nthird", "  at c"],
        ),
    ],
)
def test_lines_and_what_belongs_together(options, expected):
    documents, letters = decode(TRACE, codec="lines", **options)
    assert not letters
    assert [document["message"] for document in documents] == expected


def test_what_was_decoded_before_it_was_refused_comes_back_as_the_same_document():
    """A letter of a later step holds the event's JSON and id: the codec must not read that as a record."""
    decoder = DecodeOptions(codec="cloudwatch_logs").decoder(keep_documents=False)
    events, _ = decoder.decode([event(samples.subscription("a", "b"))])
    again, letters = decoder.decode([Event(e.data, e.origin, e.index, e.part, e.id) for e in events])
    assert not letters
    assert [(e.id, payload_of(e), e.timestamp) for e in again] == [
        (e.id, payload_of(e), e.timestamp) for e in events
    ]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (samples.VPC, "--codec vpcflow"),
        (samples.ALB, "--codec alb"),
        (samples.NLB, "--codec nlb"),
        (samples.ELB, "--codec elb"),
        (samples.S3_ACCESS, "--codec s3access"),
        (samples.CLOUDFRONT, "--codec cloudfront"),
        (b"\x03\x00" + bytes(16) + b"x", "Glue schema registry"),
        (b"\x00\x00\x00\x00\x07\x02x", "Confluent's schema registry"),
        (b"PK\x03\x04....", "zip archive"),
        (gzip.compress(b"a" * 257 + b"ustar" + bytes(250)), "a tar archive"),
        (b"ORC\x08\x03\x10\x00" + bytes(20), "an ORC file"),
        (b"Obj\x01" + bytes(20), "an Avro file"),
        (b"PAR1" + bytes(20), "a Parquet file"),
        (samples.subscription("x")[:-2], "--codec cloudwatch_logs"),
        (b"<xml/>", "XML"),
    ],
)
def test_a_letter_says_what_its_bytes_look_like(record, told):
    for data in (record, gzip.compress(record)):
        _, letters = decode(data, codec="json")
        assert told in letters[0].reason


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"codec": "morse"}, "--codec 'morse' is not one of json"),
        (
            {"codec": "plain", "expand": "Records"},
            "--expand is for --codec json, auto; this is --codec plain",
        ),
        ({"codec": "auto", "expand": "logEvents"}, "--expand logEvents is a list of CloudWatch Logs"),
        ({"codec": "json", "codec_fields": ["a"]}, "--codec_fields is for --codec csv, tsv, vpcflow"),
        ({"expand_copy": ["a"]}, "--expand_copy needs --expand"),
        ({"codec": "lines", "codec_multiline": "("}, "no regular expression"),
        ({"expand": "a..b"}, "not a field name"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        DecodeOptions(**options)


def test_every_codec_gives_the_same_from_any_split_of_lines_into_records():
    """One record of three lines, or three records of one: the same documents."""
    for codec, line in (
        ("vpcflow", samples.VPC),
        ("s3access", samples.S3_ACCESS),
        ("elb", samples.ELB),
        ("lines", b"text"),
    ):
        together, _ = decode(b"\n".join([line] * 3), codec=codec)
        apart, _ = decode(line, line, line, codec=codec)
        assert together == apart
        assert len(together) == 3


def test_auto_tells_cloudwatch_logs_from_other_json():
    logs = samples.subscription("one", "two")
    other = b'{"messageType":"DATA_MESSAGE","logEvents":"none","n":1}'
    nested = b'{"detail":' + logs + b"}"
    documents, letters = decode(
        b'{"n":0}', gzip.compress(logs), other, nested, logs + b'{"n":2}' + logs, codec="auto"
    )
    assert not letters
    told = [document.get("message", document.get("n", "nested")) for document in documents]
    assert told == [0, "one", "two", 1, "nested", "one", "two", 2, "one", "two"]
    assert ids(gzip.compress(logs), codec="auto") == ids(logs, codec="cloudwatch_logs")
    assert len(set(ids(logs + b'{"n":2}{"n":3}' + logs, codec="auto"))) == 4


def test_auto_expands_other_json_and_lays_messages_over_events():
    logs, trail = samples.subscription('{"level":"warn"}'), b'{"v":1,"Records":[{"n":1},{"n":2},7]}'
    record = logs + trail + b'{"n":3}' + logs
    options = {"codec": "auto", "expand": "Records", "expand_copy": ["v"], "codec_message_json": True}
    documents, (letter,) = decode(record, **options)
    told = [{key: each.get(key) for key in ("level", "n", "v")} for each in documents]
    warn = {"level": "warn", "n": None, "v": None}
    others = [{"level": None, "n": n, "v": 1 if n < 3 else None} for n in (1, 2, 3)]
    assert told == [warn, *others, warn]
    assert (letter.event.data, letter.event.part) == (b"7", 3)
    assert len(set(ids(record, **options))) == 4


@pytest.mark.parametrize("codec", CODECS)
def test_no_bytes_raise_and_none_are_lost(codec):
    for record in (
        b"",
        b"\n",
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        b"x\x9c",
        b"{",
        b"[",
        b"}{",
        b'"',
        b"\x00" * 50,
        b"a\tb c,d",
    ):
        documents, letters = decode(record, codec=codec)
        assert documents or letters or not record.strip(b"\n\xff\xfe") or codec in ("csv", "tsv")
