"""Two workers read a stream that is split and merged under way: on kinesis-local, and on the simulator.

Kinesalite and moto are wrong about resharding (design: moto keeps filling the closed parent); these two are right.
Leases are in moto. Every record must come once, children after their parents, and each parent's lease must end
at SHARD_END with its children named.
"""

import threading
import time

import boto3
import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.positions import SHARD_END
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import list_shards
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.emulators import kinesis_local, settle

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=["kinesis-local", "simulator"])
def kinesis_url(request, tmp_path_factory):
    if request.param == "simulator":
        with KinesisSimulator() as simulator:
            yield simulator.endpoint_url
    else:
        with kinesis_local(tmp_path_factory.mktemp("kinesis")) as url:
            yield url


class Worker:
    """A live source whose batches are acknowledged at once."""

    def __init__(self, name, options, kinesis, dynamodb, store):
        self.live = KinesisLive(
            name, options, kinesis, session=AwsSession(kinesis), store=LeaseTable(AwsSession(dynamodb), store)
        )
        self.events = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.live.resume(None)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            batch = self.live.take(0.1)
            if batch is not None:
                now = time.monotonic()
                self.events += [(now, event) for event in batch.events]
                self.live.acknowledge(batch.receipt.tokens)

    def close(self):
        self._end.set()
        self._thread.join(60)
        self.live.close()


def test_two_workers_through_a_split_and_a_merge(kinesis_url, aws, unique_name):
    client = boto3.client(
        "kinesis", endpoint_url=kinesis_url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    stream = f"reshard-{unique_name}"[-60:]
    client.create_stream(StreamName=stream, ShardCount=2)
    settle(client, stream)
    keys = AwsOptions(endpoint_url=kinesis_url, access_key="test", secret_key="test")
    dynamodb = AwsOptions(endpoint_url=aws.endpoint_url, access_key="test", secret_key="test")
    options = KinesisReadOptions(
        stream, application_name="app", checkpoint_interval_seconds=1,
        # A worker that a busy machine stops for three seconds must not lose its leases: what is read twice is counted here.
        additional_settings=["failoverTimeMillis=15000", "shardSyncIntervalMillis=2000"],
    )  # fmt: skip
    table = f"leases-{unique_name}"[-60:]
    workers = [Worker(f"worker-{n}", options, keys, dynamodb, table) for n in range(2)]
    put_in = []

    def put(count):
        for _ in range(count):
            data = b"%d" % len(put_in)
            client.put_record(StreamName=stream, Data=data, PartitionKey=f"key-{len(put_in) % 50}")
            put_in.append(data)

    try:
        wait_until(lambda: all(len(worker.live.peers()) == 1 for worker in workers))
        put(100)
        client.split_shard(
            StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 126)
        )
        settle(client, stream)
        put(100)
        client.merge_shards(
            StreamName=stream,
            ShardToMerge="shardId-000000000003",
            AdjacentShardToMerge="shardId-000000000001",
        )
        settle(client, stream)
        put(100)
        seen = lambda: [event for worker in workers for _, event in worker.events]  # noqa: E731
        wait_until(lambda: {event.data for event in seen()} >= set(put_in))
        store = LeaseTable(AwsSession(dynamodb), table)
        closed = {f"shardId-00000000000{n}" for n in (0, 1, 3)}
        wait_until(
            lambda: {lease.shard_id for lease in store.scan() if lease.position == SHARD_END} == closed
        )
        leases = {lease.shard_id: lease for lease in store.scan()}
        assert leases["shardId-000000000000"].children == ("shardId-000000000002", "shardId-000000000003")
        assert leases["shardId-000000000004"].parents == ("shardId-000000000001", "shardId-000000000003")
        wait_until(lambda: all(worker.live.ready for worker in workers))
    finally:
        for worker in workers:
            worker.close()
    # A steal may bring a few twice; nothing else may.
    assert len(seen()) <= len(put_in) + 60
    # When each was first seen: the old owner may still hand out what the new one has read already.
    moments = {}
    for worker in workers:
        for moment, event in worker.events:
            shard = moments.setdefault(event.origin.shard_id, {})
            shard[event.data] = min(shard.get(event.data, moment), moment)
    first = {shard: min(seen_at.values()) for shard, seen_at in moments.items()}
    last = {shard: max(seen_at.values()) for shard, seen_at in moments.items()}
    for shard in list_shards(AwsSession(keys), stream):
        for parent in shard.parents:
            if parent in last and shard.shard_id in first:
                assert last[parent] <= first[shard.shard_id]
    assert {lease.owner for lease in store.scan() if lease.position != SHARD_END} == {None}
