"""Letters of a plan go again: through the same filters, to the output that refused them only, under the same id."""

import orjson
import pytest

from penstock.io.dead_letters._letters import decode, encode
from penstock.io.errors import OptionError
from penstock.io.kinesis import with_record_properties
from penstock.io.kinesis.positions import KinesisRecord
from penstock.pipelines.logstash.graph import build
from penstock.pipelines.logstash.graph_replay import Replay, replay
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.document import payload_of
from penstock.transforms.logstash.compile import Step
from penstock.transforms.logstash.routes import CONDITION, FILTERS
from tests.tools.samples.plans import LETTERS, from_kinesis, output, plan

MARK = Step("filter", "mutate", options={"add_field": {"seen": "%{n}"}})
SPLIT = Step("text", 'filter { split { field => "list" } mutate { add_tag => ["t"] } }')
RECORD = Step(
    "text",
    """filter { mutate { add_field => {
    "at" => "%{[@metadata][partition_key]} %{[@metadata][sequence_number]} %{[@metadata][beat]}" } }
    if [@metadata][approximate_arrival_timestamp] == 1700000000000 { mutate { add_tag => ["now"] } } }""",
)
SOME = Step("text", 'filter { if [n] > 1 { mutate { add_tag => ["t"] } } }')
ORIGIN = KinesisRecord("logs", "shardId-0", "4711", "k", 1_700_000_000_000, 0)


def outputs(condition=None):
    return [
        output("elasticsearch", name="a"),
        output("elasticsearch", condition, name="b"),
        output("null", name="c"),
    ]


def batch_of(given, *documents):
    """The batch in front of the outputs, as the job makes it."""
    records = [document if isinstance(document, bytes) else orjson.dumps(document) for document in documents]
    batch = EventBatch(None, [Event(data, ORIGIN, n) for n, data in enumerate(records)], [])
    for label, step in build(given, LETTERS):
        if label == "AddRecordProperties":
            events = [made for each in batch.events for made in with_record_properties(each)]
            batch = batch.with_events(events)
        if label in ("Decode", "Filters"):
            (batch,) = (step.fn if label == "Decode" else step.do_fn).process(batch)
    return batch


def shown(event):
    return event.id, orjson.loads(payload_of(event)), event.timestamp


def sent(given, letters):
    """What each output gets of the letters, as they come from a store, and what is refused again."""
    got = {each.name: [] for each in given.outputs}

    def writer(name):
        return lambda events: got[name].extend(map(shown, events)) or []

    again = Replay(given, [writer(each.name) for each in given.outputs]).send(
        [decode(encode(each)) for each in letters]
    )
    return {name: events for name, events in got.items() if events}, again


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        ((), [{"n": 1}, {"n": 2, "@timestamp": "2026-11-22T10:00:00.000Z"}]),
        ((MARK,), [{"n": 1}, {"n": 2}]),
        ((SOME,), [{"n": 1}, {"n": 2}]),
        ((MARK, SOME), [{"n": 1}, {"n": 2}]),
        ((SPLIT,), [{"list": ["x", "y", "z"]}, {"list": list(range(12))}]),
        ((), [[{"n": 1}, {"n": 2}]]),
        ((MARK,), [[{"n": 1}, {"n": 2}]]),
        ((SPLIT,), [[{"list": ["x", "y"]}, {"list": ["z", "z"]}]]),
        ((RECORD,), [{"n": 1}, {"n": 2, "@metadata": {"beat": "b"}}]),
        ((), [{"n": 1}]),
    ],
)
@pytest.mark.parametrize("properties", [False, True])
def test_what_an_output_refused_comes_to_it_alone_as_it_was(filters, documents, properties):
    given = plan([from_kinesis(properties=properties)], outputs(), filters)
    events = batch_of(given, *documents).events
    letters = [DeadLetter(event, "mapping", "r", "elasticsearch", 400, output="b") for event in events]
    as_they_were = list(map(shown, events))
    assert len(as_they_were) == len({name for name, _, _ in as_they_were})
    assert properties == all("4711" in repr(document) for _, document, _ in as_they_were)
    got, again = sent(given, letters)
    assert got == {"b": as_they_were}
    assert again == []


def test_what_a_filter_or_the_decoder_refused_goes_the_whole_way():
    given = plan([from_kinesis()], outputs("[n] > 5"), [SOME])
    batch = batch_of(given, {"m": 1}, b"no JSON")
    assert [letter.stage for letter in batch.dead_letters] == ["decode", FILTERS]
    mended = [DeadLetter(each.event, each.error, each.reason, each.stage) for each in batch.dead_letters]
    got, again = sent(given, mended)
    assert got == {}
    assert sorted(letter.stage for letter in again) == ["decode", FILTERS], (
        "refused again for the same reasons"
    )
    for letter in mended:
        letter.event.data = b'{"n": 9}'
    got, again = sent(given, mended)
    assert [[document for _, document, _ in got[name]] for name in "abc"] == [
        [{"n": 9, "tags": ["t"], "@timestamp": "2023-11-14T22:13:20.000Z"}] * 2
    ] * 3
    assert again == []


def test_what_a_condition_could_not_decide_is_asked_again():
    given = plan([from_kinesis()], outputs("[n] > 5"), [MARK])
    batch = batch_of(given, {"m": 1})
    (letter,) = batch.dead_letters
    assert (letter.output, letter.stage) == ("b", CONDITION)
    got, again = sent(given, [letter])
    assert (got, [each.output for each in again]) == ({}, ["b"])
    for n, expected in ((6, ["b"]), (5, [])):
        letter.event.data = b'{"n": %d}' % n
        assert list(sent(given, [letter])[0]) == expected


def test_letters_without_an_output_go_to_all_of_their_kind():
    given = plan([from_kinesis()], outputs())
    (event,) = batch_of(given, {"n": 1}).events
    got, _ = sent(given, [DeadLetter(event, "mapping", "r", "elasticsearch", 400)])
    assert list(got) == ["a", "b"]


def test_what_is_refused_again_names_its_output_again():
    given = plan([from_kinesis()], outputs())
    (event,) = batch_of(given, {"n": 1}).events

    def refuse(events):
        return [DeadLetter(each, "again", "r", "elasticsearch") for each in events]

    again = Replay(given, [refuse] * 3).send([DeadLetter(event, "e", "r", "elasticsearch", output="b")])
    assert [(letter.output, letter.error) for letter in again] == [("b", "again")]


@pytest.mark.parametrize(
    ("letter", "says"),
    [
        ({"output": "gone"}, r"output 'gone', and the configuration has no such one \(a, b, c\)"),
        ({"filters": "0123"}, "passed filters .0123. other than those of the configuration"),
    ],
)
def test_letters_of_another_configuration_are_refused_before_anything_is_sent(letter, says):
    given = plan([from_kinesis()], outputs(), [MARK])
    event = Event(b"{}", ORIGIN, 0, id="1", filters=letter.get("filters"))
    letters = [DeadLetter(Event(b"{}", ORIGIN, 0, id="0"), "e", "r", "elasticsearch", output="a"),
               DeadLetter(event, "e", "r", "elasticsearch", output=letter.get("output", "a"))]  # fmt: skip
    with pytest.raises(OptionError, match=says):
        sent(given, letters)
    with pytest.raises(OptionError, match="Name another"):
        replay(given, LETTERS, LETTERS)
