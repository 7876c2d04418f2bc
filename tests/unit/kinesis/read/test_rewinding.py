"""A read that bundle finalization acknowledges: where its runner and the lease differ, the smaller one wins."""

import json

import pytest

from penstock.io.kinesis.lease.table import Lease, MemoryLeases
from penstock.io.kinesis.positions import SHARD_END
from penstock.io.kinesis.read.rewinding import RewindingKinesis
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.tools.models.stream_model import (
    HandClock,
    SteppedLive,
    StreamModel,
    acknowledge,
    payloads,
    position_of,
    read_all,
)

SHARD = "shardId-000000000000"
OPTIONS = KinesisReadOptions("stream", application_name="app", checkpoint_interval_seconds=5)


class Stepped(SteppedLive, RewindingKinesis):
    """Moved by hand."""


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def model():
    made = StreamModel(page=2)
    for n in range(6):
        made.put("key", b"%d" % n)
    return made


def number(model, n):
    return position_of(model, SHARD, n)


def mark(model, n):
    return {"shards": {SHARD: (SHARD_END if n == "end" else number(model, n)).text()}}


@pytest.mark.parametrize(
    ("lease", "restored", "first"),
    [
        (None, None, 0),
        (1, None, 2),
        (None, 2, 0),
        (1, 3, 2),
        (3, 1, 2),
        (3, 3, 4),
        ("end", 1, 2),
        (1, "end", 2),
    ],
)
def test_the_smaller_of_mark_and_lease_wins(model, clock, lease, restored, first):
    if "end" in (lease, restored):
        model.split(SHARD)
    store = MemoryLeases()
    if lease is not None:
        store.create(Lease(SHARD, SHARD_END if lease == "end" else number(model, lease)))
    given = None if restored is None else json.loads(json.dumps(mark(model, restored)))
    live = Stepped(model, store, OPTIONS, clock, given)
    assert payloads(read_all(live, 6)) == [b"%d" % n for n in range(first, 6)]


def test_what_the_runner_restored_stays_known_until_its_shard_is_opened(model, clock):
    live = Stepped(model, MemoryLeases(), OPTIONS, clock, mark(model, 2))
    assert live.position() == mark(model, 2)


def test_the_next_reader_goes_on(model, clock):
    live = Stepped(model, MemoryLeases(), OPTIONS, clock)
    live.resume(live.position())
    found = []
    for _ in range(8):
        live.tick()
        live.pool.step_all()
        live.resume(live.position())
        found += live.take_all()
        live.resume(live.position())
    assert payloads(found) == [b"%d" % n for n in range(6)]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("back_to", [None, 1, 3])
def test_a_runner_that_goes_back_reads_again_what_was_acknowledged(model, clock, back_to, ends):
    if ends:
        model.split(SHARD)
    store = MemoryLeases()
    live = Stepped(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live, 6))
    clock.now += 10
    live.tick()
    assert store.scan()[0].position in (number(model, 5), SHARD_END)
    live.resume(None if back_to is None else mark(model, back_to))
    clock.now += 10  # the next look at the leases
    first = 0 if back_to is None else back_to + 1
    assert payloads(read_all(live, 6)) == [b"%d" % n for n in range(first, 6)]


def test_what_is_handed_out_and_not_acknowledged_comes_once_more_only(model, clock):
    live = Stepped(model, MemoryLeases(), OPTIONS, clock)
    lost = read_all(live, 6)
    live.resume(mark(model, 2))
    acknowledge(live, lost)  # by a bundle of before: means nothing any more
    again = read_all(live, 6)
    assert payloads(again) == [b"%d" % n for n in range(6)]  # the lease stands before the mark
    assert not live.settled
    acknowledge(live, again)
    assert live.settled
