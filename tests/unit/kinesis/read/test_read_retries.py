"""A failing peer of the Kinesis read gets few calls on a real clock, whatever it answers (see also `test_retries`)."""

import collections
import dataclasses
import itertools
import time

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import PeerError
from penstock.io.kinesis.lease import coordinator, stream_view
from penstock.io.kinesis.lease.table import LeaseTable, MemoryLeases
from penstock.io.kinesis.read import shard_reader
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.wire.client import connect
from tests.simulator import KinesisSimulator
from tests.simulator.server import HttpServer
from tests.tools.machine.waiting import wait_until

OPTIONS = KinesisReadOptions(
    "stream",
    application_name="app",
    checkpoint_interval_seconds=1,
    additional_settings=["shardSyncIntervalMillis=5000"],
)

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
            wait_until(lambda: asked[peer], "the first call")
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
def test_nonsense_with_status_200_is_named_and_asked_for_again(caplog, monkeypatch, plane, operation, body):
    for module in (coordinator, stream_view, shard_reader):
        monkeypatch.setattr(module, "delays", lambda *_: itertools.repeat(0.01))
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
