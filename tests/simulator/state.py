"""`state` is a simulated stream: shards with hash ranges, records in order, positions that expire and are trimmed.

Held against the service's documented behaviour, not against another emulator:
- a record goes to the open shard whose hash range holds its explicit hash key, else the MD5 of its partition key;
- a split or merge closes the parents; nothing is put to them any more; their iterators end in null with ChildShards;
- sequence numbers rise within a stream and are decimal strings of 56 digits;
- 1,000 records and 1 MiB per second and shard, when throttles are on, with a burst of one second;
- a stream of strategy AUTO puts records into its shards by turns, and keeps a partition key only where one was given;
- ListShards may lag: it then shows the shards as they were `listing_lag_s` seconds ago.
Records keep their data as the base64 text that came: nothing here needs the bytes.
"""

import bisect
import hashlib
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

HASH_KEYS = 1 << 128
_FIRST_SEQUENCE = 49_000_000 * 10**48


class Stored(NamedTuple):
    sequence_number: int
    data_b64: str
    partition_key: str
    explicit_hash_key: int | None
    arrived: float


class Throttle:
    """A token bucket for one shard: `records` and `size` (bytes) a second, each with a burst of one second."""

    def __init__(self, records: float, size: float, clock: Callable[[], float]) -> None:
        self._limits = (records, size)
        self._tokens = [records, size]
        self._clock = clock
        self._last = clock()

    def admits(self, size: int) -> bool:
        now = self._clock()
        passed, self._last = now - self._last, now
        for index, limit in enumerate(self._limits):
            self._tokens[index] = min(limit, self._tokens[index] + passed * limit)
        if self._tokens[0] < 1 or self._tokens[1] < size:
            return False
        self._tokens[0] -= 1
        self._tokens[1] -= size
        return True


class SimulatedShard:
    def __init__(
        self, number: int, start: int, end: int, parents: tuple[str, ...], first: int, opened: float
    ) -> None:
        self.shard_id = f"shardId-{number:012d}"
        self.start, self.end = start, end
        self.parents = parents
        self.starting_sequence_number = first
        self.ending_sequence_number: int | None = None
        self.children: list[SimulatedShard] = []
        self.records: list[Stored] = []
        self.sequence_numbers: list[int] = []
        self.trimmed = 0
        """The highest sequence number that is gone."""
        self.throttle: Throttle | None = None
        self.opened = opened
        self.ended: float | None = None

    def close(self, number: int, now: float) -> None:
        self.ending_sequence_number, self.ended = number, now

    @property
    def closed(self) -> bool:
        return self.ending_sequence_number is not None

    def description(self, as_of: float | None = None) -> dict[str, Any]:
        """As ListShards tells it; `as_of`: as it was then."""
        numbers = {"StartingSequenceNumber": str(self.starting_sequence_number)}
        if self.ended is not None and (as_of is None or self.ended <= as_of):
            numbers["EndingSequenceNumber"] = str(self.ending_sequence_number)
        told: dict[str, Any] = {
            "ShardId": self.shard_id,
            "HashKeyRange": {"StartingHashKey": str(self.start), "EndingHashKey": str(self.end)},
            "SequenceNumberRange": numbers,
        }
        if self.parents:
            told["ParentShardId"] = self.parents[0]
        if len(self.parents) > 1:
            told["AdjacentParentShardId"] = self.parents[1]
        return told


