"""`running` gives events to transforms and collects what comes out. Nothing is acknowledged, and no peer is needed."""

import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.transforms.batch import Document, Event, EventBatch
from penstock.transforms.document import document_of
from penstock.transforms.time import timestamps

__all__ = ["Collect", "batch_of", "through"]

_NUMBERS = itertools.count()
_COLLECTING: "weakref.WeakValueDictionary[int, _Collected]" = weakref.WeakValueDictionary()


def batch_of(*events: bytes | Document) -> EventBatch:
    """Makes a batch, as a source gives it: of payloads as they come, or of documents.

    Example:
        >>> from penstock.testing import batch_of
        >>> len(batch_of({"message": "hello"}, b"a line").events)
        2
    """
    return EventBatch(_NoReceipt(), [_event(index, given) for index, given in enumerate(events)], [])


class Collect(beam.PTransform):
    """A sink that keeps what comes, for a test to look at. It works on DirectRunner, which runs in the test's process.

    What it gets it gives on, so that it may stand in a sink's place in a chain.

    Attributes:
        elements: documents of batches, and elements that are no batch as they are, in the order of their coming.
        refused: a text `stage: error: reason` for each refused event.

    Example:
        >>> import apache_beam as beam
        >>> from penstock.testing import Collect, batch_of
        >>> from penstock.transforms import AddFields
        >>> collect = Collect()
        >>> with beam.Pipeline(runner="FnApiRunner") as pipeline:
        ...     _ = pipeline | beam.Create([batch_of({"n": 1})]) | AddFields({"env": "test"}) | collect
        >>> collect.elements
        [{'n': 1, 'env': 'test'}]
    """

    def __init__(self) -> None:
        super().__init__()
        self._number = next(_NUMBERS)
        self._collected = _COLLECTING[self._number] = _Collected()

    @property
    def elements(self) -> list[Any]:  # noqa: D102
        return self._collected.elements

    @property
    def refused(self) -> list[str]:  # noqa: D102
        return self._collected.refused

    def expand(self, collection: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return collection | "Collect" >> beam.ParDo(_CollectDoFn(self._number)).with_output_types(
            collection.element_type
        )


def through(step: beam.PTransform, *events: bytes | Document) -> list[Any]:
    """Gives the output of a transform for these events.

    Args:
        step: takes batches and gives batches.
        events: payloads as they come, or documents.

    Returns:
        The documents, in order; behind them a text `stage: error: reason` for each refused event. An output that is no
        batch (`AsElements` gives none) is returned as it is.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import AddFields
        >>> through(AddFields({"env": "test"}), {"message": "hello"})
        [{'message': 'hello', 'env': 'test'}]
    """
    collect = Collect()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create([batch_of(*events)]) | step | collect
    return collect.elements + collect.refused


def _event(index: int, given: bytes | Document) -> Event:
    if isinstance(given, bytes):
        return Event(given, _Origin(), index)
    timestamp = timestamps.of_value(given.get("@timestamp"))
    return Event(orjson.dumps(given), _Origin(), index, timestamp=timestamp)


class _Origin:
    arrived_ms = 0

    def position(self) -> None:
        return None

    def describe(self) -> dict[str, str | int]:
        return {}


class _NoReceipt:
    def acknowledge(self) -> None:
        """Does nothing, because nobody waits for it."""


class _Collected:
    def __init__(self) -> None:
        self.elements: list[Any] = []
        self.refused: list[str] = []


class _CollectDoFn(beam.DoFn):
    def __init__(self, number: int) -> None:
        self._number = number

    def process(self, element: Any) -> Iterator[Any]:
        collected = _COLLECTING.get(self._number)
        if collected is None:
            message = "Collect keeps elements in the test's process; run this pipeline on DirectRunner."
            raise RuntimeError(message)
        if isinstance(element, EventBatch):
            collected.elements += [document_of(event) for event in element.events]
            collected.refused += [
                f"{each.stage}: {each.error}: {each.reason}" for each in element.dead_letters
            ]
        else:
            collected.elements.append(element)
        yield element
