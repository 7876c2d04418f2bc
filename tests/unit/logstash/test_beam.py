"""Filters on event batches: what changes, what stays, what a failure costs, and what a replay finds."""

import pickle

import apache_beam as beam
import orjson
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.display import DisplayData

from penstock.io.dead_letters import decode, encode
from penstock.transforms import logstash
from penstock.transforms.batch import DeadLetter
from penstock.transforms.decode import JsonDecoder
from penstock.transforms.document import payload_of
from penstock.transforms.events import apply
from penstock.transforms.logstash import ConfigError, LogstashFilters, When
from penstock.transforms.logstash.beam import RunFilters
from tests.tools.samples.events import ToyOrigin, batch, event

HOSTILE = """filter {
  if [n] > 5 { mutate { add_tag => ["large"] } }
  prune { whitelist_values => { "only" => "text" } }
}"""


def decoded(*payloads, keep=False):
    events, letters = JsonDecoder(keep_documents=keep).decode(
        [event(data, n) for n, data in enumerate(payloads)]
    )
    assert not letters
    return events


def run(transform, events):
    """The events, letters and number of dropped that a transform makes, in a worker: its function was carried there."""
    function = pickle.loads(pickle.dumps(transform._function))
    return apply(function, events, transform._stage)


@pytest.mark.parametrize("keep", [False, True])
def test_only_what_changes_is_written_anew(keep):
    first, second = decoded(b'{"a": 1,  "@timestamp": "2026-01-01T00:00:00.000Z"}', b'{"b":   2}', keep=keep)
    ids = [first.id, second.id]
    (one, two), letters, dropped = run(
        LogstashFilters("filter { mutate { rename => { a => bb } } }".replace("a =>", "'a' =>")),
        [first, second],
    )
    assert (letters, dropped) == ([], 0)
    assert orjson.loads(payload_of(one)) == {"bb": 1, "@timestamp": "2026-01-01T00:00:00.000Z"}
    assert payload_of(two) == b'{"b":   2}'
    assert [one.id, two.id] == ids
    assert one.timestamp == "2026-01-01T00:00:00.000Z"
    assert (one.filters is not None, two.filters) == (True, None)
    assert two.document in (None, {"b": 2})


def test_an_event_without_a_time_takes_that_of_its_arrival():
    (made,), _, _ = run(logstash.Mutate(add_field={"day": "%{+YYYY-MM-dd}"}), decoded(b'{"a":1}'))
    assert made.document == {"a": 1, "@timestamp": "2026-11-18T11:06:40.000Z", "day": "2026-11-18"}


def test_what_raises_costs_that_event_only():
    payloads = [b'{"n":1}', b'{"n":"text"}', b'{"n":6,"only":"text"}', b'{"n":6,"only":5}', b'{"n":7}']
    made, letters, _ = run(LogstashFilters(HOSTILE), decoded(*payloads))
    assert [payload_of(each)[:6] for each in made if not each.changed] == [b'{"n":1']
    assert [each.document["n"] for each in made if each.changed] == [6, 7]
    assert [letter.event.data for letter in letters] == [payloads[1], payloads[3]]
    assert {letter.stage for letter in letters} == {"logstash_filters"}
    assert [letter.error for letter in letters] == ["ConditionError", "TypeError"]
    with_hostile = {each.id: each.document for each in made}
    alone, _, _ = run(
        LogstashFilters(HOSTILE), [each for n, each in enumerate(decoded(*payloads)) if n in (0, 2, 4)]
    )
    assert {each.id: each.document for each in alone} == with_hostile


MANY = """filter {
  split { field => "list" }
  if [list] == 2 { drop { } }
  clone { clones => ["copy"] }
  split { field => "list" terminator => "," }
}"""


def test_pieces_and_copies_have_ids_that_a_replay_makes_again():
    payload = b'{"list": [1, 2, "x,y", 4]}'
    made, letters, _ = run(LogstashFilters(MANY), decoded(payload))
    assert not letters
    identifier = decoded(payload)[0].id
    found = {each.id.removeprefix(identifier): each.document["list"] for each in made}
    assert found == {
        "-0": 1, "-0-copy": 1, "-2-0": "x", "-2-1": "y", "-2-copy-0": "x", "-2-copy-1": "y", "-3": 4, "-3-copy": 4,
    }  # fmt: skip
    letter = decode(encode(DeadLetter(made[3], "refused", "why", "elasticsearch")))
    assert letter.event.filters == made[3].filters
    (again,), _ = JsonDecoder().decode([letter.event])
    again.filters = None
    replayed, _, _ = run(LogstashFilters(MANY), [again])
    assert [(each.id, each.document) for each in replayed] == [(each.id, each.document) for each in made]


