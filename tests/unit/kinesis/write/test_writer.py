"""Writing against the simulator: refused records, throttles, resets, splits; each event there, none in the wrong shard."""

import dataclasses
import gc
import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from penstock.io.errors import AccessDenied, DeliveryError, NotFound, PeerError, PenstockError, Unreachable
from penstock.io.kinesis.shard_map import LiveShardMap, Shard, list_shards
from penstock.io.kinesis.write._packing import Packet
from penstock.io.kinesis.write.delivery import Refusal, _Delivery
from penstock.io.kinesis.write.metrics import Metric
from tests.simulator import KinesisSimulator
from tests.simulator.state import Throttle
from tests.tools.models.write_bench import STREAM, Bench

THROTTLED = "ProvisionedThroughputExceededException"


@pytest.fixture(params=["thin", "boto3"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM, shards=4)
        bench = Bench(kinesis, request.param)
        yield bench
        bench.pool.shutdown()


@pytest.fixture
def thin() -> Iterator[Bench]:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM, shards=4)
        bench = Bench(kinesis, "thin")
        yield bench
        bench.pool.shutdown()


def _events(count: int, size: int = 100) -> list[bytes]:
    return [b"%08d" % number + b"." * (size - 8) for number in range(count)]


def _keys(count: int, different: int = 20) -> list[str]:
    return [f"key-{number % different}" for number in range(count)]


def _in_order(bench: Bench) -> bool:
    by_key: dict[str, list[bytes]] = {}
    for _, user in sorted(bench.readable(), key=lambda found: found[0]):
        by_key.setdefault(user[0], []).append(user[2])
    return all(datas == sorted(datas) for datas in by_key.values())


@pytest.mark.parametrize("aggregated", [True, False])
@pytest.mark.parametrize("mode", ["keys", "constant", "random"])
def test_every_event_once(bench: Bench, mode: str, aggregated: bool) -> None:
    writer = bench.writer(aggregation_enabled=aggregated, randomized_partition_key=mode == "random")
    events = _events(500)
    assert writer.write(events, _keys(500) if mode == "keys" else None) == []
    assert sorted(bench.datas()) == events
    records = len(bench.kinesis.records(STREAM))
    assert records < 20 if aggregated else records == 500
    if mode == "constant":
        assert {user[0] for _, user in bench.readable()} == {"-"}
        assert bench.datas() == events


@pytest.mark.parametrize("aggregated", [True, False])
def test_what_is_written_is_given_back_without_the_garbage_collector(thin: Bench, aggregated: bool) -> None:
    """A delivery that is part of a circle keeps its batch's bytes: 230 MB of them, measured in a whole job."""
    writer = thin.writer(aggregation_enabled=aggregated)
    gc.disable()
    try:
        writer.write(_events(100), _keys(100))
        left = [found for found in gc.get_objects() if isinstance(found, (_Delivery, Packet))]
    finally:
        gc.enable()
    assert left == []


def test_random_keys_spread_over_the_shards(thin: Bench) -> None:
    random.seed(4)
    thin.writer(randomized_partition_key=True, aggregation_max_size=1000).write(_events(2000), None)
    counts = Counter(shard for shard, _ in thin.readable())
    assert len(counts) == 4
    assert min(counts.values()) > 200


def test_a_lone_event_goes_plain(thin: Bench) -> None:
    thin.writer().write([b"alone"], None)
    assert [record[1:] for record in thin.kinesis.records(STREAM)] == [("-", b"alone", None)]


def test_requests_are_bounded_by_records(thin: Bench) -> None:
    thin.writer(aggregation_enabled=False, randomized_partition_key=True).write(_events(1001), None)
    assert thin.kinesis.faults.calls["PutRecords"] == 3
    series = thin.recorder.take()
    assert series[Metric("KinesisRecordsPerPutRecordsRequest", STREAM)].greatest == 500


