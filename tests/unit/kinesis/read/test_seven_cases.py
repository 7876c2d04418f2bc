"""Silent, lasting loss as it was seen: seven cases, each with all of its events or one line that says why not.

Kinesis is our simulator over HTTP, the lease table moto's; threads, clients and table are the job's own.
"""

import dataclasses
import threading

import moto
import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import PenstockError, StateError
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.positions import SHARD_END
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read.preflight import prepare_read
from penstock.io.kinesis.read_options import KinesisReadOptions
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.unit.kinesis.read.test_shard_reader import aggregated

FIRST = "shardId-000000000000"
AWS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
OPTIONS = KinesisReadOptions(
    "orders", application_name="app", checkpoint_interval_seconds=1,
    additional_settings=["idleTimeBetweenReadsInMillis=20", "shardSyncIntervalMillis=500"], shard_reads_per_second=0.0,
)  # fmt: skip


@pytest.fixture
def kinesis(monkeypatch):
    with moto.mock_aws(), KinesisSimulator() as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", made.endpoint_url)
        yield made


class Job:
    """A job that acknowledges at once; it ends as a process would."""

    def __init__(self, **changes):
        self.options = dataclasses.replace(OPTIONS, **changes)
        self.live = KinesisLive("job", self.options, AWS)
        self.got = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        prepare_read(self.options, AWS)
        self.live.resume(None)
        self._thread.start()
        return self

    def _read(self):
        while not self._end.is_set():
            batch = self.live.take(0.05)
            if batch is not None:
                self.got += [event.data for event in batch.events]
                self.live.acknowledge(batch.receipt.tokens)

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(30)
        self.live.close()

    def has(self, count):
        wait_until(lambda: len(self.got) >= count, f"{count} events")
        wait_until(lambda: self.live.connected, "a job that reads")
        assert len(self.got) == len(set(self.got)) == count


def put(kinesis, stream, first, count, key="key-{}"):
    for number in range(first, first + count):
        kinesis.put(stream, b"%d" % number, key.format(number))


def refused(**changes):
    with pytest.raises(PenstockError) as caught, Job(**changes):
        pass
    return str(caught.value)


def table():
    return LeaseTable(AwsSession(AWS), "app")


def test_1_two_streams_under_one_name(kinesis):
    kinesis.create_stream("orders", 2)
    kinesis.create_stream("clicks", 1)
    put(kinesis, "orders", 0, 200)
    put(kinesis, "clicks", 0, 100)
    with Job() as job:
        job.has(200)
        before = {lease.shard_id: lease.stream for lease in table().scan()}
        line = refused(kinesis_stream_name="clicks")
        assert "belongs to arn:aws:kinesis:us-east-1:000000000000:stream/orders" in line
        assert "--application_name" in line
        assert {lease.shard_id: lease.stream for lease in table().scan()} == before
        put(kinesis, "orders", 200, 100)
        job.has(300)
    with Job(kinesis_stream_name="clicks", application_name="clicks-app") as job:
        job.has(100)


def test_2_deleted_and_made_anew_with_the_table_kept(kinesis):
    kinesis.create_stream("orders", 1)
    with Job() as job:
        put(kinesis, "orders", 0, 20)
        job.has(20)
        kinesis.split("orders", FIRST)
        wait_until(lambda: any(lease.position == SHARD_END for lease in table().scan()), "the parent's end")
    created = kinesis.stream("orders").created
    kinesis.delete_stream("orders")
    kinesis.create_stream("orders", 1, created=created + 60)
    put(kinesis, "orders", 20, 100)
    line = refused()
    assert f"row {FIRST} of lease table app is of an earlier stream orders" in line
    assert "--reset_checkpoints" in line
    with Job(reset_checkpoints=True) as job:
        job.has(100)


def test_2_in_mid_run_the_job_ends_with_that_line(kinesis):
    kinesis.create_stream("orders", 1)
    with Job() as job:
        put(kinesis, "orders", 0, 20)
        job.has(20)
        created = kinesis.stream("orders").created
        kinesis.delete_stream("orders")
        kinesis.create_stream("orders", 1, created=created + 60)
        wait_until(lambda: job.live.failure is not None, "the end")
        assert isinstance(job.live.failure, StateError)
        assert "stream orders was deleted and made again" in str(job.live.failure)


def test_3_one_reply_without_a_next_iterator(kinesis):
    kinesis.create_stream("orders", 1)
    with Job() as job:
        put(kinesis, "orders", 0, 20)
        kinesis.faults.no_next_iterator(times=2)
        job.has(20)
        put(kinesis, "orders", 20, 20)
        job.has(40)
    assert [lease.position == SHARD_END for lease in table().scan()] == [False]


@pytest.mark.parametrize("children", ["named", "not named"])
def test_3_children_that_are_listed_late(kinesis, children):
    stream = kinesis.create_stream("orders", 1)
    put(kinesis, "orders", 0, 20)
    with Job() as job:
        job.has(20)
        stream.listing_lag_s = 1.0 if children == "not named" else 3600.0
        kinesis.split("orders", FIRST)
        if children == "not named":
            kinesis.faults.no_next_iterator(times=20)
        put(kinesis, "orders", 20, 20)
        job.has(40)
        rows = {lease.shard_id: lease for lease in table().scan()}
        assert set(rows) == {FIRST, "shardId-000000000001", "shardId-000000000002"}
        assert set(rows[FIRST].children) == {"shardId-000000000001", "shardId-000000000002"}


def test_5_a_row_that_cannot_be_read(kinesis):
    kinesis.create_stream("orders", 2)
    put(kinesis, "orders", 0, 20)
    made = table()
    made.create_if_missing()
    item = {"leaseKey": {"S": FIRST}, "checkpoint": {"S": "garbage"}}
    made._session.client("dynamodb").put_item(TableName="app", Item=item)
    line = refused()
    assert f"row {FIRST} of lease table app can't be read: checkpoint 'garbage'" in line
    with Job(reset_checkpoints=True) as job:
        job.has(20)


def test_6_a_stream_whose_keys_the_service_manages(kinesis):
    stream = kinesis.create_stream("orders", 4)
    stream.mode, stream.strategy = "ON_DEMAND", "AUTO"
    put(kinesis, "orders", 0, 500, key="")
    for number in range(500, 1000, 10):
        kinesis.put("orders", aggregated(*(b"%d" % each for each in range(number, number + 10))), "a")
    with Job(out_of_range="drop") as job:
        job.has(1000)


def test_7_records_of_10_mib(kinesis):
    stream = kinesis.create_stream("orders", 1)
    stream.max_record_kib = 10240
    large = [bytes([number]) * (10 << 20) for number in range(3)]
    for data in large:
        kinesis.put("orders", data, "key")
    put(kinesis, "orders", 0, 10)
    with Job(max_pending_bytes=4 << 20, shard_bytes_per_second=0) as job:
        job.has(13)
