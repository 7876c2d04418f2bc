"""A peer that fails gets few calls in 30 s: one table of all calls, on a clock that moves only when somebody waits."""

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.io.archive.options import ArchiveOptions
from penstock.io.archive.uploads import Group, Uploads, put_file
from penstock.io.aws.cloudwatch import MetricsUploader, Series, Statistics
from penstock.io.aws.session import AwsSession
from penstock.io.dead_letters.stores import ElasticsearchStore, KinesisStore, S3Store
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import Client
from penstock.io.elasticsearch.cluster.preflight import prepare, require_cluster
from penstock.io.elasticsearch.cluster.sniffing import Sniffer
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import PenstockError, StopTimeout
from penstock.io.kinesis.lease.table import Lease, LeaseTable, MemoryLeases
from penstock.io.kinesis.positions import TRIM_HORIZON, KinesisRecord, StreamIdentity
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import LiveShardMap, Shard, list_shards
from penstock.io.kinesis.stream_facts import LiveFacts, StreamFacts, describe_stream
from penstock.io.kinesis.wire.client import connect
from penstock.io.kinesis.write.metrics import Recorder
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.stream import TargetStream
from penstock.io.kinesis.write.writer import deliver
from penstock.io.s3.objects import S3Objects
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream
from penstock.io.s3.units.manifest import open_manifest
from penstock.transforms.batch import DeadLetter
from tests.tools.models.stream_model import SteppedLive, StreamModel
from tests.tools.peers.failing_peers import AWS, FAULTS, SECONDS, FailingPeers
from tests.tools.samples.events import event

READ = KinesisReadOptions(
    "stream",
    application_name="app",
    checkpoint_interval_seconds=1,
    additional_settings=["shardSyncIntervalMillis=5000"],
)
SHARDS, MANY = 8, 20
CLUSTER = ElasticsearchOptions(hosts=["peer.invalid:9200"], stop_timeout=0)
TEMPLATE = dataclasses.replace(CLUSTER, manage_template=True)
FACTS = StreamFacts(StreamIdentity("arn", 1))
WHOLE = [Shard("s", (), 0, (1 << 128) - 1, "1", None)]
LETTERS = [DeadLetter(event(b"nope"), "e", "r", "decode")]
LEASE = Lease("s", TRIM_HORIZON)
OBJECT = S3Object("lake", "k", 5, "e", 0)


# -- the read: a job of many shards, of whose calls one kind goes to the peers that fail ------------------


def read_stream(failing, plane="thin", *, at_start=False, shards=SHARDS):
    def run(peers):
        peers.now = 0.0 if at_start else -6.0
        session = AwsSession(AWS)
        client, table = connect(session, data_plane=plane), LeaseTable(session, "app")
        model, store = StreamModel(shards), MemoryLeases()
        failures = {
            "GetRecords": (model, "get_records", lambda *_: client.get_records("iterator")),
            "GetShardIterator": (model, "get_records", lambda *_: client.get_shard_iterator("stream", "s", "LATEST")),
            "ListShards": (model, "list_shards", lambda: list_shards(session, "stream")),
            "DescribeStreamSummary": (model, "describe", lambda: describe_stream(session, "stream")),
            "Scan": (store, "rows", table.rows),
            "UpdateItem": (store, "replace", table.replace),
        }  # fmt: skip
        owner, name, call = failures[failing]
        inner = getattr(owner, name)
        setattr(owner, name, lambda *given, **_: call(*given) if 0 <= peers.now < SECONDS else inner(*given))
        live = SteppedLive(model, store, READ, peers.clock)
        if not at_start:
            _drive(live, peers, -1.0)
            assert len(live.coordinator.held) == shards
            for number in range(5 * shards):
                model.put(f"key{number}", b"news")
            _drive(live, peers, 0.0)
        _drive(live, peers, SECONDS)
        if live.failure:
            raise live.failure
        _drive(live, peers, peers.now + 20.0)
        assert len(live.coordinator.held) == shards, "it goes on where it was"
        assert live.connected
        assert not live.failure

    return run


