"""One shard's reader: pace, faults, aggregated records."""

import hashlib
import logging
import threading

import msgspec
import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import AccessDenied
from penstock.io.kinesis.kpl._deaggregation import HashRange
from penstock.io.kinesis.lease.table import Lease
from penstock.io.kinesis.positions import AT_TIMESTAMP, LATEST, TRIM_HORIZON, Position
from penstock.io.kinesis.read.live_shard import LiveShard, ReadContext
from penstock.io.kinesis.read.shard_reader import ShardReader
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.wire.calls import REPLY_TOO_LARGE, CallFailed, GetRecordsReply
from penstock.io.meters import METERS
from tests.tools.models.stream_model import WHOLE, StreamModel
from tests.unit.kinesis.kpl.test_deaggregation import field, sealed, user_record

SHARD = "shardId-000000000000"


class Host:
    """The live source, its room and its coordinator: takes what is read; `full` refuses it."""

    stopping = False
    failure = None
    facts = None
    auto = False
    closed = True

    def __init__(self):
        self.chunks = []
        self.failures = []
        self.reserved = 0
        self.valid = True
        self.full = self.refuses = False
        self.gone = False
        self.samples = []

    def reserve(self, size):
        if self.full:
            return False
        self.reserved += size
        return True

    def free(self, size):
        self.reserved -= size

    def offer(self, chunk, give_up):
        if self.full or self.refuses:
            return False
        self.chunks.append(chunk)
        return True

    def has_passed_retention(self, shard_id):
        self.gone = True
        return True

    def describe(self, max_age_s):
        pass

    def manages_keys(self):
        return self.auto

    def proves_end(self, shard_id):
        return self.closed

    def fail(self, failure):
        self.failures.append(failure)

    def sample(self, shard_id, values):
        self.samples.append(values)

    @property
    def ended(self):
        return self.shard.progress.ended

    @property
    def pieces(self):
        return [chunk.context for chunk in self.chunks]

    @property
    def events(self):
        return [event for chunk in self.chunks for event in chunk.events]

    @property
    def payloads(self):
        return [event.data for event in self.events]


class Reading(LiveShard):
    """A shard and its reader in one."""

    wall = 1_000_000.0

    def __init__(self, host, options, model, start, started_s, hash_range):
        session = AwsSession(AwsOptions(access_key="x", secret_key="x"))
        context = ReadContext(
            options, model, session, host, threading.Condition(), host, None, host, Clock(), lambda: None,
            host, lambda shard: None, lambda: 1,
        )  # fmt: skip
        super().__init__(context, Lease(SHARD, start), None, start)
        host.shard = self
        self.host = host
        self.reader = ShardReader(
            SHARD,
            start,
            started_s,
            hash_range,
            options,
            model,
            context.clock,
            lambda: self.wall,
            host.manages_keys,
        )

    def valid(self, now):
        return self.host.valid

    def __getattr__(self, name):
        return getattr(self.reader, name)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def model():
    return StreamModel(page=3)


@pytest.fixture
def host():
    return Host()


def reader_of(model, host, start=TRIM_HORIZON, started_s=None, hash_range=None, **options):
    return Reading(
        host,
        KinesisReadOptions("stream", application_name="app", **options),
        model,
        start,
        started_s,
        hash_range,
    )


def aggregated(*payloads, keys=(b"a",)):
    tables = b"".join(field(1, key) for key in keys)
    return sealed(tables + b"".join(user_record(p, n % len(keys)) for n, p in enumerate(payloads)))


def test_records_in_order_with_where_they_came_from(model, host):
    for n in range(5):
        model.put("key", b"%d" % n)
    reader = reader_of(model, host)
    reader.step()
    assert reader.millis_behind
    assert not reader.at_tip
    reader.step()
    assert not reader.at_tip
    reader.step()
    assert reader.at_tip
    assert host.payloads == [b"0", b"1", b"2", b"3", b"4"]
    record = model.records[SHARD][4]
    last = host.events[-1]
    assert (last.origin.sequence_number, last.origin.partition_key) == (record.sequence_number, "key")
    assert last.origin.arrived_ms == int(model.now * 1000)
    assert last.origin.position() == f"stream/{SHARD}/{record.sequence_number}".encode()
    assert host.pieces[-1].end == Position(int(record.sequence_number))
    assert (reader.records, reader.user_records, reader.data_bytes) == (5, 5, 5)
    assert host.reserved == 0


