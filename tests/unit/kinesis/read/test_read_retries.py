"""What a peer that fails is asked: over 30 s, on a clock that the test drives, and once per peer on a real one."""

import collections
import dataclasses
import time

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import PeerError, Unreachable
from penstock.io.kinesis.lease.table import LeaseTable, MemoryLeases
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.wire.calls import CallFailed
from penstock.io.kinesis.wire.client import connect
from tests.simulator import KinesisSimulator
from tests.simulator.server import HttpServer
from tests.tools.stream_model import SteppedLive, StreamModel

OPTIONS = KinesisReadOptions(
    "stream",
    application_name="app",
    checkpoint_interval_seconds=1,
    additional_settings=["shardSyncIntervalMillis=5000"],
)
SHARDS = 100
SECONDS = 30.0

FAULTS = {
    "500": (0.0, PeerError("cannot use it: InternalServerError"), ("InternalFailure", 500)),
    "closed": (0.0, Unreachable("cannot use it: no answer"), ("ConnectionError", None)),
    "hanging": (6.0, Unreachable("cannot use it: no answer"), ("ConnectionError", None)),
    "throttled": (
        0.0,
        PeerError("cannot use it: ThrottlingException"),
        ("ProvisionedThroughputExceededException", 400),
    ),
}


class World:
    """A job of 100 shards whose peers fail as told; every call is counted, time is the test's."""

    def __init__(self):
        self.now = 1000.0
        self.calls = collections.Counter()
        self.fault = None
        self.failing = set()
        self.model = StreamModel(SHARDS)
        self.store = MemoryLeases()
        for name in ("rows", "create", "replace", "delete"):
            setattr(self.store, name, self._watched(self.store, name, "table", self._error))
        self.model.list_shards = self._watched(self.model, "list_shards", "control", self._error)
        self.model.describe = self._watched(self.model, "describe", "control", self._error)
        for name in ("get_records", "get_shard_iterator"):
            setattr(self.model, name, self._watched(self.model, name, "data", self._call_failed))
        self.live = SteppedLive(self.model, self.store, OPTIONS, lambda: self.now)

    def _watched(self, owner, name, peer, error):
        inner = getattr(owner, name)

        def call(*args, **given):
            self.calls[peer] += 1
            if peer in self.failing:
                self.now += FAULTS[self.fault][0]
                raise error()
            return inner(*args, **given)

        return call

    def _error(self):
        return FAULTS[self.fault][1]

    def _call_failed(self):
        code, status = FAULTS[self.fault][2]
        return CallFailed("GetRecords", code, "", status)

    def drive(self, seconds):
        """Runs coordinator and shards as the threads would: each when its own pause is over."""
        until = self.now + seconds
        tick_at = self.now
        due = dict.fromkeys(self.live.pool.tasks, self.now)
        while self.now < until:
            for task in self.live.pool.tasks:
                due.setdefault(task, self.now)
            task = min(due, key=due.get, default=None)
            if task is None or tick_at <= due[task]:
                self.now = max(self.now, tick_at)
                tick_at = self.now + max(0.001, min(self.live.coordinator.tick(), 0.25))
            else:
                self.now = max(self.now, due[task])
                pause = task()
                due[task] = self.now + pause
            self.live.take_all()
        return self.calls


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "peer", ["table", "control", "data"], ids=["lease table", "ListShards", "GetRecords"]
)
def test_a_peer_that_fails_for_30_s_is_asked_less_and_less(peer, fault):
    world = World()
    world.drive(5.0)
    assert len(world.live.coordinator.held) == SHARDS
    for number in range(SHARDS):
        world.model.put(f"key{number}", b"news")
    world.drive(1.0)
    for batch in world.live.take_all():
        world.live.acknowledge(batch.receipt.tokens)
    world.calls.clear()
    world.fault, world.failing = fault, {peer}
    calls = world.drive(SECONDS)[peer]
    if peer == "data":
        # Each shard backs off by itself, up to 5 s: about 12 calls in 30 s.
        assert (1 if fault == "hanging" else SHARDS) <= calls <= 25 * SHARDS
    else:
        # Two rounds (rows, renewals) or one (shards), each 1 s apart at first; not one per lease, nor at each look.
        assert 1 <= calls <= 45
    world.failing = set()
    world.drive(20.0)
    assert world.live.failure is None
    assert len(world.live.coordinator.held) == SHARDS
    assert world.live.connected


