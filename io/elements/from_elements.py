"""`FromElements` makes batches of what people have in a PCollection: dicts, texts, bytes, rows.

Strategy. Elements are gathered per bundle and window, up to a count and a size, and what is left goes on when the bundle
ends: nothing is held back across bundles, so any runner may repeat a bundle. A batch passes as it is. Nobody waits for
these batches (`ElementsReceipt`): the runner itself starts again what failed.

Refused elements. A chain of batches ends in `WriteDeadLetters`. Where neither that step nor `with_exception_handling` is
there, `whole_chain` puts `RaiseRefused` behind the chain: it ends the pipeline and says what was refused.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from penstock.io.chain.whole_chain import refuse_broken_chains
from penstock.io.elements import _element_bytes
from penstock.io.errors import OptionError
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.identity import MAX_ID_BYTES, content_id
from penstock.transforms.step_kind import StepKind
from penstock.transforms.time import timestamps

__all__ = ["ElementsReceipt", "FromElements", "IdFunction", "as_batches"]

IdFunction = Callable[[Any], str]
"""Gives an element's document id: a text of 1 to 512 bytes, the same each time."""

STAGE = "elements"


@dataclasses.dataclass(frozen=True)
class ElementsReceipt:
    """The receipt of a batch that no source waits for."""

    def acknowledge(self) -> None:
        """Does nothing: the runner repeats what failed."""


@dataclasses.dataclass(frozen=True)
class ElementOrigin:
    """Where an element came from: nowhere that we could name.

    Attributes:
        arrived_ms: the element's time in the pipeline; where it has none, the time of its batch. Milliseconds since 1970.
    """

    arrived_ms: int

    def position(self) -> None:
        """None: elements have no position."""

    def describe(self) -> dict[str, str | int]:
        """Their time."""
        return {"arrived_ms": self.arrived_ms}


class FromElements(beam.PTransform):
    """Batches of events, made of the elements of any PCollection, bounded or not.

    Args:
        id_fn: gives each element's document id; an element for which it raises is refused.
        ids: `content` makes the id of the element's content: equal elements (texts byte for byte, all others as documents)
            become one document. Without `id_fn` and `ids` events have no id, and Elasticsearch makes one.
        documents: whether events must be JSON objects, as for Elasticsearch. A text (`str` or `bytes`) that begins with `{`
            is then read as JSON, any other becomes the event's `message`. Otherwise texts stay as they are.
        stamped: whether events without an `@timestamp` get one: the element's time in the pipeline, else the present.
        max_batch_events: events of a batch at most.
        max_batch_bytes: bytes of a batch after which it is closed.

    An element may be a mapping, a `beam.Row`, a named tuple, a dataclass, `str`, `bytes`, or an `EventBatch`, which passes
    as it is. Dates, decimals, UUIDs and Beam's timestamps become what JSON has for them. Anything else is refused.

    Raises:
        OptionError: `ids` is something else, or stands beside `id_fn`; a bound is below 1.

    Delivery guarantee: at least once, on any runner. A bundle that fails is repeated whole: with ids a repetition is
    stored over itself, without ids it may be stored twice.

    Example:
        >>> import apache_beam as beam
        >>> from penstock.io.elements import FromElements
        >>> with beam.Pipeline() as pipeline:
        ...     batches = pipeline | beam.Create([{"user": "ann"}, "a line"]) | FromElements(ids="content")
    """

    def __init__(
        self,
        *,
        id_fn: IdFunction | None = None,
        ids: str | None = None,
        documents: bool = True,
        stamped: bool = False,
        max_batch_events: int = 1000,
        max_batch_bytes: int = 4 << 20,
    ) -> None:
        super().__init__()
        if ids not in (None, "content"):
            message = f"ids {ids!r}: there is only 'content'; or give id_fn, a function of an element."
            raise OptionError(message)
        if ids and id_fn:
            message = "ids and id_fn exclude each other: give one."
            raise OptionError(message)
        if max_batch_events < 1 or max_batch_bytes < 1:
            message = "max_batch_events and max_batch_bytes must be at least 1."
            raise OptionError(message)
        self._maker = _Maker(id_fn, ids == "content", documents, stamped)
        self._bounds = (max_batch_events, max_batch_bytes)
        self.step_kind = StepKind(gives_ids=bool(ids or id_fn), refuses=True, makes_batches=True)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        ids = "id_fn" if self._maker.id_fn else "content" if self._maker.by_content else "none"
        return {"ids": ids, "max_batch_events": self._bounds[0], "max_batch_bytes": self._bounds[1]}

    def expand(self, elements: beam.PCollection) -> beam.PCollection:  # noqa: D102
        refuse_broken_chains(elements.pipeline)
        return elements | "FromElements" >> beam.ParDo(_GatherDoFn(self._maker, *self._bounds))


