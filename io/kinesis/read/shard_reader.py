"""`ShardReader` fetches the records of one shard and takes them apart: iterators, pace, faults, de-aggregation.

Invariants.
- A position is always opened AT its sequence number, and what it covers is skipped, because a checkpoint may lie
  inside an aggregated record. If the first record found is a later one, the position is older than the
  stream's retention. That is logged once, and reading goes on from the oldest record there is.
- Nothing is fetched without a valid lease. Nothing fetched is kept back: the records before a fault
  (a key that KMS refuses) were handed on by the read before.
- The iterator moves on only when all of a reply is queued. A reply that could not be queued is forgotten.

Pace (per shard, service's limits): `shard_reads_per_second` from the start of one read to the next,
`shard_bytes_per_second` over the last reply's bytes, random back-off when throttled. At the tip there is one read per
`idleTimeBetweenReadsInMillis`, and fewer where a process reads more than 200 shards (`idle_pause_s`).

Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

import datetime
import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from penstock.io.backoff import delays
from penstock.io.kinesis.kpl._deaggregation import TOGETHER, HashRange, deaggregate_all
from penstock.io.kinesis.positions import AT_TIMESTAMP, LATEST, TRIM_HORIZON, KinesisRecord, Position
from penstock.io.kinesis.read._pace import idle_pause_s
from penstock.io.kinesis.read._sense import require_sense
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.wire.calls import (
    REPLY_TOO_LARGE,
    CallFailed,
    ChildShard,
    GetRecordsReply,
    KinesisClient,
    Record,
)
from penstock.io.meters import METERS
from penstock.io.rarely import Rarely
from penstock.transforms.batch import Event
from penstock.transforms.kernels._event_lists import events_of

__all__ = ["Deliver", "Piece", "ShardReader"]

_LOGGER = logging.getLogger(__name__)

_OUT_OF_RANGE = METERS.counter(
    "penstock_out_of_range_events_total", "User records with a hash key outside their shard.", "stream"
)

# One acknowledgement covers a chunk: large enough to cost nothing, small enough to fill batches evenly.
_CHUNK_EVENTS = 500
_CHUNK_BYTES = 256 << 10
MAX_REPLY_BYTES = 10 << 20
"""The most bytes that one GetRecords returns (service limit)."""
# A reply holds about what a shard may give in a second, by the size of the last reply's records: ten MiB at
# once would earn five seconds of throttling for every consumer, and 35 MB of memory while it is decoded.
_REPLY_BYTES = 2 << 20
_FEWEST_RECORDS = 50
_FIRST_ESTIMATE = _REPLY_BYTES
_WARN_EVERY_S = 60.0
_LATE_S = 2.0
"""Seconds by which a read may be late (a busy pool, a slow reply) before it counts for how far the shard is behind."""


class Piece(NamedTuple):
    """Consecutive events of a shard, of so many records, and the position behind the last of them."""

    events: list[Event]
    size: int
    end: Position
    arrived_ms: int
    records: int


Deliver = Callable[[Piece], bool]
"""A function that queues a piece, and waits for room. It returns False when the piece can't be queued any more."""


