import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from penstock.transforms import AsElements, DecodeJson, FilterEvents, FlatMapEvents, MapEvents
from penstock.transforms.document import payload_of
from penstock.transforms.events import apply
from tests.tools.samples.events import batch, event, filebeat_events


def _apply(transform, *payloads: bytes):
    return apply(transform._function, [event(p, i) for i, p in enumerate(payloads)], "s")


def test_map_replaces_events_and_what_raises_is_refused_alone():
    def double(document):
        document["a"] = document["a"] * 2
        return document

    first = event(b'{"a":1}')
    first.id = "keep me"
    events, letters, dropped = apply(MapEvents(double)._function, [first, event(b"{}"), event(b"nope")], "s")
    assert [payload_of(e) for e in events] == [b'{"a":2}']
    assert events[0].id == "keep me"
    assert events[0].data == b'{"a":1}'
    assert [(letter.error, letter.event.data) for letter in letters] == [
        ("KeyError", b"{}"),
        ("JSONDecodeError", b"nope"),
    ]
    assert dropped == 0
    assert not first.changed, "an event handed out again after a failed bundle must be as it came"


def test_map_must_return_the_event():
    _, (letter,), _ = _apply(MapEvents(lambda document: None), b"{}")
    assert letter.error == "TypeError"
    assert "returned NoneType" in letter.reason


def test_map_reads_the_timestamp_anew():
    (one,), _, _ = _apply(MapEvents(lambda d: {**d, "@timestamp": "2020-01-01T00:00:00Z"}), b"{}")
    assert one.timestamp == "2020-01-01T00:00:00Z"


def test_filter_keeps_events_as_they_are():
    events, letters, dropped = _apply(FilterEvents(lambda d: d["a"] > 1), b'{"a":1}', b'{"a": 2}', b"{}")
    assert [payload_of(e) for e in events] == [b'{"a": 2}']
    assert dropped == 1
    assert letters[0].error == "KeyError"


def test_flat_map_numbers_the_ids():
    one = event(b'{"n":3}')
    one.id = "x"
    events, _, _ = apply(FlatMapEvents(lambda d: [{"i": i} for i in range(d["n"])])._function, [one], "s")
    assert [(e.id, payload_of(e)) for e in events] == [
        ("x", b'{"i":0}'),
        ("x-1", b'{"i":1}'),
        ("x-2", b'{"i":2}'),
    ]
    _, _, dropped = apply(FlatMapEvents(lambda d: [])._function, [one], "s")
    assert dropped == 1


def test_batches_keep_their_tokens_even_when_emptied():
    def check(batches):
        (one,) = batches
        assert one.receipt.tokens == [1]
        assert one.events == []
        assert len(one.dead_letters) == 1

    with beam.Pipeline() as pipeline:
        batches = (
            pipeline
            | beam.Create([batch(event(b'{"a":1}'), event(b"nope"))])
            | DecodeJson()
            | FilterEvents(lambda document: False)
        )
        assert_that(batches, check)


def test_as_elements_gives_plain_dicts():
    payloads = filebeat_events()[:3]
    with beam.Pipeline() as pipeline:
        elements = (
            pipeline
            | beam.Create([batch(*[event(payload) for payload in payloads], event(b"nope"))])
            | AsElements()
            | beam.Map(lambda document: document["log"]["offset"])
        )
        assert_that(elements, equal_to([0, 129, 269]))


def test_unknown_names_are_attribute_errors():
    import penstock.transforms

    with pytest.raises(AttributeError, match="Nothing"):
        _ = penstock.transforms.Nothing
    for name in penstock.transforms.__all__:
        assert getattr(penstock.transforms, name)
