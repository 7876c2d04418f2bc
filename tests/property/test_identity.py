"""Ids: the same event has one however it comes, two events never share one, and the short cut never disagrees."""

import random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import document_of
from penstock.transforms.identity import document_id
from tests.tools.samples.events import ToyOrigin, filebeat_events

CAPTURE = filebeat_events()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
LIKELY = st.one_of(
    TEXT, st.sampled_from(["a", "b", "2026-11-22T00:00:00.000Z", "/var/log/a"]), st.integers(0, 3), JSON
)
MAYBE_OBJECT = lambda **fields: st.fixed_dictionaries({}, optional=fields) | LIKELY  # noqa: E731
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "@timestamp": LIKELY,
        "@metadata": MAYBE_OBJECT(beat=LIKELY, _id=LIKELY),
        "agent": MAYBE_OBJECT(ephemeral_id=LIKELY, id=LIKELY),
        "log": MAYBE_OBJECT(offset=LIKELY, file=MAYBE_OBJECT(path=LIKELY)),
        "host": MAYBE_OBJECT(name=LIKELY),
        "beat": MAYBE_OBJECT(hostname=LIKELY),
        "source": LIKELY,
        "offset": LIKELY,
        "message": LIKELY,
    },
)


def _shuffled(value, seed: int):
    if isinstance(value, dict):
        keys = list(value)
        random.Random(seed).shuffle(keys)
        return {key: _shuffled(value[key], seed) for key in keys}
    return [_shuffled(item, seed) for item in value] if isinstance(value, list) else value


def _id(data: bytes, position: bytes = b"p", index: int = 0, *, keep: bool) -> str | None:
    (one,), letters = JsonDecoder(keep_documents=keep).decode([Event(data, ToyOrigin(position), index)])
    assert not letters
    return one.id


@given(DOCUMENTS, st.integers(0, 5))
def test_the_scan_says_what_the_full_decoder_says(document, index):
    data = orjson.dumps(document)
    for position in (b"p", None):
        events = [Event(data, ToyOrigin(position), index) for _ in range(2)]
        (scanned,), _ = JsonDecoder(keep_documents=False).decode(events[:1])
        (decoded,), _ = JsonDecoder(keep_documents=True).decode(events[1:])
        assert (scanned.id, scanned.timestamp) == (decoded.id, decoded.timestamp)
        assert decoded.id == document_id(events[1], document)
        assert document_of(scanned) == document


@given(
    st.binary(max_size=60)
    | st.sampled_from(CAPTURE).flatmap(lambda p: st.integers(0, len(p)).map(lambda n: p[:n] + p[n + 1 :]))
)
def test_bytes_that_only_one_of_them_takes_are_no_bytes(data):
    scanned = JsonDecoder(keep_documents=False).decode([Event(data, ToyOrigin(), 0)])
    decoded = JsonDecoder(keep_documents=True).decode([Event(data, ToyOrigin(), 0)])
    assert [(e.id, e.timestamp, e.data) for e in scanned[0]] == [
        (e.id, e.timestamp, e.data) for e in decoded[0]
    ]
    assert [(x.error, x.event.data) for x in scanned[1]] == [(x.error, x.event.data) for x in decoded[1]]


@given(st.sampled_from(CAPTURE), st.integers(), st.binary(max_size=4), st.booleans())
def test_a_captured_event_sent_again_keeps_its_id(data, seed, position, indent):
    again = orjson.dumps(_shuffled(orjson.loads(data), seed), option=orjson.OPT_INDENT_2 if indent else None)
    assert _id(again, position, 5, keep=False) == _id(again, keep=True) == _id(data, keep=False)


def test_no_two_captured_events_share_an_id():
    assert len({_id(data, keep=False) for data in CAPTURE}) == len(CAPTURE)


LINE = st.tuples(
    st.sampled_from(["e1", "e11", "e"]),
    st.sampled_from(["/a", "1/a", "/a1", ""]),
    st.integers(0, 20) | st.integers(0, 2**62),
    st.sampled_from(["2026-11-22T00:00:00.000Z", "2026-11-22T00:00:00.001Z", "12026-11-22T00:00:00.000Z"]),
)


@given(LINE, LINE)
def test_two_lines_share_an_id_only_if_they_are_the_same(first, second):
    def line(reader, path, offset, timestamp):
        document = {
            "agent": {"ephemeral_id": reader},
            "log": {"offset": offset, "file": {"path": path}},
            "@timestamp": timestamp,
        }
        return _id(orjson.dumps(document), keep=False)

    assert (line(*first) == line(*second)) == (first == second)


PLACE = st.tuples(
    st.binary(min_size=1, max_size=6), st.integers(0, 300) | st.integers(0, 2**40), st.integers(0, 300)
)


@given(PLACE, PLACE)
def test_two_records_share_an_id_only_if_they_are_the_same(first, second):
    def name(position, index, part):
        return document_id(Event(b"", ToyOrigin(position), index, part), {"m": 1})

    assert (name(*first) == name(*second)) == (first == second)
    assert len(name(*first)) <= 32


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([2**63, 2**64, -(2**63)]).flatmap(lambda edge: st.integers(edge - 2, edge + 2)).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)


@given(NUMBERS, st.booleans())
def test_every_json_number_as_an_offset_gives_one_id(number, keep):
    """The scanner, the kernel and the full decoder agree on what is a whole number."""
    line = '{"@timestamp":"2026-11-22T00:00:00.000Z","agent":{"id":"a"},"log":{"offset":%s,"file":{"path":"/x"}}}'
    data = (line % number).encode()
    assert _id(data, keep=keep) == document_id(Event(data, ToyOrigin(b"p"), 0), orjson.loads(data))
