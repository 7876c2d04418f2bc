"""The lease table against the stream: no shard is unread in silence, no row of another is touched, a fault is one line."""

import dataclasses
import logging

import moto
import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import OptionError, StateError
from penstock.io.kinesis.lease import table as lease_table
from penstock.io.kinesis.lease.table import BrokenRow, Lease, LeaseTable, MemoryLeases, Rows
from penstock.io.kinesis.positions import SHARD_END, TRIM_HORIZON, Position, StreamIdentity
from penstock.io.kinesis.read import preflight
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.stream_facts import StreamFacts
from tests.tools.models.stream_model import (
    ARN,
    HandClock,
    SteppedLive,
    StreamModel,
    acknowledge,
    payloads,
    read_all,
)

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
OPTIONS = KinesisReadOptions("stream", application_name="app", checkpoint_interval_seconds=1)
OTHER = StreamIdentity(ARN.replace("stream/stream", "stream/other"), 1_700_000_000_000)
EARLIER = StreamIdentity(ARN, 1_600_000_000_000)


class Table(MemoryLeases):
    """Rows in memory, some of them broken; knows what was written to which row."""

    def __init__(self, *leases, broken=(), kcl3=False):
        super().__init__()
        for lease in leases:
            self.create(lease)
        self.broken, self.kcl3, self.touched = list(broken), kcl3, []

    def rows(self):
        return Rows(super().rows().leases, self.broken, self.kcl3)

    def create(self, lease):
        if any(lease.shard_id == broken.key for broken in getattr(self, "broken", ())):
            return False
        return super().create(lease)

    def replace(self, old, new):
        super().replace(old, new)
        self.touched.append(old.shard_id)

    def delete(self, lease):
        self.touched.append(lease.shard_id)
        return super().delete(lease)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def model():
    made = StreamModel(shards=2, page=10)
    for number in range(8):
        made.put(f"key{number}", b"%d" % number)
    return made


def foreign(key, **given):
    return Lease(key, TRIM_HORIZON, **given)


FAULTS = {
    "another stream": (
        foreign(FIRST, stream=OTHER),
        f"row {FIRST} of lease table app belongs to {OTHER.arn}, this job reads {ARN}: give this job a name of its own",
    ),
    "an earlier stream of the name": (
        foreign(FIRST, stream=EARLIER),
        f"row {FIRST} of lease table app is of an earlier stream stream, which was deleted and made again since: start once",
    ),
    "KCL's multi-stream mode": (
        foreign(f"111122223333:orders:1600000000:{FIRST}"),
        "is of KCL's multi-stream mode (stream orders of account 111122223333): give this job a name of its own",
    ),
    "DynamoDB Streams": (
        foreign("shardId-00000001414562045508-2b439142"),
        "is of a consumer of DynamoDB Streams: give this job a name of its own",
    ),
    "a shard that never was": (
        foreign("shardId-000000000007"),
        "row shardId-000000000007 of lease table app doesn't fit stream stream: the stream has no such shard and never had",
    ),
    "other hash keys": (
        foreign(FIRST, starting_hash_key="0", ending_hash_key="7"),
        f"row {FIRST} of lease table app doesn't fit stream stream: the shard has other hash keys",
    ),
    "a number below the shard's": (
        Lease(FIRST, Position(3)),
        "checkpoint 3:0 is not among the shard's sequence numbers. It is another stream's, or an earlier one's: start once",
    ),
    "an open shard that is ended": (
        Lease(FIRST, SHARD_END),
        f"row {FIRST} of lease table app says SHARD_END, but the shard is open in stream stream, so nobody would read it",
    ),
    "a row that can't be read": (
        BrokenRow(FIRST, "checkpoint 'garbage' is neither a sequence number nor TRIM_HORIZON"),
        "can't be read: checkpoint 'garbage' is neither a sequence number nor TRIM_HORIZON. Repair or delete that row",
    ),
    "another's row that can't be read": (
        BrokenRow(FIRST, "leaseCounter is of type S, not N", OTHER.arn),
        f"row {FIRST} of lease table app belongs to {OTHER.arn}",
    ),
}


def table_with(row):
    return Table(broken=[row]) if isinstance(row, BrokenRow) else Table(row)


@pytest.mark.parametrize(("row", "says"), FAULTS.values(), ids=FAULTS)
def test_at_the_start_such_a_row_ends_the_job_with_one_line_and_is_not_touched(model, clock, row, says):
    store = table_with(row)
    live = SteppedLive(model, store, OPTIONS, clock)
    with pytest.raises(StateError) as caught:
        live.tick()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.touched == []
    assert len(store.scan()) <= 1


