"""Each event gets its `@timestamp`; the bytes stay as they came."""

import pickle

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.dead_letters import decode, encode
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.transforms.batch import DeadLetter
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.events import MapEvents, apply
from penstock.transforms.time.stamping import Stamper
from tests.tools.samples.events import event

ARRIVED = "2026-11-18T11:06:40.000Z"


def _stamped(data: bytes, field: str | None = None, *, keep_documents: bool = False):
    (one,), letters = JsonDecoder(keep_documents=keep_documents).decode([event(data)])
    assert not letters
    Stamper(field)([one])
    return one


@pytest.mark.parametrize("keep_documents", [False, True])
@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        (b'{"a":1}', None, {"@timestamp": ARRIVED, "a": 1}),
        (b' { "a" : 1 }', None, {"@timestamp": ARRIVED, "a": 1}),
        (b"{ }", None, {"@timestamp": ARRIVED}),
        (b"{}", None, {"@timestamp": ARRIVED}),
        (b'{"a":{"@timestamp":1}}', None, {"@timestamp": ARRIVED, "a": {"@timestamp": 1}}),
        (b'{"@timestamp":null,"a":1}', None, {"@timestamp": ARRIVED, "a": 1}),
        # an event's own time stays, whatever it is: Elasticsearch judges it
        (b'{"@timestamp":"2020-01-01T00:00:00Z"}', None, {"@timestamp": "2020-01-01T00:00:00Z"}),
        (b'{"@timestamp":"nonsense"}', None, {"@timestamp": "nonsense"}),
        (b'{"@timestamp":1700000000000}', None, {"@timestamp": 1700000000000}),
        (b'{"@timestamp":{"a":1}}', None, {"@timestamp": {"a": 1}}),
        (b'{"\\u0040timestamp":"2020-01-01T00:00:00Z"}', None, {"@timestamp": "2020-01-01T00:00:00Z"}),
        # a field of the event's: ISO 8601, numbers, patterns; nested; in the place of a time that is there
        (b'{"eventTime":"2026-01-02T03:04:05Z"}', "eventTime",
         {"@timestamp": "2026-01-02T03:04:05.000Z", "eventTime": "2026-01-02T03:04:05Z"}),
        (b'{"timestamp":1767323045123}', "timestamp:UNIX_MS",
         {"@timestamp": "2026-01-02T03:04:05.123Z", "timestamp": 1767323045123}),
        (b'{"t":{"at":"02/Jan/2026:03:04:05 +0000"}}', "[t][at]:dd/MMM/yyyy:HH:mm:ss Z",
         {"@timestamp": "2026-01-02T03:04:05.000Z", "t": {"at": "02/Jan/2026:03:04:05 +0000"}}),
        (b'{"@timestamp":"2020-01-01T00:00:00Z","t":"2026-01-02T03:04:05Z"}', "t",
         {"@timestamp": "2026-01-02T03:04:05.000Z", "t": "2026-01-02T03:04:05Z"}),
        # one that is missing or can't be read costs no event
        (b'{"a":1}', "t", {"@timestamp": ARRIVED, "a": 1}),
        (b'{"@timestamp":"2020-01-01T00:00:00Z","t":null}', "t", {"@timestamp": "2020-01-01T00:00:00Z", "t": None}),
        (b'{"t":"soon"}', "t", {"@timestamp": ARRIVED, "t": "soon", "tags": ["_dateparsefailure"]}),
        (b'{"t":"soon","tags":["x"]}', "t", {"@timestamp": ARRIVED, "t": "soon", "tags": ["x", "_dateparsefailure"]}),
    ],
)  # fmt: skip
def test_what_is_written_has_a_time_and_what_came_stays(data, field, expected, keep_documents):
    one = _stamped(data, field, keep_documents=keep_documents)
    assert orjson.loads(payload_of(one)) == expected == document_of(one)
    assert one.data == data
    again = decode(encode(DeadLetter(one, "e", "r", "s"))).event
    (again,), _ = JsonDecoder(keep_documents=keep_documents).decode([again])
    Stamper(field)([again])
    assert (payload_of(again), again.id, again.timestamp) == (payload_of(one), one.id, one.timestamp)


def test_the_id_is_that_of_the_event_as_it_came():
    (plain,), _ = JsonDecoder(keep_documents=False).decode([event(b'{"a":1}')])
    assert _stamped(b'{"a":1}').id == plain.id == _stamped(b'{"a":1}', "a:UNIX").id


def test_the_index_is_named_by_the_same_time_and_transforms_see_it():
    one = _stamped(b'{"t":"2026-01-02T03:04:05Z"}', "t")
    (document,) = DocumentMaker(ElasticsearchOptions()).documents([one])
    head, source, _ = document.split(b"\n")
    assert orjson.loads(head)["create"]["_index"] == "logstash-2026.01.02"
    assert source == b'{"@timestamp":"2026-01-02T03:04:05.000Z","t":"2026-01-02T03:04:05Z"}'
    made, letters, _ = apply(MapEvents(_keeps)._function, [one], "map")
    assert not letters
    assert orjson.loads(payload_of(made[0]))["@timestamp"] == "2026-01-02T03:04:05.000Z"


def _keeps(document):
    assert "@timestamp" in document
    return document


@given(
    st.dictionaries(
        st.text(max_size=3) | st.just("@timestamp"), st.none() | st.integers(0, 9) | st.text(max_size=3)
    )
)
def test_nothing_but_the_time_is_added(fields):
    one = _stamped(orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS))
    written = orjson.loads(payload_of(one))
    assert {**written, "@timestamp": None} == {**fields, "@timestamp": None}
    assert written["@timestamp"] is not None


def test_a_stamper_travels_and_a_wrong_format_is_an_error():
    assert pickle.loads(pickle.dumps(Stamper("a:UNIX"))).field == "a:UNIX"
    with pytest.raises(ValueError, match="--timestamp_field 'a:qq': date pattern"):
        DecodeOptions(timestamp_field="a:qq")
