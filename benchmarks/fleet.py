"""A fleet that no machine of ours can hold, on a simulated clock: what 5,000 shards and 10,000 Beats cost 50 workers.

usage: python -P benchmarks/fleet.py [--workers N] [--shards N] [--beats N] [--seed N] [--failover_ms N] [--json]

The coordinators are the job's own (`io/kinesis/lease`); the lease table is one in memory that counts what DynamoDB would
bill. The same seed gives the same figures.

What is assumed: a write takes 5 ms, a page of a scan (1 MB) 30 ms, and a worker's round is seen by the others as soon as
it begins; a worker renews on 8 threads, as the job does. A worker that dies tells nobody, as on another host (one on
the same host is noticed at the next look). All shards stand at their tip.
A Beat takes a host of its list at random, and after a failure waits 1 s, then twice as long each time, up to 60 s, each
time between half and all of it, as Filebeat does.

Units: a write counts one unit per KB begun; a scan, read consistently, one per 4 KB of a page.
"""

import argparse
import collections
import heapq
import json
import logging
import math
import random
import statistics
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from penstock.io.kinesis.lease.coordinator import Coordinator
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import Lease, LeaseLost, MemoryLeases, Rows
from penstock.io.kinesis.positions import Position, StreamIdentity
from penstock.io.kinesis.read._pace import idle_pause_s
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.kinesis.stream_facts import StreamFacts

WRITE_S, PAGE_S, PAGE_BYTES, RENEWERS = 0.005, 0.030, 1 << 20, 8
START_WITHIN_S = 20.0
READS_PER_SHARD = 5
STREAM = StreamIdentity(
    "arn:aws:kinesis:eu-central-1:123456789012:stream/a-stream-of-logs", 1_700_000_000_000
)


class Counts:
    """What DynamoDB was asked for, since it was last asked."""

    def __init__(self) -> None:
        self.reads = self.writes = self.refused = self.scans = 0


class Clock:
    """The time of one worker: what it does takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Table(MemoryLeases):
    """The rows, which all workers share; `of` gives a worker's way to it."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()
        self.row_bytes = 0

    def rows(self) -> Rows:
        rows = super().rows()
        if rows.leases and not self.row_bytes:
            self.row_bytes = size_of(
                rows.leases[0].taken_by("ip-10-0-0-1:12345:123456789:0123456789abcdef:1")
            )
        return rows


class Access(MemoryLeases):
    """One worker's calls: each takes that worker's time, and is counted."""

    def __init__(self, table: Table, clock: Clock) -> None:
        super().__init__()
        self._table, self._clock = table, clock
        self.at_once = 1

    def rows(self) -> Rows:
        rows = self._table.rows()
        size = max(1, self._table.row_bytes * len(rows.leases))
        self._clock.now += PAGE_S * math.ceil(size / PAGE_BYTES)
        self._table.counts.reads += math.ceil(size / 4096)
        self._table.counts.scans += 1
        return rows

    def create(self, lease: Lease) -> bool:
        made = self._table.create(lease)
        self._wrote(refused=not made)
        return made

    def replace(self, old: Lease, new: Lease) -> None:
        try:
            self._table.replace(old, new)
        except LeaseLost:
            self._wrote(refused=True)
            raise
        self._wrote(refused=False)

    def _wrote(self, *, refused: bool) -> None:
        self._clock.now += WRITE_S / self.at_once
        self._table.counts.writes += 1  # a write that its condition refuses is billed too
        self._table.counts.refused += refused