@pytest.mark.parametrize(("row", "says"), FAULTS.values(), ids=FAULTS)
def test_later_such_a_row_is_named_and_left_alone_and_all_else_is_read(model, clock, caplog, row, says):
    store = Table()
    live = SteppedLive(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live))
    assert live.connected
    key = row.key if isinstance(row, BrokenRow) else row.shard_id
    store._leases.pop(key, None)
    if isinstance(row, BrokenRow):
        store.broken.append(row)
    else:
        store.create(row)
    store.touched.clear()
    clock.now += 6
    with caplog.at_level(logging.ERROR):
        live.tick()
        clock.now += 6
        model.put("later", b"later")
        live.tick()
    assert caplog.text.count(says) == 1, "once per minute"
    assert any(says in line for line in live.unread())
    assert key not in store.touched
    assert live.connected == (key not in model.shards), "a shard of the stream is unread"
    assert (SECOND if key == FIRST else FIRST) in live.coordinator.held


def test_rows_of_kcl_are_adopted_and_marked(model, clock):
    first = int(model.records[FIRST][0].sequence_number)
    keys = {
        "starting_hash_key": str(model.shards[FIRST].start),
        "ending_hash_key": str(model.shards[FIRST].end),
    }
    store = Table(Lease(FIRST, Position(first), **keys), Lease(SECOND, TRIM_HORIZON))
    live = SteppedLive(model, store, OPTIONS, clock)
    assert len(payloads(read_all(live))) == 7, "all but the one that is done"
    assert {lease.stream for lease in store.scan()} == {model.identity}


def test_a_kcl_3_worker_beside_us_is_said_once(model, clock, caplog):
    live = SteppedLive(model, Table(kcl3=True), OPTIONS, clock)
    for _ in range(3):
        clock.now += 6
        live.tick()
    assert caplog.text.count("rows of a KCL 3 worker") == 1


# -- the end of a shard --------------------------------------------------------------------------------


def test_a_reply_without_a_next_iterator_does_not_end_an_open_shard(model, clock, caplog):
    live = SteppedLive(model, Table(), OPTIONS, clock)
    live.tick()
    model.lies = 3
    clock.now += 2
    got = payloads(read_all(live, 8))
    model.put("key", b"after")
    got += payloads(read_all(live))
    assert sorted(got) == sorted([b"%d" % n for n in range(8)] + [b"after"])
    assert all(lease.position != SHARD_END for lease in live._store.scan())
    assert "has no NextShardIterator, but the shard is open" in caplog.text


@pytest.mark.parametrize("named", [True, False])
def test_a_shard_ends_only_when_all_its_children_have_leases(model, clock, named):
    store = Table()
    live = SteppedLive(model, store, OPTIONS, clock)
    acknowledge(live, read_all(live))
    listed_before = list(model.shards.values())
    model.split(FIRST)
    model.put("key", b"child")
    half = [*listed_before, model.shards["shardId-000000000003"]]
    model.listing = listed_before if named else half
    model.names_children = named
    for _ in range(4):
        clock.now += 2
        acknowledge(live, read_all(live, 1))
    ended = {lease.shard_id for lease in store.scan() if lease.position == SHARD_END}
    assert ended == ({FIRST} if named else set()), "a listing that lags shows one child of two"
    if named:
        assert {"shardId-000000000002", "shardId-000000000003"} <= {lease.shard_id for lease in store.scan()}
        assert not live.coordinator.troubles
    model.listing = None
    for _ in range(6):
        clock.now += 2
        acknowledge(live, read_all(live, 1))
    assert {lease.shard_id for lease in store.scan() if lease.position == SHARD_END} == {FIRST}
    assert live.connected
    assert live.taken_in_events == 9


def test_a_stream_made_anew_ends_the_job_with_one_line(model, clock):
    live = SteppedLive(model, Table(), OPTIONS, clock)
    acknowledge(live, read_all(live))
    model.identity = StreamIdentity(ARN, model.identity.created_ms + 5000)
    clock.now += 61
    with pytest.raises(StateError, match=r"stream stream was deleted and made again.*--reset_checkpoints"):
        live.tick()


@pytest.mark.parametrize(("shards", "pause"), [(200, 0.25), (400, 0.5), (1000, 1.0)])
def test_idle_shards_are_asked_less_often_where_there_are_many(clock, caplog, shards, pause):
    options = dataclasses.replace(OPTIONS, shard_reads_per_second=0.0)
    with caplog.at_level(logging.INFO):
        live = SteppedLive(StreamModel(shards=shards), Table(), options, clock)
        live.tick()
        assert live.pool.tasks[7]() == pytest.approx(pause)
        assert len(caplog.records) == 1, "one line for all of them"
        live.coordinator._lose(list(live.coordinator.held.values()))
    assert len(caplog.records) == 2
    assert f"no longer ours are {shards} leases" in caplog.text


