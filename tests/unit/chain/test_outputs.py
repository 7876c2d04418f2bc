"""Several outputs in one chain: each gets its share of a batch, and what one refuses still goes to the others."""

import apache_beam as beam
import orjson
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.batch_coder import BatchCoder
from penstock.io.chain.sinks import OneOutput, without_refused
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.dead_letters._letters import decode, letter_id
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.step_kind import StepKind

WRITTEN: dict[str, list[int]] = {}
ACKNOWLEDGED: list[dict[str, list[int]]] = []


class Origin:
    arrived_ms = 0

    def position(self):
        return b"here"

    def describe(self):
        return {"place": "here"}


class Receipt:
    def acknowledge(self):
        ACKNOWLEDGED.append({name: sorted(found) for name, found in WRITTEN.items()})


class Sink(beam.PTransform):
    """Notes what it gets, and refuses the events of `refused`."""

    step_kind = StepKind(refuses=True)

    def __init__(self, name, refused=()):
        super().__init__()
        self._name, self._refused = name, refused

    def expand(self, batches):
        return batches | beam.ParDo(Write(self._name, self._refused))


class Write(beam.DoFn):
    def __init__(self, name, refused):
        self._name, self._refused = name, refused

    def process(self, batch: EventBatch) -> list[EventBatch]:
        letters = [DeadLetter(e, "no", "because", "sink") for e in batch.events if e.index in self._refused]
        kept = without_refused(batch, letters)
        WRITTEN.setdefault(self._name, []).extend(event.index for event in kept.events)
        return [kept]


@pytest.fixture(autouse=True)
def _clean():
    WRITTEN.clear()
    ACKNOWLEDGED.clear()


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "through a runner's coder"])
def test_what_one_output_refuses_goes_to_the_others_and_its_letter_names_the_output(tmp_path, encoded):
    batch = EventBatch(
        Receipt(), [Event(b"{}", Origin(), n) for n in range(4)], [], routes=[0b11, 0b01, 0b10, 0b11]
    )
    if encoded:
        batch = BatchCoder().decode(BatchCoder().encode(batch))
    store = tmp_path / "letters.jsonl"
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create([batch])
            | "First" >> OneOutput(Sink("a", refused=(0, 1)), 0, "first")
            | "Second" >> OneOutput(Sink("b", refused=(3,)), 1, "second")
            | WriteDeadLetters(f"file://{store}")
            | Acknowledge()
        )
    assert ACKNOWLEDGED == [{"a": [3], "b": [0, 2]}], "once, when both have it"
    letters = [decode(line) for line in store.read_bytes().splitlines()]
    assert [(each.output, each.event.index) for each in letters] == [
        ("first", 0),
        ("first", 1),
        ("second", 3),
    ]


def test_a_batch_without_routes_goes_to_every_output():
    whole = EventBatch(Receipt(), [Event(b"{}", Origin(), n) for n in range(3)], [])
    assert [whole.selection(n).events for n in range(2)] == [whole.events] * 2


def test_letters_of_two_outputs_have_two_ids_and_one_without_output_has_the_id_it_always_had():
    event = Event(b"{}", Origin(), 1)
    ids = [letter_id(DeadLetter(event, "no", "x", "sink", output=name)) for name in (None, "a", "b")]
    assert len(set(ids)) == 3
    assert ids[0] == "97df059ddd222795849e80b8002a750d"
    old = orjson.dumps({"stage": "s", "error": "e", "reason": "r", "status": None, "attempts": 1, "id": None,
        "origin": {"index": 0, "part": 0}, "position": None, "arrived_ms": 0, "data": "{}"})  # fmt: skip
    assert decode(old).output is None
