"""`sinks` holds what every sink does with a batch: borrow the process's live object, fail the job, leave out the refused."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import PenstockError
from penstock.transforms.batch import DeadLetter, EventBatch

__all__ = ["borrowed", "failing_the_job", "without_refused"]


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