def test_requests_are_bounded_by_bytes_with_keys(thin: Bench) -> None:
    # Five records of 1 MiB with their keys are exactly 5 MiB: one request; a sixth is another one.
    size = (1 << 20) - 32
    writer = thin.writer(aggregation_enabled=False, randomized_partition_key=True)
    assert writer.write([b"x" * size] * 5, None) == []
    assert thin.kinesis.faults.calls["PutRecords"] == 1
    assert writer.write([b"x" * size] * 6, None) == []
    assert thin.kinesis.faults.calls["PutRecords"] == 3
    assert len(thin.kinesis.records(STREAM)) == 11


def test_requests_are_in_flight_together(thin: Bench) -> None:
    meeting = threading.Barrier(3, timeout=60)
    for call in (1, 2, 3):
        thin.kinesis.faults.at("PutRecords", call, meeting.wait)
    thin.writer(aggregation_enabled=False, randomized_partition_key=True).write(_events(1500, 20), None)
    assert not meeting.broken
    assert len(thin.datas()) == 1500


@pytest.mark.parametrize(("keys", "size"), [(None, 1), (["k" * 10], 10), (["é" * 5], 10)])
def test_the_largest_record_and_one_byte_more(thin: Bench, keys: list[str] | None, size: int) -> None:
    largest = (1 << 20) - size
    assert thin.writer().write([b"x" * largest], keys) == []
    [refusal] = thin.writer().write([b"x" * (largest + 1)], keys)
    assert refusal.error == "RecordTooLarge"
    assert f"the event has {largest + 1} bytes" in refusal.reason
    assert thin.datas() == [b"x" * largest]


def test_only_the_event_that_is_too_large_is_refused(bench: Bench) -> None:
    events = _events(10)
    events[3] = b"y" * ((1 << 20) + 1)
    assert [refusal.at for refusal in bench.writer().write(events, _keys(10))] == [3]
    assert sorted(bench.datas()) == [*events[:3], *events[4:]]


@pytest.mark.parametrize("aggregated", [True, False])
@pytest.mark.parametrize("code", [THROTTLED, "InternalFailure"])
def test_refused_records_are_sent_again_alone(bench: Bench, code: str, aggregated: bool) -> None:
    bench.kinesis.faults.refuse_records(code, share=0.5, times=4)
    writer = bench.writer(
        aggregation_enabled=aggregated, aggregation_max_size=600, randomized_partition_key=True
    )
    events = _events(300)
    assert writer.write(events, None) == []
    assert sorted(bench.datas()) == events, "an event is missing or there twice"
    series = bench.recorder.take()
    assert series[Metric("AllErrors", STREAM, "shardId-000000000000")].sum > 0
    assert {metric.error_code for metric in series if metric.name == "ErrorsByCode"} == {code}
    assert max(bench.time.sleeps) <= 0.5


@pytest.mark.parametrize("aggregated", [True, False])
def test_order_within_a_key_survives_refusals(thin: Bench, aggregated: bool) -> None:
    thin.kinesis.faults.refuse_records("InternalFailure", share=0.4, times=None)
    writer = thin.writer(aggregation_enabled=aggregated, aggregation_max_size=500)
    events = _events(300)
    assert writer.write(events, _keys(300)) == []
    assert sorted(thin.datas()) == events
    assert _in_order(thin)


def test_without_order_requests_are_filled(thin: Bench) -> None:
    writer = thin.writer(aggregation_max_size=500, keep_order=False)
    assert writer.write(_events(300), None) == []
    assert thin.kinesis.faults.calls["PutRecords"] == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_reset_is_tried_again(bench: Bench, after: bool) -> None:
    bench.kinesis.faults.reset("PutRecords", times=2, after=after)
    events = _events(50)
    assert bench.writer().write(events, _keys(50)) == []
    assert set(bench.datas()) == set(events)
    assert bench.kinesis.faults.calls["PutRecords"] == 3


def test_an_endpoint_that_answers_slowly(bench: Bench) -> None:
    bench.aws = dataclasses.replace(bench.aws, request_timeout=300)
    bench.kinesis.faults.latencies_s["PutRecords"] = 0.6
    bench.kinesis.faults.at("PutRecords", 3, bench.kinesis.faults.latencies_s.clear)
    events = _events(50)
    assert bench.writer().write(events, _keys(50)) == []
    assert set(bench.datas()) == set(events)
    assert bench.time.now > 0