def test_a_letter_names_all_filters_that_its_bytes_pass():
    first, second = logstash.Mutate(add_field={"a": "1"}), logstash.Mutate(add_field={"b": "2"})
    made, _, _ = run(first, decoded(b"{}"))
    (made,), _, _ = run(second, made)
    assert made.filters == f"{first._function.name}+{second._function.name}"
    assert first._function.name != second._function.name
    assert RunFilters(first.step).name == first._function.name
    (letter,) = run(LogstashFilters(HOSTILE), decoded(b'{"n":"text"}'))[1]
    assert letter.event.filters == LogstashFilters(HOSTILE)._function.name


def test_when_chooses_by_a_condition():
    transform = When(
        "[status] >= 500 or [status] in [404, 410]",
        [logstash.Mutate(add_tag=["failed"]), When("[status] == 500", [logstash.Drop()])],
        otherwise=[logstash.Mutate(replace={"ok": "%{status}"})],
    )
    made, letters, dropped = run(transform, decoded(*[b'{"status":%d}' % n for n in (200, 404, 500, 503)]))
    assert (len(letters), dropped) == (0, 1)
    assert [(each.document["status"], each.document.get("tags"), each.document.get("ok")) for each in made] == [
        (200, None, "200"), (404, ["failed"], None), (503, ["failed"], None),
    ]  # fmt: skip


def test_python_runs_only_where_it_is_allowed():
    code = """
        n = event.get("n")
        if n is None:
            event.cancel()
            return
        event.set("[math][half]", half(n))
        event.remove("n")
    """
    with pytest.raises(ConfigError, match="--allow_code"):
        logstash.Python(code=code)
    with pytest.raises(ConfigError, match="line 2 of the code"):
        logstash.Python(code="x = 1\ny = (", allow_code=True)
    transform = logstash.Python(
        code=code, init="def half(n):\n    return n / 2", add_tag=["done"], allow_code=True
    )
    made, letters, dropped = run(transform, decoded(b'{"n":3}', b"{}", b'{"n":"x"}'))
    assert (len(letters), dropped) == (0, 1)
    assert [(each.document.get("math"), each.document["tags"]) for each in made] == [
        ({"half": 1.5}, ["done"]),
        (None, ["_pythonexception"]),
    ]


def test_variables_are_those_of_where_the_pipeline_is_made(monkeypatch):
    monkeypatch.setenv("TEAM", "shop")
    transform = LogstashFilters('filter { mutate { add_tag => "${TEAM}" } }')
    monkeypatch.setenv("TEAM", "other")
    (made,), _, _ = run(transform, decoded(b"{}"))
    assert made.document["tags"] == ["shop"]
    assert "shop" not in str(DisplayData.create_from(transform).items)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: logstash.Mutate(renam={"a": "b"}), "did you mean rename"),
        (lambda: logstash.Uuid(), "the option target is missing"),
        (lambda: When("[a] ==", []), "line 1, column 7: no operand begins here"),
        (lambda: When("[a] == 1 }", []), "the condition ends here"),
        (lambda: LogstashFilters("filter {"), "line 1, column 9"),
        (lambda: logstash.Mutate(convert={"a": "number"}), "none of"),
        (lambda: LogstashFilters("filter { }", timezone="Mars/Olympus"), "no zone"),
    ],
)
def test_a_wrong_configuration_ends_where_the_pipeline_is_made(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_bytes_that_are_no_object_become_a_letter():
    made, letters, _ = run(logstash.Mutate(add_tag=["x"]), [event(b"[1]", 0, ToyOrigin())])
    assert made == []
    assert letters[0].reason == "the event is no JSON object"


def test_a_pipeline_keeps_its_batches():
    def shown(filtered):
        letters = [letter.error for letter in filtered.dead_letters]
        return filtered.receipt.tokens, [payload_of(each) for each in filtered.events], letters

    with beam.Pipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(
                [
                    batch(
                        event(b'{"n":1}', 1),
                        event(b'{"n":"x"}', 2),
                        event(b'{"n":9}', 3),
                        event(b'{"n":7}', 4),
                    )
                ]
            )
            | LogstashFilters("filter { if [n] > 5 { drop { } } }")
            | logstash.Mutate(rename={"n": "m"}, remove_field=["@timestamp"])
            | beam.Map(shown)
        )
        assert_that(found, equal_to([([1], [b'{"m":1}'], ["ConditionError"])]))
