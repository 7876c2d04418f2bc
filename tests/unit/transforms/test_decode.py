import pickle

import orjson
import pytest

from penstock.transforms import DecodeJson, DecodePlain
from penstock.transforms.batch import Event
from penstock.transforms.codecs.json_objects import JsonDecoder, RecordTooLarge
from penstock.transforms.codecs.plain import PlainDecoder
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.fields import parse_path
from tests.tools.samples.events import ToyOrigin, event, filebeat_events

BOTH = pytest.mark.parametrize("keep", [True, False])


def _decode(*payloads: bytes, **options):
    events = [event(payload, index) for index, payload in enumerate(payloads)]
    return JsonDecoder(**options).decode(events)


@BOTH
def test_an_object_keeps_its_bytes(keep):
    payload = b'{"a": 1,\n "@timestamp":"2026-11-22T00:00:00Z"}'
    (one,), letters = _decode(payload, keep_documents=keep)
    assert not letters
    assert one.data == payload
    assert one.timestamp == "2026-11-22T00:00:00Z"
    assert (one.document is not None) is keep
    assert payload_of(one) == payload.replace(b"\n", b" ")
    assert document_of(one) == {"a": 1, "@timestamp": "2026-11-22T00:00:00Z"}


def test_ids_do_not_depend_on_keeping_documents():
    payloads = [
        *filebeat_events(),
        b'{"m":1}',
        b'[{"m":1},{"m":2}]',
        b'{"agent":{"id":5}}',
        b'{"agent":"text"}',
    ]
    kept, _ = _decode(*payloads, keep_documents=True)
    dropped, _ = _decode(*payloads, keep_documents=False)
    assert [(e.id, e.timestamp) for e in kept] == [(e.id, e.timestamp) for e in dropped]
    assert len({e.id for e in kept}) == len(kept) == 205


@BOTH
def test_an_array_becomes_several_events_with_their_own_bytes_and_ids(keep):
    (a, b), letters = _decode(b'[ {"a": 1.10} ,{"a":2}]', keep_documents=keep)
    assert not letters
    assert (a.data, b.data) == (b'{"a": 1.10}', b'{"a":2}')
    assert (a.part, b.part) == (0, 1)
    assert a.id != b.id
    assert a.id == _decode(b'{"other":1}')[0][0].id  # the first part is what the record was


@BOTH
def test_lines_become_several_events_and_a_bad_line_is_refused_alone(keep):
    events, letters = _decode(b'{"a":1}\n\n{"a":2}\r\n{"a":\n{"a":4}\n7', keep_documents=keep)
    assert [document_of(e)["a"] for e in events] == [1, 2, 4]
    assert len({e.id for e in events}) == 3
    assert [letter.event.data for letter in letters] == [b'{"a":', b"7"]
    assert all(letter.stage == "decode" for letter in letters)


@BOTH
def test_nothing_becomes_nothing(keep):
    assert _decode(b"[]", b"\n", b" \n\t\n", keep_documents=keep) == ([], [])


@BOTH
@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"nope", b"null", b"5", b'"text"', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":"\xff"}', b'{"\xc3":1}',
        b'{"a":"\\ud800"}', b"\xef\xbb\xbf", b'{"a":1}x', b'{"a":1,}', b"{'a':1}", b'{"a":"\x00"}', b"[1]", b"\x00",
        b'{"a":' * 1100 + b"1" + b"}" * 1100, b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_with_a_reason(payload, keep):
    events, (letter,) = _decode(payload, keep_documents=keep)
    assert events == []
    assert letter.event.data in (payload, b"1")
    assert letter.reason
    assert letter.error in ("JSONDecodeError", "NotAnObject", "ValueError")


def test_stated_results_for_odd_documents():
    (twice, big, deep), letters = _decode(
        b'{"a":1,"a":2}', b'{"n":123456789012345678901234567890}', b'{"a":' * 900 + b"1" + b"}" * 900
    )
    assert not letters
    assert twice.document == {"a": 2}
    assert payload_of(twice) == b'{"a":1,"a":2}'
    assert payload_of(big) == b'{"n":123456789012345678901234567890}'
    assert big.document == {"n": 1.2345678901234568e29}
    assert deep.id is not None


@BOTH
def test_bounds(keep):
    events, letters = _decode(b'{"a":"xxxxxxxxxx"}', b"{}", keep_documents=keep, max_bytes=10)
    assert len(events) == 1
    assert letters[0].error == RecordTooLarge.__name__
    assert "18 bytes, max_bytes is 10" in letters[0].reason
    events, letters = _decode(b"[{},{},{}]", b"{}\n{}\n{}", b"[{},{}]", keep_documents=keep, max_parts=2)
    assert len(events) == 2
    assert ["3 events" in letter.reason for letter in letters] == [True, True]