def test_an_arn_and_a_name_give_the_same_positions(model, host):
    model.put("key", b"x")
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/stream"
    options = KinesisReadOptions(arn, application_name="app")
    Reading(host, options, model, TRIM_HORIZON, None, None).step()
    reader_of(model, host).step()
    assert len({event.origin.position() for event in host.events}) == 1


@pytest.mark.parametrize("sub", range(4))
def test_a_position_inside_an_aggregated_record_resumes_inside_it(model, host, sub):
    model.put("key", aggregated(b"0", b"1", b"2", b"3"))
    model.put("key", b"next")
    start = Position(int(model.records[SHARD][0].sequence_number), sub)
    reader_of(model, host, start).step()
    assert host.payloads == [*[b"0", b"1", b"2", b"3"][sub + 1 :], b"next"]
    assert [event.index for event in host.events] == [*range(sub + 1, 4), 0]


def test_the_position_behind_an_aggregated_record_is_its_last_user_record(model, host):
    _, number = model.put("key", aggregated(b"0", b"1", b"2"))
    reader_of(model, host).step()
    assert host.pieces[0].end == Position(int(number), 2)
    assert host.events[0].origin.user_records == 3


def test_a_record_without_user_records_moves_the_position(model, host):
    _, number = model.put("key", sealed(b""))
    reader_of(model, host).step()
    assert host.events == []
    assert [piece.end for piece in host.pieces] == [Position(int(number))]


def test_an_empty_record_is_an_event_and_moves_the_position(model, host):
    _, number = model.put("k", b"")
    reader_of(model, host).step()
    assert [(event.data, event.index) for event in host.events] == [(b"", 0)]
    assert host.pieces[-1].end == Position(int(number))


def test_large_replies_are_cut_into_chunks(model, host):
    model.page = 2000
    for n in range(1200):
        model.put("key", b"%d" % n)
    reader_of(model, host).step()
    assert [len(chunk.events) for chunk in host.chunks] == [500, 500, 200]


@pytest.mark.parametrize(("rule", "kept"), [("keep", 2), ("drop", 1)])
def test_user_records_of_other_shards(model, host, caplog, rule, kept):
    inside = int.from_bytes(hashlib.md5(b"a").digest(), "big")
    for _ in range(3):
        model.put("key", aggregated(b"in", b"out", keys=(b"a", b"b")))
    reader = reader_of(model, host, hash_range=HashRange.of(inside, inside), out_of_range=rule)
    counter = METERS.counter("penstock_out_of_range_events_total", "", "stream").of("stream")
    before = counter.value
    reader.step()
    assert len(host.events) == 3 * kept
    assert reader.out_of_range == counter.value - before == 3
    assert caplog.text.count("hash keys of other shards") == 1
    assert host.pieces[-1].end == Position(int(model.records[SHARD][2].sequence_number), 1)


def test_the_whole_range_needs_no_check(model, host):
    model.put("key", aggregated(b"in", b"out", keys=(b"a", b"b")))
    reader = reader_of(model, host, hash_range=HashRange.of(0, WHOLE))
    reader.step()
    assert (len(host.events), reader.out_of_range) == (2, 0)


# -- faults ------------------------------------------------------------------------------------------------


def failure(code, operation="GetRecords", status=400):
    return CallFailed(operation, code, "no", status)


def test_throttling_backs_off_longer_and_longer_and_loses_nothing(model, host):
    model.put("key", b"x")
    model.failures = [failure("ProvisionedThroughputExceededException") for _ in range(6)]
    reader = reader_of(model, host)
    waits = [reader.step() for _ in range(6)]
    assert reader.throttled == 6
    assert all(0.02 <= wait <= 5.0 for wait in waits)
    reader.step()
    assert host.payloads == [b"x"]
    assert host.reserved == 0


