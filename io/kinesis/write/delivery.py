"""`deliver` puts one batch into a stream, in rounds, until each event is there or refused for good.

Problem. PutRecords may take some records and refuse others, Kinesis throttles by shard, shards split and
merge in between, and nothing may be lost, put into the wrong shard, or put before an earlier one of its key.

Plan. The packets that may be sent now (due, admitted by the rate limit, first of their lane) are cut into requests,
which are sent at the same time. When all replies are there, refused packets wait alone for their back-off. Nothing is
in flight between rounds, so packets can safely be packed again by a new shard map.

Invariants.
- A delivery ends when each event is in the stream or refused for good (too large, invalid, expired, throttled with
  `fail_if_throttled`). An error that no retry cures ends the job where the options name the stream, and then nothing
  counts as written. Where events name the stream, the events that are not in it are refused.
- One packet of a lane is in flight at a time (see `_packing`), so a refused record can't be overtaken.
- A bad record costs only itself: a request that is called invalid is cut in halves until that record is alone.
- An aggregated record that landed in a shard which doesn't own all its user records is sent again from its
  user records: a KCL consumer drops such a record whole. The map is read again, before anything is
  accepted, whenever a reply shows a record where the map did not expect it.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from penstock.io.aws.error_codes import DENIED_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.backoff import delays
from penstock.io.errors import AccessDenied, NotFound, OptionError, PenstockError, without_traceback
from penstock.io.kinesis.shard_map import ShardMap
from penstock.io.kinesis.wire.calls import CallFailed, PutRecordsReply, PutResult, failure_behind
from penstock.io.kinesis.write._packing import Packet, PacketQueue, cut
from penstock.io.kinesis.write.landing import ShardView
from penstock.io.kinesis.write.metrics import Landed
from penstock.io.kinesis.write.stream import Patience, TargetStream

__all__ = ["Refusal", "deliver"]

_LOGGER = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_MAX_MISSES = 3
"""How often aggregated records may land where the map says they can't. Then they go plain, which is always right."""
_EXPIRED = "Expired"
_NOT_STORED = "NoSequenceNumber"
"""Neither an error nor a sequence number: nothing says that the record is in the stream."""
_NO_STREAM = "NoStream"
_TERMINAL = DENIED_CODES | EXPIRED_CODES | {"ResourceNotFoundException"}


class Refusal(NamedTuple):
    """An event that is not in the stream and won't be: its index in the batch, and why."""

    at: int
    error: str
    reason: str
    attempts: int


class _Ended(Exception):
    """Nothing more can be written: every event that is not in the stream is refused, with this error and reason."""

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(error)
        self.error, self.reason = error, reason


