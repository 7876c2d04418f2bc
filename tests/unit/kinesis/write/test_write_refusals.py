"""One bad event, one bad stream, one bad request costs itself and nothing else."""

import base64
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import AccessDenied, PeerError
from penstock.io.kinesis.kpl._aggregation import hash_key_of
from penstock.io.kinesis.shard_map import LiveShardMap
from penstock.io.kinesis.wire.calls import without_values
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.transforms.batch import DeadLetter, Event
from tests.simulator import KinesisSimulator
from tests.simulator.simulator import Refused
from tests.simulator.state import SimulatedStream, Throttle
from tests.tools.models.write_bench import STREAM, Bench
from tests.tools.samples.events import ToyOrigin

BAD = b"bad event"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM, shards=4)
        bench = Bench(kinesis, "thin")
        yield bench
        bench.pool.shutdown()


@pytest.fixture
def write() -> Iterator[Callable[..., list[DeadLetter]]]:
    """Writes documents to the streams that their field `s` names."""
    with KinesisSimulator() as kinesis:
        writers: list[KinesisWriter] = []

        def write(documents: list[dict[str, Any]], **given: Any) -> list[DeadLetter]:
            if not writers:
                options = KinesisWriteOptions(
                    given.pop("stream_name", "logs-%{s}"), metrics_level="none", **given
                )
                aws = AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="key", secret_key="secret")
                writers.append(KinesisWriter(options, aws, stopping=threading.Event()))
            events = [
                Event(orjson.dumps(each), ToyOrigin(None), index) for index, each in enumerate(documents)
            ]
            keys = PartitionKeys(writers[0].options.event_partition_keys)
            return writers[0].write(events, keys)[0]

        write.kinesis, write.writers = kinesis, writers  # type: ignore[attr-defined]
        yield write
        for each in writers:
            each.close()


def refuse_stream(kinesis: KinesisSimulator, name: str, code: str) -> None:
    """Every call that names this stream gets that error from now on."""
    find = kinesis.stream

    def stream(given: str) -> SimulatedStream:
        if given.rpartition("/")[2] == name:
            raise Refused(code, f"no {name}")
        return find(given)

    kinesis.stream = stream  # type: ignore[method-assign]


