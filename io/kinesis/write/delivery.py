"""`deliver` puts one batch into a stream, in rounds, until each event is there or refused for good.

Problem. PutRecords may take some records and refuse others, Kinesis throttles by shard, shards split and
merge in between, and nothing may be lost, put into the wrong shard, or put before an earlier one of its key.

Plan. Whatever may be sent now (due, admitted by the rate limit, first of its lane) is cut into requests,
which are sent at the same time; all are gathered; what was refused waits for its back-off, alone. Nothing is
in flight between rounds, so packing anew by a new shard map is safe.

Invariants.
- It ends when each event is in the stream or refused for good (too large, expired, throttled with
  `fail_if_throttled`); it raises for what no retry cures, and then nothing counts as written.
- One packet of a lane is in flight at a time (see `_packing`): a refused record can't be overtaken.
- An aggregated record that landed in a shard which doesn't own all its user records is sent again from its
  user records: a KCL consumer drops such a record whole.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.io.aws.error_codes import DENIED_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.backoff import delays
from penstock.io.errors import AccessDenied, NotFound, OptionError, PenstockError, StopTimeout
from penstock.io.kinesis.shard_map import ShardMap
from penstock.io.kinesis.wire.calls import CallFailed, PutRecordsReply, PutResult
from penstock.io.kinesis.write._packing import Packet, PacketQueue, cut
from penstock.io.kinesis.write.metrics import Landed
from penstock.io.kinesis.write.options import MAX_RECORD
from penstock.io.kinesis.write.stream import TargetStream

__all__ = ["Refusal", "deliver"]

_LOGGER = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_MAP_TRIES = 5
_MAX_MISSES = 3
"""So often aggregated records may land where the map says they can't; then they go plain, which is always right."""
_TERMINAL = DENIED_CODES | EXPIRED_CODES | {"ResourceNotFoundException"}


class Refusal(NamedTuple):
    """An event that is not in the stream and won't be: its index in the batch, and why."""

    at: int
    error: str
    reason: str
    attempts: int


def deliver(
    stream: TargetStream, datas: Sequence[bytes], keys: Sequence[str] | None, waited_ms: float = 0.0
) -> list[Refusal]:
    """Puts events into a stream; returns when all are there, with those that were refused for good.

    Args:
        stream: where they go.
        datas: the events' bytes.
        keys: the partition key of each; None when all take `-`, or random ones.
        waited_ms: how long they have waited for this call, for the metric BufferingTime.

    Raises:
        PenstockError: what no retry cures (a permission, a stream that is gone), or a stop that took too long.
    """
    if not datas:
        return []
    stream.recorder.add("UserRecordsReceived", stream.name, 1, count=len(datas))
    stream.recorder.pending(stream.name, len(datas))
    try:
        return _Delivery(stream, datas, keys, waited_ms).run()
    finally:
        stream.recorder.pending(stream.name, -len(datas))


