"""Streams as the service makes them since 2025: its own choice of shards, records of 10 MiB, on-demand capacity."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from penstock.io.kinesis.write._limiter import ShardLimiter
from penstock.io.kinesis.write.metrics import Metric
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.tools.models.write_bench import STREAM, Bench

MIB = 1 << 20
AGGREGATED = b"\xf3\x89\x9a\xc2"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM, shards=4)
        bench = Bench(kinesis, "thin")
        yield bench
        bench.pool.shutdown()


def _sent(bench: Bench) -> list[bytes]:
    return [data for _, _, data, _ in bench.kinesis.records(STREAM)]


def _events(count: int) -> list[bytes]:
    return [b"%06d" % number for number in range(count)]


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "constant"])
def test_where_the_service_chooses_the_shard_events_go_plain_and_once(
    bench: Bench, keys: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stream = bench.kinesis.stream(STREAM)
    stream.mode, stream.strategy = "ON_DEMAND", "AUTO"
    events = _events(1000)
    writer = bench.writer()
    with caplog.at_level(logging.INFO):
        assert writer.write(events, [f"key-{number % 20}" for number in range(1000)] if keys else None) == []
    assert sorted(_sent(bench)) == events
    assert len({shard for shard, *_ in bench.kinesis.records(STREAM)}) == 4
    # No lane keeps an order that no shard keeps: requests are full, and none is sent for a shard that was not expected.
    assert bench.kinesis.faults.calls["PutRecords"] == 2
    assert bench.kinesis.faults.calls["ListShards"] == 1
    assert "events are not aggregated" in caplog.text
    assert "WrongShard" not in {metric.error_code for metric in bench.recorder.take()}


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "constant"])
def test_aggregation_stays_possible_there(bench: Bench, keys: bool, caplog: pytest.LogCaptureFixture) -> None:
    stream = bench.kinesis.stream(STREAM)
    stream.mode, stream.strategy = "ON_DEMAND", "AUTO"
    events = _events(200)
    writer = bench.writer(aggregation_enabled=True, aggregation_max_size=2000)
    assert writer.write(events, [f"key-{number % 20}" for number in range(200)] if keys else None) == []
    assert all(data.startswith(AGGREGATED) for data in _sent(bench))
    assert len(_sent(bench)) < 10, "keys of all shards share a record"
    assert bench.kinesis.faults.calls["PutRecords"] == 1
    assert "consumers of the Kinesis Client Library drop user records" in caplog.text


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "constant"])
def test_a_stream_that_is_switched_over_in_mid_run_is_noticed_by_its_replies(
    bench: Bench, keys: bool
) -> None:
    events = _events(400)
    chosen = [f"key-{number % 20}" for number in range(400)]
    writer = bench.writer(aggregation_max_size=600)
    assert writer.write(events[:200], chosen[:200] if keys else None) == []
    stream = bench.kinesis.stream(STREAM)
    stream.mode, stream.strategy = "ON_DEMAND", "AUTO"
    bench.time.sleep(2.0)
    for start in (200, 300):
        assert writer.write(events[start : start + 100], chosen[start : start + 100] if keys else None) == []
    assert set(bench.datas()) == set(events), "KCL would have dropped some"
    assert max(Counter(bench.datas()).values()) <= 2
    plain = [data for data in _sent(bench) if not data.startswith(AGGREGATED)]
    assert len(plain) >= 100, "all of the last batch, and what the one before had sent for nothing"


def test_records_are_as_large_as_the_stream_takes_them_and_a_change_is_noticed(bench: Bench) -> None:
    writer = bench.writer(randomized_partition_key=True)
    largest = 3 * MIB - 32
    [refusal] = writer.write([b"x" * largest], None)
    assert (refusal.error, refusal.reason) == (
        "RecordTooLarge",
        f"the event has {largest} bytes; with its partition key a record of the stream takes {MIB}",
    )
    bench.kinesis.stream(STREAM).max_record_kib = 3 * 1024
    bench.time.sleep(60.0)
    writer.write([b"another"], None)  # starts the look beside the data
    wait_until(lambda: writer._live_facts._facts.max_record_kib == 3 * 1024)
    assert writer.write([b"x" * largest], None) == []
    [refusal] = writer.write([b"x" * (largest + 1)], None)
    assert refusal.error == "RecordTooLarge"
    # And smaller again: what is too large before that is noticed is found by the service, and costs only itself.
    bench.kinesis.stream(STREAM).max_record_kib = 1024
    refusals = writer.write([b"small", b"x" * largest, b"small too"], None)
    assert [(each.at, each.error) for each in refusals] == [(1, "ValidationException")]
    assert {b"small", b"small too"} <= set(bench.datas())


def test_requests_hold_what_the_service_takes_and_a_larger_record_goes_alone(bench: Bench) -> None:
    bench.kinesis.stream(STREAM).max_record_kib = 10 * 1024
    writer = bench.writer(
        aggregation_enabled=False, randomized_partition_key=True, collection_max_size=10 * MIB
    )
    assert writer.write([b"x" * (MIB - 32)] * 10, None) == []
    assert bench.kinesis.faults.calls["PutRecords"] == 1
    assert writer.write([b"x" * (10 * MIB - 32), b"y"], None) == []
    assert bench.kinesis.faults.calls["PutRecords"] == 3
    usual = bench.writer(aggregation_enabled=False, randomized_partition_key=True)
    assert usual.write([b"y", b"x" * (6 * MIB), b"y"], None) == []
    assert bench.kinesis.faults.calls["PutRecords"] == 6
    assert len(_sent(bench)) == 15


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "LimitExceededException", "ResourceNotFoundException"]
)
def test_nothing_stops_because_the_service_does_not_tell(
    bench: Bench, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.kinesis.faults.refuse("DescribeStreamSummary", code, times=None)
    writer = bench.writer()
    for _ in range(3):
        assert writer.write([b"one", b"two"], None) == []
        bench.time.sleep(60.0)
    wait_until(lambda: not writer._live_facts._loading)
    assert len(bench.datas()) == 6
    if code.startswith("Access"):
        assert caplog.text.count("kinesis:DescribeStreamSummary") == 1


class Service:
    """A stream of one shard that takes so many bytes per second, and throttles the rest."""

    def __init__(self, limiter: ShardLimiter, capacity: float) -> None:
        self.limiter = limiter
        self.capacity = capacity
        self.taken = self.refused = 0

    def second(self, clock: "Clock", offered: int, size: int) -> None:
        """Offers so many records evenly over one second, in ten slices."""
        for _ in range(10):
            room = self.capacity / 10
            for _ in range(offered // 10):
                if self.limiter.wait_s("a", size) > 0:
                    break
                if room >= size:
                    room -= size
                    self.taken += size
                else:
                    self.refused += size
                    self.limiter.throttled("a")
            clock.now += 0.1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("capacity_mib", [1, 8, 40])
def test_on_demand_the_replies_are_the_limit(capacity_mib: int) -> None:
    clock = Clock()
    limiter = ShardLimiter(150, clock)
    limiter.follow(True)
    service = Service(limiter, capacity_mib * MIB)
    offered = 2 * capacity_mib * MIB // 50_000
    for _ in range(30):
        service.second(clock, offered, 50_000)
    service.taken = service.refused = 0
    for _ in range(30):
        service.second(clock, offered, 50_000)
    share = service.taken / (30 * capacity_mib * MIB)
    assert share > 0.7, "most of the capacity is used, far above a constant of 1 MiB per second"
    assert service.refused < 0.1 * service.taken
    # The service has scaled up: the limiter follows within seconds.
    service.capacity *= 4
    for _ in range(20):
        service.second(clock, 8 * offered, 50_000)
    service.taken = 0
    for _ in range(20):
        service.second(clock, 8 * offered, 50_000)
    assert service.taken > 0.7 * 20 * service.capacity


def test_a_change_of_mode_begins_anew() -> None:
    clock = Clock()
    limiter = ShardLimiter(100, clock)
    assert limiter.wait_s("a", MIB) == 0.0
    assert limiter.wait_s("a", MIB) > 0.0
    limiter.throttled("a")  # a provisioned stream's limit is known
    limiter.follow(True)
    assert all(limiter.wait_s("a", MIB) == 0.0 for _ in range(100))
    limiter.follow(False)
    assert limiter.wait_s("a", MIB) == 0.0
    assert limiter.wait_s("a", MIB) > 0.0


def test_a_record_larger_than_a_seconds_bytes_is_paid_for() -> None:
    clock = Clock()
    limiter = ShardLimiter(100, clock)
    assert limiter.wait_s("a", 10 * MIB) == 0.0
    assert limiter.wait_s("a", 1000) == pytest.approx(9.0, abs=0.1)
    clock.now = 9.1
    assert limiter.wait_s("a", 1000) == 0.0


def test_a_writer_asks_what_its_stream_is(bench: Bench) -> None:
    stream = bench.kinesis.stream(STREAM)
    stream.mode = "ON_DEMAND"
    writer = bench.writer(rate_limit=150)
    writer.limiter = ShardLimiter(150, bench.time.clock)
    assert writer.write([b"x" * 1000] * 5000, None) == []
    assert bench.time.now < 1.0, "a shard of an on-demand stream is not held to 1 MiB per second"
    assert bench.recorder.take()[Metric("UserRecordsReceived", STREAM)].sum == 5000