# -- a stream that an event names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error", "known"),
    [
        ("AccessDeniedException", "AccessDeniedException", False),
        ("AccessDeniedException", "AccessDeniedException", True),
        ("ResourceNotFoundException", "NoStream", False),
        ("ResourceNotFoundException", "NoStream", True),
        ("InvalidArgumentException", "InvalidArgumentException", False),
        ("InvalidArgumentException", "InvalidArgumentException", True),
        ("KMSDisabledException", "KMSDisabledException", True),
        ("KMSAccessDeniedException", "KMSAccessDeniedException", True),
    ],
)
def test_a_stream_named_by_an_event_that_refuses_costs_its_own_events(
    write: Any, code: str, error: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kinesis = write.kinesis
    for name in ("logs-good", "logs-bad"):
        kinesis.create_stream(name)
    if known:  # then PutRecords is refused, else ListShards
        assert write([{"s": "bad", "n": 0}]) == []
    refuse_stream(kinesis, "logs-bad", code)
    documents = [{"s": "good"}, {"s": "bad", "n": 1}, {"s": "good"}, {"s": "bad", "n": 2}]
    for _ in range(2):
        letters = write(documents)
        assert {(letter.event.index, letter.error) for letter in letters} == {(1, error), (3, error)}
        assert all("logs-bad" in letter.reason for letter in letters)
    warnings = [record for record in caplog.records if "logs-bad" in record.getMessage()]
    assert len(warnings) == (0 if code.startswith("Invalid") and known else 1)
    assert len(kinesis.records("logs-good")) > 0


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException"])
def test_credentials_that_are_refused_end_the_job_all_the_same(write: Any, code: str) -> None:
    write.kinesis.create_stream("logs-good")
    write.kinesis.faults.refuse(None, code, times=None)
    with pytest.raises(AccessDenied):
        write([{"s": "good"}])


def test_a_fixed_streams_denial_ends_the_job(write: Any) -> None:
    write.kinesis.create_stream("fixed")
    refuse_stream(write.kinesis, "fixed", "AccessDeniedException")
    with pytest.raises(AccessDenied, match=r"stream/fixed"):
        write([{"n": 1}], stream_name="fixed")


def test_any_number_of_names_that_are_no_streams_leaves_nothing_behind(
    write: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write.kinesis.create_stream("logs-good")
    assert write([{"s": "good"}]) == []
    before = write.kinesis.faults.calls["ListShards"]
    for number in range(8):
        letters = write([{"s": f"x{number}-{each}"} for each in range(50)] + [{"s": "good"}])
        assert len(letters) == 50
    (writer,) = write.writers
    assert set(writer._streams) == {"logs-good"}
    assert write.kinesis.faults.calls["ListShards"] == before + 400, "the good one's map stays"
    assert caplog.text.count("become dead letters") <= 20
    assert len(write.kinesis.records("logs-good")) == 9


def test_streams_of_a_batch_are_written_at_the_same_time(write: Any) -> None:
    names = [f"s{number}" for number in range(20)]
    for name in names:
        write.kinesis.create_stream(f"logs-{name}")
    assert write([{"s": name} for name in names]) == []  # connections and maps are there
    # Each call waits until all streams' are there: one after the other would never get past the first.
    meeting = threading.Barrier(len(names), timeout=60)
    for call in range(1, len(names) + 1):
        write.kinesis.faults.at("PutRecords", call, meeting.wait)
    assert write([{"s": name} for name in names]) == []
    assert not meeting.broken


def test_a_throttled_stream_does_not_hold_the_others(write: Any) -> None:
    for name in ("logs-sick", "logs-a", "logs-b"):
        write.kinesis.create_stream(name)
    sick = write.kinesis.stream("logs-sick")
    sick.shards[0].throttle = Throttle(0.0, 0.0, time.monotonic)
    done = threading.Event()
    thread = threading.Thread(
        target=lambda: (write([{"s": "sick"}, {"s": "a"}, {"s": "b"}]), done.set()), daemon=True
    )
    thread.start()
    for name in ("logs-a", "logs-b"):
        deadline = time.monotonic() + 60
        while not write.kinesis.records(name):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    # A second batch without an event of the sick stream does not wait for the first one.
    assert write([{"s": "a"}, {"s": "b"}]) == []
    assert not done.is_set()
    sick.shards[0].throttle = None
    thread.join(60)
    assert done.is_set()
    assert len(write.kinesis.records("logs-sick")) == 1


def test_a_key_field_that_no_event_has_is_said_once(write: Any, caplog: pytest.LogCaptureFixture) -> None:
    write.kinesis.create_stream("fixed")
    for _ in range(3):
        write([{"n": number} for number in range(600)], stream_name="fixed", event_partition_keys=["user"])
    assert caplog.text.count("--event_partition_keys") == 1


def test_a_key_field_that_some_events_have_is_not(write: Any, caplog: pytest.LogCaptureFixture) -> None:
    write.kinesis.create_stream("fixed")
    for _ in range(3):
        write([{"user": "u"}] + [{"n": 1}] * 600, stream_name="fixed", event_partition_keys=["user"])
    assert "--event_partition_keys" not in caplog.text


# -- a record that makes its request invalid ----------------------------------------------------------------


def refuse_records_with(kinesis: KinesisSimulator, code: str, status: int = 400) -> None:
    """A PutRecords that holds the bad event is refused as a whole, as the service does it."""
    put = kinesis._put_records

    def put_records(body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        if any(BAD in base64.b64decode(each["Data"]) for each in request["Records"]):
            text = "1 validation error detected: Value 'secret-key' at 'records.3.member.partitionKey' failed to satisfy"
            raise Refused(code, text, status)
        return put(body)

    kinesis._operations["PutRecords"] = put_records


@pytest.mark.parametrize(
    ("code", "status"),
    [("ValidationException", 400), ("InvalidArgumentException", 400), ("RequestEntityTooLarge", 413)],
)
@pytest.mark.parametrize("aggregated", [True, False])
@pytest.mark.parametrize("mode", ["keys", "constant", "random"])
def test_the_one_record_is_found_and_nothing_else_is_lost_or_out_of_order(
    bench: Bench, code: str, status: int, aggregated: bool, mode: str
) -> None:
    refuse_records_with(bench.kinesis, code, status)
    events = [b"%06d" % number for number in range(300)]
    events[123] = BAD
    writer = bench.writer(
        aggregation_enabled=aggregated, aggregation_max_size=600, keep_order=mode != "random",
        randomized_partition_key=mode == "random",
    )  # fmt: skip
    keys = [f"key-{number % 7}" for number in range(300)] if mode == "keys" else None
    [refusal] = writer.write(events, keys)
    assert (refusal.at, refusal.error) == (123, code)
    assert "secret-key" not in refusal.reason
    assert "records.3.member.partitionKey" in refusal.reason
    rest = events[:123] + events[124:]
    assert sorted(bench.datas()) == rest
    by_key: dict[tuple[str, str], list[bytes]] = {}
    for shard, user in bench.readable():
        by_key.setdefault((shard, user[0]), []).append(user[2])
    if mode != "random":
        assert all(datas == sorted(datas) for datas in by_key.values())


@pytest.mark.parametrize(
    "text",
    [
        "1 validation error detected: Value 'x' at 'streamARN' failed to satisfy constraint: Member must satisfy",
        "Stream ARN is not of this region",
    ],
)
def test_a_request_that_is_invalid_for_its_streams_sake_is_not_cut_and_ends_the_job(
    bench: Bench, text: str
) -> None:
    bench.kinesis.faults.refuse("PutRecords", "ValidationException", times=None, message=text)
    with pytest.raises(PeerError, match="cannot write to stream orders: ValidationException"):
        bench.writer(aggregation_enabled=False, keep_order=False).write([b"one", b"two"], None)
    assert bench.kinesis.faults.calls["PutRecords"] == 1


def test_the_search_takes_few_calls(bench: Bench) -> None:
    refuse_records_with(bench.kinesis, "ValidationException")
    events = [b"%06d" % number for number in range(500)]
    events[123] = BAD
    writer = bench.writer(aggregation_enabled=False, keep_order=False)
    assert [refusal.at for refusal in writer.write(events, None)] == [123]
    assert bench.kinesis.faults.calls["PutRecords"] <= 2 * 9 + 1


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestTimeoutException", 400),
        ("RequestTimeout", 408),
        ("TooManyRequestsException", 429),
        ("Odd", 429),
    ],
)
def test_what_may_work_later_is_tried_again(bench: Bench, code: str, status: int) -> None:
    bench.kinesis.faults.refuse("PutRecords", code, status=status, times=3)
    assert bench.writer().write([b"one"], None) == []
    assert bench.datas() == [b"one"]


@pytest.mark.parametrize(
    "text",
    [
        "1 validation error detected: Value 'se'cr\net' at 'records.1.member.partitionKey' failed to satisfy constraint",
        "2 validation errors detected: Value 'secret' at 'a' failed to satisfy; Value 'secret' at 'b.1' failed to satisfy",
        "1 validation error detected: Value 'x' at 'secret' failed it' at 'records.1.member.data' failed to satisfy",
        "1 validation error detected: Value '" + "secret" * 100,
    ],
)
def test_the_services_words_are_shown_without_the_values_that_they_quote(text: str) -> None:
    shown = without_values(text)
    assert "secret" not in shown
    assert "cr\net" not in shown
    assert shown.startswith(text[:20])


# -- a stream that was made again under its name -------------------------------------------------------------


def make_anew(bench: Bench, shards: int, *, created: int = 0) -> None:
    """Deletes the stream and makes it again; `created` numbers its records as the service does."""
    bench.kinesis._streams.pop(STREAM, None)
    stream = bench.kinesis.create_stream(STREAM, shards)
    if created:
        stream._sequence = itertools.count(1 << 185 | created << 148, 16)
        for shard in stream.shards:
            shard.starting_sequence_number = next(stream._sequence)


@pytest.mark.parametrize("aggregated", [True, False])
@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 1), (4, 2), (2, 5)])
@pytest.mark.parametrize("hint", ["numbers", "pause"])
def test_a_stream_made_anew_under_its_name_loses_and_repeats_nothing(
    bench: Bench, before: int, after: int, hint: str, aggregated: bool
) -> None:
    make_anew(bench, before, created=1_700_000_000 if hint == "numbers" else 0)
    writer = bench.writer(aggregation_max_size=600, aggregation_enabled=aggregated)
    events = [b"%06d" % number for number in range(200)]
    keys = [f"key-{number % 40}" for number in range(200)]
    assert writer.write(events, keys) == []
    make_anew(bench, after, created=1_700_000_100 if hint == "numbers" else 0)
    if hint == "pause":
        bench.time.sleep(30.0)
    for start in range(0, 200, 50):
        assert writer.write(events[start : start + 50], keys[start : start + 50]) == []
    assert sorted(set(bench.datas())) == events, "KCL would have dropped some"
    # Only what was on its way when the map was found wrong was written twice.
    assert sum(len(users) for users in [bench.datas()]) <= 250
    assert bench.kinesis.faults.calls["ListShards"] <= 4