@pytest.mark.parametrize(
    ("code", "status"), [("ServiceUnavailable", 503), (THROTTLED, 400), ("KMSThrottlingException", 400)]
)
def test_a_call_that_failed_for_now_is_tried_again(bench: Bench, code: str, status: int) -> None:
    bench.kinesis.faults.refuse("PutRecords", code, status=status, times=7)
    assert bench.writer().write(_events(5), None) == []
    assert len(bench.datas()) == 5
    assert 0.1 < bench.time.now < 7 * 5


@pytest.mark.parametrize("split_at", [1, 2, 3, 5])
@pytest.mark.parametrize("aggregated", [True, False])
def test_a_split_in_the_middle(bench: Bench, split_at: int, aggregated: bool) -> None:
    for shard in ("shardId-000000000000", "shardId-000000000002"):
        bench.kinesis.faults.at(
            "PutRecords", split_at, lambda shard=shard: bench.kinesis.split(STREAM, shard)
        )
    writer = bench.writer(aggregation_enabled=aggregated, aggregation_max_size=600)
    events = _events(400)
    for start in range(0, 400, 100):
        assert writer.write(events[start : start + 100], _keys(100, 40)) == []
    assert set(bench.datas()) == set(events), "KCL would have dropped some"
    assert sorted(bench.datas()) == events
    assert _in_order(bench)
    assert bench.kinesis.faults.calls["ListShards"] <= 4


def test_a_merge_in_the_middle(bench: Bench) -> None:
    bench.kinesis.faults.at(
        "PutRecords", 3, lambda: bench.kinesis.merge(STREAM, "shardId-000000000001", "shardId-000000000002")
    )
    writer = bench.writer(aggregation_max_size=600)
    events = _events(400)
    assert writer.write(events, _keys(400, 40)) == []
    assert sorted(bench.datas()) == events
    assert _in_order(bench)
    assert bench.recorder.take_counts()["UserRecordsPut"] == 400, "what landed elsewhere counts once too"