class Inline:
    """In the place of the renewals' threads: one after the other, in the same time."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        self._access.at_once = RENEWERS
        try:
            return iter([work(item) for item in items])
        finally:
            self._access.at_once = 1

    def shutdown(self) -> None:
        pass


def size_of(lease: Lease) -> int:
    """Bytes of a row as DynamoDB counts them: names and values."""
    return sum(len(name) + len(str(next(iter(value.values())))) for name, value in lease.to_item().items())


class Worker:
    """One worker: a coordinator of the job, with a clock of its own."""

    def __init__(self, name: str, table: Table, shards: list[Shard], options: KinesisReadOptions) -> None:
        self.clock = Clock()
        access = Access(table, self.clock)
        lock = threading.Condition()
        facts = StreamFacts(STREAM, open_shards=len(shards))
        view = StreamView(lambda: shards, lambda: facts, self.clock)

        def open_shard(lease: Lease, shard: Shard | None) -> HeldShard:
            return HeldShard(lease, Position(0), lock)

        self.coordinator: Coordinator[HeldShard] = Coordinator(
            access, view, options, name, open_shard, lock, self.clock, lambda: int(self.clock.now * 1000),
            gone=lambda owner: False,
        )  # fmt: skip
        # Threads would make the order of writes, and so the figures, differ from run to run.
        self.coordinator._renewals._writers = Inline(access)  # type: ignore[assignment]

    def tick(self, now: float) -> float:
        """Does what is due; gives the time of the next tick."""
        self.clock.now = max(now, self.clock.now)
        pause = self.coordinator.tick()
        return self.clock.now + max(0.05, pause)

    def reads(self, now: float) -> set[str]:
        """The shards that it may read."""
        return {shard_id for shard_id, held in self.coordinator.held.items() if held.valid(now)}


class Fleet:
    """Workers that come and die, and the time."""

    def __init__(self, shards: int, failover_ms: int) -> None:
        edges = [(1 << 128) * number // shards for number in range(shards + 1)]
        self.shards = [
            Shard(f"shardId-{number:012d}", (), edges[number], edges[number + 1] - 1, "0", None)
            for number in range(shards)
        ]
        self.options = KinesisReadOptions(
            kinesis_stream_name="a-stream-of-logs", application_name="logs",
            additional_settings=[f"failoverTimeMillis={failover_ms}"],
        )  # fmt: skip
        self.table = Table()
        self.workers: dict[int, Worker] = {}
        self.now = 0.0
        self.doubled = 0
        self._queue: list[tuple[float, int]] = []
        self._number = 0

    def start(self, count: int, within_s: float) -> None:
        for _ in range(count):
            self._number += 1
            name = f"ip-10-0-0-{self._number}:12345:123456789:{self._number:016x}:1"
            self.workers[self._number] = Worker(name, self.table, self.shards, self.options)
            heapq.heappush(self._queue, (self.now + random.uniform(0, within_s), self._number))

    def kill(self, number: int) -> None:
        """It is gone, and tells nobody."""
        del self.workers[number]

    def run(self, seconds: float, done: Callable[[], bool] = lambda: False) -> float | None:
        """Lets time pass until `done`, which is asked once per second; gives how long that took."""
        began, ask = self.now, math.floor(self.now) + 1.0
        while ask <= began + seconds:
            while self._queue and self._queue[0][0] < ask:
                at, number = heapq.heappop(self._queue)
                if number in self.workers:
                    heapq.heappush(self._queue, (self.workers[number].tick(at), number))
            self.now = ask
            readers = collections.Counter(
                shard_id for worker in self.workers.values() for shard_id in worker.reads(self.now)
            )
            self.doubled += sum(count > 1 for count in readers.values())
            self.read = len(readers)
            if done():
                return self.now - began
            ask += 1.0
        return None

    def held(self) -> list[int]:
        return [len(worker.reads(self.now)) for worker in self.workers.values()]

    def all_read(self) -> bool:
        return self.read == len(self.shards)

    def balanced(self) -> bool:
        held = self.held()
        return self.all_read() and max(held) - min(held) <= 1


def per_second(fleet: Fleet, seconds: float) -> dict[str, float]:
    """The table's load while nothing happens."""
    fleet.table.counts = Counts()
    fleet.run(seconds)
    counts = fleet.table.counts
    return {
        "read_units": counts.reads / seconds,
        "write_units": counts.writes / seconds,
        "scans": counts.scans / seconds,
    }


def simulate(workers: int, shards: int, failover_ms: int) -> dict[str, Any]:
    fleet = Fleet(shards, failover_ms)
    found: dict[str, Any] = {"workers": workers, "shards": shards, "failover_s": failover_ms / 1000}

    def event(name: str, seconds: float, done: Callable[[], bool]) -> None:
        fleet.table.counts = Counts()
        found[name] = {
            "seconds": fleet.run(seconds, done),
            "write_units": fleet.table.counts.writes,
            "refused_writes": fleet.table.counts.refused,
            "read_units": fleet.table.counts.reads,
        }

    fleet.start(workers, START_WITHIN_S)
    event("first start until all is read", 900, fleet.all_read)
    event("then until balanced", 900, fleet.balanced)
    found["steady, per second"] = per_second(fleet, 60)
    fleet.kill(random.choice(list(fleet.workers)))
    event("a worker dies: until its shards are read", 900, fleet.all_read)
    event("then until balanced again", 900, fleet.balanced)
    fleet.start(max(1, workers // 10), 1.0)
    event("a tenth more workers: until balanced", 900, fleet.balanced)
    pause = idle_pause_s(fleet.options.settings.idleTimeBetweenReadsInMillis / 1000, max(fleet.held()))
    found["GetRecords"] = {
        "per_shard_and_second": round(1 / pause, 2),
        "limit": READS_PER_SHARD,
        "per_worker_and_second": round(max(fleet.held()) / pause, 1),
        "fleet_per_second": round(shards / pause),
    }
    found["shard-seconds with two readers"] = fleet.doubled
    found["row_bytes"] = fleet.table.row_bytes
    return found


def simulate_beats(beats: int, workers: int) -> dict[str, Any]:
    """How evenly Beats that choose by themselves are spread, before and after a worker's death."""
    at = [random.randrange(workers) for _ in range(beats)]
    before = collections.Counter(at)
    dead = 0
    delays = []
    for number in range(beats):
        if at[number] != dead:
            continue
        waited, backoff = 0.0, 1.0
        while True:
            waited += random.uniform(backoff / 2, backoff)
            at[number] = random.randrange(workers)
            if at[number] != dead:
                break
            backoff = min(60.0, backoff * 2)
        delays.append(waited)
    after = collections.Counter(at)
    return {
        "beats": beats,
        "per_worker": {"mean": beats / workers, "least": min(before.values()), "most": max(before.values())},
        "after_a_death": {"most": max(after.values())},
        "seconds_until_connected_again": {
            "median": round(statistics.median(delays), 2) if delays else None,
            "all": round(max(delays), 2) if delays else None,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--shards", type=int, default=5000)
    parser.add_argument("--beats", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failover_ms", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="one line that a program can read")
    arguments = parser.parse_args()
    logging.disable()
    random.seed(arguments.seed)
    found = simulate(arguments.workers, arguments.shards, arguments.failover_ms)
    found["beats"] = simulate_beats(arguments.beats, arguments.workers)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        print(f"  {name:45} {text}")


if __name__ == "__main__":
    main()