class SimulatedStream:
    """One stream. Not safe from several threads by itself: the simulator holds its lock around every call."""

    def __init__(
        self,
        name: str,
        shards: int,
        *,
        region: str = "us-east-1",
        clock: Callable[[], float],
        created: float | None = None,
    ) -> None:
        self.name = name
        self.arn = f"arn:aws:kinesis:{region}:000000000000:stream/{name}"
        self.status = "ACTIVE"
        self.created = clock() if created is None else created
        self.clock = clock
        self.mode = "PROVISIONED"
        self.strategy: str | None = None
        """`AUTO` or `USER_PARTITION_KEY` of an on-demand stream; None leaves the field out, as older services do."""
        self.warm_mibps: int | None = None
        self.max_record_kib = 1024
        self.retention_h = 24
        self.listing_lag_s = 0.0
        self._turn = itertools.count()
        self.keep = True
        """False: records are counted and forgotten (for benchmarks)."""
        self.accepted_records = 0
        self.accepted_size = 0
        self.throttle_limits: tuple[float, float] | None = None
        self._numbers = itertools.count()
        self._sequence = itertools.count(_FIRST_SEQUENCE, 16)
        self.shards: list[SimulatedShard] = []
        edges = [HASH_KEYS * index // shards for index in range(shards + 1)]
        for start, end in itertools.pairwise(edges):
            self._open(start, end - 1, ())

    def _open(self, start: int, end: int, parents: tuple[str, ...]) -> SimulatedShard:
        shard = SimulatedShard(next(self._numbers), start, end, parents, next(self._sequence), self.clock())
        if self.throttle_limits:
            shard.throttle = Throttle(*self.throttle_limits, self.clock)
        self.shards.append(shard)
        self._map()
        return shard

    def _map(self) -> None:
        self._open_shards = sorted(
            (shard for shard in self.shards if not shard.closed), key=lambda s: s.start
        )
        self._starts = [shard.start for shard in self._open_shards]

    @property
    def open_shards(self) -> list[SimulatedShard]:
        return list(self._open_shards)

    def shard(self, shard_id: str) -> SimulatedShard:
        """Raises `KeyError` for one that isn't there."""
        for shard in self.shards:
            if shard.shard_id == shard_id:
                return shard
        raise KeyError(shard_id)

    def throttle(self, records: float = 1000, size: float = 1 << 20) -> None:
        """From now on each shard takes no more than this a second."""
        self.throttle_limits = (records, size)
        for shard in self.shards:
            shard.throttle = Throttle(records, size, self.clock)

    def listed(self) -> list[dict[str, Any]]:
        """What ListShards tells now, which may be how the stream was a while ago."""
        as_of = self.clock() - self.listing_lag_s if self.listing_lag_s else None
        first = min(shard.opened for shard in self.shards)
        return [
            shard.description(as_of)
            for shard in self.shards
            if as_of is None or shard.opened <= as_of or shard.opened == first
        ]

    def put(
        self, data_b64: str, size: int, partition_key: str, explicit: int | None
    ) -> tuple[str, str] | None:
        """Stores one record; its shard id and sequence number, or None when the shard is throttled."""
        hash_key = explicit
        if self.strategy == "AUTO":
            hash_key = self._starts[next(self._turn) % len(self._starts)]
        if hash_key is None:
            digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
            hash_key = int.from_bytes(digest, "big")
        shard = self._open_shards[bisect.bisect_right(self._starts, hash_key) - 1]
        if shard.throttle is not None and not shard.throttle.admits(size):
            return None
        number = next(self._sequence)
        self.accepted_records += 1
        self.accepted_size += size
        if self.keep:
            # Kinesis tells arrival in whole milliseconds, so a position by time must compare those.
            arrived = int(self.clock() * 1000) / 1000
            shard.records.append(Stored(number, data_b64, partition_key, explicit, arrived))
            shard.sequence_numbers.append(number)
        return shard.shard_id, str(number)

    def split(self, shard_id: str, new_starting_hash_key: int | None = None) -> list[SimulatedShard]:
        """Closes the shard; two children take its range (at the middle, unless told)."""
        parent = self.shard(shard_id)
        middle = new_starting_hash_key
        if middle is None:
            middle = (parent.start + parent.end + 1) // 2
        if parent.closed or not parent.start < middle <= parent.end:
            message = f"{shard_id} can't be split at {middle}"
            raise ValueError(message)
        parent.close(next(self._sequence), self.clock())
        parent.children = [
            self._open(parent.start, middle - 1, (shard_id,)),
            self._open(middle, parent.end, (shard_id,)),
        ]
        return parent.children

    def merge(self, shard_id: str, adjacent_id: str) -> SimulatedShard:
        """Closes two neighbours; one child takes their range."""
        first, second = self.shard(shard_id), self.shard(adjacent_id)
        low, high = sorted((first, second), key=lambda shard: shard.start)
        if first.closed or second.closed or low.end + 1 != high.start:
            message = f"{shard_id} and {adjacent_id} can't be merged"
            raise ValueError(message)
        for parent in (first, second):
            parent.close(next(self._sequence), self.clock())
        child = self._open(low.start, high.end, (shard_id, adjacent_id))
        first.children = second.children = [child]
        return child

    def trim(self, shard_id: str, count: int) -> None:
        """The shard's oldest `count` records are gone, as after the retention period."""
        shard = self.shard(shard_id)
        if count and shard.sequence_numbers:
            shard.trimmed = shard.sequence_numbers[min(count, len(shard.sequence_numbers)) - 1]
        del shard.records[:count], shard.sequence_numbers[:count]

    def read(
        self, shard: SimulatedShard, position: int, limit: int, size: int
    ) -> tuple[list[Stored], int, int | None]:
        """Records from `position` (a sequence number) on: them, the next position, and the arrival lag in ms."""
        at = bisect.bisect_left(shard.sequence_numbers, position)
        found, total = [], 0
        for record in itertools.islice(shard.records, at, at + limit):
            total += len(record.data_b64) * 3 // 4
            if found and total > size:
                break
            found.append(record)
        after = found[-1].sequence_number + 1 if found else position
        rest = at + len(found)
        lag = 0
        if rest < len(shard.records):
            lag = max(1, int((self.clock() - shard.records[rest].arrived) * 1000))
        return found, after, lag

    def records(self) -> Iterable[tuple[SimulatedShard, Stored]]:
        """Everything stored, shard by shard, in order."""
        for shard in self.shards:
            for record in shard.records:
                yield shard, record


def wall_clock() -> float:
    return time.time()
