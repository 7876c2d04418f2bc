"""A Kinesis stream in memory, and a live source that moves only when told to.

For tests that choose every interleaving: no threads, no sockets, a clock moved by hand.
"""

import functools
import hashlib
import itertools
from collections.abc import Callable

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.lease.table import LeaseStore
from penstock.io.kinesis.positions import Position, StreamIdentity
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.kinesis.stream_facts import StreamFacts
from penstock.io.kinesis.wire.calls import CallFailed, ChildShard, GetRecordsReply, HashKeyRange, Record

WHOLE = (1 << 128) - 1
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/stream"


class StreamModel:
    """Shards, their records and iterators; `page` bounds a reply's records."""

    def __init__(self, shards: int = 1, page: int = 3) -> None:
        self.page = page
        self.identity = StreamIdentity(ARN, 1_700_000_000_000)
        self.shards: dict[str, Shard] = {}
        self.records: dict[str, list[Record]] = {}
        self.now = 1_000_000.0
        self.failures: list[CallFailed] = []
        self.failing = False
        self.lies = 0
        """So many replies come without a next iterator, wherever they stand in the shard."""
        self.names_children = True
        self.listing: list[Shard] | None = None
        """What ListShards gives instead of the truth, where it lags."""
        self.iterators: dict[str, tuple[str, int]] = {}
        self._numbers = itertools.count(10, 7)
        self._names = itertools.count()
        step = -(-(WHOLE + 1) // shards)
        for n in range(shards):
            self._add((), n * step, min(WHOLE, (n + 1) * step - 1))

    def _add(self, parents: tuple[str, ...], start: int, end: int) -> str:
        name = f"shardId-{next(self._names):012d}"
        self.shards[name] = Shard(name, parents, start, end, str(next(self._numbers)), None)
        self.records[name] = []
        return name

    def _close(self, shard_id: str) -> None:
        self.shards[shard_id] = self.shards[shard_id]._replace(
            ending_sequence_number=str(next(self._numbers))
        )

    def open_shards(self) -> list[Shard]:
        found = [shard for shard in self.shards.values() if not shard.closed]
        return sorted(found, key=lambda shard: shard.start)

    def describe(self) -> StreamFacts:
        return StreamFacts(self.identity)

    def list_shards(self) -> list[Shard]:
        return list(self.shards.values()) if self.listing is None else self.listing

    # -- what others do to the stream ------------------------------------------------------------------

    def put(self, key: str, data: bytes) -> tuple[str, str]:
        """Returns shard and sequence number."""
        number = int.from_bytes(hashlib.md5(key.encode()).digest(), "big")
        shard = next(shard for shard in self.open_shards() if shard.start <= number <= shard.end)
        record = Record(str(next(self._numbers)), data, key, self.now)
        self.records[shard.shard_id].append(record)
        return shard.shard_id, record.sequence_number

    def split(self, shard_id: str) -> None:
        shard = self.shards[shard_id]
        if shard.end - shard.start < 2:
            return
        middle = (shard.start + shard.end) // 2
        self._close(shard_id)
        self._add((shard_id,), shard.start, middle)
        self._add((shard_id,), middle + 1, shard.end)

    def merge(self, left: str, right: str) -> None:
        start, end = self.shards[left].start, self.shards[right].end
        self._close(left)
        self._close(right)
        self._add((left, right), start, end)

    def trim(self, shard_id: str, count: int) -> None:
        """The oldest records pass their retention; iterators that stood before them go on behind them."""
        del self.records[shard_id][:count]

    # -- the data plane --------------------------------------------------------------------------------

    def get_shard_iterator(
        self,
        stream: str,
        shard_id: str,
        kind: str,
        *,
        sequence_number: str | None = None,
        timestamp: float | None = None,
    ) -> str:
        self._maybe_fail()
        if shard_id not in self.shards:
            raise CallFailed("GetShardIterator", "ResourceNotFoundException", "no such shard", 400)
        records = self.records[shard_id]
        first = 0
        if kind == "LATEST":
            first = int(records[-1].sequence_number) + 1 if records else 0
        elif kind == "AT_SEQUENCE_NUMBER":
            assert sequence_number is not None
            if not any(shard_id == known for known in self.shards) or int(sequence_number) < 10:
                raise CallFailed("GetShardIterator", "InvalidArgumentException", "not of this shard", 400)
            first = int(sequence_number)
        elif kind == "AT_TIMESTAMP":
            assert timestamp is not None
            later = [r for r in records if r.approximate_arrival_timestamp >= timestamp]
            first = (
                int(later[0].sequence_number)
                if later
                else (int(records[-1].sequence_number) + 1 if records else 0)
            )
        return self._iterator(shard_id, first)

    def _iterator(self, shard_id: str, first: int) -> str:
        name = f"iterator-{len(self.iterators)}"
        self.iterators[name] = (shard_id, first)
        return name

    def expire_iterators(self) -> None:
        self.iterators = dict.fromkeys(self.iterators, ("", 0))

    def _maybe_fail(self) -> None:
        if self.failing:
            raise CallFailed("GetRecords", "InternalFailure", "", 500)
        if self.failures:
            raise self.failures.pop(0)

    def get_records(self, iterator: str, limit: int = 10000, stream: str | None = None) -> GetRecordsReply:
        self._maybe_fail()
        shard_id, first = self.iterators[iterator]
        if not shard_id:
            raise CallFailed("GetRecords", "ExpiredIteratorException", "expired", 400)
        waiting = [r for r in self.records[shard_id] if int(r.sequence_number) >= first]
        found = waiting[: min(self.page, limit)]
        first = int(found[-1].sequence_number) + 1 if found else first
        more = len(waiting) > len(found)
        next_iterator = self._iterator(shard_id, first) if more or not self.shards[shard_id].closed else None
        children = []
        if next_iterator is None and self.names_children:
            children = [
                ChildShard(
                    child.shard_id, list(child.parents), HashKeyRange(str(child.start), str(child.end))
                )
                for child in self.shards.values()
                if shard_id in child.parents
            ]
        if self.lies:
            self.lies -= 1
            next_iterator, children = None, []
        behind = int((self.now - found[-1].approximate_arrival_timestamp) * 1000) + 1 if more else 0
        return GetRecordsReply(found, next_iterator, behind, children)

    def close(self) -> None: ...


class ManualPool:
    """Steps run when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], float | None]] = []

    def add(self, task: Callable[[], float | None]) -> None:
        self.tasks.append(task)

    def step(self, number: int = 0) -> None:
        if self.tasks:
            task = self.tasks[number % len(self.tasks)]
            if task() is None:
                self.tasks.remove(task)

    def step_all(self) -> None:
        for number in reversed(range(len(self.tasks))):
            self.step(number)

    def stop(self, timeout_s: float = 0.0) -> None:
        self.tasks.clear()


@functools.cache
def _session() -> AwsSession:
    """One for all: to make it takes longer than most tests of the read."""
    return AwsSession(AwsOptions(access_key="x", secret_key="x"))


class SteppedLive(KinesisLive):
    """A live source without threads."""

    def __init__(
        self,
        model: StreamModel,
        store: LeaseStore,
        options: KinesisReadOptions,
        clock: Callable[[], float],
        mark: object = None,
    ) -> None:
        self.pool = ManualPool()
        alone = options.metrics == "cloudwatch"  # its clients may belong to a test's AWS
        super().__init__(
            "test", options, AwsOptions(access_key="x", secret_key="x"), session=None if alone else _session(),
            client=model, store=store, shards=model.list_shards, describe=model.describe, clock=clock, pool=self.pool,
        )  # fmt: skip
        self.coordinator = self._coordinator
        self.resume(mark)

    def _start(self) -> None:
        pass

    def tick(self) -> None:
        self._reopen()
        self._coordinator.tick()

    def renew_all(self) -> None:
        """Renews every lease now, due or not."""
        for held in self.coordinator.held.values():
            held.renew_at = 0.0
        self.coordinator._lose(self.coordinator._renewals.renew_due(list(self.coordinator.held.values())))

    def take_all(self) -> list:
        batches = []
        while (batch := self.take(0.0)) is not None:
            batches.append(batch)
        return batches

    def close(self) -> None:
        self.stop()
        self._pool.stop()
        self._coordinator.give_up()


class HandClock:
    """Seconds that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def position_of(model: StreamModel, shard: str, number: int) -> Position:
    """The position of a shard's record by its number."""
    return Position(int(model.records[shard][number].sequence_number))


def read_all(live: SteppedLive, rounds: int = 5) -> list:
    """Everything there is, not acknowledged."""
    batches = []
    for _ in range(rounds):
        live.tick()
        live.pool.step_all()
        batches += live.take_all()
    return batches


def payloads(batches: list) -> list[bytes]:
    return [event.data for batch in batches for event in batch.events]


def acknowledge(live: SteppedLive, batches: list) -> None:
    for batch in batches:
        live.acknowledge(batch.receipt.tokens)
