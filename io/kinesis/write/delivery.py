"""One batch on its way into a stream: in rounds, until each event is there or refused for good.

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

import concurrent.futures
import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from penstock.io.aws.error_codes import DENIED_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.aws.session import AwsSession
from penstock.io.backoff import delays
from penstock.io.errors import AccessDenied, DeliveryError, NotFound, OptionError, PenstockError
from penstock.io.kinesis.shard_map import LiveShardMap, ShardMap
from penstock.io.kinesis.wire.calls import CallFailed, KinesisClient, PutRecordsReply, PutResult, stream_arn
from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write._packing import Packer, Packet, cut
from penstock.io.kinesis.write.metrics import Landed, Recorder
from penstock.io.kinesis.write.options import MAX_RECORD, KinesisWriteOptions

__all__ = ["Delivery", "Refusal", "Writer"]

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


class Writer(Protocol):
    """What a delivery needs of the writer that it works for (see `writer.StreamWriter`)."""

    stream: str
    client: KinesisClient
    session: AwsSession
    shards: LiveShardMap
    options: KinesisWriteOptions
    pool: concurrent.futures.Executor
    recorder: Recorder
    stopping: threading.Event
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    lock: threading.Lock
    packer: Packer
    limiter: ShardLimiter

    def where(self) -> str:
        """The stream, for messages."""

    def log_retries(self, errors: Counter[str], waiting: int) -> None:
        """Says what is being tried again."""


class Delivery:
    """One batch on its way.

    Args:
        writer: the stream's writer.
        datas: the events' bytes.
        keys: a partition key each; None when all take `-`, or random ones.
        waited_ms: how long they have waited already.
    """

    def __init__(
        self, writer: Writer, datas: Sequence[bytes], keys: Sequence[str] | None, waited_ms: float = 0.0
    ) -> None:
        self._waited_ms = waited_ms
        self._writer = writer
        self._datas = datas
        self._keys = keys
        self._refusals: list[Refusal] = []
        self._ready: list[Packet] = []
        self._waiting: list[tuple[float, Packet]] = []
        self._lanes: dict[str, deque[Packet]] = {}
        self._landed: dict[tuple[str, int], list[Packet]] = {}
        self._errors: Counter[str] = Counter()
        self._started = writer.clock()
        self._stop_at: float | None = None
        self._packed_by = 0
        self._misses = 0
        self._shards = self._map(writer.shards.current)
        self._pack(range(len(datas)))

    def run(self) -> list[Refusal]:
        """Sends until nothing is left."""
        while self._ready or self._waiting:
            self._catch_up()
            admitted = self._admit()
            if admitted:
                options = self._writer.options
                self._round(cut(admitted, options.collection_max_count, options.collection_max_size))
            elif self._waiting:
                self._wait()
        return self._refusals

    # -- packing ---------------------------------------------------------------------------------------

    def _pack(self, indices: Sequence[int]) -> None:
        """Packs these events by the current map and puts them in line."""
        writer = self._writer
        datas: Sequence[bytes] = self._datas
        keys = self._keys
        if len(indices) != len(datas):
            datas = [datas[index] for index in indices]
            keys = None if keys is None else [keys[index] for index in indices]
        self._packed_by = self._shards.version
        with writer.lock:
            plain = self._misses >= _MAX_MISSES
            packets, refused = writer.packer.pack(indices, datas, keys, self._shards, plain=plain)
        for at in refused:
            size = len(datas[at])
            reason = f"the event has {size} bytes; with its partition key a Kinesis record takes {MAX_RECORD}"
            self._refusals.append(Refusal(indices[at], "RecordTooLarge", reason, 0))
        for packet in packets:
            if packet.lane is None:
                self._ready.append(packet)
                continue
            lane = self._lanes.get(packet.lane)
            if lane is None:
                self._lanes[packet.lane] = deque()
                self._ready.append(packet)
            else:
                lane.append(packet)

    def _catch_up(self) -> None:
        """Takes up a newer shard map: what isn't sent yet is packed anew where packing depends on it."""
        self._shards = self._writer.shards.current()
        if self._packed_by == self._shards.version:
            return
        unsent = [*self._ready, *(packet for _, packet in self._waiting)]
        queued = [packet for lane in self._lanes.values() for packet in lane]
        if self._keys is not None and self._writer.options.aggregation_enabled:
            indices = sorted(index for packet in unsent + queued for index in packet.members)
            self._ready, self._waiting, self._lanes = [], [], {}
            self._pack(indices)
            return
        self._packed_by = self._shards.version
        for packet in unsent + queued:
            shard = self._shards.find(packet.hash_key)
            packet.shard_id = shard.shard_id if shard else ""

    # -- when ------------------------------------------------------------------------------------------

    def _admit(self) -> list[Packet]:
        """What is due and within the rate limit; the rest waits."""
        writer = self._writer
        now = writer.clock()
        due = [packet for at, packet in self._waiting if at <= now]
        self._waiting = [(at, packet) for at, packet in self._waiting if at > now]
        candidates, self._ready = self._ready + due, []
        admitted = []
        with writer.lock:
            for packet in candidates:
                wait_s = writer.limiter.wait_s(packet.shard_id, packet.size)
                if wait_s <= 0:
                    admitted.append(packet)
                elif not self._expired(packet, now):
                    self._waiting.append((now + wait_s, packet))
        return admitted

    def _wait(self) -> None:
        self._check_stop()
        first = min(at for at, _ in self._waiting)
        self._writer.sleep(min(max(first - self._writer.clock(), 0.001), 0.5))

    def _check_stop(self) -> None:
        """Gives up when the job has been stopping for too long."""
        writer = self._writer
        if not writer.stopping.is_set():
            return
        now = writer.clock()
        if self._stop_at is None:
            self._stop_at = now + writer.options.stop_timeout
        if now >= self._stop_at:
            message = (
                f"the stop came before all of {len(self._datas)} events could be written to {writer.where()} "
                f"({self._told()}); they are not acknowledged and come again."
            )
            raise DeliveryError(message)

    def _map(self, load: Callable[[], ShardMap]) -> ShardMap:
        """A shard map, for as long as it takes; raises what no retry cures."""
        for wait_s in delays(_FIRST_WAIT_S, _LONGEST_WAIT_S):
            try:
                return load()
            except (AccessDenied, NotFound, OptionError):
                raise
            except PenstockError as failure:
                self._errors["ListShards"] += 1
                self._writer.log_retries(Counter({str(failure): 1}), len(self._datas))
            self._check_stop()
            self._writer.sleep(wait_s)
        raise AssertionError  # delays() never ends

    def _told(self) -> str:
        return ", ".join(f"{code} x{count}" for code, count in self._errors.most_common(3)) or "rate limit"

    def _expired(self, packet: Packet, now: float) -> bool:
        ttl = self._writer.options.record_ttl
        if not ttl or (now - self._started) * 1000 < ttl:
            return False
        reason = f"not written within --record_ttl {ttl} ms ({self._told()})"
        self._refuse(packet, "Expired", reason)
        shard_id = packet.shard_id or None
        self._writer.recorder.add(
            "UserRecordExpired", self._writer.stream, 1, shard_id=shard_id, count=len(packet.members)
        )
        return True

    def _refuse(self, packet: Packet, error: str, reason: str) -> None:
        self._refusals += [Refusal(index, error, reason, packet.attempts) for index in packet.members]
        self._next_of(packet)

    def _refuse_throttled(self, packet: Packet, code: str) -> None:
        self._refuse(packet, code, f"{self._writer.where()} is throttled, and --fail_if_throttled is set")

    def _next_of(self, packet: Packet) -> None:
        """The packet is done with: the next of its lane may go."""
        if packet.lane is not None:
            lane = self._lanes.get(packet.lane)
            if lane:
                self._ready.append(lane.popleft())
            else:
                self._lanes.pop(packet.lane, None)

    # -- requests --------------------------------------------------------------------------------------

    def _round(self, requests: list[list[Packet]]) -> None:
        pool, started = self._writer.pool, self._writer.clock()
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
        writer = self._writer
        started = writer.clock()
        for packet in request:
            packet.attempts += 1
        try:
            return writer.client.put_records(writer.stream, [packet.entry for packet in request])
        except CallFailed as failure:
            return failure
        finally:
            users = [len(packet.members) for packet in request]
            sizes = [len(packet.entry.data) for packet in request]
            writer.recorder.requested(writer.stream, writer.clock() - started, users, sizes)

    # -- outcomes --------------------------------------------------------------------------------------

    def _accepted(self, packet: Packet, shard_id: str, moved: list[tuple[Packet, str]]) -> None:
        if shard_id != packet.shard_id:
            moved.append((packet, shard_id))
            if packet.spread[0] != packet.spread[1]:
                return
        self._landed.setdefault((shard_id, packet.attempts), []).append(packet)
        if packet.lane is not None:
            self._next_of(packet)

    def _count_landed(self, sent_at: float) -> None:
        """Counts what was accepted: by shard, since a call a record would cost more than sending it."""
        buffered_ms = self._waited_ms + (sent_at - self._started) * 1000
        for (shard_id, attempts), packets in self._landed.items():
            users = [len(packet.members) for packet in packets]
            sizes = [len(packet.entry.data) for packet in packets]
            landed = Landed(self._writer.stream, shard_id, users, sizes, attempts - 1, buffered_ms)
            self._writer.recorder.landed(landed)
        self._landed.clear()

    def _record_failed(self, packet: Packet, result: PutResult) -> list[Packet]:
        """What of a refused record is to be tried again."""
        code = result.error_code or "InternalFailure"
        self._count_error(code, packet)
        throttled = code in THROTTLED_CODES
        if throttled and self._writer.options.fail_if_throttled:
            self._refuse_throttled(packet, code)
            return []
        if not throttled and (code in _TERMINAL or code.startswith("KMS")):
            failure = CallFailed("PutRecords", code, (result.error_message or "")[:300], 400)
            raise failure.explain(self._writer.session, self._resource(), f"write to {self._writer.where()}")
        return [] if self._expired(packet, self._writer.clock()) else [packet]

    def _call_failed(self, request: list[Packet], failure: CallFailed) -> list[Packet]:
        """What of a failed call is to be tried again; raises what no retry cures."""
        writer = self._writer
        for packet in request:
            self._count_error(failure.code, packet)
        if not failure.retriable:
            raise failure.explain(writer.session, self._resource(), f"write to {writer.where()}") from failure
        if failure.throttled and writer.options.fail_if_throttled:
            for packet in request:
                self._refuse_throttled(packet, failure.code)
            return []
        now = writer.clock()
        return [packet for packet in request if not self._expired(packet, now)]

    def _count_error(self, code: str, packet: Packet) -> None:
        self._errors[code] += 1
        self._writer.recorder.failed(self._writer.stream, packet.shard_id or None, code, len(packet.members))

    def _resource(self) -> str:
        return stream_arn(self._writer.stream, self._writer.session.options.region)

    def _try_again(self, failed: list[Packet]) -> None:
        tries = max(packet.attempts for packet in failed)
        bound = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries - 1, 10))
        at = self._writer.clock() + random.uniform(0.1 * bound, bound)
        self._waiting += [(at, packet) for packet in failed]
        self._writer.log_retries(self._errors, len(failed))

    # -- shards that moved -----------------------------------------------------------------------------

    def _check_moved(self, moved: list[tuple[Packet, str]]) -> None:
        """Records landed elsewhere than predicted: those that mix keys must lie in the shard as a whole."""
        writer = self._writer
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
            writer.where(), len(lost),
        )  # fmt: skip
        for packet in lost:
            self._count_error("WrongShard", packet)
        self._misses += 1
        # All that is unsent goes with them, so that the order within a key stays.
        self._waiting += [(0.0, packet) for packet in lost]
        self._packed_by = -1

    def _learn(self, shard_ids: set[str]) -> None:
        """Refreshes the map until it knows these shards; gives up after a few tries (the list may lag)."""
        writer = self._writer
        for attempt in range(_MAP_TRIES):
            seen = self._shards.version
            self._shards = self._map(lambda seen=seen: writer.shards.refresh(seen))  # type: ignore[misc]
            if all(self._shards.get(shard_id) is not None for shard_id in shard_ids):
                return
            writer.sleep(_FIRST_WAIT_S * 2**attempt)