class _Delivery:
    """One batch on its way; the arguments are those of `deliver`."""

    def __init__(
        self, stream: TargetStream, datas: Sequence[bytes], keys: Sequence[str] | None, waited_ms: float
    ) -> None:
        self._waited_ms = waited_ms
        self._stream = stream
        self._datas = datas
        self._keys = keys
        self._refusals: list[Refusal] = []
        self._queue = PacketQueue()
        self._landed: dict[tuple[str, int], list[Packet]] = {}
        self._errors: Counter[str] = Counter()
        self._started = stream.clock()
        self._stop_at: float | None = None
        self._packed_by = 0
        self._misses = 0
        self._shards = self._map(stream.shards.current)
        self._pack(range(len(datas)))

    def run(self) -> list[Refusal]:
        """Sends until nothing is left."""
        while self._queue:
            self._catch_up()
            admitted = self._admit()
            if admitted:
                options = self._stream.options
                self._round(cut(admitted, options.collection_max_count, options.collection_max_size))
            elif self._queue:
                self._wait()
        return self._refusals

    # -- packing ---------------------------------------------------------------------------------------

    def _pack(self, indices: Sequence[int]) -> None:
        """Packs these events by the current map and puts them in line."""
        stream = self._stream
        datas: Sequence[bytes] = self._datas
        keys = self._keys
        if len(indices) != len(datas):
            datas = [datas[index] for index in indices]
            keys = None if keys is None else [keys[index] for index in indices]
        self._packed_by = self._shards.version
        with stream.lock:
            plain = self._misses >= _MAX_MISSES
            packets, refused = stream.packer.pack(indices, datas, keys, self._shards, plain=plain)
        for at in refused:
            size = len(datas[at])
            reason = f"the event has {size} bytes; with its partition key a Kinesis record takes {MAX_RECORD}"
            self._refusals.append(Refusal(indices[at], "RecordTooLarge", reason, 0))
        self._queue.add(packets)

    def _catch_up(self) -> None:
        """Takes up a newer shard map: what isn't sent yet is packed anew where packing depends on it."""
        self._shards = self._stream.shards.current()
        if self._packed_by == self._shards.version:
            return
        unsent = self._queue.unsent()
        if self._keys is not None and self._stream.options.aggregation_enabled:
            indices = sorted(index for packet in unsent for index in packet.members)
            self._queue.clear()
            self._pack(indices)
            return
        self._packed_by = self._shards.version
        for packet in unsent:
            shard = self._shards.find(packet.hash_key)
            packet.shard_id = shard.shard_id if shard else ""

    # -- when ------------------------------------------------------------------------------------------

    def _admit(self) -> list[Packet]:
        """What is due and within the rate limit; the rest waits."""
        stream = self._stream
        now = stream.clock()
        admitted = []
        with stream.lock:
            for packet in self._queue.take(now):
                wait_s = stream.limiter.wait_s(packet.shard_id, packet.size)
                if wait_s <= 0:
                    admitted.append(packet)
                elif not self._expired(packet, now):
                    self._queue.wait([packet], now + wait_s)
        return admitted

    def _wait(self) -> None:
        self._check_stop()
        self._stream.sleep(min(max(self._queue.next_at - self._stream.clock(), 0.001), 0.5))

    def _check_stop(self) -> None:
        """Gives up when the job has been stopping for too long."""
        stream = self._stream
        if not stream.stopping.is_set():
            return
        now = stream.clock()
        if self._stop_at is None:
            self._stop_at = now + stream.options.stop_timeout
        if now >= self._stop_at:
            message = (
                f"the stop came before all of {len(self._datas)} events could be written to {stream.words} "
                f"({self._told()}); they are not acknowledged and come again."
            )
            raise StopTimeout(message)

    def _map(self, load: Callable[[], ShardMap]) -> ShardMap:
        """A shard map, for as long as it takes; raises what no retry cures."""
        for wait_s in delays(_FIRST_WAIT_S, _LONGEST_WAIT_S):
            try:
                return load()
            except (AccessDenied, NotFound, OptionError):
                raise
            except PenstockError as failure:
                self._errors["ListShards"] += 1
                self._stream.log_retries(Counter({str(failure): 1}), len(self._datas))
            self._check_stop()
            self._stream.sleep(wait_s)
        raise AssertionError  # delays() never ends

    def _told(self) -> str:
        return ", ".join(f"{code} x{count}" for code, count in self._errors.most_common(3)) or "rate limit"

    def _expired(self, packet: Packet, now: float) -> bool:
        ttl = self._stream.options.record_ttl
        if not ttl or (now - self._started) * 1000 < ttl:
            return False
        reason = f"not written within --record_ttl {ttl} ms ({self._told()})"
        self._refuse(packet, "Expired", reason)
        shard_id = packet.shard_id or None
        self._stream.recorder.add(
            "UserRecordExpired", self._stream.name, 1, shard_id=shard_id, count=len(packet.members)
        )
        return True

    def _refuse(self, packet: Packet, error: str, reason: str) -> None:
        self._refusals += [Refusal(index, error, reason, packet.attempts) for index in packet.members]
        self._queue.done(packet)

    def _refuse_throttled(self, packet: Packet, code: str) -> None:
        self._refuse(packet, code, f"{self._stream.words} is throttled, and --fail_if_throttled is set")

    # -- requests --------------------------------------------------------------------------------------

    def _round(self, requests: list[list[Packet]]) -> None:
        pool, started = self._stream.pool, self._stream.clock()
        # The last one on this thread: a batch of one request never changes threads.
        others = [pool.submit(self._send, request) for request in requests[:-1]]
        own = self._send(requests[-1])
        outcomes = [*(future.result() for future in others), own]
        failed: list[Packet] = []
        moved: list[tuple[Packet, str]] = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, CallFailed):
                failed += self._call_failed(request, outcome)
            else:
                for packet, result in zip(request, outcome.records, strict=True):
                    if result.error_code is not None:
                        failed += self._record_failed(packet, result)
                    else:
                        self._accepted(packet, result.shard_id or "", moved)
        if failed:
            self._try_again(failed)
        if moved:
            self._check_moved(moved)
        self._count_landed(started)

    def _send(self, request: list[Packet]) -> PutRecordsReply | CallFailed:
        stream = self._stream
        started = stream.clock()
        for packet in request:
            packet.attempts += 1
        try:
            return stream.client.put_records(stream.name, [packet.entry for packet in request])
        except CallFailed as failure:
            return failure
        finally:
            users = [len(packet.members) for packet in request]
            sizes = [len(packet.entry.data) for packet in request]
            stream.recorder.requested(stream.name, stream.clock() - started, users, sizes)

    # -- outcomes --------------------------------------------------------------------------------------

    def _accepted(self, packet: Packet, shard_id: str, moved: list[tuple[Packet, str]]) -> None:
        if shard_id != packet.shard_id:
            moved.append((packet, shard_id))
            if packet.spread[0] != packet.spread[1]:
                return
        self._landed.setdefault((shard_id, packet.attempts), []).append(packet)
        self._queue.done(packet)

    def _count_landed(self, sent_at: float) -> None:
        """Counts what was accepted: by shard, since a call a record would cost more than sending it."""
        buffered_ms = self._waited_ms + (sent_at - self._started) * 1000
        for (shard_id, attempts), packets in self._landed.items():
            users = [len(packet.members) for packet in packets]
            sizes = [len(packet.entry.data) for packet in packets]
            landed = Landed(self._stream.name, shard_id, users, sizes, attempts - 1, buffered_ms)
            self._stream.recorder.landed(landed)
        self._landed.clear()

    def _record_failed(self, packet: Packet, result: PutResult) -> list[Packet]:
        """What of a refused record is to be tried again."""
        code = result.error_code or "InternalFailure"
        self._count_error(code, packet)
        throttled = code in THROTTLED_CODES
        if throttled and self._stream.options.fail_if_throttled:
            self._refuse_throttled(packet, code)
            return []
        if not throttled and (code in _TERMINAL or code.startswith("KMS")):
            failure = CallFailed("PutRecords", code, (result.error_message or "")[:300], 400)
            raise failure.explain(self._stream.session, self._stream.arn, f"write to {self._stream.words}")
        return [] if self._expired(packet, self._stream.clock()) else [packet]

    def _call_failed(self, request: list[Packet], failure: CallFailed) -> list[Packet]:
        """What of a failed call is to be tried again; raises what no retry cures."""
        stream = self._stream
        for packet in request:
            self._count_error(failure.code, packet)
        if not failure.retriable:
            raise failure.explain(stream.session, stream.arn, f"write to {stream.words}") from failure
        if failure.throttled and stream.options.fail_if_throttled:
            for packet in request:
                self._refuse_throttled(packet, failure.code)
            return []
        now = stream.clock()
        return [packet for packet in request if not self._expired(packet, now)]

    def _count_error(self, code: str, packet: Packet) -> None:
        self._errors[code] += 1
        self._stream.recorder.failed(self._stream.name, packet.shard_id or None, code, len(packet.members))

    def _try_again(self, failed: list[Packet]) -> None:
        tries = max(packet.attempts for packet in failed)
        bound = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries - 1, 10))
        at = self._stream.clock() + random.uniform(0.1 * bound, bound)
        self._queue.wait(failed, at)
        self._stream.log_retries(self._errors, len(failed))

    # -- shards that moved -----------------------------------------------------------------------------

    def _check_moved(self, moved: list[tuple[Packet, str]]) -> None:
        """Records landed elsewhere than predicted: those that mix keys must lie in the shard as a whole."""
        stream = self._stream
        if any(self._shards.get(shard_id) is None for _, shard_id in moved):
            self._learn({shard_id for _, shard_id in moved})
        lost: list[Packet] = []
        for packet, shard_id in moved:
            low, high = packet.spread
            if low == high:
                continue
            shard = self._shards.get(shard_id)
            if shard is not None and shard.start <= low and high <= shard.end:
                packet.shard_id = shard_id
                self._accepted(packet, shard_id, [])
                continue
            lost.append(packet)
        if not lost:
            return
        _LOGGER.info(
            "%s: %d aggregated records met a shard that was split or merged; their events are sent again",
            stream.words, len(lost),
        )  # fmt: skip
        for packet in lost:
            self._count_error("WrongShard", packet)
        self._misses += 1
        # All that is unsent goes with them, so that the order within a key stays.
        self._queue.wait(lost, 0.0)
        self._packed_by = -1

    def _learn(self, shard_ids: set[str]) -> None:
        """Refreshes the map until it knows these shards; gives up after a few tries (the list may lag)."""
        stream = self._stream
        for attempt in range(_MAP_TRIES):
            seen = self._shards.version
            self._shards = self._map(lambda seen=seen: stream.shards.refresh(seen))  # type: ignore[misc]
            if all(self._shards.get(shard_id) is not None for shard_id in shard_ids):
                return
            stream.sleep(_FIRST_WAIT_S * 2**attempt)