def test_an_expired_iterator_is_replaced_without_gap_or_repetition(model, host):
    for n in range(9):
        model.put("key", b"%d" % n)
    reader = reader_of(model, host)
    for _ in range(8):
        reader.step()
        model.expire_iterators()
    while not reader.at_tip:
        reader.step()
    assert host.payloads == [b"%d" % n for n in range(9)]


def test_a_latest_iterator_that_expires_does_not_skip_what_came_meanwhile(model, host):
    model.put("key", b"before")
    model.now += 10
    reader = reader_of(model, host, LATEST, started_s=model.now)
    reader.step()
    assert host.events == []
    model.put("key", b"after")
    model.expire_iterators()
    reader.step()
    reader.step()
    assert host.payloads == [b"after"]


def test_latest_by_a_clock_that_is_ahead_of_the_services(model, host):
    model.put("k", b"before")
    model.failures = [CallFailed("GetShardIterator", "InvalidArgumentException", "in the future", 400)]
    reader = reader_of(model, host, LATEST, started_s=model.now + 60)
    assert reader.step() is not None
    model.put("k", b"after")
    reader.step()
    assert host.payloads == [b"after"]
    assert not host.failures


def test_kcls_own_latest_and_a_time_that_nobody_gave(model, host):
    model.put("key", b"before")
    reader_of(model, host, LATEST).step()
    assert host.events == []
    reader_of(model, host, AT_TIMESTAMP).step()
    assert host.payloads == [b"before"]


def test_a_trimmed_position_is_said_once_and_read_on_from_the_horizon(model, host, caplog):
    for n in range(6):
        model.put("key", b"%d" % n)
    start = Position(int(model.records[SHARD][0].sequence_number))
    model.trim(SHARD, 3)
    reader = reader_of(model, host, start)
    while not reader.at_tip:
        reader.step()
    assert host.payloads == [b"3", b"4", b"5"]
    assert caplog.text.count("older than what the stream retains") == 1


def test_a_position_at_the_horizon_is_not_called_trimmed(model, host, caplog):
    for n in range(2):
        model.put("key", b"%d" % n)
    reader = reader_of(model, host, Position(int(model.records[SHARD][0].sequence_number)))
    reader.step()
    assert host.payloads == [b"1"]
    assert "retains" not in caplog.text


def test_a_position_that_the_service_refuses_falls_back_to_the_horizon(model, host, caplog):
    model.put("key", b"x")
    reader = reader_of(model, host, Position(5))
    assert reader.step() > 0
    reader.step()
    assert host.payloads == [b"x"]
    assert "is not one that the service knows" in caplog.text


def test_records_before_a_fault_are_not_lost_and_the_fault_is_explained(model, host):
    for n in range(4):
        model.put("key", b"%d" % n)
    reader = reader_of(model, host)
    reader.step()
    model.failures = [failure("KMSAccessDeniedException")]
    assert reader.step() is None
    assert host.payloads == [b"0", b"1", b"2"]
    assert isinstance(host.failures[0], AccessDenied)
    assert "kms:Decrypt" in str(host.failures[0])
    assert reader.finished


@pytest.mark.parametrize("operation", ["GetRecords", "GetShardIterator"])
def test_a_denial_names_the_action(model, host, operation):
    model.failures = [failure("AccessDeniedException", operation)]
    assert reader_of(model, host).step() is None
    assert f"kinesis:{operation}" in str(host.failures[0])


def test_resets_and_server_errors_are_tried_again_and_each_kind_is_logged_once(model, host, caplog):
    model.put("key", b"x")
    model.failures = [CallFailed("GetRecords", "ConnectionError", "reset", None) for _ in range(3)]
    model.failures += [failure("InternalFailure", status=500), failure("KMSThrottlingException")]
    reader = reader_of(model, host)
    with caplog.at_level(logging.WARNING):
        while not host.events:
            reader.step()
    assert host.payloads == [b"x"]
    assert caplog.text.count("trying again") == 2


