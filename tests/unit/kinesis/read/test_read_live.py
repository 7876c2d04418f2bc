"""The live source, moved by hand: which position wins, what a lost lease means, how a stop ends."""

import dataclasses
import json
import time
from types import SimpleNamespace

import moto
import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import Unreachable
from penstock.io.kinesis.lease.table import Lease, LeaseTable, MemoryLeases
from penstock.io.kinesis.positions import LATEST, SHARD_END, TRIM_HORIZON
from penstock.io.kinesis.read import source
from penstock.io.kinesis.read.preflight import require_readable
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.stream_facts import StreamFacts
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


@pytest.mark.parametrize(
    ("lease", "mark", "first"),
    [
        (None, None, 0),
        (1, None, 2),
        (None, 2, 3),
        (1, 3, 4),
        (3, 1, 4),
        (3, 3, 4),
    ],
)
@pytest.mark.parametrize("initial", ["TRIM_HORIZON", "LATEST"])
def test_the_larger_of_mark_and_lease_wins_then_the_initial_position(
    model, clock, lease, mark, first, initial
):
    store = MemoryLeases()
    if lease is not None:
        store.create(Lease(SHARD, number(model, lease)))
    restored = None if mark is None else {"shards": {SHARD: number(model, mark).text()}}
    options = dataclasses.replace(OPTIONS, initial_position_in_stream=initial)
    live = SteppedLive(model, store, options, clock, json.loads(json.dumps(restored)))
    if lease is None and initial == "LATEST" and mark is None:
        store_time = live._coordinator._wall_ms() / 1000
        model.now = store_time + 60  # what is there now came long before; what comes next, after
        live.tick()
        model.put("key", b"new")
        assert payloads(read_all(live)) == [b"new"]
    else:
        assert payloads(read_all(live)) == [b"%d" % n for n in range(first, 6)]


def test_a_lease_at_the_end_of_its_shard_beats_any_mark_and_the_other_way_round(model, clock):
    model.split(SHARD)
    model.put("key", b"child")
    for lease, mark in ((SHARD_END, number(model, 1)), (number(model, 1), SHARD_END)):
        store = MemoryLeases()
        store.create(Lease(SHARD, lease))
        live = SteppedLive(model, store, OPTIONS, clock, {"shards": {SHARD: mark.text()}})
        assert payloads(read_all(live)) == [b"child"]


def test_from_a_time(model, clock):
    model.now += 100
    model.put("key", b"late")
    options = dataclasses.replace(
        OPTIONS, initial_position_in_stream="AT_TIMESTAMP", initial_position_timestamp=str(model.now - 1)
    )
    assert payloads(read_all(SteppedLive(model, MemoryLeases(), options, clock))) == [b"late"]


def test_latest_misses_nothing_between_the_first_start_and_a_restart_before_any_checkpoint(clock):
    model = StreamModel()
    options = dataclasses.replace(OPTIONS, initial_position_in_stream="LATEST")
    store = MemoryLeases()
    live = SteppedLive(model, store, options, clock)
    live.tick()
    live.close()
    assert store.scan()[0].position == LATEST
    model.now = store.scan()[0].started_ms / 1000 + 5
    model.put("key", b"while we were away")
    assert payloads(read_all(SteppedLive(model, store, options, clock))) == [b"while we were away"]


def test_a_checkpoint_costs_one_write_an_interval(model, clock):
    store = MemoryLeases()
    writes = []
    replace = store.replace
    store.replace = lambda old, new: (writes.append(new), replace(old, new))
    live = SteppedLive(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live))
    began = len(writes)
    for _ in range(60):
        clock.now += 0.5
        model.put("key", b"more")
        live.tick()
        live.pool.step_all()
        acknowledge(live, live.take_all())
    # Thirty seconds: six checkpoints, and no more renewals than those of an idle lease.
    positions = {new.position for new in writes[began:]}
    assert len(positions) == 6 + 1
    assert len(writes) - began <= 6 + 30 / (10 / 3)


def test_a_clean_stop_checkpoints_and_frees_the_lease(model, clock):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    batches = read_all(live)
    acknowledge(live, batches[:1])
    live.close()
    (lease,) = store.scan()
    assert lease.owner is None
    assert lease.position == number(model, len(batches[0].events) - 1)
    live = SteppedLive(model, store, OPTIONS, clock)
    assert payloads(batches[:1]) + payloads(read_all(live)) == [b"%d" % n for n in range(6)]


def test_a_worker_that_lost_its_lease_stops_at_once_and_writes_nothing_more(model, clock, caplog):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    batches = read_all(live)
    (lease,) = store.scan()
    taken = lease.taken_by("other")
    store.replace(lease, taken)
    acknowledge(live, batches)
    clock.now += 5.0
    live.tick()
    assert store.scan() == [taken]
    assert "no longer ours" in caplog.text
    assert live.settled
    assert live.pending_events == live.pending_bytes == 0
    model.put("key", b"for the other")
    live.pool.step_all()
    assert live.take(0.0) is None
    assert live.pool.tasks == []
    live.close()
    assert store.scan() == [taken]


