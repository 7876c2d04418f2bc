"""The kernel that scans events: it finds only what the full decoder finds too, with the same id and time, byte for byte."""

import datetime
import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.document import document_of
from penstock.transforms.identity import document_id
from penstock.transforms.kernels import native
from penstock.transforms.time import timestamps
from tests.tools.samples.events import ToyOrigin, filebeat_events

kernel = native.load("penstock.transforms.kernels._native_scan", str)
pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel isn't built, or switched off")

CAPTURE = filebeat_events()
MAX_BYTES = 1 << 20


def _found(data: bytes, position: bytes | None = b"p", index: int = 0, part: int = 0) -> bool:
    """Whether the kernel found the event; checks all it says against the full decoder."""
    event = Event(data, ToyOrigin(position), index, part, "before", "before")
    (left,) = kernel.scan_batch([event], Event, MAX_BYTES) or [None]
    if left is not None:
        assert (left, event.id, event.timestamp, event.document) == (0, "before", "before", None)
        return False
    document = orjson.loads(data)
    assert isinstance(document, dict)
    plain = Event(data, ToyOrigin(position), index, part)
    assert event.id == document_id(plain, document)
    assert event.timestamp == timestamps.of_value(document.get("@timestamp"))
    return True


def test_filebeats_events_are_found():
    assert all(_found(data) for data in CAPTURE if b'"log":' in data)


EDITS = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.integers(0, 3),
        st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"{"]),
    ),
    max_size=3,
)


@given(st.sampled_from(CAPTURE), EDITS)
def test_captured_events_with_rotten_places(data, edits):
    for place, dropped, added in edits:
        place %= len(data)
        data = data[:place] + added + data[place + dropped :]
    _found(data)


TOKENS = [
    b'{ } [ ] , : " "" "a" "\\" "\\u" "\\ud83d\\ude00" "\\ud83d" "\\ude00" "\\u00e9" "\\n" "\\x"'.split(),
    b'"\xc3\xa9" "\xe2\x82\xac" "\xf0\x9f\x98\x80" "\xed\xa0\x80" "\xc0\xaf" "\xf4\x90\x80\x80" "\xff"'.split(),
    [b'"\x00"', b'"\x1f"', b'"\x7f"', b"\x00", b"\xef\xbb\xbf", b"\n", b"\t", b"\r", b"\x0b", b" "],
    b"0 -0 1 -1 01 1. .5 1.5 1e5 1E+5 1e-5 1e 1e999 1e99 -1e308 - + 12345678901234567890".split(),
    b"true false null nul NaN".split(),
    b'"@timestamp" "@metadata" "agent" "log" "beat" "_id" "id" "ephemeral_id" "file" "path" "offset" "\\u0069d"'.split(),
    b'"2026-11-22T13:28:01.000Z" {"id": "r" {"offset":7,"file":{"path":"/a"}} {"beat":"b"}'.split(),
]
FLAT = [token for line in TOKENS for token in line]


@given(st.lists(st.sampled_from(FLAT), max_size=12), st.booleans())
def test_any_order_of_tokens(tokens, in_an_object):
    data = b"".join(tokens)
    _found(b'{"m":' + data + b"}" if in_an_object else data)


@given(st.binary(max_size=40))
def test_any_bytes_in_a_string(data):
    _found(b'{"m":"' + data + b'"}')


@pytest.mark.parametrize("token", TOKENS[0][7:] + TOKENS[1] + TOKENS[2] + TOKENS[3] + TOKENS[4], ids=repr)
def test_what_a_value_may_be(token):
    """Whatever orjson takes as a plain value is found, and nothing else."""
    data = b'{"m": %b , "n":[%b]}' % (token, token)
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        assert not _found(data)
    else:
        unusual = token == b"-1e308"  # left to the full decoder
        assert _found(data) != unusual


