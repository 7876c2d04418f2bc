"""Elements of any pipeline as batches: what they become, their ids, and what is refused."""

import dataclasses
import datetime
import decimal
import json
import uuid
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from penstock.io.elements import FromElements, as_batches
from penstock.io.errors import OptionError
from penstock.transforms.batch import EventBatch
from penstock.transforms.step_kind import StepKind

FOUND: list[EventBatch] = []
"""What the pipelines of this module gave; they run in this process."""


class Row(NamedTuple):
    user: str
    count: int


@dataclasses.dataclass
class Point:
    x: float


def batches(elements: list[Any], **options: Any) -> list[EventBatch]:
    FOUND.clear()
    with beam.Pipeline() as pipeline:
        made = pipeline | beam.Create(elements, reshuffle=False) | FromElements(**options)
        _ = made | Keep()
    return list(FOUND)


class Keep(beam.PTransform):
    """The last step: it keeps batches here."""

    step_kind = StepKind(keeps_letters=True)

    def expand(self, collection: beam.PCollection) -> beam.PCollection:
        return collection | beam.Map(_keep)


def _keep(batch: EventBatch) -> None:
    FOUND.append(batch)


def events(elements: list[Any], **options: Any) -> list[Any]:
    return [event for batch in batches(elements, **options) for event in batch.events]


def letters(elements: list[Any], **options: Any) -> list[str]:
    return [
        f"{letter.event.data.decode()}: {letter.reason}"
        for batch in batches(elements, **options)
        for letter in batch.dead_letters
    ]


BECOME = [
    ({"user": "ann", "tags": ["a"]}, {"user": "ann", "tags": ["a"]}),
    ({1: "n", "s": {2}}, {"1": "n", "s": [2]}),
    ({"price": decimal.Decimal("1.10")}, {"price": 1.10}),
    ({"at": datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)}, {"at": "2026-11-28T00:00:00Z"}),
    ({"at": beam.utils.timestamp.Timestamp(0)}, {"at": "1970-01-01T00:00:00Z"}),
    ({"id": uuid.UUID(int=5)}, {"id": "00000000-0000-0000-0000-000000000005"}),
    ({"row": Row("ann", 1)}, {"row": {"user": "ann", "count": 1}}),
    (Row("ann", 1), {"user": "ann", "count": 1}),
    (beam.Row(user="ann", inner=beam.Row(n=1)), {"user": "ann", "inner": {"n": 1}}),
    (Point(1.5), {"x": 1.5}),
    ('{"user": "ann"}', {"user": "ann"}),
    (b' {"user": "ann"}', {"user": "ann"}),
    ("a line", {"message": "a line"}),
    ("[1]", {"message": "[1]"}),
    ("", {"message": ""}),
]


def test_elements_become_documents():
    found = events([element for element, _ in BECOME])
    assert [json.loads(event.data) for event in found] == [document for _, document in BECOME]
    assert {event.id for event in found} == {None}


def test_texts_stay_as_they_are_where_no_documents_are_asked_for():
    texts = [b"\xff\0any", "a line", '{"user":"ann"}']
    assert [event.data for event in events(texts, documents=False)] == [
        texts[0],
        b"a line",
        b'{"user":"ann"}',
    ]


def test_a_decimal_keeps_its_digits():
    (event,) = events([{"n": decimal.Decimal("12345678901234567890.123456789")}])
    assert event.data == b'{"n":12345678901234567890.123456789}'


REFUSED = [
    ('{"user": ', '{"user": : unexpected end of data'),
    (5, "5: an element must be a dict, a row, a text or bytes, not int. Make one by beam.Map"),
    ({"user": object}, "not JSON serializable"),
    ({"n": decimal.Decimal("NaN")}, "not JSON serializable"),
    (b"\xff\xfe", "can't decode byte 0xff"),
]


def test_what_is_no_event_is_refused_alone():
    elements = [{"n": 1}, *(element for element, _ in REFUSED), {"n": 2}]
    found = batches(elements)
    assert [json.loads(event.data) for batch in found for event in batch.events] == [{"n": 1}, {"n": 2}]
    refused = [letter for batch in found for letter in batch.dead_letters]
    assert {letter.stage for letter in refused} == {"elements"}
    for letter, (_, said) in zip(refused, REFUSED, strict=True):
        assert said in f"{letter.event.data.decode(errors='replace')}: {letter.reason}"


def test_ids():
    twins = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}, "x", b"x", "y"]
    ids = [event.id for event in events(twins, ids="content")]
    assert ids[0] == ids[1]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 4
    assert ids == [event.id for event in events(twins, ids="content")]
    assert [event.id for event in events([{"k": "a"}, {"k": "b"}], id_fn=lambda each: each["k"])] == [
        "a",
        "b",
    ]


IDS_REFUSED = {
    "raises": "'none!'",
    "number": "a text of 1 to 512 bytes, not 5",
    "empty": "a text of 1 to 512 bytes",
    "long": "a text of 1 to 512 bytes",
}


def _id_of(element: dict[str, str]) -> Any:
    kind = element["kind"]
    return {"none": 0}["none!"] if kind == "raises" else {"number": 5, "empty": "", "long": "é" * 257}[kind]


def test_an_id_that_is_none_refuses_its_element():
    for said, part in zip(
        letters([{"kind": kind} for kind in IDS_REFUSED], id_fn=_id_of), IDS_REFUSED.values(), strict=True
    ):
        assert part.replace("'none'", "'none!'") in said


def test_times():
    (written,) = events([{"@timestamp": "2026-11-28T01:02:03Z"}], stamped=True)
    assert (written.timestamp, written.stamped) == ("2026-11-28T01:02:03Z", False)
    timed = TimestampedValue({"n": 1}, 1_800_000_000)
    with beam.Pipeline() as pipeline:
        FOUND.clear()
        made = pipeline | beam.Create([1]) | beam.Map(lambda _: timed) | FromElements(stamped=True)
        _ = made | Keep()
    ((event,),) = [batch.events for batch in FOUND]
    assert (event.timestamp, event.stamped) == ("2027-01-15T08:00:00.000Z", True)


def test_batches_are_bounded_and_keep_windows_apart():
    sizes = [len(batch.events) for batch in batches([{"n": n} for n in range(25)], max_batch_events=10)]
    assert sorted(sizes) == [5, 10, 10]
    large = batches(["x" * 1000] * 10, documents=False, max_batch_bytes=2500)
    assert sorted(len(batch.events) for batch in large) == [1, 3, 3, 3]
    with beam.Pipeline() as pipeline:
        FOUND.clear()
        timed = pipeline | beam.Create(list(range(20)), reshuffle=False)
        timed |= beam.Map(lambda n: TimestampedValue({"n": n}, n)) | beam.WindowInto(FixedWindows(10))
        _ = timed | FromElements() | Keep()
    spans = sorted(sorted(json.loads(event.data)["n"] for event in batch.events) for batch in FOUND)
    assert spans == [list(range(10)), list(range(10, 20))]


def test_batches_pass_as_they_are():
    batch = EventBatch(None, [], [])
    (found,) = batches([batch])
    assert found == batch
    pipeline = beam.Pipeline()
    known = pipeline | beam.Create([batch]).with_output_types(EventBatch)
    assert as_batches(None, known, FromElements()) is known


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ids": "position"}, "only 'content'"),
        ({"ids": "content", "id_fn": str}, "exclude each other"),
        ({"max_batch_events": 0}, "at least 1"),
    ],
)
def test_wrong_arguments_are_named(options, said):
    with pytest.raises(OptionError, match=said):
        FromElements(**options)
