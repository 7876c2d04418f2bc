"""`GiveElements` gives the events of a source as elements, and acknowledges them when Beam has committed their bundle.

Strategy. An element per event costs more than a batch, and buys that any transform may follow: windows, joins, Beam SQL. No
`Acknowledge` can end such a pipeline. So the batch's receipt is handed in by bundle finalization, which a runner calls when
it has committed all that the bundle made.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from penstock.io.errors import OptionError
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.decode import DecodeJson
from penstock.transforms.document import document_of
from penstock.transforms.step_kind import StepKind

__all__ = ["EventRow", "GiveElements", "Output"]

Output = str | type | Mapping[str, type]
"""`dict`, `bytes`, `row`; or which fields are taken from each document: a NamedTuple class, or names with their types."""

_FIELD_TYPES = (str, int, float, bool)


class EventRow(NamedTuple):
    """An event as a row with a schema, for Beam SQL, YAML's `Filter` and `MapToFields`.

    Attributes:
        id: the document id.
        timestamp: the `@timestamp`; where the event has none, the time of its arrival.
        arrived: when it arrived, in milliseconds since 1970.
        payload: the bytes as they came.
    """

    id: str
    timestamp: str
    arrived: int
    payload: bytes


class GiveElements(beam.PTransform):
    """Elements of the events of batches, in the last step that knows batches.

    Args:
        output: `dict`: decoded events; `bytes`: payloads as they came; `row`: `EventRow`s; a NamedTuple class: its fields
            by name from each document, None where there is none; names with their types (`{"user": str, "took": float}`):
            rows of those fields, None where there is none of that type.

    What is no JSON object is decoded as Logstash does it: its text in `message`, and the tag `_jsonparsefailure`. Elements
    carry the time of their arrival.

    Raises:
        OptionError: `output` is something else.

    Delivery guarantee: at least once, as far as the runner keeps what it has committed.
    """

    step_kind = StepKind(acknowledges="live")

    def __init__(self, output: Output) -> None:
        super().__init__()
        if isinstance(output, Mapping):
            for name, kind in output.items():
                if kind not in _FIELD_TYPES:
                    message = f"output: the type of {name} is none of str, int, float, bool."
                    raise OptionError(message)
        elif output not in _MAKERS and not hasattr(output, "_fields"):
            message = f"output {output!r} is none of {', '.join(_MAKERS)}, and no NamedTuple class or dict of types."
            raise OptionError(message)
        self._output = output

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        output = self._output
        return {
            "output": ", ".join(output)
            if isinstance(output, Mapping)
            else getattr(output, "__name__", output)
        }

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        kind: Any
        output = self._output
        make: Callable[[Event], Any]
        if isinstance(output, str):
            make, kind = _MAKERS[output]
        elif isinstance(output, Mapping):
            make = _TypedFields(output)
            kind = RowTypeConstraint.from_fields([(name, each | None) for name, each in output.items()])
        else:
            make, kind = _Fields(output), output
        if output != "bytes":
            batches |= "Decode" >> DecodeJson(on_error="tag")
        return batches | "Elements" >> beam.ParDo(_ElementsDoFn(make)).with_output_types(kind)


class _ElementsDoFn(beam.DoFn):
    def __init__(self, make: Callable[[Event], Any]) -> None:
        self._make = make

    def process(
        self, batch: EventBatch, finalizer: Any = beam.DoFn.BundleFinalizerParam
    ) -> Iterator[TimestampedValue]:
        # A bundle that fails is never finalised, and its batches are handed out again.
        finalizer.register(batch.receipt.acknowledge)
        for event in batch.events:
            arrived = Timestamp(max(event.origin.arrived_ms, batch.timestamp_ms) / 1000)
            yield TimestampedValue(self._make(event), arrived)
        for letter in batch.dead_letters:
            letter.event.document = {
                "message": letter.event.data.decode(errors="backslashreplace"),
                "tags": ["_jsonparsefailure"],
            }
            yield TimestampedValue(self._make(letter.event), Timestamp(batch.timestamp_ms / 1000))


class _Fields:
    """Makes a row of a user's class; a class of our own, since runners pickle it."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __call__(self, event: Event) -> Any:
        document = document_of(event)
        return self._kind(*[document.get(name) for name in self._kind._fields])


class _TypedFields:
    """Makes a `beam.Row` of some fields, each of its type or None; whole numbers are numbers too."""

    def __init__(self, fields: Mapping[str, type]) -> None:
        self._fields = dict(fields)

    def __call__(self, event: Event) -> beam.Row:
        document = document_of(event)
        return beam.Row(**{name: _typed(document.get(name), kind) for name, kind in self._fields.items()})


def _typed(value: Any, kind: type) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else None


def _row(event: Event) -> EventRow:
    return EventRow(event.id or "", event.timestamp or "", event.origin.arrived_ms, event.data)


def _payload(event: Event) -> bytes:
    return event.data


_MAKERS: dict[str, tuple[Callable[[Event], Any], Any]] = {
    "dict": (document_of, dict),
    "bytes": (_payload, bytes),
    "row": (_row, EventRow),
}
