"""`sinks` holds what every sink does with a batch: borrow the process's live object, leave out the refused, fail the job.

`in_parts` writes a batch for which memory does not suffice again, in halves, at last event by event.

`OneOutput` makes any sink one of several: it gets its share of each batch, and the whole batch goes on.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import apache_beam as beam

from penstock.io.backoff import delays
from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import DeliveryError, PenstockError
from penstock.transforms.batch import DeadLetter, Event, EventBatch

__all__ = ["OneOutput", "RaiseRefused", "borrowed", "failing_the_job", "in_parts", "without_refused"]

_LOGGER = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_TRIES = 4
"""Of a single event; what other threads hold may be free by then."""


@contextlib.contextmanager
def borrowed(key: str, factory: Callable[[], Any]) -> Iterator[Any]:
    """Lends the object of that key, which all DoFn instances of the process share; the first borrower makes it.

    A `PenstockError` in the block is kept as the job's failure.
    """
    with failing_the_job():
        yield LIVE.share(key, factory)


@contextlib.contextmanager
def failing_the_job() -> Iterator[None]:
    """Keeps a `PenstockError` of the block as the job's failure, because runners pass on only its text."""
    try:
        yield
    except PenstockError as failure:
        LIVE.fail(failure)
        raise


def in_parts(
    events: Sequence[Event],
    write: Callable[[Sequence[Event]], _Result],
    stage: str,
    stopping: threading.Event,
) -> tuple[list[_Result], list[DeadLetter]]:
    """Writes events; where memory does not suffice, after a pause in halves, and what was written of them again.

    Args:
        events: the events, at least one.
        write: writes them.
        stage: of a letter.
        stopping: set when the job stops.

    Returns:
        What `write` gave for each part, and a letter for each event for which memory does not suffice.

    Raises:
        MemoryError: the job stops.
    """
    results: list[_Result] = []
    letters: list[DeadLetter] = []
    parts, waits, tries = [events], delays(0.1, 2.0), 0
    while parts:
        part = parts.pop()
        try:
            results.append(write(part))
            tries = 0
            continue
        except MemoryError:
            if stopping.is_set():
                raise
        # Only here the frames of the failed call, and what they hold, are let go of.
        tries = tries + 1 if len(part) == 1 else 0
        if tries >= _TRIES:
            reason = "memory does not suffice to write it. Give the process more, or replay the letter where there is more."
            letters.append(DeadLetter(part[0], "OutOfMemory", reason, stage))
            tries = 0
            continue
        middle = len(part) // 2
        parts += [half for half in (part[middle:], part[:middle]) if half]
        _LOGGER.warning(
            "%s: memory does not suffice for %d events; they are tried again in parts.", stage, len(part)
        )
        stopping.wait(next(waits))
    return results, letters


def without_refused(batch: EventBatch, letters: list[DeadLetter]) -> EventBatch:
    """Gives the batch without the events that got a letter, and with those letters; the tokens stay."""
    if not letters:
        return batch
    refused = {id(letter.event) for letter in letters}
    return batch.with_events([event for event in batch.events if id(event) not in refused], letters)


class OneOutput(beam.PTransform):
    """Makes a sink one of several in a chain: it gets the events that go to it, and the whole batch is handed on.

    What the sink refuses gets a letter with the output's name, and still goes to the outputs behind. So a batch is
    acknowledged when every output has written, or refused, its share.

    Args:
        sink: takes `EventBatch`es and gives them.
        number: the output's bit in the batch's routes.
        name: the output's name in letters.
    """

    def __init__(self, sink: beam.PTransform, number: int, name: str) -> None:
        super().__init__()
        self._sink = sink
        self._number = number
        self._name = name
        self.step_kind = sink.step_kind

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"output": self._name}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        selected = batches | "Select" >> beam.ParDo(_SelectDoFn(self._number))
        return selected | self._sink | "Whole" >> beam.ParDo(_WholeDoFn(self._name))


class _SelectDoFn(beam.DoFn):
    def __init__(self, number: int) -> None:
        self._number = number

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        yield batch.selection(self._number)


class _WholeDoFn(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        assert batch.whole is not None  # noqa: S101  `_SelectDoFn` has set it, and sinks keep it
        for letter in batch.dead_letters:
            letter.output = self._name
        yield batch.whole.with_letters(batch.dead_letters)


class RaiseRefused(beam.PTransform):
    """Ends the pipeline with `DeliveryError` when a batch comes with events that were refused and are kept nowhere."""

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "RaiseRefused" >> beam.ParDo(_RaiseDoFn())


class _RaiseDoFn(beam.DoFn):
    def process(self, batch: EventBatch) -> Iterator[None]:
        lost = [letter for letter in batch.dead_letters if not letter.kept]
        if lost:
            first = lost[0]
            told = "1 element was" if len(lost) == 1 else f"{len(lost):,} elements were"
            message = (
                f"{told} refused, and kept nowhere. The first, by {first.stage}: {first.error}: {first.reason.rstrip('.')}. "
                "Put WriteDeadLetters behind the sink, or take them by with_exception_handling()."
            )
            raise DeliveryError(message)
        return iter(())