def test_what_was_fetched_under_a_lost_lease_is_forgotten(model, clock):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    live.tick()
    live.pool.step_all()
    handed_out = live.take(0.0)
    live.pool.step_all()
    assert handed_out.events
    assert live.pending_events > len(handed_out.events), "some wait in the queue"
    (lease,) = store.scan()
    taken = lease.taken_by("other")
    store.replace(lease, taken)
    clock.now += 5.0
    live.tick()
    assert live.take(0.0) is None
    assert live.pending_events == live.pending_bytes == 0
    live.acknowledge(handed_out.receipt.tokens)
    live.tick()
    live.close()
    assert store.scan() == [taken]


def test_a_worker_that_slept_through_its_lease_reads_on_only_after_it_renewed_it(model, clock):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live))
    model.put("key", b"later")
    clock.now += 11.0
    live.pool.step_all()
    assert live.take(0.0) is None
    live.tick()
    assert payloads(read_all(live)) == [b"later"]


def test_a_table_that_is_away_for_longer_than_a_lease_lasts_costs_time_only(model, clock, caplog):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live))

    def away(*_):
        raise Unreachable("cannot use the lease table: no answer.")

    replace, rows = store.replace, store.rows
    store.replace = store.rows = away
    model.put("key", b"meanwhile")
    for _ in range(12):
        clock.now += 1.0
        live.tick()
    live.pool.step_all()
    assert live.take(0.0) is None, "another worker may have the lease by now"
    store.replace, store.rows = replace, rows
    clock.now += 5.0  # the longest pause between tries
    assert payloads(read_all(live)) == [b"meanwhile"]
    assert live.failure is None
    assert 1 <= caplog.text.count("trying again") <= 3, "once a minute for each thing tried"


def test_a_failed_bundle_is_handed_out_again_and_the_mark_goes_back(model, clock):
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    live.tick()
    live.pool.step_all()
    first = live.take(0.0)
    live.acknowledge(first.receipt.tokens)
    mark = live.position()
    live.pool.step_all()
    second = live.take(0.0)
    assert live.position() != mark
    live.requeue()
    assert live.position() == mark
    live.resume(mark)
    assert payloads([live.take(0.0)]) == payloads([second])


def test_the_same_mark_goes_on_an_older_one_hands_out_again_a_newer_one_skips(model, clock):
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    live.tick()
    live.pool.step_all()
    old = live.position()
    first = live.take(0.0)
    live.resume(live.position())
    live.pool.step_all()
    second = live.take(0.0)
    assert payloads([first, second]) == [b"0", b"1", b"2", b"3"]
    live.resume(old)
    again = live.take_all()
    assert payloads(again) == [b"0", b"1", b"2", b"3"]
    live.resume({"shards": {SHARD: number(model, 4).text()}})
    assert live.take(0.0) is None
    assert payloads(read_all(live)) == [b"5"]


def test_ready_means_that_every_shard_is_at_its_tip(model, clock):
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    assert not live.ready
    live.tick()
    assert not live.ready
    while not live.ready:
        live.pool.step_all()
        live.tick()
    assert sum(len(batch.events) for batch in live.take_all()) == 6
    model.split(SHARD)
    live.pool.step_all()
    assert not live.ready  # the children's turn has not come


def test_the_watermark_follows_what_is_handed_out_and_idle_shards_hold_nothing_back(clock):
    model = StreamModel(2, page=1)
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    keys = {}
    for n in range(50):
        keys.setdefault(model.put(f"k{n}", b"x")[0], f"k{n}")
    model.records = {shard_id: [] for shard_id in model.records}
    key = keys[SHARD]
    for n in range(3):
        model.now = 1000.0 + n
        model.put(key, b"x")
    marks = []
    for _ in range(6):
        live.tick()
        live.pool.step_all()
        for batch in live.take_all():
            marks.append(live.watermark_ms())
            live.acknowledge(batch.receipt.tokens)
    assert marks == [1_000_000, 1_001_000, 1_002_000]
    assert live.watermark_ms() > 1_002_000


def test_a_finished_shard_that_the_stream_forgot_loses_its_lease_in_the_end(model, clock):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    model.split(SHARD)
    model.put("key", b"child")
    acknowledge(live, read_all(live))
    live.tick()
    assert {lease.shard_id: lease.position == SHARD_END for lease in store.scan()}[SHARD]
    children = [lease for lease in store.scan() if lease.shard_id == SHARD]
    assert children[0].children == ("shardId-000000000001", "shardId-000000000002")
    del model.shards[SHARD], model.records[SHARD]
    model.put("other", b"x")
    for _ in range(40):
        for n in range(20):
            model.put(f"k{n}", b"x")
        clock.now += 3.0
        acknowledge(live, read_all(live, 1))
    assert SHARD not in {lease.shard_id for lease in store.scan()}
    assert all(lease.position > TRIM_HORIZON for lease in store.scan())