def test_the_shard_list_lags_behind_a_split(thin: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = thin.writer(aggregation_max_size=600)
    shards = list_shards(writer.session, STREAM)
    lists = iter([shards, shards, shards])
    writer.shards = LiveShardMap(lambda: next(lists, None) or list_shards(writer.session, STREAM), STREAM)
    thin.kinesis.split(STREAM, "shardId-000000000000")
    events = _events(400)
    assert writer.write(events, _keys(400, 40)) == []
    assert sorted(thin.datas()) == events


def test_a_map_that_stays_wrong_ends_in_plain_records(thin: Bench) -> None:
    writer = thin.writer(aggregation_max_size=600)
    stale = list_shards(writer.session, STREAM)
    writer.shards = LiveShardMap(lambda: stale, STREAM)
    for number in range(4):
        thin.kinesis.split(STREAM, f"shardId-{number:012d}")
    events = _events(100)
    assert writer.write(events, _keys(100)) == []
    assert set(thin.datas()) == set(events)
    plain = [
        record for record in thin.kinesis.records(STREAM) if not record[2].startswith(b"\xf3\x89\x9a\xc2")
    ]
    assert len(plain) >= 100
    assert _in_order(thin)


def test_a_list_of_shards_that_fails_for_now_is_asked_for_again(thin: Bench) -> None:
    writer = thin.writer(aggregation_max_size=600)
    failures: list[PenstockError] = [Unreachable("no answer"), PeerError("LimitExceededException")]

    def load() -> list[Shard]:
        if failures:
            raise failures.pop()
        return list_shards(writer.session, STREAM)

    writer.shards = LiveShardMap(load, STREAM)
    assert writer.write(_events(100), _keys(100)) == []
    thin.kinesis.split(STREAM, "shardId-000000000000")
    failures += [PeerError("LimitExceededException")] * 3
    assert writer.write(_events(100), _keys(100)) == []
    assert not failures
    assert sorted(thin.datas()) == sorted(_events(100) * 2)
    writer.shards = LiveShardMap(load, STREAM)
    failures.append(AccessDenied("needs kinesis:ListShards"))
    with pytest.raises(AccessDenied, match="needs kinesis:ListShards"):
        writer.write(_events(1), None)


def test_random_keys_need_no_map(thin: Bench) -> None:
    writer = thin.writer(randomized_partition_key=True)
    writer.write(_events(100), None)
    for shard in range(4):
        thin.kinesis.split(STREAM, f"shardId-{shard:012d}")
    before = len(thin.datas())
    writer.write(_events(3000), None)
    assert len(thin.datas()) == before + 3000
    assert thin.kinesis.faults.calls["PutRecords"] == 2


def test_an_expired_event_is_refused(thin: Bench) -> None:
    thin.kinesis.faults.refuse("PutRecords", THROTTLED, times=None)
    refusals = thin.writer(record_ttl=30_000).write(_events(5), None)
    assert [refusal.at for refusal in refusals] == [0, 1, 2, 3, 4]
    assert {refusal.error for refusal in refusals} == {"Expired"}
    assert (
        refusals[0].reason
        == f"not written within --record_ttl 30000 ms ({THROTTLED} x{refusals[0].attempts})"
    )
    assert refusals[0].attempts > 5
    assert 30 <= thin.time.now < 36


def test_without_a_ttl_it_takes_as_long_as_it_takes(thin: Bench) -> None:
    thin.kinesis.faults.refuse("PutRecords", THROTTLED, times=200)
    assert thin.writer().write(_events(5), None) == []
    assert thin.time.now > 60
    assert len(thin.datas()) == 5


def test_fail_if_throttled(thin: Bench) -> None:
    thin.kinesis.faults.refuse_records(THROTTLED, share=0.5)
    refusals = thin.writer(fail_if_throttled=True, aggregation_enabled=False, keep_order=False).write(
        _events(100), _keys(100)
    )
    assert refusals[0] == Refusal(
        refusals[0].at,
        THROTTLED,
        "stream orders is throttled, and --fail_if_throttled is set",
        1,
    )
    assert len(refusals) + len(thin.datas()) == 100
    assert 20 < len(refusals) < 80
    thin.kinesis.faults.refuse("PutRecords", THROTTLED)
    assert len(thin.writer(fail_if_throttled=True).write(_events(3), None)) == 3
    thin.kinesis.faults.refuse_records("InternalFailure", share=1.0)
    assert thin.writer(fail_if_throttled=True).write(_events(3), None) == []


def test_a_throttled_shard_does_not_hold_up_the_others(thin: Bench) -> None:
    stream = thin.kinesis.stream(STREAM)
    stream.clock = thin.time.clock
    slow = stream.shards[0]
    slow.throttle = Throttle(records=1, size=1 << 20, clock=thin.time.clock)
    events = _events(60)
    assert thin.writer(aggregation_max_size=600).write(events, _keys(60)) == []
    assert sorted(thin.datas()) == events
    assert _in_order(thin)
    assert slow.records[-1].arrived >= 1.0
    others = [record.arrived for shard in stream.shards[1:] for record in shard.records]
    assert max(others) <= 1.0, "they were in before the second record of the slow one"


def test_the_rate_limit_paces(thin: Bench) -> None:
    writer = thin.writer(aggregation_enabled=False, keep_order=False, rate_limit=100)
    assert writer.write(_events(2500, 20), None) == []
    # One shard: a burst of 1,000, then 1,000 per second.
    assert 1.4 <= thin.time.now <= 2.1
    assert thin.kinesis.faults.calls["PutRecords"] < 60, "slices, not single records"
    assert len(thin.datas()) == 2500


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (
            "AccessDeniedException",
            AccessDenied,
            "needs kinesis:PutRecords on arn:aws:kinesis:us-east-1:*:stream/orders",
        ),
        ("ResourceNotFoundException", NotFound, "stream/orders does not exist in us-east-1"),
        ("KMSAccessDeniedException", AccessDenied, "needs kms:GenerateDataKey on the key that encrypts"),
        ("KMSDisabledException", PeerError, "is not usable (KMSDisabledException"),
        ("UnrecognizedClientException", AccessDenied, "AWS refuses the credentials"),
        ("ExpiredTokenException", AccessDenied, "the AWS credentials have expired"),
        ("LimitlessException", PeerError, "LimitlessException: why"),
    ],
)
def test_what_no_retry_cures_is_one_line(bench: Bench, code: str, error: type[Exception], words: str) -> None:
    bench.kinesis.faults.refuse("PutRecords", code, times=None, message="why")
    with pytest.raises(error) as raised:
        bench.writer().write(_events(5), None)
    assert str(raised.value).startswith("cannot write to stream orders: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert bench.kinesis.faults.calls["PutRecords"] == (2 if code.startswith("Expired") else 1)


@pytest.mark.parametrize(
    ("code", "error"), [("KMSDisabledException", PeerError), ("AccessDeniedException", AccessDenied)]
)
def test_what_no_retry_cures_in_a_single_record(thin: Bench, code: str, error: type[Exception]) -> None:
    thin.kinesis.faults.refuse_records(code, share=1.0, times=3)
    with pytest.raises(error, match=r"cannot write to stream orders"):
        thin.writer().write(_events(5), None)
    assert thin.kinesis.faults.calls["PutRecords"] == 1


def test_a_denial_in_the_services_words_names_the_principal(bench: Bench) -> None:
    text = (
        "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: kinesis:PutRecords on resource: "
        "arn:aws:kinesis:us-east-1:111122223333:stream/orders because no identity-based policy allows it"
    )
    bench.kinesis.faults.refuse("PutRecords", "AccessDeniedException", message=text)
    with pytest.raises(AccessDenied) as raised:
        bench.writer().write(_events(1), None)
    assert str(raised.value) == (
        "cannot write to stream orders: access denied. arn:aws:iam::111122223333:user/ann needs kinesis:PutRecords "
        "on arn:aws:kinesis:us-east-1:111122223333:stream/orders. See docs/iam.md."
    )


def test_a_stop_goes_on_trying_for_a_while(thin: Bench) -> None:
    thin.kinesis.faults.refuse("PutRecords", THROTTLED, times=None)
    thin.stopping.set()
    with pytest.raises(
        DeliveryError, match="the stop came before all of 5 events could be written to stream orders"
    ):
        thin.writer(stop_timeout=30.0).write(_events(5), None)
    assert 30 <= thin.time.now < 36


def test_retries_are_logged_once_a_minute(thin: Bench, caplog: pytest.LogCaptureFixture) -> None:
    thin.kinesis.faults.refuse("PutRecords", THROTTLED, times=60)
    with caplog.at_level(logging.WARNING):
        thin.writer().write(_events(5), None)
    assert 1 <= len(caplog.records) <= thin.time.now / 60 + 1
    assert f"stream orders: {THROTTLED} x1; 1 records wait" in caplog.text


def test_metrics_of_a_write(thin: Bench) -> None:
    thin.writer(aggregation_max_size=600).write(_events(100), None)
    series = thin.recorder.take()
    [shard] = {metric.shard_id for metric in series if metric.shard_id}
    assert series[Metric("UserRecordsReceived", STREAM)].sum == 100
    assert series[Metric("UserRecordsPut", STREAM, shard)].sum == 100
    records = series[Metric("KinesisRecordsPut", STREAM, shard)].sum
    assert records == len(thin.kinesis.records(STREAM)) == 20
    put = sum(len(record[2]) for record in thin.kinesis.records(STREAM))
    assert series[Metric("KinesisRecordsDataPut", STREAM, shard)].sum == put
    assert series[Metric("UserRecordsPerKinesisRecord", STREAM, shard)].greatest == 5
    assert series[Metric("UserRecordsPending", STREAM)].sum == 0
    assert series[Metric("RetriesPerRecord", STREAM, shard)].sum == 0
    assert series[Metric("RequestTime", STREAM)].count == 20
    assert thin.recorder.take_counts() == {
        "PutRecords": 20,
        "UserRecordsPut": 100,
        "KinesisRecordsPut": 20,
        "KinesisRecordsDataPut": put,
    }
    assert thin.recorder.take_counts() == {}
    assert not thin.recorder.take().keys() - {Metric("UserRecordsPending", STREAM)}