# -- ready ---------------------------------------------------------------------------------------------


def test_a_job_that_has_never_read_is_not_ready_and_its_lag_grows(model, clock):
    live = SteppedLive(model, Table(), OPTIONS, clock)
    model.failing = True
    for _ in range(10):
        clock.now += 5
        live.tick()
        live.pool.step_all()
    assert not live.connected
    assert f"shard {FIRST} of stream stream has not been read yet" in live.unread()
    assert live.status().lag_s > 40
    model.failing = False
    acknowledge(live, read_all(live))
    assert live.connected
    assert live.unread() == []


@pytest.mark.parametrize("mark", [SHARD_END, Position(3)])
def test_a_runners_mark_of_an_earlier_stream_loses_nothing(model, clock, caplog, mark):
    live = SteppedLive(model, Table(), OPTIONS, clock, {"shards": {FIRST: mark.text()}})
    assert sorted(payloads(read_all(live))) == [b"%d" % n for n in range(8)]
    assert (
        f"shard {FIRST} of stream stream: the runner's position {mark.text()} can't be of this stream"
        in caplog.text
    )
    assert live.position()["shards"].keys() == {FIRST, SECOND}


def test_a_shard_that_nobody_reads_is_said_in_the_log(model, clock, caplog):
    store = Table(Lease(FIRST, TRIM_HORIZON, "host:1:2:3:4"))
    live = SteppedLive(model, store, OPTIONS, clock)
    live.coordinator._take = lambda lease: None
    for _ in range(20):
        clock.now += 2
        live.tick()
    assert f"shard {FIRST} is read by nobody: its lease is owned by host:1:2:3:4" in caplog.text
    assert caplog.text.count("is read by nobody") == 2, "both shards, once per minute"
    assert not live.connected


# -- the check and the start ---------------------------------------------------------------------------


@pytest.fixture
def table(monkeypatch):
    keys = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
    model = StreamModel(shards=2)
    monkeypatch.setattr(preflight, "describe_stream", lambda session, stream: StreamFacts(model.identity))
    monkeypatch.setattr(preflight, "list_shards", lambda session, stream: model.list_shards())
    with moto.mock_aws():
        made = LeaseTable(AwsSession(keys), "app")
        made.create_if_missing()
        yield made


def put(table, item):
    table._session.client("dynamodb").put_item(TableName="app", Item={"leaseKey": {"S": FIRST}, **item})


@pytest.mark.parametrize(
    ("item", "survives"),
    [
        ({"checkpoint": {"S": "garbage"}}, False),
        ({"checkpoint": {"S": "5"}, "leaseCounter": {"S": "7"}}, False),
        (Lease(FIRST, SHARD_END).to_item(), False),
        (Lease(FIRST, TRIM_HORIZON, stream=EARLIER).to_item(), False),
        (Lease(FIRST, TRIM_HORIZON, stream=OTHER).to_item(), True),
        ({"checkpoint": {"S": "garbage"}, "penstockStreamArn": {"S": OTHER.arn}}, True),
        ({**Lease(FIRST, TRIM_HORIZON).to_item(), "leaseKey": {"S": f"111122223333:o:1:{FIRST}"}}, True),
    ],
)
def test_reset_deletes_this_streams_rows_and_broken_ones_but_never_anothers(table, item, survives):
    put(table, item)
    keys = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
    with pytest.raises(StateError, match="--application_name"):
        preflight.prepare_read(OPTIONS, keys)
    reset = dataclasses.replace(OPTIONS, reset_checkpoints=True)
    if survives:
        with pytest.raises(StateError, match=r"give this job a name of its own with --application_name"):
            preflight.prepare_read(reset, keys)
    else:
        preflight.prepare_read(reset, keys)
        preflight.prepare_read(OPTIONS, keys)
    rows = table.rows()
    assert len(rows.leases) + len(rows.broken) == survives


def test_a_table_with_a_number_for_a_key_is_named(table):
    dynamodb = table._session.client("dynamodb")
    dynamodb.create_table(
        TableName="numbers",
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    options = dataclasses.replace(OPTIONS, application_name="numbers")
    with pytest.raises(OptionError, match="--application_name: the table numbers is no lease table"):
        preflight.prepare_read(options, AwsOptions(access_key="AKIDEXAMPLE", secret_key="example"))


def test_what_we_add_to_a_row_kcl_ignores():
    item = Lease(FIRST, TRIM_HORIZON, stream=OTHER, read_until_ms=5).to_item()
    ours = {name for name in item if name.startswith("penstock")}
    assert ours == {"penstockStreamArn", "penstockStreamCreatedMillis", "penstockReadUntilMillis"}
    assert lease_table.Lease.from_item(item) == Lease(FIRST, TRIM_HORIZON, stream=OTHER, read_until_ms=5)
