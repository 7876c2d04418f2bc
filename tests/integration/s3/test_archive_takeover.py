"""The archive holds every record once, whoever owned the shard: two workers that freeze, meet refusals, come and go.

A worker's group waits for `--roll_seconds`; what happens to the shard meanwhile must neither lose nor double a record.
What is archived is read back as a backfill reads it, and told apart by the documents' ids.
"""

import http.client
import os
import signal
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from local.demo.jobs import Job
from local.processes import started_at
from local.servers.aws_server import CREDENTIALS, REGION
from penstock.io import archive
from penstock.io.aws.session import AwsOptions
from penstock.io.s3 import Stores, list_objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.reading import UnitReader, plan
from penstock.transforms.codecs.json_objects import JsonDecoder
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.listening import process_tree
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.fake_http import fake_http

pytestmark = [pytest.mark.servers, pytest.mark.kills, pytest.mark.long]

LATER = "3600"
"""--roll_seconds of a worker whose group is closed by its stop alone."""


class World:
    """A stream, a bucket, and the workers of one application."""

    def __init__(self, aws, name, shards, folder):
        self._aws, self._name, self._folder = aws, name, folder
        self._put = 0
        self.workers = []
        aws.create_stream(name, shards)
        aws.client("s3").create_bucket(Bucket=name)

    def put(self, count):
        """Puts the next records, of two shards every second one; gives how many there are now."""
        numbers = range(self._put, self._put + count)
        self._put += count
        keys = ["0", str(1 << 127)]
        records = [
            {"Data": b'{"n":%d}' % n, "PartitionKey": f"k{n}", "ExplicitHashKey": keys[n % 2]}
            for n in numbers
        ]
        if records:
            self._aws.client("kinesis").put_records(StreamName=self._name, Records=records)
        return self._put

    def start(self, roll_seconds, failover_ms, s3_url=None, workers=1):
        options = [
            *("--kinesis_stream_name", self._name, "--application_name", self._name, "--region", REGION),
            *("--archive", f"s3://{self._name}/lake", "--roll_seconds", roll_seconds, "--status_port", "0"),
            *("--checkpoint_interval_seconds", "1", "--workers", str(workers)),
            *("--additional_settings", f"failoverTimeMillis={failover_ms},shardSyncIntervalMillis=1000"),
        ]
        environment = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self._aws.endpoint_url,
            "AWS_ENDPOINT_URL_S3": s3_url or self._aws.endpoint_url,
        }
        job = Job("kinesis-to-s3", options, self._folder, f"worker-{len(self.workers)}", environment)
        self.workers.append(job)
        return job.wait_ready()

    def archived(self):
        """How often each record's document id stands in the archive, as a backfill reads it, and all its numbers."""
        options = S3ReadOptions(input=[f"s3://{self._name}/lake/"])
        aws = AwsOptions(region=REGION, endpoint_url=self._aws.endpoint_url)
        stores = Stores(options, aws, threading.Event())
        if not self._aws.client("s3").list_objects_v2(Bucket=self._name).get("Contents"):
            return Counter(), set()
        ids, numbers = Counter(), set()
        for found in list_objects(options, stores):
            store = stores.of(found.bucket)
            in_file = []
            for unit in plan(found, options, store):
                for events, letters in UnitReader(unit, options, store, (archive.LAYOUT,)).pieces():
                    assert not letters
                    decoded, refused = JsonDecoder().decode(events)
                    assert not refused
                    in_file += [event.id for event in decoded]
                    numbers |= {event.document["n"] for event in decoded}
            assert len(set(in_file)) == len(in_file), "within a file each record stands once"
            ids.update(in_file)
        return ids, numbers

    def wait_archived(self, count):
        wait_until(lambda: len(self.archived()[0]) >= count, f"{count} records in the archive")

    def require_whole(self, *, repeats):
        """Every record is there, under one id; without a kill or a pause, once."""
        ids, numbers = self.archived()
        assert numbers == set(range(self._put))
        assert len(ids) == self._put, "a record has one id, in whatever file it stands"
        assert repeats or max(ids.values()) == 1