def deliver(
    stream: TargetStream, datas: Sequence[bytes], keys: Sequence[str] | None, waited_ms: float = 0.0
) -> list[Refusal]:
    """Puts events into a stream. Returns those that were refused for good, when all others are in the stream.

    Args:
        stream: where they go.
        datas: the events' bytes.
        keys: the partition key of each; None when all take `-`, or random ones.
        waited_ms: milliseconds that they have waited for this call, for the metric BufferingTime.

    Raises:
        PenstockError: no retry helps (a missing permission, a stream that is gone), or a stop took too long.
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
        self._written: list[Sequence[int]] = []
        self._queue = PacketQueue()
        self._patience = Patience(stream, len(datas))
        self._packed_by = 0
        self._misses = 0
        self._attempts = 0
        self._throttled: set[str] = set()

    def run(self) -> list[Refusal]:
        """Sends until nothing is left."""
        try:
            self._shards = ShardView(self._stream, self._map(self._stream.map_to_begin_with))
            self._pack(range(len(self._datas)))
            while self._queue:
                self._catch_up()
                admitted = self._admit()
                if admitted:
                    options = self._stream.options
                    self._round(cut(admitted, options.collection_max_count, options.collection_max_size))
                elif self._queue:
                    self._wait()
        except _Ended as ended:
            self._refuse_rest(ended)
        return self._refusals

    def _pack(self, indices: Sequence[int]) -> None:
        """Packs these events by the current map and puts them in line."""
        self._packed_by = self._shards.map.version
        self._queue.add(self._packets(indices, plain=self._misses >= _MAX_MISSES))

    def _packets(self, indices: Sequence[int], *, plain: bool) -> list[Packet]:
        stream = self._stream
        datas: Sequence[bytes] = self._datas
        keys = self._keys
        if len(indices) != len(datas):
            datas = [datas[index] for index in indices]
            keys = None if keys is None else [keys[index] for index in indices]
        facts = stream.facts
        shards = None if facts.keys_by_service else self._shards.map
        aggregate = stream.aggregates and not plain
        limit = facts.max_record_kib << 10
        with stream.lock:
            packets, refused = stream.packer.pack(
                indices, datas, keys, shards, aggregate=aggregate, max_record=limit
            )
        for at in refused:
            size = len(datas[at])
            reason = (
                f"the event has {size} bytes; with its partition key a record of the stream takes {limit}"
            )
            self._refusals.append(Refusal(indices[at], "RecordTooLarge", reason, 0))
        return packets

    def _catch_up(self) -> None:
        """Takes a newer shard map, and packs unsent events again where packing depends on it."""
        self._shards.take_newest()
        if self._packed_by == self._shards.map.version:
            return
        unsent = self._queue.unsent()
        if self._stream.facts.keys_by_service and self._packed_by >= 0:
            self._packed_by = self._shards.map.version
            return
        if self._packed_by < 0 or (self._keys is not None and self._stream.aggregates):
            indices = sorted(index for packet in unsent for index in packet.members)
            self._queue.clear()
            self._pack(indices)
            return
        self._packed_by = self._shards.map.version
        for packet in unsent:
            shard = self._shards.map.find(packet.hash_key)
            packet.shard_id = shard.shard_id if shard else ""

    def _admit(self) -> list[Packet]:
        """Gives the packets that are due and within the rate limit. The others wait."""
        stream = self._stream
        now = stream.clock()
        admitted = []
        with stream.lock:
            for shard_id in self._throttled:
                stream.limiter.throttled(shard_id)
            self._throttled.clear()
            for packet in self._queue.take(now):
                wait_s = stream.limiter.wait_s(packet.shard_id, packet.size)
                if wait_s <= 0:
                    admitted.append(packet)
                elif not self._expired(packet, now):
                    self._queue.wait([packet], now + wait_s)
        return admitted

    def _wait(self) -> None:
        self._patience.check_stop()
        self._stream.sleep(min(max(self._queue.next_at - self._stream.clock(), 0.001), 0.5))

    def _map(self, load: Callable[[], ShardMap]) -> ShardMap:
        """Gives a shard map, and tries for as long as it takes. Raises what no retry cures, and when the events expire."""
        for wait_s in delays(_FIRST_WAIT_S, _LONGEST_WAIT_S):
            try:
                return load()
            except PenstockError as error:
                failure = failure_behind(error, "ListShards")
                if isinstance(error, (AccessDenied, NotFound, OptionError)) or (failure and failure.invalid):
                    self._end(error, failure)
                self._patience.count("ListShards")
                self._stream.log_retries(Counter({str(error): 1}), len(self._datas), {str(error)})
            if self._patience.is_past_ttl(self._stream.clock()):
                raise _Ended(_EXPIRED, self._patience.expiry())
            self._patience.check_stop()
            self._stream.sleep(wait_s)
        raise AssertionError  # delays() never ends

    def _expired(self, packet: Packet, now: float) -> bool:
        if not self._patience.is_past_ttl(now):
            return False
        self._refuse(packet, _EXPIRED, self._patience.expiry())
        return True

    def _refuse(self, packet: Packet, error: str, reason: str) -> None:
        self._refusals += [Refusal(index, error, reason, packet.attempts) for index in packet.members]
        self._queue.done(packet)
        self._count_expired(error, packet.shard_id or None, len(packet.members))

    def _count_expired(self, error: str, shard_id: str | None, count: int) -> None:
        if error == _EXPIRED and count:
            stream = self._stream
            stream.recorder.add("UserRecordExpired", stream.name, 1, shard_id=shard_id, count=count)

    def _refuse_throttled(self, packet: Packet, code: str) -> None:
        self._refuse(packet, code, f"{self._stream.words} is throttled, and --fail_if_throttled is set")

    def _refuse_rest(self, ended: _Ended) -> None:
        done = {index for members in self._written for index in members}
        done.update(refusal.at for refusal in self._refusals)
        rest = [index for index in range(len(self._datas)) if index not in done]
        self._refusals += [Refusal(index, ended.error, ended.reason, self._attempts) for index in rest]
        self._count_expired(ended.error, None, len(rest))

    def _end(self, error: PenstockError, failure: CallFailed | None) -> NoReturn:
        """Ends the job; where events name the stream themselves, refuses them instead."""
        stream = self._stream
        if stream.refused is None or failure is None or failure.ours:
            raise error
        stream.refused(error, len(self._datas))
        pattern = f"(--stream_name {stream.options.stream_name})"
        if isinstance(error, NotFound):
            raise _Ended(_NO_STREAM, f"there is no stream {stream.name} {pattern}") from error
        raise _Ended(failure.code, f"{error} {pattern}") from error

    def _round(self, requests: list[list[Packet]]) -> None:
        stream = self._stream
        started = stream.clock()
        self._attempts += 1
        # The last request runs on this thread, so a batch of one request never changes threads.
        others = [stream.submit(self._send, request) for request in requests[:-1]]
        own = stream.run(self._send, requests[-1])
        outcomes = [*(future.result() for future in others), own]
        failed: list[Packet] = []
        landed: list[Packet] = []
        results: list[PutResult] = []
        ends: list[CallFailed] = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, CallFailed):
                failed += self._call_failed(request, outcome, ends)
                continue
            for packet, result in zip(request, outcome.records, strict=True):
                if result.error_code is None and result.sequence_number:
                    landed.append(packet)
                    results.append(result)
                else:
                    failed += self._record_failed(packet, result, ends)
        if landed:
            stream.wrote()
            self._settle(landed, results, started)
        if ends:
            doing = f"write to {stream.words}"
            self._end(ends[0].explain(stream.session, stream.arn, doing), ends[0])
        if failed:
            self._try_again(failed)

    def _send(self, request: list[Packet]) -> PutRecordsReply | CallFailed:
        stream = self._stream
        started = stream.clock()
        for packet in request:
            packet.attempts += 1
        try:
            return stream.client.put_records(stream.name, [packet.entry for packet in request])
        except CallFailed as failure:
            return without_traceback(failure)  # its frames hold the request
        finally:
            users = [len(packet.members) for packet in request]
            sizes = [len(packet.entry.data) for packet in request]
            stream.recorder.requested(stream.name, stream.clock() - started, users, sizes)

    def _record_failed(self, packet: Packet, result: PutResult, ends: list[CallFailed]) -> list[Packet]:
        """Gives the packets of a refused record to try again. An error that no retry cures goes to `ends`."""
        code = result.error_code or _NOT_STORED
        self._count_error(code, packet)
        throttled = code in THROTTLED_CODES
        if throttled:
            self._throttled.add(packet.shard_id)
        if throttled and self._stream.options.fail_if_throttled:
            self._refuse_throttled(packet, code)
            return []
        if not throttled and (code in _TERMINAL or code.startswith("KMS")):
            ends.append(CallFailed("PutRecords", code, (result.error_message or "")[:300], 400))
        return [] if self._expired(packet, self._stream.clock()) else [packet]

    def _call_failed(
        self, request: list[Packet], failure: CallFailed, ends: list[CallFailed]
    ) -> list[Packet]:
        """Gives the packets of a failed call to try again. An error that no retry cures goes to `ends`."""
        stream = self._stream
        for packet in request:
            self._count_error(failure.code, packet, failure.reason)
        if failure.invalid and not failure.ours and not failure.blames_stream:
            self._halve(request, failure)
            return []
        if not failure.retriable:
            ends.append(failure)
            return []
        if failure.throttled:
            self._throttled.update(packet.shard_id for packet in request)
        if failure.throttled and stream.options.fail_if_throttled:
            for packet in request:
                self._refuse_throttled(packet, failure.code)
            return []
        now = stream.clock()
        return [packet for packet in request if not self._expired(packet, now)]

    def _halve(self, request: list[Packet], failure: CallFailed) -> None:
        """Looks at once for the record that makes a request invalid, in requests of half as many records."""
        if len(request) > 1:
            for packet in request:
                packet.company = (len(request) + 1) // 2
            self._queue.wait(request, 0.0)
            return
        (packet,) = request
        if len(packet.members) > 1:
            self._queue.replace(packet, self._packets(packet.members, plain=True))
            return
        reason = f"{self._stream.words} refuses this one event: {failure.code}: {failure.text}"
        self._refuse(packet, failure.code, reason)

    def _count_error(self, code: str, packet: Packet, words: str = "") -> None:
        self._patience.count(words or code)
        stream = self._stream
        stream.recorder.failed(stream.name, packet.shard_id or None, code, len(packet.members), words)

    def _try_again(self, failed: list[Packet]) -> None:
        tries = max(packet.attempts for packet in failed)
        bound = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(tries - 1, 10))
        at = self._stream.clock() + random.uniform(0.1 * bound, bound)
        self._queue.wait(failed, at)
        self._patience.log_retries(len(failed))

    def _settle(self, landed: list[Packet], results: list[PutResult], sent_at: float) -> None:
        """Accepts the records that lie where all their user records may be read. The others are sent again."""
        lost = self._shards.lost(landed, results, self._map)
        anew = set(map(id, lost))
        by_shard: dict[tuple[str, int], list[Packet]] = {}
        for packet, result in zip(landed, results, strict=True):
            if anew and id(packet) in anew:
                continue
            by_shard.setdefault((result.shard_id or "", packet.attempts), []).append(packet)
            self._written.append(packet.members)
            if packet.lane is not None:
                self._queue.done(packet)
        buffered_ms = self._waited_ms + (sent_at - self._patience.started) * 1000
        # By shard, since a call per record would cost more than sending it.
        for (shard_id, attempts), packets in by_shard.items():
            users = [len(packet.members) for packet in packets]
            sizes = [len(packet.entry.data) for packet in packets]
            self._stream.recorder.landed(
                Landed(self._stream.name, shard_id, users, sizes, attempts - 1, buffered_ms)
            )
        if lost:
            self._send_anew(lost)

    def _send_anew(self, lost: list[Packet]) -> None:
        _LOGGER.info(
            "%s: %d aggregated records met a shard that was split or merged; their events are sent again",
            self._stream.words, len(lost),
        )  # fmt: skip
        for packet in lost:
            self._count_error("WrongShard", packet)
        self._misses += 1
        # All unsent packets go with them, so that the order within a key stays.
        self._queue.wait(lost, 0.0)
        self._packed_by = -1
