"""`LiveShard` reads one shard whose lease this process holds. It owns the shard's lease, progress and reader.

One `step` is one GetRecords, made by a thread of the pool. Before it the shard asks whether the lease is still valid
and whether there is room for a reply. After it, what was read is queued in the live source, as stretches of the
shard's progress.
"""

import dataclasses
import logging
import threading
from collections.abc import Callable

from penstock.io.aws.session import AwsSession
from penstock.io.backoff import delays
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.chain.source_status import ShardStatus
from penstock.io.errors import AccessDenied, NotFound, PenstockError, StateError
from penstock.io.kinesis.kpl._deaggregation import HashRange
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import Lease
from penstock.io.kinesis.positions import AT_TIMESTAMP, RECORD_BYTES, Position
from penstock.io.kinesis.read.fetching import FetchPool
from penstock.io.kinesis.read.metrics import ReadMetrics
from penstock.io.kinesis.read.shard_reader import Piece, ShardReader
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.kinesis.wire.calls import CallFailed, KinesisClient
from penstock.io.meters import METERS

__all__ = ["LiveShard", "ReadContext", "ReplyRoom"]

_LOGGER = logging.getLogger(__name__)

_NOT_NOW_S = 0.25
_NO_ROOM_S = 0.05
_MISSING_S = (1.0, 10.0)
_LEAST_RETENTION_S = 24 * 3600.0  # the service's default, and the least it takes
"""The first bound and the last of the pauses while the stream doesn't tell whether a shard is gone."""
_NOTE_EVERY_MS = 60_000


class ReplyRoom:
    """Bounds the memory of replies that are on their way, beside what the live source holds already.

    Args:
        source: the live source, whose bounds count.
        lock: the live source's lock.
    """

    def __init__(self, source: LiveSource, lock: threading.Condition) -> None:
        self.reserved = 0
        self._source = source
        self._lock = lock

    def reserve(self, size: int) -> bool:
        """Takes room for a reply of about `size` bytes. Returns False when there is none. `free` gives it back."""
        source = self._source
        with self._lock:
            taken = source.pending_bytes + self.reserved
            if taken and taken + size > source.max_pending_bytes:
                return False
            if source.pending_events >= source.max_pending_events:
                return False
            self.reserved += size
            return True

    def free(self, size: int) -> None:
        """Gives back what `reserve` took."""
        with self._lock:
            self.reserved -= size


@dataclasses.dataclass(slots=True)
class ReadContext:
    """What all shards of one live source share.

    Attributes:
        options: what to read, and how fast.
        client: makes the calls.
        session: explains errors that no retry cures.
        source: takes what is read.
        lock: the live source's.
        room: bounds the replies in memory.
        pool: runs the steps.
        metrics: KCL's metrics; None without.
        clock: seconds that only go forward.
        look_soon: wakes the coordinator, because a shard has ended.
        view: what the stream tells of itself.
        closed: called with each shard that is closed.
        shards: gives the number of shards that the live source reads.
    """

    options: KinesisReadOptions
    client: KinesisClient
    session: AwsSession
    source: LiveSource
    lock: threading.Condition
    room: ReplyRoom
    pool: FetchPool
    metrics: ReadMetrics | None
    clock: Callable[[], float]
    look_soon: Callable[[], None]
    view: StreamView
    closed: Callable[["LiveShard"], None]
    shards: Callable[[], int]