@pytest.fixture
def world_of(aws, unique_name, tmp_path):
    worlds = []

    def make(shards):
        worlds.append(World(aws, unique_name, shards, tmp_path))
        return worlds[-1]

    yield make
    for world in worlds:
        for worker in world.workers:
            worker.signal(signal.SIGCONT)
            worker.kill()


def wait_taken_in(worker, count):
    page = page_of(worker)
    wait_until(lambda: status(page)["totals"]["in"] >= count, f"{count} records read by {worker.log.name}")


def test_a_frozen_worker_writes_nothing_over(world_of):
    world = world_of(1)
    frozen = world.start("4", 1000)
    world.put(100)
    wait_taken_in(frozen, 100)
    frozen.signal(signal.SIGSTOP)
    began = time.monotonic()
    other = world.start("1", 1000)
    world.put(50)
    world.wait_archived(150)
    time.sleep(max(0.0, 5.0 - (time.monotonic() - began)))  # its group is due when it wakes up
    frozen.signal(signal.SIGCONT)
    wait_until(lambda: "no longer ours" in frozen.log.read_text(), "the loss is noticed")
    world.put(30)
    world.wait_archived(180)
    frozen.finish()
    other.finish()
    world.require_whole(repeats=True)


@pytest.mark.full
def test_a_frozen_worker_whose_uploads_were_refused_writes_nothing_over(world_of, aws):
    target = urlsplit(aws.endpoint_url)
    refusing = True

    def answer(request):
        if refusing and request.method == "PUT":
            return 503, b"<Error><Code>SlowDown</Code><Message>slower</Message></Error>"
        connection = http.client.HTTPConnection(target.netloc, timeout=30)
        connection.request(request.method, request.path, request.body, request.headers)
        reply = connection.getresponse()
        body = reply.read()
        s3.headers = {"ETag": reply.headers["ETag"]} if reply.headers["ETag"] else {}
        connection.close()
        return reply.status, body

    def refused():
        return [each for each in s3.requests if each.method == "PUT"]

    world = world_of(1)
    with fake_http(answer) as s3:
        frozen = world.start("1", 1000, s3.url)
        world.put(100)
        wait_until(refused, "a refused upload")
        frozen.signal(signal.SIGSTOP)
        other = world.start("1", 1000)
        world.put(50)
        world.wait_archived(150)
        refusing = False
        frozen.signal(signal.SIGCONT)
        wait_until(lambda: "no longer ours" in frozen.log.read_text(), "the loss is noticed")
        world.put(30)
        world.wait_archived(180)
        frozen.finish()
        other.finish()
    world.require_whole(repeats=True)


@pytest.mark.parametrize("end", ["stop", pytest.param("kill", marks=pytest.mark.full)])
def test_a_worker_that_joins_and_leaves_before_the_first_one_s_group_is_closed(world_of, end):
    world = world_of(2)
    first = world.start(LATER, 3000)
    world.put(200)
    wait_taken_in(first, 200)
    second = world.start(LATER, 3000)
    wait_until(lambda: "no longer ours" in first.log.read_text(), "the second one has a shard")
    world.put(60)
    wait_taken_in(second, 130)
    wait_taken_in(first, 230)
    if end == "stop":
        second.finish()
        read_anew = 0
    else:
        second.kill()
        read_anew = 130
    world.put(60)
    wait_taken_in(first, 230 + read_anew + 60)
    first.finish()
    lost = sum(worker.log.read_text().count("no longer ours") for worker in world.workers)
    world.require_whole(repeats=end == "kill" or lost > 1)  # a machine that stood still is a pause


def test_one_of_two_worker_processes_is_killed(world_of):
    world = world_of(2)
    job = world.start("3", 3000, workers=2)
    workers = process_tree(job.pid) - {job.pid}
    assert len(workers) == 2
    page = page_of(job)

    def both_read():
        world.put(20)
        return all(each["events"] for each in status(page)["workers"])

    wait_until(both_read, "each has a shard")
    os.kill(min(workers), signal.SIGKILL)
    world.put(100)
    wait_until(
        lambda: sorted(each["restarts"] for each in status(page)["workers"]) == [0, 1], "it is started again"
    )
    world.put(100)
    world.wait_archived(world.put(0))
    job.finish()
    assert not any(map(started_at, workers))
    world.require_whole(repeats=True)