@pytest.mark.parametrize("hint", ["numbers", "pause"])
def test_a_stream_made_anew_is_noticed_though_each_record_lands_in_the_shard_that_was_expected(
    bench: Bench, hint: str
) -> None:
    # Each window is one record. Its first key decides where it lands: in shard 0, before and after.
    keys = sorted((f"key-{number}" for number in range(40)), key=hash_key_of)
    make_anew(bench, 1, created=1_700_000_000 if hint == "numbers" else 0)
    writer = bench.writer()
    assert writer.write([b"before"] * 40, keys) == []
    make_anew(bench, 2, created=1_700_000_100 if hint == "numbers" else 0)
    if hint == "pause":
        bench.time.sleep(6.0)
    for number in range(5):
        assert writer.write([b"%d" % number] * 40, keys) == []
    assert Counter(bench.datas()) == {b"%d" % number: 40 for number in range(5)}, (
        "KCL would have dropped some"
    )


def test_a_stream_made_anew_without_a_pause_or_a_telling_number_is_noticed_by_its_time_of_creation(
    bench: Bench,
) -> None:
    keys = sorted((f"key-{number}" for number in range(40)), key=hash_key_of)
    make_anew(bench, 1)
    writer = bench.writer()
    assert writer.write([b"before"] * 40, keys) == []
    asked = bench.kinesis.faults.calls["DescribeStreamSummary"]
    bench.kinesis._streams.pop(STREAM)
    bench.kinesis.create_stream(STREAM, 2, created=time.time() + 100)
    for _ in range(15):
        bench.time.sleep(4.0)
        assert writer.write([b"meanwhile"] * 40, keys) == []
    deadline = time.monotonic() + 60
    while bench.kinesis.faults.calls["DescribeStreamSummary"] == asked or writer._live_facts._loading:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert writer.write([b"after"] * 40, keys) == []
    assert bench.datas().count(b"after") == 40