def test_a_shard_that_is_gone_is_reported_to_the_host(model, host):
    model.shards.clear()
    assert reader_of(model, host).step() is None
    assert host.gone


def test_nothing_is_fetched_without_a_lease_or_without_room(model, host):
    model.put("key", b"x")
    host.valid = False
    reader = reader_of(model, host)
    assert reader.step() > 0
    host.valid, host.full = True, True
    assert reader.step() > 0
    assert model.iterators == {}
    host.full = False
    reader.step()
    assert host.payloads == [b"x"]


def test_a_reply_that_found_no_room_is_read_again(model, host):
    for n in range(3):
        model.put("key", b"%d" % n)
    reader = reader_of(model, host)
    host.refuses = True
    assert reader.step() > 0
    host.refuses = False
    reader.step()
    assert host.payloads == [b"0", b"1", b"2"]


def test_the_end_of_a_shard(model, host):
    model.put("key", b"x")
    model.split(SHARD)
    reader = reader_of(model, host)
    assert reader.step() is None
    assert host.ended
    assert reader.finished
    assert host.payloads == [b"x"]


# -- pace --------------------------------------------------------------------------------------------------


def test_pace_at_the_tip_behind_and_after_many_bytes(model, host):
    reader = reader_of(model, host)
    assert reader.step() == pytest.approx(0.25)
    for _ in range(4):
        model.put("key", b"x")
    assert reader.step() == pytest.approx(0.2)  # behind: five reads a second
    model.put("key", b"x" * (1 << 20))
    reader.step()
    assert reader_of(
        model, host, Position(int(model.records[SHARD][3].sequence_number))
    ).step() == pytest.approx(0.5)
    fast = reader_of(model, host, shard_reads_per_second=0.0, shard_bytes_per_second=0)
    assert fast.step() == 0.0


def test_kcls_settings(model, host):
    model.page = 100
    for _ in range(10):
        model.put("key", b"x")
    settings = ["maxRecords=4", "idleTimeBetweenReadsInMillis=1500"]
    reader = reader_of(model, host, additional_settings=settings)
    reader.step()
    assert len(host.events) == 4
    reader.step()
    reader.step()
    assert reader.step() == pytest.approx(1.5)


