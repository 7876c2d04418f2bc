"""Two jobs with one application, killed at random moments while the stream is split and merged.

Every record must arrive at least once in a recording sink, and exactly once in Elasticsearch, whose documents
take their ids from the records' positions. Kinesis is the simulator, which splits right; leases are in moto.
`PENSTOCK_KILL_SECONDS` says for how long jobs are killed (20 by default; the long run is 120).
"""

import os
import random
import sys
import threading
import time

import pytest

from local.demo import evidence
from local.processes import Process
from local.servers.aws_server import CREDENTIALS
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until

pytestmark = [pytest.mark.kills, pytest.mark.servers, pytest.mark.long]

SECONDS = float(os.environ.get("PENSTOCK_KILL_SECONDS", "20"))
STREAM = "killed"
TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "jobs", "kinesis_read_job.py")


class Producer:
    """Puts plain and aggregated records at a trickle until told to end; `put_in` is what must arrive."""

    def __init__(self, simulator):
        self._simulator = simulator
        self._end = threading.Event()
        self.put_in = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        from tests.unit.kinesis.kpl.test_deaggregation import field, sealed, user_record

        while not self._end.wait(0.02):
            many = len(self.put_in) % 7 == 0
            payloads = [b'{"n":%d}' % (len(self.put_in) + n) for n in range(12 if many else 1)]
            key = f"key-{random.randrange(1000)}"
            data = payloads[0]
            if many:
                message = field(1, key.encode()) + b"".join(user_record(each) for each in payloads)
                data = sealed(message)
            self._simulator.put(STREAM, data, key)
            self.put_in += payloads

    def end(self):
        self._end.set()
        self._thread.join()


@pytest.fixture
def simulator():
    with KinesisSimulator() as kinesis:
        kinesis.create_stream(STREAM, 2)
        yield kinesis


def options_of(simulator, aws, name):
    environment = CREDENTIALS | {
        "AWS_ENDPOINT_URL_KINESIS": simulator.endpoint_url,
        "AWS_ENDPOINT_URL_DYNAMODB": aws.endpoint_url,
        "AWS_ENDPOINT_URL_STS": aws.endpoint_url,
    }
    arguments = [
        "--kinesis_stream_name", STREAM, "--application_name", name, "--checkpoint_interval_seconds", "1",
        "--region", "us-east-1",
        "--additional_settings", "failoverTimeMillis=3000,shardSyncIntervalMillis=2000",
    ]  # fmt: skip
    return environment, arguments


def storm(start, simulator, random_order):
    """Runs two jobs, kills and starts again; reshards twice in the middle. Returns producer and jobs."""
    jobs = [start(0, 0), start(1, 0)]
    producer = Producer(simulator)
    began = time.monotonic()
    kills = 0
    plan = [
        (SECONDS * 0.35, lambda: simulator.split(STREAM, "shardId-000000000000")),
        (SECONDS * 0.65, lambda: simulator.merge(STREAM, "shardId-000000000003", "shardId-000000000001")),
    ]
    try:
        while (now := time.monotonic() - began) < SECONDS:
            if plan and now >= plan[0][0]:
                plan.pop(0)[1]()
            time.sleep(random_order.uniform(0.5, 10.0))
            victim = random_order.randrange(2)
            jobs[victim].kill()
            kills += 1
            jobs[victim] = start(victim, kills)
        for _, action in plan:
            action()
    finally:
        producer.end()
    return producer, jobs, kills


def stop_cleanly(jobs):
    for job in jobs:
        # The one killed last may still be starting, and not yet know what SIGTERM means.
        wait_until(lambda job=job: b" ready: " in job.log.read_bytes(), f"{job.log} is ready")
    for job in jobs:
        assert job.alive, job.last_words()
        assert job.stop(45.0)
        assert job.exit_code == 0, job.last_words()


@pytest.mark.full  # with ids that changed, Elasticsearch would hold too many documents below
def test_every_record_at_least_once_into_a_recording_sink(simulator, aws, unique_name, tmp_path):
    environment, arguments = options_of(simulator, aws, unique_name)
    file = tmp_path / "record"

    def start(victim, number):
        command = [sys.executable, "-P", TOOL, str(file), *arguments]
        return Process("record", command, tmp_path / f"job-{victim}-{number}.log", environment=environment)

    def recorded():
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [tuple(line.split(b" ", 3)) for line in lines if line.count(b" ") >= 3]

    producer, jobs, kills = storm(start, simulator, random.Random())
    try:
        everything = set(producer.put_in)
        wait_until(lambda: {line[3] for line in recorded()} >= everything, "every record in the file")
        stop_cleanly(jobs)
    finally:
        for job in jobs:
            job.kill()
    lines = recorded()
    assert {line[3] for line in lines} == everything
    # A record's name never changes, however often it is read.
    names = {}
    for line in lines:
        assert names.setdefault(line[3], line[:3]) == line[:3]
    print(f"{kills} kills, {len(everything)} records, {len(lines) - len(everything)} read again")


def test_exactly_once_into_elasticsearch(simulator, aws, elasticsearch, unique_name, tmp_path):
    environment, arguments = options_of(simulator, aws, unique_name)
    index = f"{unique_name}-kills"
    arguments += [
        "--hosts",
        elasticsearch.url,
        "--index",
        index,
        "--dead_letters",
        f"file://{tmp_path}/refused",
    ]

    def start(victim, number):
        command = [sys.executable, "-P", "-m", "penstock", "kinesis-to-elasticsearch", *arguments]
        log = tmp_path / f"job-{victim}-{number}.log"
        return Process("kinesis-to-elasticsearch", command, log, environment=environment, cwd=tmp_path)

    client = elasticsearch.client()
    producer, jobs, kills = storm(start, simulator, random.Random())
    try:

        def count():
            return evidence.count_documents(client, index)

        wait_until(lambda: count() >= len(producer.put_in), "every document")
        stop_cleanly(jobs)
    finally:
        for job in jobs:
            job.kill()
    assert count() == len(producer.put_in)
    numbers = []
    search_after = None
    while True:
        reply = client.search(index=index, size=5000, sort=[{"n": "asc"}], search_after=search_after)
        hits = reply["hits"]["hits"]
        if not hits:
            break
        numbers += [hit["_source"]["n"] for hit in hits]
        search_after = hits[-1]["sort"]
    assert numbers == list(range(len(producer.put_in)))
    print(f"{kills} kills, {len(numbers)} documents")