class LiveShard(HeldShard):
    """One shard that this process reads, for as long as it holds the lease without a break.

    Args:
        context: what all shards share.
        lease: our row.
        shard: the shard as the stream lists it; None when it doesn't.
        start: everything up to this position is done.

    Attributes:
        reader: fetches and takes apart.
    """

    def __init__(self, context: ReadContext, lease: Lease, shard: Shard | None, start: Position) -> None:
        super().__init__(lease, start, context.lock)
        self._context = context
        self._missing_pauses = delays(*_MISSING_S)
        started_s = context.options.initial_timestamp
        if lease.started_ms is not None and start != AT_TIMESTAMP:
            started_s = lease.started_ms / 1000
        self.reader = ShardReader(
            lease.shard_id,
            start,
            started_s,
            None if shard is None else HashRange.of(shard.start, shard.end),
            context.options,
            context.client,
            context.clock,
            manages_keys=context.view.manages_keys,
            shards=context.shards,
        )
        self.reader.retention_s = self._retention_s() or _LEAST_RETENTION_S
        self.reader.read_until_s = None if lease.read_until_ms is None else lease.read_until_ms / 1000

    def start(self) -> None:
        """Begins to fetch."""
        if not self.progress.ended:
            self._context.pool.add(self.step)

    def close(self, *, lost: bool) -> None:
        """Stops reading, and forgets what was fetched if the lease is lost."""
        super().close(lost=lost)
        self.reader.finished = True
        self._context.closed(self)

    # -- one read (a thread of the pool) ---------------------------------------------------------------

    def step(self) -> float | None:
        """Reads once. Returns the seconds until the next read, None when there is none."""
        context, reader = self._context, self.reader
        if self.closed or self.progress.lost or context.source.stopping:
            reader.finished = True
        if reader.finished:
            return None
        if not self.valid(context.clock()) or context.source.failure is not None:
            return _NOT_NOW_S
        reserved = reader.estimate
        if not context.room.reserve(reserved):
            return _NO_ROOM_S
        begun, user_records, data_bytes = context.clock(), reader.user_records, reader.data_bytes
        success = False
        try:
            pause = reader.read(self._deliver, begun)
            success = True
            return self._end() if pause is None else pause
        except CallFailed as failure:
            return self._failed(failure)
        finally:
            context.room.free(reserved)
            self._sample(begun, user_records, data_bytes, success=success)

    def _deliver(self, piece: Piece) -> bool:
        """Queues a piece, and waits for room. Returns False when it can't be queued any more."""
        context, progress = self._context, self.progress
        with context.lock:
            if progress.lost or self.closed:
                return False
            stretch = progress.open(piece.end, piece.arrived_ms)
        chunk = Chunk(piece.events, piece.size, stretch, piece.arrived_ms, RECORD_BYTES * piece.records)
        if context.source.offer(chunk, give_up=lambda: not self.valid(context.clock())):
            return True
        with context.lock:
            progress.withdraw(stretch)
        return False

    def _end(self) -> float | None:
        """Decides what it means that the last reply has no next iterator: the shard's end only if the stream lists it so.

        Such a reply was seen for an open shard. Taken for the end, it would lose all later records.
        """
        context, reader = self._context, self.reader
        if reader.millis_behind or not (reader.children or context.view.proves_end(self.shard_id)):
            return reader.open_again()
        reader.finished = True
        self._finish()
        return None

    def _finish(self) -> None:
        with self._context.lock:
            self.children = self.reader.children
            self.progress.ended = True
        self._context.look_soon()

    def _failed(self, failure: CallFailed) -> float | None:
        context, reader = self._context, self.reader
        pause = reader.back_off(failure)
        try:
            if failure.code == "ResourceNotFoundException":
                return self._missing()
            if failure.code == "InvalidArgumentException":
                context.view.describe(
                    max_age_s=1.0
                )  # a stream that was made again doesn't know our positions
        except (AccessDenied, NotFound, StateError) as error:
            reader.finished = True
            context.source.fail(error)
            return None
        except PenstockError:
            return next(self._missing_pauses)  # a temporary fault
        if pause is None:
            reader.finished = True
            context.source.fail(failure.explain(context.session, str(reader), f"read {reader}"))
        return pause

    def _missing(self) -> float | None:
        """Decides what it means that the service doesn't know the shard: its retention is over, or the stream is gone."""
        if not self._context.view.has_passed_retention(self.shard_id):
            return next(self._missing_pauses)
        _LOGGER.warning("%s has passed its retention; taking it for finished", self.reader)
        self.reader.finished = True
        self._finish()
        return None

    def _sample(self, begun: float, user_records: int, data_bytes: int, *, success: bool) -> None:
        """Counts one read, under KCL's metric names."""
        context, reader = self._context, self.reader
        took_s = context.clock() - begun
        size = reader.data_bytes - data_bytes
        METERS.requested("kinesis_get_records", took_s, size)
        if context.metrics is None:
            return
        values = {
            "RecordsProcessed": float(reader.user_records - user_records),
            "DataBytesProcessed": float(size),
            "Success": float(success),
            "Time": took_s * 1000,
        }
        if success and reader.millis_behind is not None:
            values["MillisBehindLatest"] = float(reader.millis_behind)
        context.metrics.sample(self.shard_id, values)

    def read_until_ms(self) -> int | None:
        """The time of the last reply after which nothing was left to read or deliver, where the row is far behind it."""
        until_s, written_ms = self.reader.read_until_s, self.lease.read_until_ms or 0
        if until_s is None or not self.progress.idle or until_s * 1000 < written_ms + _NOTE_EVERY_MS:
            return None
        return int(until_s * 1000)

    # -- how it stands -----------------------------------------------------------------------------

    def status(self, now: float, wall: float) -> ShardStatus:
        """Gives the shard's status.

        Args:
            now: the time by the clock of coordinator and readers.
            wall: the time in seconds since 1970.
        """
        reader, lease = self.reader, self.lease
        return ShardStatus(
            shard_id=self.shard_id,
            behind_s=self._behind_s(now, wall),
            events=reader.user_records,
            bytes=reader.data_bytes,
            throttled=reader.throttled,
            checkpoint=lease.position.text(),
            checkpoint_age_s=None if self.checkpointed_at is None else max(0.0, now - self.checkpointed_at),
            unwritten=lease.position < self.progress.checkpoint,
            retention_s=self._retention_s(),
        )

    def _retention_s(self) -> float | None:
        """For how long the stream keeps records, as last seen: it can be made longer while we read."""
        facts = self._context.view.facts
        return None if facts is None else 3600.0 * facts.retention_h

    def _behind_s(self, now: float, wall: float) -> float | None:
        """How far the shard is behind, undelivered events included: with a dead sink, reading may be at the tip for long."""
        oldest_ms = self.progress.oldest_ms
        ages = [self.reader.behind_s(now), None if oldest_ms is None else max(0.0, wall - oldest_ms / 1000)]
        return max((age for age in ages if age is not None), default=None)

    def watermark_ms(self, now_ms: int) -> int:
        """The time before which no later record arrived; a shard at its tip holds nothing back."""
        return now_ms if self.reader.at_tip and self.progress.idle else self.progress.arrived_ms