def test_each_read_is_a_sample_of_kcls_metrics(model, host):
    model.put("key", aggregated(b"a", b"bc"))
    reader = reader_of(model, host)
    model.failures = [failure("InternalFailure", status=500)]
    reader.step()
    reader.step()
    reader.step()
    names = ("Success", "RecordsProcessed", "MillisBehindLatest", "Time")
    size = len(model.records[SHARD][0].data)
    assert [tuple(sample.get(name) for name in names) for sample in host.samples] == [
        (0.0, 0.0, None, 0.0),
        (1.0, 2.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
    ]
    assert [sample["DataBytesProcessed"] for sample in host.samples] == [0.0, size, 0.0]


def test_behind_grows_with_the_clock_while_a_read_that_is_due_is_not_answered(model, host):
    reader = reader_of(model, host)
    clock = reader._clock
    assert reader.behind_s(clock.now) is None
    pause = reader.step()
    assert reader.behind_s(clock.now + pause + 1) == 0, "an idle shard is at its tip"
    for _ in range(3):
        clock.now += 10
        host.full = True
        reader.step()
    assert reader.behind_s(clock.now) == 30 - pause
    host.full = False
    model.failures = [failure("ProvisionedThroughputExceededException")]
    reader.step()
    assert reader.behind_s(clock.now) == 30 - pause
    reader.step()
    assert reader.behind_s(clock.now) == 0


def test_replies_are_kept_near_what_a_shard_gives_in_a_second(model, host, monkeypatch):
    asked = []
    get_records = model.get_records

    def count(iterator, limit=10000, stream=None):
        asked.append(limit)
        return get_records(iterator, limit, stream)

    monkeypatch.setattr(model, "get_records", count)
    model.page = 10_000
    model.put("key", b"x" * 20_000)
    reader = reader_of(model, host)
    reader.step()
    reader.step()  # an empty reply says nothing of sizes
    model.put("key", b"x" * 1000)
    for _ in range(2):
        reader.step()
    model.put("key", b"x" * (1 << 20))
    for _ in range(2):
        reader.step()
    assert asked == [10_000, 104, 104, 2097, 2097, 50]


# -- streams as the service makes them today -----------------------------------------------------------


@pytest.mark.parametrize("rule", ["keep", "drop"])
@pytest.mark.parametrize("auto", [False, True])
def test_a_stream_whose_keys_the_service_manages_has_no_range_rule(model, host, caplog, rule, auto):
    """Records lie in any shard, some without a key; what was aggregated is taken apart, and nothing dropped."""
    host.auto = auto
    model.put("key", aggregated(b"0", b"1", keys=(b"a", b"b")))
    if not auto:  # no key tells it as well
        model.records[SHARD] = [
            msgspec.structs.replace(record, partition_key="") for record in model.records[SHARD]
        ]
    reader = reader_of(model, host, hash_range=HashRange.of(5, 6), out_of_range=rule)
    reader.step()
    assert host.payloads == [b"0", b"1"]
    assert "other shards" not in caplog.text


def test_a_reply_that_is_too_large_is_asked_for_in_fewer_records_down_to_one(model, host, monkeypatch):
    model.page = 10_000
    for number in range(6):
        model.put("key", b"%d" % number)
    asked = []
    get_records = model.get_records

    def bounded(iterator, limit=10000, stream=None):
        asked.append(limit)
        if limit > 1:
            raise CallFailed("GetRecords", REPLY_TOO_LARGE, "the reply is larger than 64 MiB", None)
        return get_records(iterator, limit, stream)

    monkeypatch.setattr(model, "get_records", bounded)
    reader = reader_of(model, host)
    for _ in range(40):
        reader.step()
    assert host.payloads == [b"%d" % number for number in range(6)]
    assert asked[:6] == [10_000, 1250, 156, 19, 2, 1]
    assert not host.failures


@pytest.mark.parametrize(
    ("tip_ago_s", "says"),
    [(3600, ""), (23 * 3600, ""), (25 * 3600, "if anything arrived after 1970-01-11"), (None, "is lost.")],
)
def test_that_records_are_lost_is_said_only_when_it_may_be_so(model, host, caplog, tip_ago_s, says):
    """A shard that was idle at its tip has lost nothing when its checkpoint passes the retention."""
    model.put("key", b"old")
    start = Position(int(model.records[SHARD][0].sequence_number))
    model.trim(SHARD, 1)
    model.put("key", b"new")
    reader = reader_of(model, host, start)
    reader.reader.read_until_s = None if tip_ago_s is None else reader.wall - tip_ago_s
    reader.step()
    assert host.payloads == [b"new"]
    assert (says in caplog.text) if says else not caplog.text


NONSENSE = {
    "a sequence number that is no number": {"sequence_number": "many"},
    "an empty one": {"sequence_number": ""},
    "one of other digits": {"sequence_number": "\u0661"},
    "one without end": {"sequence_number": "1" * 5000},
    "a time of 1e300": {"approximate_arrival_timestamp": 1e300},
    "a time before time": {"approximate_arrival_timestamp": -1.0},
}


@pytest.mark.parametrize("changed", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_a_reply_is_named_and_asked_for_again(model, host, caplog, changed):
    for number in range(3):
        model.put("key", b"%d" % number)
    right = model.records[SHARD]
    model.records[SHARD] = [*right[:1], msgspec.structs.replace(right[1], **changed), *right[2:]]
    get_records = model.get_records
    model.get_records = lambda iterator, limit=1, stream=None: GetRecordsReply(model.records[SHARD], "i", 0)
    reader = reader_of(model, host)
    assert reader.step() > 0
    assert host.payloads == []
    assert f"shard {SHARD} of stream stream: GetRecords: BadReply: a" in caplog.text
    assert not host.failures
    model.records[SHARD], model.get_records = right, get_records
    reader.reader._iterator = None
    reader.step()
    assert host.payloads == [b"0", b"1", b"2"]
