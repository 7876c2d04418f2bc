"""The read against a Kinesis that throttles, resets, expires, trims and fails, and with 200 shards at once."""

import dataclasses
import statistics
import threading
import time

import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import AccessDenied, NotFound, OptionError, PenstockError, Unreachable
from penstock.io.kinesis.lease.table import MemoryLeases
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read.preflight import require_readable
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until

pytestmark = pytest.mark.servers

OPTIONS = KinesisReadOptions("orders", checkpoints="none")


@pytest.fixture
def simulator():
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders", 2)
        yield kinesis


@pytest.fixture
def aws(simulator):
    return AwsOptions(endpoint_url=simulator.endpoint_url, access_key="test", secret_key="test")


@pytest.fixture
def open_live(aws):
    made = []

    def make(mark=None, **changes):
        live = KinesisLive("test", dataclasses.replace(OPTIONS, **changes), aws, store=MemoryLeases())
        made.append(live)
        live.resume(mark)
        return live

    yield make
    for live in made:
        live.close()


def put(simulator, count, first=0):
    for number in range(first, first + count):
        simulator.put("orders", b"%d" % number, f"key-{number}")


def read(live, count, seconds=120.0, events=None):
    """At least `count` events, acknowledged as they come."""
    events = [] if events is None else events
    until = time.monotonic() + seconds
    while len(events) < count:
        assert time.monotonic() < until, f"{len(events)} of {count}"
        batch = live.take(0.2)
        if batch is not None:
            events += batch.events
            live.acknowledge(batch.receipt.tokens)
        if live.failure is not None:
            raise live.failure
    return events


def numbers(events):
    return sorted(int(event.data) for event in events)


def test_faults_of_every_kind_lose_and_repeat_nothing(simulator, open_live):
    simulator.max_read_records = 20
    put(simulator, 200)
    live = open_live(shard_reads_per_second=0.0)
    faults = simulator.faults
    events = read(live, 20)
    for operation in ("GetRecords", "GetShardIterator"):
        faults.refuse(operation, "ProvisionedThroughputExceededException", times=3)
        faults.refuse(operation, "InternalFailure", status=500, times=2)
        faults.refuse(operation, "LimitExceededException", times=1)
    faults.reset("GetRecords", times=3)
    faults.reset("GetRecords", times=2, after=True)
    simulator.expire_iterators()
    put(simulator, 200, 200)
    read(live, 200, events=events)
    simulator.expire_iterators()
    read(live, 400, events=events)
    assert numbers(events) == list(range(400))


def test_a_shard_that_others_read_too_is_shared_with_them(simulator, open_live):
    """Five reads a second for all consumers: ours back off, and still everything arrives."""
    simulator.reads_per_second = 5
    put(simulator, 100)
    first, second = open_live(), open_live()
    other = []
    thread = threading.Thread(target=lambda: read(second, 100, events=other))
    thread.start()
    events = read(first, 100)
    for round_number in range(1, 6):
        time.sleep(0.5)
        put(simulator, 10, round_number * 100)
    read(first, 150, events=events)
    thread.join(120)
    assert len(other) >= 100
    assert len({event.data for event in events}) == 150


@pytest.mark.parametrize("how", ["horizon", "refuse"])
def test_a_position_older_than_the_retention_is_told_and_read_on_from_the_horizon(
    simulator, open_live, caplog, how
):
    simulator.trimmed_positions = how
    put(simulator, 40)
    live = open_live()
    read(live, 40)
    mark = live.position()
    live.close()
    put(simulator, 40, 40)
    for shard_id in mark["shards"]:
        stored = [each for each in simulator.records("orders") if each[0] == shard_id]
        simulator.trim("orders", shard_id, len(stored) - 3)
    assert len(read(open_live(mark), 6)) == 6
    assert caplog.text.count("Reading on from the oldest record there is") == 2


def test_an_event_leaves_the_source_soon_after_its_arrival(simulator, open_live):
    live = open_live()
    while not live.ready:
        live.take(0.05)
    waits = []

    def soon():
        # Idle shards are read every 250 ms. Twelve in a row do, so that a busy machine has time to find its quiet moments.
        return len(waits) >= 12 and statistics.median(waits[-12:]) < 0.35

    for number in range(120):
        if soon():
            break
        time.sleep(0.1 + number % 12 * 0.03)
        begun = time.monotonic()
        put(simulator, 1, number)
        batch = live.take(60.0)
        waits.append(time.monotonic() - begun)
        live.acknowledge(batch.receipt.tokens)
    assert soon(), waits


def test_two_hundred_shards_and_a_stopped_sink_stay_within_the_bound(simulator, aws):
    simulator.create_stream("many", 200)
    for number in range(200):
        hash_key = (1 << 128) // 200 * number + 1000
        for _ in range(3):
            simulator.put("many", b"x" * 100_000, "key", hash_key)
    before = threading.active_count()
    options = dataclasses.replace(
        OPTIONS, kinesis_stream_name="many", max_pending_bytes=20 << 20, shard_reads_per_second=0.0
    )
    live = KinesisLive("many", options, aws, store=MemoryLeases())
    live.resume(None)
    try:
        wait_until(lambda: live.pending_bytes >= 15 << 20, "15 MiB that wait")
        most = 0
        for _ in range(30):
            time.sleep(0.05)
            most = max(most, live.pending_bytes + live._context.room.reserved)
        assert most <= (20 << 20) + 8 * (10 << 20)
        assert live.pending_bytes <= 20 << 20
        assert threading.active_count() - before <= 8 + 8 + 2
        # The sink wakes up: everything comes, from every shard.
        events = read(live, 600)
        assert len({event.origin.shard_id for event in events}) == 200
        assert len(events) == 600
    finally:
        live.close()


def test_a_stream_deleted_under_way_ends_the_job(simulator, open_live):
    put(simulator, 5)
    live = open_live()
    events = read(live, 5)
    simulator.faults.refuse(None, "ResourceNotFoundException", times=None, message="gone")
    with pytest.raises(NotFound, match="orders"):
        read(live, 6, events=events)


def test_check_is_one_clear_line_each(simulator, aws):
    require_readable(OPTIONS, aws)
    with pytest.raises(NotFound, match="nowhere"):
        require_readable(dataclasses.replace(OPTIONS, kinesis_stream_name="nowhere"), aws)
    with pytest.raises(Unreachable, match="--endpoint_url"):
        require_readable(OPTIONS, dataclasses.replace(aws, endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(OptionError, match="no such profile"):
        require_readable(OPTIONS, AwsOptions(profile="nobody", endpoint_url=simulator.endpoint_url))
    simulator.faults.refuse("DescribeStreamSummary", "AccessDeniedException", times=None)
    with pytest.raises(AccessDenied, match="kinesis:DescribeStreamSummary") as caught:
        require_readable(OPTIONS, aws)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, PenstockError)
