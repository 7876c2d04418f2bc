"""`events` applies users' own functions to events, and gives plain elements for Beam (`AsElements`).

Each transform takes batches and gives batches. No batch is dropped, duplicated or divided, so acknowledgement works
whatever a function does to the events. A function sees one decoded event (a dict) at a time. When it raises, that
event goes to the dead letters, with its original bytes and the exception's name; the other events go on.

Functions must be picklable (a module's function, not a lambda around a client); Beam carries them to its workers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.transforms.batch import DeadLetter, Document, Event, EventBatch
from penstock.transforms.document import document_of, with_document
from penstock.transforms.step_kind import StepKind

__all__ = ["AsElements", "EventTransform", "FilterEvents", "FlatMapEvents", "MapEvents"]

EventFunction = Callable[[Event], Iterable[Event]]
"""A function that turns an event into nothing, itself, or other events. It may raise anything."""


class EventTransform(beam.PTransform):
    """Applies a function from an event to events; the base of all transforms between read and write.

    Args:
        function: see `EventFunction`; it must not change the event it is given.
        stage: the name of this step in dead letters and metrics.
        shown: its settings, for Beam's display data.

    Delivery guarantee: each event ends up in the batch, in its dead letters, or was dropped on purpose.
    """

    step_kind = StepKind(refuses=True)

    def __init__(
        self, function: EventFunction, stage: str, shown: Mapping[str, object] | None = None
    ) -> None:
        super().__init__()
        self._function = function
        self._stage = stage
        self._shown = dict(shown or {})

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"stage": self._stage, **{name: str(value) for name, value in self._shown.items()}}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | self._stage >> beam.ParDo(_EventDoFn(self._function, self._stage))


class MapEvents(EventTransform):
    """Replaces each event by the result of `function`.

    Args:
        function: takes the decoded event (a dict, which it may change) and returns the new one.
        stage: what the dead letters and metrics call this step.

    The id stays that of the event as it came. `@timestamp` is read again.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import MapEvents
        >>> through(MapEvents(lambda event: {**event, "size": len(event["message"])}), {"message": "abc"})
        [{'message': 'abc', 'size': 3}]
    """

    def __init__(self, function: Callable[[Document], Document], stage: str = "map") -> None:
        super().__init__(_Map(function), stage, {"function": _name(function)})


class FilterEvents(EventTransform):
    """Keeps the events for which `predicate` is true. The others are dropped, and acknowledged.

    Args:
        predicate: takes the decoded event; must not change it.
        stage: what the dead letters and metrics call this step.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import FilterEvents
        >>> through(FilterEvents(lambda event: event["status"] >= 400), {"status": 200}, {"status": 500})
        [{'status': 500}]
    """

    def __init__(self, predicate: Callable[[Document], object], stage: str = "filter") -> None:
        super().__init__(_Filter(predicate), stage, {"predicate": _name(predicate)})


class FlatMapEvents(EventTransform):
    """Replaces each event by the events that `function` makes of it.

    Args:
        function: takes the decoded event and returns new ones.
        stage: what the dead letters and metrics call this step.

    The first one takes the event's id; the others take that id, a hyphen and their number, from 1. So a replay gets the
    same ids, as long as the function is deterministic.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import FlatMapEvents
        >>> through(FlatMapEvents(lambda event: [{"line": line} for line in event["lines"]]), {"lines": ["a", "b"]})
        [{'line': 'a'}, {'line': 'b'}]
    """

    def __init__(self, function: Callable[[Document], Iterable[Document]], stage: str = "flat_map") -> None:
        super().__init__(_FlatMap(function), stage, {"function": _name(function)})


class AsElements(beam.PTransform):
    """A plain PCollection of decoded events (dicts), for stock Beam transforms.

    **Nothing behind it is acknowledged.** A branch made by it is no part of the chain that ends in
    `Acknowledge`: its elements may be lost when the job is killed, while the main chain is acknowledged. It costs
    one element per event (about 9 us instead of 2.4). Use it for counts and samples beside
    the main chain, or in a batch job, where the runner repeats failed work. Events that cannot be decoded
    are left out and counted (`as_elements/skipped`).

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import AsElements
        >>> through(AsElements(), {"message": "a"}, {"message": "b"})
        [{'message': 'a'}, {'message': 'b'}]
    """

    step_kind = StepKind(leaves=True)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "AsElements" >> beam.ParDo(_ElementsDoFn())


def _name(function: Callable[..., object]) -> str:
    """Gives a function's name, for a person."""
    return str(getattr(function, "__qualname__", type(function).__name__))


class _EventDoFn(beam.DoFn):
    def __init__(self, function: EventFunction, stage: str) -> None:
        self._function = function
        self._stage = stage
        self._failures = Metrics.counter(stage, "failures")
        self._dropped = Metrics.counter(stage, "dropped")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        events, letters, dropped = apply(self._function, batch.events, self._stage)
        if letters:
            self._failures.inc(len(letters))
        if dropped:
            self._dropped.inc(dropped)
        yield batch.with_events(events, letters)


def apply(
    function: EventFunction, events: list[Event], stage: str
) -> tuple[list[Event], list[DeadLetter], int]:
    """Gives the events that `function` makes, letters of those where it raised, and how many became nothing.

    A function with a method `batch(events, stage)` does the work of `apply_each` by it.
    """
    batch = getattr(function, "batch", None)
    if batch is None:
        return apply_each(function, events, stage)
    found: tuple[list[Event], list[DeadLetter], int] = batch(events, stage)
    return found


def apply_each(
    function: EventFunction, events: list[Event], stage: str
) -> tuple[list[Event], list[DeadLetter], int]:
    """Does the work of `apply` event by event."""
    made: list[Event] = []
    letters: list[DeadLetter] = []
    dropped = 0
    for event in events:
        try:
            found = function(event)
            if type(found) is not tuple:
                found = list(found)
        except Exception as error:
            letters.append(letter_of(event, error, stage))
        else:
            made += found
            dropped += not found
    return made, letters, dropped


def letter_of(event: Event, error: Exception, stage: str) -> DeadLetter:
    """Gives the letter of an event at which a function raised."""
    return DeadLetter(event, type(error).__name__, str(error)[:300], stage)


class _Map:
    def __init__(self, function: Callable[[Document], Document]) -> None:
        self._function = function

    def __call__(self, event: Event) -> list[Event]:
        return [_made(event, self._function(document_of(event)))]


class _Filter:
    def __init__(self, predicate: Callable[[Document], object]) -> None:
        self._predicate = predicate

    def __call__(self, event: Event) -> list[Event]:
        return [event] if self._predicate(document_of(event)) else []


class _FlatMap:
    def __init__(self, function: Callable[[Document], Iterable[Document]]) -> None:
        self._function = function

    def __call__(self, event: Event) -> list[Event]:
        made = [_made(event, document) for document in self._function(document_of(event))]
        for number, each in enumerate(made):
            if number and each.id is not None:
                each.id = f"{each.id}-{number}"
        return made


def _made(event: Event, document: object) -> Event:
    if not isinstance(document, dict):
        message = f"the function returned {type(document).__name__}, not the event as a dict"
        raise TypeError(message)
    return with_document(event, document)


class _ElementsDoFn(beam.DoFn):
    def __init__(self) -> None:
        self._skipped = Metrics.counter("as_elements", "skipped")

    def process(self, batch: EventBatch) -> Iterator[Document]:
        for event in batch.events:
            try:
                yield document_of(event)
            except ValueError:
                self._skipped.inc()
