"""`testing` tries transforms in memory: events go in as bytes or dicts, and documents come out.

It is for examples, and for tests of your own pipelines. Nothing is acknowledged, and no peer is needed.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.transforms.batch import Document, Event, EventBatch
from penstock.transforms.document import document_of
from penstock.transforms.time import timestamps

__all__ = ["through"]

_NUMBERS = itertools.count()
_CAME_OUT: dict[int, list[Any]] = {}


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
    batch = EventBatch(_NoReceipt(), [_event(index, given) for index, given in enumerate(events)], [])
    number = next(_NUMBERS)
    _CAME_OUT[number] = []
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create([batch]) | step | "Collect" >> beam.ParDo(_Collect(number))
    made: list[Any] = []
    for each in _CAME_OUT.pop(number):
        if isinstance(each, EventBatch):
            made += [document_of(event) for event in each.events]
            made += [f"{letter.stage}: {letter.error}: {letter.reason}" for letter in each.dead_letters]
        else:
            made.append(each)
    return made


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


class _Collect(beam.DoFn):
    def __init__(self, number: int) -> None:
        self._number = number

    def process(self, element: Any) -> Iterator[None]:
        _CAME_OUT[self._number].append(element)
        return iter(())
