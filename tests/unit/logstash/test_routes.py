"""Conditions around outputs: an event is decoded once for all of them, and one that can't be decided costs one output."""

import pickle
from types import SimpleNamespace

import orjson
import pytest

from penstock.testing import through
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.logstash import beam as filters_beam
from penstock.transforms.logstash import routes as routes_module
from penstock.transforms.logstash.compile import Step
from penstock.transforms.logstash.fields import batches
from penstock.transforms.logstash.language._parser import parse_condition
from penstock.transforms.logstash.language._tree import Places
from penstock.transforms.logstash.routes import CONDITION, FilterAndRoute, Route

ORIGIN = SimpleNamespace(arrived_ms=0, position=lambda: None, describe=dict)


def route(name, condition=None):
    if condition is None:
        return Route(name)
    return Route(name, parse_condition(condition), Places(condition))


def routed(step, *documents, source="here"):
    """The events that came, and the batch that the step makes of them where a worker runs it."""
    events = [Event(orjson.dumps(each), ORIGIN, n) for n, each in enumerate(documents)]
    do_fn = pickle.loads(pickle.dumps(step.do_fn))
    (made,) = do_fn.process(EventBatch(SimpleNamespace(source=source), events, []))
    return events, made


OUTPUTS = (route("all"), route("errors", "[level] == 'error'"), route("slow", "[ms] > 100"))


@pytest.mark.parametrize(
    ("document", "bits", "undecided"),
    [
        ({"level": "error", "ms": 200}, 0b111, []),
        ({"level": "info", "ms": 5}, 0b001, []),
        ({"level": "error", "ms": 5}, 0b011, []),
        ({"level": "error"}, 0b011, ["slow"]),
        ({"level": "info", "ms": "x"}, 0b001, ["slow"]),
    ],
)
def test_each_event_goes_where_its_conditions_hold(document, bits, undecided):
    events, batch = routed(FilterAndRoute([], routes=OUTPUTS), document, {"level": "info", "ms": 500})
    assert batch.routes == [bits, 0b101]
    assert [each is event for each, event in zip(batch.events, events, strict=True)] == [True, True]
    assert not any(event.changed or event.document for event in batch.events), "bytes pass as they came"
    assert [(letter.output, letter.stage, letter.event) for letter in batch.dead_letters] == [
        (name, CONDITION, events[0]) for name in undecided
    ]


def test_conditions_see_what_the_filters_made():
    text = """filter { if [kind] == "gone" { drop { } }
      if [kind] == "pieces" { split { field => "ms" } }
      mutate { add_field => { "level" => "error" } } }"""
    _, batch = routed(
        FilterAndRoute([Step("text", text)], routes=OUTPUTS),
        {"kind": "gone", "ms": 500},
        {"kind": "pieces", "ms": [5, 500]},
        {"kind": "one", "ms": 101},
    )
    assert batch.routes == [0b011, 0b111, 0b111]
    assert [event.document["ms"] for event in batch.events] == [5, 500, 101]
    assert {event.filters for event in batch.events} == {filters_beam.filters_name(Step("text", text))}


def test_an_event_that_a_filter_refuses_shifts_no_other():
    text = 'filter { if [ms] > 0 { mutate { add_tag => ["seen"] } } }'
    _, batch = routed(
        FilterAndRoute([Step("text", text)], routes=OUTPUTS), {"ms": 500}, {}, {"ms": 5, "level": "error"}
    )
    assert batch.routes == [0b101, 0b011]
    assert [letter.output for letter in batch.dead_letters] == [None]


@pytest.mark.parametrize("text", [None, "filter { if [level] == 'x' { mutate { add_tag => ['t'] } } }"])
def test_an_event_is_decoded_once_for_all(monkeypatch, text):
    count = 0

    def counted(event):
        nonlocal count
        count += event.document is None
        return orjson.loads(event.data) if event.document is None else event.document

    monkeypatch.setattr(routes_module, "document_of", counted)
    for module in (filters_beam, batches):
        monkeypatch.setattr(module, "document_of", counted)
    steps = [] if text is None else [Step("text", text)]
    _, batch = routed(
        FilterAndRoute(steps, routes=OUTPUTS, keep_documents=True), {"level": "a", "ms": 1}, {"ms": 2}
    )
    assert count == 2
    assert [event.document for event in batch.events] == [{"level": "a", "ms": 1}, {"ms": 2}]


def test_filters_of_one_source_run_for_its_events_alone():
    mark = Step("filter", "mutate", options={"add_field": {"from": "beats"}})
    last = Step("filter", "mutate", options={"add_field": {"seen": "%{from}"}})
    step = FilterAndRoute([last], before={"here": [mark]})
    assert routed(step, {}, source="here#3")[1].events[0].document["seen"] == "beats"
    assert routed(step, {}, source="there")[1].events[0].document["seen"] == "%{from}"


def test_without_conditions_every_event_goes_to_every_output():
    step = FilterAndRoute(
        [Step("filter", "mutate", options={"add_tag": ["a"]})], routes=[route("x"), route("y")]
    )
    assert routed(step, {"m": 1})[1].routes is None
    assert through(step, {"m": 1})[0]["tags"] == ["a"]