def test_checkpoints_none_keeps_positions_in_the_mark_alone(model, clock):
    options = dataclasses.replace(OPTIONS, checkpoints="none")
    live = SteppedLive(model, MemoryLeases(), options, clock)
    live.tick()
    live.pool.step_all()
    live.take(0.0)
    mark = live.position()
    assert payloads(read_all(SteppedLive(model, MemoryLeases(), options, clock, mark))) == [
        b"2",
        b"3",
        b"4",
        b"5",
    ]


def test_splits_share_evenly(clock):
    store, model = MemoryLeases(), StreamModel(9)
    lives = [SteppedLive(model, store, OPTIONS, clock) for _ in range(4)]
    for _ in range(10):
        clock.now += 1.0
        for live in lives:
            live.tick()
    assert sorted(len(live.coordinator.held) for live in lives) == [2, 2, 2, 3]


def test_check_with_reset_forgets_the_checkpoints(model, clock):
    with moto.mock_aws():
        aws = AwsOptions(access_key="x", secret_key="x")
        session = AwsSession(aws)
        session.client("kinesis").create_stream(StreamName="stream", ShardCount=1)
        require_readable(OPTIONS, aws)
        table = LeaseTable(session, "app")
        table.create(Lease(SHARD, number(model, 4)))
        require_readable(OPTIONS, aws)
        assert [lease.position for lease in table.scan()] == [number(model, 4)]
        require_readable(dataclasses.replace(OPTIONS, reset_checkpoints=True), aws)
        assert table.scan() == []
        assert payloads(read_all(SteppedLive(model, table, OPTIONS, clock))) == [b"%d" % n for n in range(6)]


def test_a_shard_that_passed_its_retention_is_taken_for_finished(model, clock, caplog):
    store = MemoryLeases()
    live = SteppedLive(model, store, OPTIONS, clock)
    live.tick()
    model.split(SHARD)
    model.put("key", b"child")
    del model.shards[SHARD]
    clock.now += 2
    assert payloads(read_all(live, 6)) == [b"child"]
    assert {lease.shard_id: lease.position for lease in store.scan()}[SHARD] == SHARD_END
    assert "passed its retention" in caplog.text


def test_a_passing_fault_while_asking_for_a_missing_shard_ends_nothing(model, clock):
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    live.tick()
    kept = model.shards.pop(SHARD)
    clock.now += 2
    listed = model.list_shards

    def unreachable():
        raise Unreachable("cannot list the shards: no answer.")

    live._view._list_shards = unreachable
    live.pool.step_all()
    assert live.failure is None
    model.shards[SHARD] = kept
    live._view._list_shards = listed
    assert payloads(read_all(live)) == [b"%d" % n for n in range(6)]


# -- how far behind ------------------------------------------------------------------------------------


def test_a_shard_is_behind_until_the_sink_has_its_oldest_record(model, clock):
    model.now = time.time() - 100
    model.put("key", b"old")
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    batches = read_all(live)
    assert all(shard.reader.at_tip for shard in live.coordinator.held.values())
    (shard,) = live.peers()
    assert shard.behind_s >= 100
    acknowledge(live, batches)
    assert live.peers()[0].behind_s == 0
    clock.now += 50
    assert live.peers()[0].behind_s > 45, "and until it is read again"


def test_a_retention_that_is_made_longer_meanwhile_is_told(model, clock):
    """The alarm for records that are about to be lost has to go when that is done."""
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    live.tick()
    assert live.peers()[0].retention_s == 24 * 3600
    live._view._describe = lambda: StreamFacts(model.identity, retention_h=72)
    clock.now += 3600
    live.tick()
    assert live.peers()[0].retention_s == 72 * 3600


class Gauges:
    """In the place of Beam's `Metrics`."""

    def __init__(self):
        self.values = {}

    def gauge(self, namespace, name):
        return SimpleNamespace(set=lambda value: self.values.update({name: value}))


def test_gauges_are_shown_at_a_bundles_end_too_and_let_go_of_a_shard_that_went_elsewhere(
    model, clock, monkeypatch
):
    gauges = Gauges()
    live = SteppedLive(model, MemoryLeases(), OPTIONS, clock)
    monkeypatch.setattr(source, "Metrics", gauges)
    monkeypatch.setattr(source, "LIVE", SimpleNamespace(sources=[live]))
    step = source._GaugesDoFn("test")
    step.finish_bundle()
    assert gauges.values == {}, "nothing is read yet"
    acknowledge(live, read_all(live))
    clock.now += 60
    source._GaugesDoFn("test").finish_bundle()
    behind_ms = gauges.values[f"MillisBehindLatest.{SHARD}"]
    assert behind_ms > 50_000
    until_ms = gauges.values[f"durable_until_ms.{SHARD}"]
    assert abs(time.time() * 1000 - behind_ms - until_ms) < 5000
    live.coordinator._drop(next(iter(live.coordinator.held.values())), lost=False)
    source._GaugesDoFn("test").finish_bundle()
    assert gauges.values == {f"MillisBehindLatest.{SHARD}": 0, f"durable_until_ms.{SHARD}": until_ms}