def test_a_job_that_starts_against_a_table_that_fails_asks_it_seldom():
    world = World()
    world.fault, world.failing = "500", {"table"}
    assert world.drive(SECONDS)["table"] <= 30
    world.failing = set()
    world.drive(20.0)
    assert world.live.connected


# -- in real time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["dynamodb", "kinesis"])
def test_in_real_time_a_peer_that_answers_500_is_asked_a_few_times(peer):
    asked = collections.Counter()
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("stream", 2)

        def reply(headers, body):
            service = headers.get(b"x-amz-target", b"").partition(b"_")[0].lower().decode()
            asked[service] += 1
            if service == peer:
                return 500, b'{"__type":"InternalFailure","message":"no"}'
            return kinesis._reply(headers, body)

        server = HttpServer(0, reply)
        try:
            aws = AwsOptions(endpoint_url=f"http://127.0.0.1:{server.port}", access_key="a", secret_key="b")
            options = dataclasses.replace(OPTIONS, checkpoints="none") if peer == "kinesis" else OPTIONS
            store = MemoryLeases() if peer == "kinesis" else LeaseTable(AwsSession(aws), "app")
            live = KinesisLive("real", options, aws, store=store)
            store.create_if_missing = lambda: None
            live.resume(None)
            time.sleep(4.0)  # the time is what is measured
            begun = time.thread_time()
            live.close()
            assert time.thread_time() - begun < 1.0
        finally:
            server.close()
    assert 1 <= asked[peer] <= 40


# -- well-formed nonsense ------------------------------------------------------------------------------

DEEP = b"[" * 100_000 + b"]" * 100_000
RECORD = b'{"SequenceNumber":"1","Data":"eA==","PartitionKey":"k","ApproximateArrivalTimestamp":1e300}'
NONSENSE = [
    ("GetShardIterator", b"{}"),
    ("GetShardIterator", b"[]"),
    ("GetShardIterator", b'{"ShardIterator":5}'),
    ("GetShardIterator", DEEP),
    ("GetRecords", b"{}"),
    ("GetRecords", b"[]"),
    ("GetRecords", b'{"Records":[' + RECORD + b"]}"),
    ("GetRecords", b'{"Records":[' + RECORD.replace(b'"1"', b'"one"').replace(b"1e300", b"1") + b"]}"),
    ("GetRecords", DEEP),
    ("ListShards", b"{}"),
    ("ListShards", b"[]"),
    ("ListShards", b'{"Shards":[{}]}'),
    ("ListShards", DEEP),
    ("DescribeStreamSummary", b"{}"),
    ("DescribeStreamSummary", b"[]"),
    (
        "DescribeStreamSummary",
        b'{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE","StreamCreationTimestamp":1e300}}',
    ),
    ("DescribeStreamSummary", DEEP),
]


@pytest.mark.parametrize("plane", ["thin", "boto3"])
@pytest.mark.parametrize(("operation", "body"), NONSENSE, ids=lambda value: str(value)[:60])
def test_nonsense_with_status_200_is_named_and_asked_for_again(caplog, plane, operation, body):
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("stream", 1)
        kinesis.put("stream", b"x", "key")
        aws = AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="a", secret_key="b")
        session = AwsSession(aws)
        client = connect(session, data_plane=plane)
        live = KinesisLive("nonsense", OPTIONS, aws, session=session, client=client, store=MemoryLeases())
        kinesis.faults.answer(operation, body, times=2)
        live.resume(None)
        try:
            batch = live.take(30.0)
            assert batch is not None, live.failure
            assert [event.data for event in batch.events] == [b"x"]
            assert live.failure is None
        finally:
            live.close()
    assert caplog.text.count("trying again") == 1, caplog.text
    assert "stream stream" in caplog.text


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"Items":[5]}', b'{"Items":5}', DEEP], ids=lambda body: str(body)[:20]
)
def test_nonsense_of_dynamodb_is_an_error_that_may_pass(body):
    server = HttpServer(0, lambda headers, request: (200, body))
    try:
        aws = AwsOptions(endpoint_url=f"http://127.0.0.1:{server.port}", access_key="a", secret_key="b")
        with pytest.raises(PeerError, match="cannot read the lease table app: "):
            LeaseTable(AwsSession(aws), "app").rows()
    finally:
        server.close()