def test_numbers_that_tell_nothing_are_not_looked_at_for_ever(bench: Bench) -> None:
    make_anew(bench, 4, created=1_700_000_000)
    for shard in bench.kinesis.stream(STREAM).shards:
        shard.starting_sequence_number = 1 << 185
    writer = bench.writer(aggregation_max_size=600)
    for _ in range(10):
        assert writer.write([b"one", b"two"], ["a", "b"]) == []
    assert bench.kinesis.faults.calls["ListShards"] <= 3


# -- a time to live while the shards can't be listed --------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["the first map", "a later one"])
def test_a_time_to_live_holds_while_the_shards_cannot_be_listed(bench: Bench, first: bool) -> None:
    writer = bench.writer(record_ttl=30_000, aggregation_max_size=600)
    events = [b"%06d" % number for number in range(20)]
    keys = [f"key-{number}" for number in range(20)]
    if not first:
        assert writer.write(events, keys) == []
        for number in range(4):
            bench.kinesis.split(STREAM, f"shardId-{number:012d}")
    listed = writer.shards._load

    def load() -> Any:
        raise PeerError("cannot list the shards: LimitExceededException")

    if first:
        writer.shards = LiveShardMap(load, STREAM)
    else:
        writer.shards._load = load
    refusals = writer.write(events, keys)
    assert {refusal.error for refusal in refusals} == {"Expired"}
    assert "--record_ttl 30000 ms (ListShards x" in refusals[0].reason
    assert 30 <= bench.time.now < 40
    expired = {refusal.at for refusal in refusals}
    writer.shards = LiveShardMap(listed, STREAM)
    written = set(bench.datas())
    assert all(events[at] in written for at in range(20) if at not in expired)


def test_each_try_to_list_the_shards_is_one_call(bench: Bench) -> None:
    # Four tries inside each of ours, six seconds each, would outlast any time to live.
    bench.kinesis.faults.refuse("ListShards", "InternalFailure", status=500, times=None)
    refusals = bench.writer(record_ttl=5000).write([b"one"], None)
    calls = bench.kinesis.faults.calls["ListShards"]
    assert refusals[0].reason == f"not written within --record_ttl 5000 ms (ListShards x{calls})"