STRUCTURES = (
    b'{"a":1,}|{,"a":1}|{"a":1,,"b":2}|{"a" 1}|{"a":}|{"a"}|{:1}|{1:2}|{a:1}|{"a":1|"a":1}|{"a":1}}|{}{}|{} {}|{}x|{}\0'
    b'|[]|[{}]|1|null|"a"||{|}|{]|{"a":[}|{"a":[1,]}|{"a":[,1]}|{"a":[1 2]}|{"a":[1}|{"a":[1]]}'
    b'|{"a":{"b":1]}|{\'a\':1}|{"a":\'1\'}|{"a":1;}|{"a":/**/1}|{"a":tru}|{"a":truex}|{"a":True}|{"a":0x1}'
    b'|{"a":1 }|{ "a" : [ ] }|{"a":[[],{}]}|{"":""}|{"a":"b|{"a":"\\"}|{"a\\":1}|{"a":"\\u12"}|\t{}\r\n|\x0c{}|{}\xc2\xa0'
).split(b"|")


@pytest.mark.parametrize("data", STRUCTURES, ids=repr)
def test_structures(data):
    """Whatever orjson takes as an object is found, and nothing else."""
    try:
        valid = isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        valid = False
    assert _found(data) == (valid and b'"a\\' not in data)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.booleans())
def test_every_text_is_found(text, ascii_only):
    quoted = orjson.dumps({"m": text, text + "k": [text]})
    _found(quoted)
    assert _found(b'{"m":%b}' % orjson.dumps(text))
    assert not ascii_only or _found(
        b'{"m":"%b"}' % "".join(f"\\u{ord(c):04x}" for c in text if ord(c) < 0xFFFF).encode()
    )


def test_depth_and_size_have_bounds():
    assert _found(b'{"m":' + b"[" * 200 + b"]" * 200 + b"}")
    assert not _found(b'{"m":' + b"[" * 2000 + b"]" * 2000 + b"}")
    assert not _found(b'{"m":' * 100_000 + b"1" + b"}" * 100_000)
    assert not _found(b'{"m":"' + b"x" * MAX_BYTES + b'"}')
    assert not _found(b'{"m":' + b"9" * 400 + b"}")


SIMPLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LONG = st.builds(lambda text, times: text * times, SIMPLE, st.integers(1, 80))
WHEN = st.one_of(
    st.integers(-3_000_000, 13_000_000_000).map(
        lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).isoformat()[:19] + "Z"
    ),
    st.sampled_from(
        ["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2000-02-29T23:59:60Z", "2100-02-29T00:00:00Z"]
    ),
    st.sampled_from(
        ["2026-12-31T23:59:61", "2026-11-22T13:28", "2026-11-22T13:28:", "2026-11-22 13:28:01Z", "x" * 70]
    ),
    st.text("0123456789-:TZ", max_size=24),
    SIMPLE,
)


@given(LONG, LONG, st.integers(-5, 5) | st.integers(0, 2**64 - 1), WHEN, st.integers(0, 999))
def test_the_ids_of_lines(reader, path, offset, timestamp, seed):
    agent = {"type": "filebeat", random.Random(seed).choice(["id", "ephemeral_id"]): reader}
    document = {"@timestamp": timestamp, "agent": agent, "log": {"offset": offset, "file": {"path": path}}}
    _found(orjson.dumps(document))


@pytest.mark.parametrize("path", ["C:\\logs\\a.log", "/a\tb", "/\u00e9/\u20ac", "/" + "x" * 500, 'a"b'])
def test_paths_that_are_found(path):
    document = {
        "@timestamp": "2026-11-22T13:28:01.000Z",
        "agent": {"id": "r"},
        "log": {"offset": 0, "file": {"path": path}},
    }
    assert _found(orjson.dumps(document))


NUMBERS = st.integers(0, 300) | st.integers(0, 2**63 - 1) | st.sampled_from([2**36 - 1, 2**36])