def _drive(live, peers, until):
    """Runs coordinator and shards as the threads would: each when its own pause is over."""
    tick_at, due = peers.now, {}
    while peers.now < until and not live.failure:
        for task in live.pool.tasks:
            due.setdefault(task, peers.now)
        task = min(due, key=due.get, default=None)
        if task is None or tick_at <= due[task]:
            peers.now = max(peers.now, tick_at)
            tick_at = peers.now + max(0.001, min(live.coordinator.tick(), 0.25))
        else:
            peers.now = max(peers.now, due[task])
            pause = task()
            due[task] = float("inf") if pause is None else peers.now + pause
        for batch in live.take_all():
            live.acknowledge(batch.receipt.tokens)
    if not live.failure:
        peers.now = max(peers.now, until)


# -- the writes ----------------------------------------------------------------------------------------


def write_stream(plane="thin", shards=lambda session: WHOLE, aws=AWS):
    def run(peers):
        session = AwsSession(aws)
        shard_map = LiveShardMap(lambda: shards(session), "stream", clock=peers.clock)
        with ThreadPoolExecutor(1) as pool:
            target = TargetStream(
                "stream", connect(session, data_plane=plane), session, shard_map,
                LiveFacts(lambda: FACTS, FACTS, clock=peers.clock), KinesisWriteOptions("stream", stop_timeout=0),
                pool=pool, recorder=Recorder(), stopping=peers, clock=peers.clock, sleep=peers.wait,
            )  # fmt: skip
            deliver(target, [b"x"], None)

    return run


def letters(make):
    def run(peers):
        make(peers).append(LETTERS)

    return run


def archive(peers):
    class Live:
        stopping, trouble = False, ""
        shards_of = staticmethod(lambda tokens: {"s": tokens})

    objects, options = S3Objects(AWS), ArchiveOptions("s3://lake/p", archive_format="json", stop_timeout=0)
    uploads = Uploads(options, Live(), lambda *what: put_file(objects, options, *what), peers.clock, peers)
    group = Group(0.0)
    group.add(event(b"{}", origin=KinesisRecord("stream", "s", "1", "k", 0)))
    uploads.upload("s", group)


def bulk(peers):
    one = event(b"{}")
    one.id, one.timestamp = "i", "2026-11-28T00:00:00Z"
    BulkWriter(CLUSTER, peers, clock=peers.clock, sleep=peers.wait).write([one])


# -- calls that are made once, or now and then ---------------------------------------------------------


def once(call):
    """A call that is tried again a few times, then ends in an error for its caller, however late."""

    def run(peers):
        call(AwsSession(AWS))

    run.knows_the_stop = False
    return run


def sniff(peers):
    client = Client(CLUSTER)
    sniffer = Sniffer(client._transport, 8.0, CLUSTER.timeout, peers.clock)
    while not peers.wait(0.000371):  # so fine that no two waits are the same by chance
        sniffer.look()


def metrics(peers):
    def take():
        return {Series("Records", "Count"): Statistics(1.0)}

    MetricsUploader(take, lambda: AwsSession(AWS), "Penstock", every_s=60.0, option="", advice="").upload()


def create_table(session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LeaseTable, "exists", lambda _: False)
        LeaseTable(session, "app").create_if_missing()


ROLE = dataclasses.replace(AWS, role_arn="arn:aws:iam::111122223333:role/r")
GOES_ON, ENDS = "goes on until it is stopped", "ends in an error, which its caller says, or tries again"
EITHER = (GOES_ON, ENDS)  # eight tries with pauses take about as long as the test
REDIRECTED = {"307": ENDS}


def _listing(session):
    return list_shards(session, "stream", retries=False)