class ShardReader:
    """Reads one shard, from one position on, for as long as we hold its lease.

    Args:
        shard_id: the shard's id.
        start: everything up to this position is done.
        started_s: the time that LATEST and AT_TIMESTAMP mean, in seconds since 1970.
        hash_range: the shard's hash keys.
        options: what to read, how fast.
        client: makes the calls.
        clock: seconds that only go forward.
        wall: seconds since 1970.
        shards: how many shards this process reads.
        manages_keys: whether the service puts records into any shard, whatever their keys.

    Attributes:
        finished: whether there will be no further step.
        at_tip: whether the last reply was empty and said that nothing waits.
        millis_behind: how far behind the tip the last reply was, None before the first.
        records: Kinesis records read. `user_records` and `data_bytes` count those.
        out_of_range: user records outside the shard's hash keys.
        throttled: replies that asked for less.
        estimate: bytes that the next reply may hold.
        replies: how many replies there were.
        children: the shards that the last reply names as going on where this one ends.
        read_until_s: the time (seconds since 1970) before which everything that arrived is read; None when not known.
        retention_s: seconds for which the stream keeps records.
    """

    def __init__(
        self,
        shard_id: str,
        start: Position,
        started_s: float | None,
        hash_range: HashRange | None,
        options: KinesisReadOptions,
        client: KinesisClient,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        manages_keys: Callable[[], bool] = lambda: False,
        shards: Callable[[], int] = lambda: 1,
    ) -> None:
        self.shard_id = shard_id
        self.finished = False
        self.at_tip = False
        self.millis_behind: int | None = None
        self.records = self.user_records = self.data_bytes = self.out_of_range = self.throttled = 0
        self.replies = 0
        self.children: list[ChildShard] = []
        self.read_until_s: float | None = None
        self.retention_s = 24 * 3600.0
        self._position = start
        self._started_s = started_s
        self._hash_range = None if hash_range is None or hash_range.is_everything else hash_range
        self._options = options
        self._settings = options.settings
        self._client = client
        self._clock = clock
        self._wall = wall
        self._manages_keys = manages_keys
        self._shards = shards
        self._iterator: str | None = None
        self._expected: int | None = None
        self.estimate = _FIRST_ESTIMATE
        self._due = clock()
        self._limit = self._most = self._settings.maxRecords
        self._backoff = delays(0.25, 5.0)
        self._refusals = 0
        self._said = Rarely(_WARN_EVERY_S, clock)
        self._pauses = delays(0.25, 5.0)

    def __str__(self) -> str:
        return f"shard {self.shard_id} of stream {self._options.stream_name}"

    def behind_s(self, now: float) -> float | None:
        """How far reading is behind the shard's tip, in seconds; None before the first reply.

        The last reply said it. Then it grows with the clock while a read that is due gets no answer: there is no room,
        because the sink has not taken earlier events, or the stream is throttled or unreachable.
        """
        late = 0.0 if self.finished else now - self._due
        if not self.replies:
            return late if late > _LATE_S else None
        return (self.millis_behind or 0) / 1000 + (late if late > _LATE_S else 0.0)

    def read(self, deliver: Deliver, begun: float) -> float | None:
        """Makes one read. Returns the seconds until the next one, None when there is no next iterator.

        Args:
            deliver: takes what was read, piece by piece.
            begun: now.

        Raises:
            CallFailed: see `back_off`.
        """
        if self._iterator is None:
            self._iterator = self._open()
        limit, now_s = min(self._limit, self._most), self._wall()
        reply = self._client.get_records(self._iterator, limit, self._options.kinesis_stream_name)
        require_sense(reply)
        self._backoff = delays(0.25, 5.0)
        self._refusals = 0
        size = self._take_in(reply, deliver)
        if size is None:
            return 0.25  # the job stops, or the lease is gone: may_read decides
        self.estimate = min(MAX_REPLY_BYTES, max(2 * size, 64 << 10))
        if size:
            wanted = max(_FEWEST_RECORDS, _REPLY_BYTES * len(reply.records) // size)
            self._limit = min(self._settings.maxRecords, wanted)
        self._iterator = reply.next_shard_iterator
        self.millis_behind = reply.millis_behind_latest
        self.replies += 1
        self._most = min(2 * self._most, self._settings.maxRecords)
        self.children = reply.child_shards
        if not reply.millis_behind_latest:
            self.read_until_s = now_s
        self.at_tip = not reply.records and not reply.millis_behind_latest
        if self._iterator is None:
            return None
        # Some emulators always say 0. A large reply then means that more is waiting.
        more = bool(self.millis_behind) or 2 * len(reply.records) >= limit or size >= 1 << 20
        pause = self._pause(size, begun, more=more)
        self._due = self._clock() + pause
        return pause

    def _pause(self, size: int, begun: float, *, more: bool) -> float:
        options = self._options
        pause = (
            0.0 if more else idle_pause_s(self._settings.idleTimeBetweenReadsInMillis / 1000, self._shards())
        )
        if options.shard_bytes_per_second:
            pause = max(pause, size / options.shard_bytes_per_second)
        if options.shard_reads_per_second:
            pause = max(pause, 1 / options.shard_reads_per_second)
        return max(0.0, begun + pause - self._clock())

    def _open(self) -> str:
        """Gets an iterator at our position."""
        stream, position = self._options.kinesis_stream_name, self._position
        self._expected = None
        if position.is_record:
            self._expected = position.sequence_number
            number = str(position.sequence_number)
            return self._client.get_shard_iterator(
                stream, self.shard_id, "AT_SEQUENCE_NUMBER", sequence_number=number
            )
        if position in (LATEST, AT_TIMESTAMP) and self._started_s is not None:
            # For LATEST too: a second LATEST would miss what came since the first.
            try:
                return self._client.get_shard_iterator(
                    stream, self.shard_id, "AT_TIMESTAMP", timestamp=self._started_s
                )
            except CallFailed as failure:
                # That moment is in the future by the service's clock, which may be behind ours.
                if position != LATEST or failure.code != "InvalidArgumentException":
                    raise
        kind = "LATEST" if position == LATEST else "TRIM_HORIZON"
        return self._client.get_shard_iterator(stream, self.shard_id, kind)

    # -- what a reply holds ----------------------------------------------------------------------------

    def _take_in(self, reply: GetRecordsReply, deliver: Deliver) -> int | None:
        """Hands on a reply. Returns its bytes, None when not all of it could be queued."""
        if not reply.records:
            return 0
        first = int(reply.records[0].sequence_number)
        if self._expected is not None:
            if first > self._expected:
                self._report_trimmed("is older than what the stream retains")
            self._expected = None
        size = 0
        for piece in self._pieces(reply.records):
            if not deliver(piece):
                self._iterator = None  # it is read again from `_position` if the lease stays ours
                return None
            self._position = piece.end
            size += piece.size
        return size

    def _pieces(self, records: list[Record]) -> Iterator[Piece]:
        stream, shard_id = self._options.stream_name, self.shard_id
        events: list[Event] = []
        size = arrived_ms = sub_number = count = 0
        last: Record | None = None  # None: all that was read is handed on
        for resumed_sub, some, parts in self._taken_apart(records):
            for record, found in zip(some, parts, strict=True):
                done_sub, resumed_sub = resumed_sub, None
                data = record.data
                record_arrived_ms = int(record.approximate_arrival_timestamp * 1000)
                if found is None:
                    if done_sub is not None:
                        continue
                    origin = KinesisRecord(
                        stream, shard_id, record.sequence_number, record.partition_key, record_arrived_ms
                    )
                    events.append(Event(data, origin, 0))
                    sub_number = 0
                else:
                    payloads, outside = found
                    origin = KinesisRecord(
                        stream, shard_id, record.sequence_number, record.partition_key, record_arrived_ms, len(payloads)
                    )  # fmt: skip
                    new = events_of(payloads, origin)
                    if outside and record.partition_key and not self._manages_keys():
                        new = self._apply_range_rule(new, outside)
                    if done_sub is not None:
                        new = [event for event in new if event.index > done_sub]
                        if not new:
                            continue
                    events += new
                    sub_number = max(0, len(payloads) - 1)
                if not size:
                    arrived_ms = record_arrived_ms
                size += len(data)
                count += 1
                last = record
                if len(events) >= _CHUNK_EVENTS or size >= _CHUNK_BYTES:
                    yield self._piece(events, size, last, sub_number, arrived_ms, count)
                    events, size, count, last = [], 0, 0, None
        if last is not None:  # not `if size`: a record may be empty
            yield self._piece(events, size, last, sub_number, arrived_ms, count)

    def _taken_apart(
        self, records: list[Record]
    ) -> Iterator[tuple[int | None, list[Record], list[tuple[list[bytes], list[int]] | None]]]:
        """Gives the records that are not done, a few at a time, with what `deaggregate` says of each.

        The number is None, unless our position lies in the first of them. Then it is its last user record that is done.
        """
        self.records += len(records)
        done_number, done_sub = self._position
        start, resumed = 0, False
        # Records come in order, so only those before the first new one are compared: their numbers have 56 digits.
        for record in records:
            number = int(record.sequence_number)
            resumed = number == done_number
            if number >= done_number:
                break
            start += 1
        for at in range(start, len(records), TOGETHER):
            some = records[at : at + TOGETHER]
            found = deaggregate_all([record.data for record in some], self._hash_range)
            yield done_sub if resumed else None, some, found
            resumed = False

    def _piece(
        self, events: list[Event], size: int, last: Record, sub_number: int, arrived_ms: int, count: int
    ) -> Piece:
        self.user_records += len(events)
        self.data_bytes += size
        return Piece(events, size, Position(int(last.sequence_number), sub_number), arrived_ms, count)

    def _apply_range_rule(self, events: list[Event], outside: list[int]) -> list[Event]:
        drop = self._options.out_of_range == "drop"
        if not self.out_of_range:
            _LOGGER.warning(
                "%s: user records with hash keys of other shards (resharded, or a producer that aggregates across "
                "shards); they are %s. Said once; see --out_of_range.",
                self, "dropped" if drop else "kept",
            )  # fmt: skip
        self.out_of_range += len(outside)
        _OUT_OF_RANGE.of(self._options.stream_name).add(len(outside))
        if not drop:
            return events
        unwanted = set(outside)
        return [event for event in events if event.index not in unwanted]

    # -- what goes wrong -------------------------------------------------------------------------------

    def _report_trimmed(self, why: str) -> None:
        """Logs that records may be lost, unless everything was read at a time that is within the retention."""
        until_s = self.read_until_s
        if until_s is not None and self._wall() - until_s < self.retention_s:
            return
        unless = ""
        if until_s is not None:
            since = datetime.datetime.fromtimestamp(until_s, datetime.UTC)
            unless = f", if anything arrived after {since:%Y-%m-%d %H:%M:%SZ}"
        _LOGGER.warning(
            "%s: position %s %s. Reading on from the oldest record there is; what lay between is lost%s.",
            self, self._position.text(), why, unless,
        )  # fmt: skip

    def open_again(self) -> float:
        """Reads on from the position after a pause, because a reply had no next iterator though the shard hasn't ended."""
        self.at_tip = False
        if self._said.due("open again"):
            _LOGGER.warning(
                "%s: a reply has no NextShardIterator, but the shard is open and names no children. Reading on from %s.",
                self, self._position.text(),
            )  # fmt: skip
        return next(self._pauses)

    def back_off(self, failure: CallFailed) -> float | None:
        """Gives the seconds until the next try after a read that failed; None when no other try helps."""
        self.at_tip = False
        METERS.retried("kinesis_get_records", failure.code, words=failure.reason)
        if failure.throttled:
            self.throttled += 1
            return next(self._backoff)
        if failure.code == "ExpiredIteratorException":
            self._iterator = None
            return next(self._backoff)
        if failure.code == "InvalidArgumentException" and self._refusals < 3:
            self._refusals += 1
            if failure.operation == "GetShardIterator" and self._position.is_record:
                self._report_trimmed("is not one that the service knows in this shard")
                self._position = TRIM_HORIZON
            self._iterator = None
            return next(self._backoff)
        if failure.code == REPLY_TOO_LARGE and self._most > 1:
            self._most = max(1, min(self._limit, self._most) // 8)
            return 0.0
        if failure.code == "ResourceNotFoundException":
            self._iterator = None
        elif failure.retriable:
            if self._said.due(failure.reason):
                _LOGGER.warning("%s: %s; trying again", self, failure)
            return next(self._backoff)
        return None
