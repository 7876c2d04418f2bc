"""The kernel that runs filters on a batch does what the loop in Python does, for every event."""

import copy
import gc
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transforms.events import apply, apply_each
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.compile import Step
from penstock.transforms.logstash.fields import batches
from penstock.transforms.logstash.values.event import LogEvent
from tests.tools.samples.events import event
from tests.tools.samples.examples import examples

pytestmark = pytest.mark.skipif(batches._kernel is None, reason="the kernel isn't built, or switched off")

TEXT = """filter {
  if [n] and [n] > 5 { mutate { add_tag => ["large"] } }
  if [drop] { drop { } }
  if [time] { date { match => ["time", "UNIX", "ISO8601"] } }
  prune { whitelist_values => { "only" => "text" } }
  mutate { rename => { "a" => "[b][c]" } }
  if [text] { mutate { remove_field => ["@timestamp"] } }
}"""
TIMES = [
    "2026-11-22T12:00:00.000Z",
    "2026-11-22T12:00:00.5Z",
    "2026-11-22 12:00",
    "2026-02-30T00:00:00.000Z",
    "",
    None,
    7,
]
VALUES = [None, True, 0, 6, 1.5, "", "text", "2026-01-01T00:00:00Z", ["a"], ["a", 1], {"c": 1}]
document = st.dictionaries(
    st.sampled_from(["n", "drop", "time", "only", "a", "b", "text", "tags"]), st.sampled_from(VALUES)
) | st.dictionaries(st.just("@timestamp"), st.sampled_from(TIMES))
payload = st.tuples(document, document).map(lambda two: orjson.dumps(two[0] | two[1])) | st.sampled_from(
    [b"[1]", b"{"]
)
name = st.sampled_from([None, "", "earlier"])


@st.composite
def events(draw):
    """An event as it comes to the filters: decoded before or not, with its time in its bytes or stamped."""
    made = event(draw(payload), draw(st.integers(0, 9)))
    made.id, made.filters, made.part = draw(name), draw(name), draw(st.integers(0, 2))
    if draw(st.booleans()) and made.data.endswith(b"}"):
        made.document = orjson.loads(made.data)
    if draw(st.booleans()):
        made.stamped, made.timestamp = True, "2026-11-18T11:06:40.000Z"
    return made


def outcome(run, filters, seen, given_events):
    own = [copy.copy(each) for each in given_events]
    for each in own:
        each.document = copy.deepcopy(each.document)
    made, letters, dropped = run(filters, own, "filters")
    return made, letters, dropped, own, [seen.pop(0) for _ in range(len(seen))]


@pytest.mark.parametrize("keep", [False, True])
@given(st.lists(events(), max_size=6))
@examples(200)
def test_a_batch_becomes_what_its_events_become(keep, given_events):
    seen = []
    run = RunFilters(
        Step("text", TEXT), lambda made: seen.append((repr(made.document), made.changed)), keep_document=keep
    )
    assert run._compiled.run_batch is not None
    assert outcome(apply, run, seen, given_events) == outcome(apply_each, run, seen, given_events)


def plan(**others):
    values = dict(zip(("keys", "event", "log", "decode", "begin", "step", "behind", "time", "name", "keep"),
                      batches._plan(len, None, None, "", keep_document=False), strict=True))  # fmt: skip
    return tuple({**values, **others}.values())


@pytest.mark.parametrize(
    "others",
    [{"keys": ()}, {"keys": ("tags", 5)}, {"event": LogEvent}, {"event": 5}, {"log": 5}, {"log": dict}, {"name": 5}],
)  # fmt: skip
def test_what_is_no_plan_is_refused(others):
    with pytest.raises((TypeError, AttributeError)):
        batches._kernel.run(plan(**others), [event(b"{}")], [], len)


@pytest.mark.parametrize(
    "others",
    [{"decode": lambda _: 5}, {"begin": lambda *_: 5}, {"step": lambda made: setattr(made, "document", 5)}],
)
def test_a_function_that_gives_nonsense_costs_its_event(others):
    refused = []
    assert (
        batches._kernel.run(plan(**others), [event(b"{}")], [], lambda *given: refused.append(given[1])) == 0
    )
    assert [type(error) for error in refused] == [TypeError]


def test_what_is_no_event_and_what_ends_the_process_end_the_batch():
    def leave(_):
        raise KeyboardInterrupt

    with pytest.raises(TypeError, match="item 1"):
        batches._kernel.run(plan(step=lambda _: None), [event(b"{}"), 5], [], len)
    with pytest.raises(KeyboardInterrupt):
        batches._kernel.run(plan(step=leave), [event(b"{}")], [], len)


def test_nothing_is_kept():
    """References are counted: a hundred batches leave as many as one."""
    run = RunFilters(Step("text", TEXT))
    text = "a text that only this test has"

    def batch():
        documents = [{"a": text}, {"n": text}, {"drop": text}, {"b": text}, {"a": text, "tags": [text]}]
        given_events = [event(b"{}", number) for number in range(len(documents))]
        for each, held in zip(given_events, documents, strict=True):
            each.document = {"@timestamp": "2026-11-22T12:00:00.000Z", **held}
            each.id = text
        _, letters, dropped = apply(run, given_events, "filters")
        assert (len(letters), dropped) == (1, 1)

    batch()
    gc.collect()
    before = sys.getrefcount(text)
    for _ in range(100):
        batch()
    assert sys.getrefcount(text) == before
