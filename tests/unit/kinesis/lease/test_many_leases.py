"""Thousands of shards: what a worker does for them grows with their number, and no faster, and its leases stay valid."""

import threading
from typing import NamedTuple

import pytest

from penstock.io.kinesis.lease.coordinator import Coordinator
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.rules._graph import missing_leases
from penstock.io.kinesis.lease.rules._ownership import sort_rows
from penstock.io.kinesis.lease.rules._rows import Lease, Rows
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import MemoryLeases
from penstock.io.kinesis.positions import LATEST, SHARD_END, TRIM_HORIZON, Position, StreamIdentity
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.kinesis.stream_facts import StreamFacts
from penstock.io.kinesis.wire.calls import ChildShard, HashKeyRange

FACTS = StreamFacts(StreamIdentity("arn:aws:kinesis:us-east-1:000000000000:stream/s", 1))


class Counted(NamedTuple):
    """A shard that counts how often it is asked for its parents."""

    shard_id: str
    of: tuple[str, ...]
    asked: list[int]
    closed: bool = False

    @property
    def parents(self):
        self.asked[0] += 1
        return self.of


@pytest.mark.parametrize("initial", [TRIM_HORIZON, LATEST])
def test_missing_leases_asks_each_shard_a_few_times(initial):
    asked, count = [0], 500
    shards = {f"{n:06}": Counted(f"{n:06}", (), asked) for n in range(count)}
    shards |= {f"{n + count:06}": Counted(f"{n + count:06}", (f"{n:06}",), asked) for n in range(count)}
    assert len(missing_leases(shards, {}, initial)) == 2 * count
    assert asked[0] < 10 * len(shards)


class Looked(dict):
    """A mapping that counts how many of its keys were looked through, one after the other."""

    looks = 0

    def __iter__(self):
        for key in super().__iter__():
            self.looks += 1
            yield key


def test_rows_of_shards_that_are_not_listed_any_more_look_through_the_listing_once():
    """As in the table of a KCL application that runs for long: its rows don't say of which stream they are."""
    count = 500
    width = (1 << 128) // count
    listed = Looked()
    for n in range(count):
        shard_id = f"shardId-{n + count:012}"
        listed[shard_id] = Shard(shard_id, (), n * width, (n + 1) * width - 1, "0", None)
    rows = [Lease(f"shardId-{n:012}", SHARD_END) for n in range(count)]
    assert sort_rows(Rows(rows, []), listed, FACTS.identity, "app") == (rows, {})
    assert listed.looks <= count


def view_of(shards):
    return StreamView(lambda: list(shards.values()), lambda: FACTS, lambda: 0.0)


def test_shards_that_passed_their_retention_look_through_the_listing_once():
    shards = {f"shardId-{n + 500:012}": Counted(f"shardId-{n + 500:012}", (), [0]) for n in range(500)}
    view = view_of(shards)
    view.list_now()
    view.shards = listed = Looked(view.shards)
    assert all(view.has_passed_retention(f"shardId-{n:012}") for n in range(500))
    assert listed.looks <= 500


def test_shards_that_end_at_once_ask_each_other_shard_for_its_parents_once():
    asked, count = [0], 500
    shards = {f"{n:06}": Counted(f"{n:06}", (), asked) for n in range(count)}
    view = view_of(shards)
    view.list_now()
    for n in range(count):
        view.add_children(f"{n:06}", [ChildShard(f"{n + count:06}", [f"{n:06}"], HashKeyRange("0", "9"))])
    assert [child.shard_id for child in view.children_of("000007")] == [f"{count + 7:06}"]
    assert len(view.shards) == 2 * count
    assert asked[0] <= count


class SlowLeases(MemoryLeases):
    """Each write takes 5 ms, or as long as it is told, of a clock that only it moves."""

    def __init__(self, write_s=0.005):
        super().__init__()
        self.now = 100.0
        self._write_s = write_s
        self._writes = threading.Lock()

    def create(self, lease):
        self.now += self._write_s
        return super().create(lease)

    def replace(self, old, new):
        with self._writes:  # renewals go out on eight threads
            self.now += self._write_s / 8 if old.owner == new.owner else self._write_s
        super().replace(old, new)


def worker_of(store, shards, name="me"):
    width = (1 << 128) // shards
    listed = [Shard(f"shardId-{n:012}", (), n * width, (n + 1) * width - 1, "0", None) for n in range(shards)]
    lock = threading.Condition()
    view = StreamView(lambda: listed, lambda: FACTS, lambda: store.now)
    return Coordinator(
        store, view, KinesisReadOptions(kinesis_stream_name="s", application_name="app"), name,
        lambda lease, shard: HeldShard(lease, Position(0), lock), lock, lambda: store.now, lambda: 1,
        gone=lambda owner: False,
    )  # fmt: skip


def test_leases_stay_valid_while_many_are_made_and_taken():
    store, count = SlowLeases(0.02), 1000  # to make or take them all lasts 20 s; a lease is valid for 10
    worker = worker_of(store, count)
    until = store.now + 300
    while len(worker.held) < count or store.now < until - 200:
        store.now += max(0.001, worker.tick())
        expired = [held for held in worker.held.values() if not held.valid(store.now)]
        assert not expired, f"{len(expired)} of {len(worker.held)} at {store.now:.1f}"
        assert store.now < until
    worker.give_up()


def test_rounds_do_not_grow_with_the_leases():
    store = SlowLeases()
    worker = worker_of(store, 300)
    while len(worker.held) < 300:
        store.now += max(0.001, worker.tick())
    began, rounds = store.now, 0
    while store.now < began + 30:
        store.now += max(0.001, worker.tick())
        rounds += 1
    assert rounds <= 30 / 0.25 + 1
    worker.give_up()


def test_of_two_that_start_at_once_one_makes_the_leases():
    store = SlowLeases()
    refused = 0
    create = store.create

    def counted(lease):
        nonlocal refused
        made = create(lease)
        refused += not made
        return made

    store.create = counted
    workers = [worker_of(store, 2000, name) for name in ("one", "two")]
    for worker in workers:
        worker._view.list_now()
    rows = store.rows

    def late():
        """The second one has looked before the first one has made anything."""
        store.rows = rows
        seen = rows()
        workers[0].tick()
        return seen

    store.rows = late
    workers[1].tick()
    assert store.scan()
    assert refused == 1
    for worker in workers:
        worker.give_up()