def as_batches(sink: Any, collection: beam.PCollection, maker: FromElements) -> beam.PCollection:
    """Gives the collection itself where it holds batches, else what `maker` makes of it; `sink` is then known to do so."""
    if collection.element_type is EventBatch:
        return collection
    sink.step_kind = dataclasses.replace(sink.step_kind, makes_batches=True)
    return collection | "FromElements" >> maker


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes an event of an element."""

    id_fn: IdFunction | None
    by_content: bool
    documents: bool
    stamped: bool

    def event(self, element: Any, origin: ElementOrigin, index: int) -> Event:
        """Raises `ValueError` or `TypeError` for what is no event, and whatever `id_fn` raises."""
        event = Event(b"", origin, index)
        if isinstance(element, (str, bytes)):
            content = event.data = element.encode() if isinstance(element, str) else element
            if self.documents:
                event.data, event.timestamp = _element_bytes.of_text(event.data)
        else:
            document = _element_bytes.mapping_of(element)
            event.data, event.timestamp = _element_bytes.of_document(document)
            content = _element_bytes.sorted_document(document) if self.by_content else b""
        written = event.timestamp
        if written is None:
            event.timestamp = timestamps.to_text(timestamps.from_ms(origin.arrived_ms))
            event.stamped = self.stamped
        if self.id_fn is not None:
            event.id = _checked_id(self.id_fn(element))
        elif self.by_content:
            event.id = content_id(content, written)
        return event


def _checked_id(given: Any) -> str:
    if not isinstance(given, str) or not 0 < len(given.encode()) <= MAX_ID_BYTES:
        message = f"id_fn must give a text of 1 to {MAX_ID_BYTES} bytes, not {given!r:.60}"
        raise ValueError(message)
    return given


class _Gathered:
    """What one window has of this bundle."""

    __slots__ = ("batch", "latest")

    def __init__(self) -> None:
        self.batch = EventBatch(ElementsReceipt(), [], [])
        self.latest = MIN_TIMESTAMP


class _GatherDoFn(beam.DoFn):
    def __init__(self, maker: _Maker, max_events: int, max_bytes: int) -> None:
        self._maker = maker
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._windows: dict[Any, _Gathered] = {}

    def start_bundle(self) -> None:
        self._windows = {}

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[EventBatch]:
        if type(element) is EventBatch:
            yield element
            return
        gathered = self._windows.get(window)
        if gathered is None:
            gathered = self._windows[window] = _Gathered()
        self._add(gathered, element, timestamp)
        batch = gathered.batch
        if len(batch.events) + len(batch.dead_letters) >= self._max_events or batch.size >= self._max_bytes:
            del self._windows[window]
            yield batch

    def _add(self, gathered: _Gathered, element: Any, timestamp: Timestamp) -> None:
        batch = gathered.batch
        gathered.latest = max(gathered.latest, timestamp)
        origin = ElementOrigin(_milliseconds(timestamp))
        index = len(batch.events) + len(batch.dead_letters)
        try:
            event = self._maker.event(element, origin, index)
        except Exception as error:  # this element's fault, and its letter
            event = Event(_element_bytes.shown(element), origin, index)
            batch.dead_letters.append(DeadLetter(event, type(error).__name__, str(error)[:300], STAGE))
        else:
            batch.events.append(event)
        batch.size += len(event.data)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for window, gathered in self._windows.items():
            time = gathered.latest if isinstance(window, GlobalWindow) else window.max_timestamp()
            yield WindowedValue(gathered.batch, time, [window])
        self._windows = {}


def _milliseconds(timestamp: Timestamp) -> int:
    """Gives the element's time; the present where a bounded source gave none."""
    if timestamp.micros <= 0:
        timestamp = Timestamp.now()
    return int(timestamp.micros // 1000)
