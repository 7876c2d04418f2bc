"""`Renewals` writes the signs of life and the checkpoints of the leases that are ours.

A renewal writes the checkpoint too, so there is at most one write per lease and interval. While the table doesn't answer,
only one call per round is made, not one per lease, and the pauses between rounds grow.
"""

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from penstock.io.backoff import delays
from penstock.io.errors import (
    AccessDenied,
    NotFound,
    OptionError,
    PenstockError,
    StateError,
    without_traceback,
)
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseStore
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.meters import METERS
from penstock.io.rarely import Rarely

__all__ = ["FOR_GOOD", "Renewals"]

_LOGGER = logging.getLogger(__name__)

_CHECKPOINTS = METERS.counter(
    "penstock_checkpoints_total", "Checkpoints written to the lease table.", "application"
)
_THREADS = 8
_PAUSES_S = (1.0, 5.0)
"""The first and the last bound of the pauses. A lease that isn't renewed within the failover time may be taken."""
FOR_GOOD = (AccessDenied, NotFound, OptionError, StateError)
"""Errors that no other try cures."""

_Held = TypeVar("_Held", bound=HeldShard)


class Renewals(Generic[_Held]):
    """Renews the leases of one worker. One thread calls it; the writes of many leases go out on several.

    Args:
        store: the leases.
        options: the intervals.
        said: lets a message through once per minute.
        clock: seconds that only go forward.
    """

    def __init__(
        self, store: LeaseStore, options: KinesisReadOptions, said: Rarely, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._application = options.application_name
        self._checkpoint_s = options.checkpoint_interval_seconds
        self._failover_s = options.settings.failoverTimeMillis / 1000
        self._renew_s = self._failover_s / 3
        self._said = said
        self._clock = clock
        self._failure: PenstockError | None = None
        self._pauses: Iterator[float] | None = None
        self._writers: ThreadPoolExecutor | None = None

    def begin(self, held: HeldShard, begun: float) -> None:
        """Sets the times of a lease that was taken by a write that began then."""
        held.valid_until = begun + self._failover_s
        held.renew_at = begun + self._renew_s
        held.checkpoint_at = begun + self._checkpoint_s

    def renew_due(self, held: list[_Held]) -> list[_Held]:
        """Renews the leases that are due. Returns those that are no longer ours.

        Raises:
            PenstockError: one of `FOR_GOOD`.
        """
        now = self._clock()
        due = [
            each
            for each in held
            if now >= each.renew_at or (now >= each.checkpoint_at and each.news is not None)
        ]
        self._failure = None
        if len(due) <= 2:
            results = [self._renew(each) for each in due]
        else:
            if self._writers is None:
                self._writers = ThreadPoolExecutor(_THREADS, thread_name_prefix="kinesis-lease")
            results = list(self._writers.map(self._renew, due))
        lost: list[_Held] = []
        failed: list[_Held] = []
        for each, result in zip(due, results, strict=True):
            if isinstance(result, LeaseLost):
                lost.append(each)
            elif isinstance(result, FOR_GOOD):
                raise without_traceback(result)
            elif result is not None:
                failed.append(each)
                if self._said.due("renew"):
                    _LOGGER.warning("%s; trying again", result)
        if failed:
            self._put_off(failed)
        elif due:
            self._pauses = None
        return lost

    def _put_off(self, failed: list[_Held]) -> None:
        """Makes renewals wait, and checkpoints too: a checkpoint is a renewal, and would be tried again at once."""
        self._pauses = self._pauses or delays(*_PAUSES_S)
        again = self._clock() + next(self._pauses)
        for each in failed:
            each.renew_at = max(each.renew_at, again)
            each.checkpoint_at = max(each.checkpoint_at, again)

    def _renew(self, held: HeldShard) -> LeaseLost | PenstockError | None:
        if self._failure is not None:
            return self._failure
        news = held.news if self._clock() >= held.checkpoint_at else None
        try:
            self.write(held, held.lease.renewed(news, read_until_ms=held.read_until_ms()))
        except LeaseLost as lost:
            return lost
        except PenstockError as error:
            self._failure = without_traceback(error)
            return self._failure
        return None

    def write(self, held: HeldShard, new: Lease) -> None:
        """Writes the next state of a lease of ours.

        Raises:
            LeaseLost: another worker has it.
            PenstockError: the call failed.
        """
        begun = self._clock()
        self._store.replace(held.lease, new)
        if new.position != held.lease.position:
            held.checkpoint_at = begun + self._checkpoint_s
            held.checkpointed_at = begun
            _CHECKPOINTS.of(self._application).add()
        held.lease = new
        held.valid_until = begun + self._failover_s
        held.renew_at = begun + self._renew_s

    def hurry(self, held: HeldShard) -> None:
        """Makes a checkpoint due now, but not before the end of a pause while the table doesn't answer."""
        if self._pauses is None:
            held.checkpoint_at = -math.inf

    def close(self) -> None:
        """Ends the threads."""
        if self._writers is not None:
            self._writers.shutdown()
            self._writers = None