def test_a_number_beyond_a_double_is_refused_where_documents_are_kept():
    payloads = [b'{"a":1}', b'{"a":1e999}', b"[1]", b'{"a":2}']
    events, letters = _decode(*payloads, keep_documents=True)
    assert [e.document for e in events] == [{"a": 1}, {"a": 2}]
    assert [(letter.event.data, letter.event.id) for letter in letters] == [(payloads[1], None), (b"1", None)]
    assert [e.data for e in _decode(*payloads, keep_documents=False)[0]] == [
        payloads[0],
        payloads[1],
        payloads[3],
    ]


def test_on_error_tag_keeps_the_text():
    (one,), letters = _decode(b"not \xff json", on_error="tag")
    assert not letters
    assert orjson.loads(payload_of(one)) == {
        "@timestamp": "2026-11-18T11:06:40.000Z",
        "message": "not \ufffd json",
        "tags": ["_jsonparsefailure"],
    }
    assert one.data == b"not \xff json"
    assert one.id is not None


def test_on_error_raise():
    with pytest.raises(ValueError, match=r"JSON|literal"):
        _decode(b"{}", b"nope", on_error="raise")


def test_other_charsets():
    (one,), letters = _decode('{"a":"é"}'.encode("latin-1"), charset="iso8859-1")
    assert not letters
    assert orjson.loads(payload_of(one)) == {"a": "é"}
    assert _decode(b'{"a":"\xe9"}')[1][0].error == "JSONDecodeError"
    assert _decode(b'{"a":"\x81"}', charset="cp1252")[1][0].error == "UnicodeDecodeError"


def test_source_and_target():
    payload = orjson.dumps({"message": '{"a":1,"k":2}', "k": 1})
    (root,), _ = _decode(payload, source=parse_path("message"))
    assert root.document == {"message": '{"a":1,"k":2}', "k": 2, "a": 1}
    assert root.changed
    (under,), _ = _decode(payload, source=parse_path("message"), target=parse_path("parsed.json"))
    assert under.document["parsed"] == {"json": {"a": 1, "k": 2}}
    (whole,), _ = _decode(b'{"a":1}', target=parse_path("doc"))
    assert whole.document == {"@timestamp": "2026-11-18T11:06:40.000Z", "doc": {"a": 1}}
    events, letters = _decode(
        b'{"message":"no json"}', b"{}", b'{"message":"5"}', source=parse_path("message")
    )
    assert events == []
    assert len(letters) == 3


def test_decoding_again_after_a_failed_bundle_gives_the_same():
    one = event(filebeat_events()[0])
    for options in ({}, {"keep_documents": False}, {"target": parse_path("x")}, {}):
        events, _ = JsonDecoder(**options).decode([one])
        assert len(events) == 1
    assert one.document == orjson.loads(one.data)
    assert not one.changed


def test_plain_puts_all_into_message():
    (one,), letters = PlainDecoder("utf-8").decode([event("café\nline 2".encode())])
    assert not letters
    assert orjson.loads(payload_of(one)) == {
        "@timestamp": "2026-11-18T11:06:40.000Z",
        "message": "café\nline 2",
    }
    assert b"\n" not in payload_of(one)
    assert one.timestamp == "2026-11-18T11:06:40.000Z"
    (latin,), _ = PlainDecoder("latin-1").decode([event(b"caf\xe9")])
    assert latin.document["message"] == "café"


def test_plain_destroys_no_bytes():
    (), (letter,) = PlainDecoder().decode([event(b"caf\xe9")])
    assert letter.event.data == b"caf\xe9"
    assert "--codec_base64_field" in letter.reason
    (kept,), () = PlainDecoder(base64_field="raw").decode([event(b"caf\xe9")])
    assert orjson.loads(payload_of(kept)) == {"@timestamp": "2026-11-18T11:06:40.000Z", "raw": "Y2Fm6Q=="}


def test_plain_events_are_known_by_their_position():
    same = [Event(b"x", ToyOrigin(b"p"), 0), Event(b"x", ToyOrigin(b"p"), 1), Event(b"x", ToyOrigin(b"q"), 0)]
    events, _ = PlainDecoder("utf-8").decode(same)
    assert len({e.id for e in events}) == 3


def test_wrong_arguments_are_refused_and_the_transforms_pickle():
    with pytest.raises(ValueError, match="on_error"):
        DecodeJson(on_error="ignore")
    with pytest.raises(ValueError, match="at least 1"):
        DecodeJson(max_bytes=0)
    with pytest.raises(LookupError):
        DecodePlain(charset="klingon")
    pickle.loads(pickle.dumps(DecodeJson(source="a.b", target="c")))