@given(st.binary(max_size=400), NUMBERS, st.just(0) | NUMBERS)
def test_the_ids_of_positions(position, index, part):
    assert _found(b"{}", position, index, part)
    assert not _found(b"{}", None, index, part)


@pytest.mark.parametrize(("index", "part"), [(-1, 0), (0, -1), (2**63, 0), (0, 2**64)])
def test_numbers_that_no_event_has(index, part):
    assert not _found(b"{}", b"p", index, part)


@pytest.mark.parametrize(
    "data",
    [
        b'{"agent":{"id":"r","id":"s"}}',
        b'{"@timestamp":"2026-11-22T13:28:01.000Z","@timestamp":1}',
        b'{"\\u0040timestamp":"2026-11-22T13:28:01.000Z"}',
        b'{"@timestamp":1795000000000}',
        b'{"@metadata":{"_id":"mine"}}',
        b'{"@metadata":{"beat":"filebeat"}}',
        b'{"beat":{"hostname":"web-1"}}',
        b'{"agent":{"ephemeral_id":"","id":""}}',
        b'{"agent":{"id":1}}',
    ],
)
def test_what_is_left_to_the_full_decoder(data):
    assert not _found(data)


@pytest.mark.parametrize(
    "data", [b'{"agent":"Mozilla/5.0"}', b'{"log":[1]}', b'{"@metadata":null}', b'{"beat":"b"}', b" {}\n"]
)
def test_fields_that_only_have_the_names_of_a_beats(data):
    assert _found(data)


def test_a_batch_of_both_kinds_and_what_an_event_held_before():
    origins = [ToyOrigin(b"a"), ToyOrigin(b"b"), ToyOrigin(None)]
    events = [Event(b"{}" if n % 5 else b"[]", origins[n // 4 % 3], n) for n in range(60)]
    events[1].document, events[1].changed = {"other": 1}, True
    left = kernel.scan_batch(events, Event, MAX_BYTES)
    assert left == [n for n, event in enumerate(events) if not n % 5 or event.origin.position() is None]
    assert all(event.id == document_id(event, {}) for n, event in enumerate(events) if n not in left)
    assert (document_of(events[1]), events[1].changed) == ({}, False)


@given(
    st.lists(st.sampled_from(CAPTURE) | st.sampled_from([b"{}", b"[]", b'{"agent":{"id":""}}']), max_size=40),
    st.integers(0, 300),
)
def test_hashes_of_a_batch_are_made_side_by_side(datas, longer):
    # Beyond 128 bytes, what is hashed doesn't wait for others.
    datas = [
        data.replace(b'"path":"', b'"path":"' + b"p" * longer) if n % 3 else data
        for n, data in enumerate(datas)
    ]
    events = [Event(data, ToyOrigin(), n) for n, data in enumerate(datas)]
    left = kernel.scan_batch(events, Event, MAX_BYTES)
    for place, event in enumerate(events):
        if place in left:
            assert (event.id, event.timestamp) == (None, None)
        else:
            document = orjson.loads(event.data)
            assert event.id == document_id(Event(event.data, event.origin, place), document)
            assert event.timestamp == timestamps.of_value(document.get("@timestamp"))


def test_what_an_origin_raises_comes_out():
    class Broken(ToyOrigin):
        def position(self):
            raise RuntimeError("no position")

    with pytest.raises(RuntimeError, match="no position"):
        kernel.scan_batch([Event(b"{}", ToyOrigin(), 0), Event(b"{}", Broken(), 1)], Event, MAX_BYTES)


def test_other_objects_are_left_and_other_classes_refused():
    assert kernel.scan_batch([1, None, Event("text", ToyOrigin(), 0)], Event, MAX_BYTES) == [0, 1, 2]
    for wrong in (dict, 3):
        with pytest.raises((TypeError, AttributeError)):
            kernel.scan_batch([], wrong, MAX_BYTES)
    with pytest.raises(TypeError):
        kernel.scan_batch((), Event, MAX_BYTES)