# What it is; how it runs; the most requests of 30 s; what becomes of it, and of which fault something else.
TABLE = [
    ("Kinesis GetRecords, thin", read_stream("GetRecords"), 25 * SHARDS, GOES_ON, REDIRECTED),
    ("Kinesis GetRecords, boto3", read_stream("GetRecords", "boto3"), 25 * SHARDS, GOES_ON, REDIRECTED),
    ("Kinesis GetShardIterator, thin", read_stream("GetShardIterator"), 25 * SHARDS, GOES_ON, REDIRECTED),
    ("Kinesis GetShardIterator, boto3", read_stream("GetShardIterator", "boto3"), 25 * SHARDS, GOES_ON, REDIRECTED),
    ("Kinesis ListShards, read", read_stream("ListShards"), 50, GOES_ON, {}),
    ("Kinesis DescribeStreamSummary, read", read_stream("DescribeStreamSummary"), 50, GOES_ON, {}),
    ("DynamoDB Scan", read_stream("Scan"), 50, GOES_ON, {}),
    ("DynamoDB Scan, at the start", read_stream("Scan", at_start=True), 50, GOES_ON, {}),
    ("DynamoDB UpdateItem", read_stream("UpdateItem", shards=MANY), 6 * MANY, GOES_ON, {}),
    ("DynamoDB PutItem", once(lambda session: LeaseTable(session, "app").create(LEASE)), 5, ENDS, {}),
    ("DynamoDB DeleteItem", once(lambda session: LeaseTable(session, "app").delete(LEASE)), 5, ENDS, {}),
    ("DynamoDB GetItem", once(lambda session: LeaseTable(session, "app")._was_ours(LEASE)), 5, ENDS, {}),
    ("DynamoDB DescribeTable", once(lambda session: LeaseTable(session, "app").exists()), 5, ENDS, {}),
    ("DynamoDB CreateTable", once(create_table), 5, ENDS, {}),
    ("DynamoDB, manifest", lambda peers: list(open_manifest("dynamodb:m", AWS).read()), 5, ENDS, {}),
    ("Kinesis PutRecords, thin", write_stream(), 50, GOES_ON, REDIRECTED),
    ("Kinesis PutRecords, boto3", write_stream(plane="boto3"), 50, GOES_ON, REDIRECTED),
    ("Kinesis PutRecords, letters", letters(lambda peers: KinesisStore("s", AWS, peers)), 80, GOES_ON, {}),
    ("Kinesis ListShards, write", write_stream(shards=_listing), 50, GOES_ON, {}),
    ("Kinesis DescribeStreamSummary", once(lambda session: describe_stream(session, "s")), 5, ENDS, {}),
    ("STS AssumeRole, thin", write_stream(aws=ROLE), 120, GOES_ON, REDIRECTED),
    ("STS AssumeRole, boto3", write_stream("boto3", aws=ROLE), 120, GOES_ON, REDIRECTED),
    ("STS GetCallerIdentity", lambda peers: AwsSession(AWS).principal(), 1, GOES_ON, {}),
    ("CloudWatch PutMetricData", metrics, 4, GOES_ON, {}),
    ("S3 PutObject, archive", archive, 80, GOES_ON, REDIRECTED),
    ("S3 PutObject, letters", letters(lambda peers: S3Store("lake", "p", AWS, peers)), 80, GOES_ON, REDIRECTED),
    ("S3 GetObject", lambda peers: ObjectStream(S3Objects(AWS, stopping=peers), OBJECT).read(), 40, EITHER, {}),
    ("S3 ListObjectsV2", once(lambda _: list(S3Objects(AWS).list("lake", "p"))), 5, ENDS, {}),
    ("S3 HeadObject", once(lambda _: S3Objects(AWS).stat("lake", "k")), 5, ENDS, {}),
    ("S3 HeadBucket", once(lambda _: S3Objects(AWS).check_bucket("lake")), 5, ENDS, {}),
    ("Elasticsearch bulk", bulk, 50, GOES_ON, REDIRECTED),
    ("Elasticsearch bulk, letters", letters(lambda peers: ElasticsearchStore("i", CLUSTER, peers)), 50, GOES_ON, REDIRECTED),
    ("Elasticsearch sniffing", sniff, 5, GOES_ON, {}),
    ("Elasticsearch info", lambda peers: require_cluster(CLUSTER), 1, ENDS, {}),
    ("Elasticsearch template", lambda peers: prepare(TEMPLATE), 1, ENDS, {}),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "run", "most", "end", "but"), TABLE, ids=[row[0] for row in TABLE])
def test_requests_in_thirty_seconds(monkeypatch, name, run, most, end, but, fault):
    peers = FailingPeers(monkeypatch, fault)
    ended, told = GOES_ON, ""
    try:
        run(peers)
    except PenstockError as error:
        stopped = peers.is_set() and getattr(run, "knows_the_stop", True)
        ended, told = (GOES_ON if stopped else ENDS), str(error)
    assert ended in but.get(fault, end), told
    assert 1 <= peers.count() <= most
    waits = peers.waits()
    assert len(set(waits)) >= 0.9 * len(waits), "jitter: waits are hardly ever the same"


@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_a_record_without_error_and_number_is_not_taken_for_written(monkeypatch, plane):
    peers = FailingPeers(monkeypatch, "nonsense")
    peers.replies = itertools.repeat((b'{"Records":[{}]}', {}))
    with pytest.raises(StopTimeout, match="NoSequenceNumber"):
        write_stream(plane)(peers)
    assert 5 <= peers.count() <= 50
