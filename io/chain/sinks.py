"""`sinks` holds what every sink does with a batch: borrow the process's live object, leave out the refused, fail the job."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam

from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import DeliveryError, PenstockError
from penstock.transforms.batch import DeadLetter, EventBatch

__all__ = ["RaiseRefused", "borrowed", "failing_the_job", "without_refused"]


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


def without_refused(batch: EventBatch, letters: list[DeadLetter]) -> EventBatch:
    """Gives the batch without the events that got a letter, and with those letters; the tokens stay."""
    if not letters:
        return batch
    refused = {id(letter.event) for letter in letters}
    return batch.with_events([event for event in batch.events if id(event) not in refused], letters)


class RaiseRefused(beam.PTransform):
    """Ends the pipeline with `DeliveryError` when a batch comes with events that were refused and are kept nowhere."""

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "RaiseRefused" >> beam.ParDo(_RaiseDoFn())


class _RaiseDoFn(beam.DoFn):
    def process(self, batch: EventBatch) -> Iterator[None]:
        lost = [letter for letter in batch.dead_letters if not letter.kept]
        if lost:
            first = lost[0]
            message = (
                f"{len(lost)} elements were refused, and nothing keeps them. The first, by {first.stage}: {first.error}: "
                f"{first.reason} Put WriteDeadLetters behind the sink, or take them by with_exception_handling()."
            )
            raise DeliveryError(message)
        return iter(())
