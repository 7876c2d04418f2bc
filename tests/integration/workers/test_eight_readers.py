"""Eight workers read a stream on two cores: one of them and then their parent is killed. Each event is a document, once.

The moments of the kills differ from run to run on purpose; a failure prints the counts at each of them.
"""

import contextlib
import json
import os
import random
import signal

import pytest

from local.demo import evidence
from local.demo.logs import offsets
from local.processes import started_at
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import Pipeline, log_file, wait_until
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.listening import process_tree

pytestmark = [pytest.mark.full, pytest.mark.kills, pytest.mark.servers, pytest.mark.timeout(1800)]

WORKERS, SHARDS, EVENTS = 8, 16, 8000
# Small, slow reads: the records last for more than a minute, so that the kills come in the middle.
READING = (
    *("--checkpoint_interval_seconds", "1", "--shard_reads_per_second", "2"),
    *("--additional_settings", "failoverTimeMillis=4000,maxRecords=3"),
)
PATIENCE_S = 300  # eight processes start on two cores, beside others


def fill(pipeline, file):
    """One record per line, as a Beat would have read it."""
    client, records = pipeline.aws.client("kinesis"), []
    for begin, after in offsets(file.path, file.end):
        event = {
            "@timestamp": "2026-11-01T10:00:00Z",
            "agent": {"type": "filebeat", "ephemeral_id": pipeline.name},
            "log": {"offset": begin, "file": {"path": str(file.path)}},
            "message": f"bytes {begin} to {after}",
        }
        records.append({"Data": json.dumps(event).encode(), "PartitionKey": str(begin)})
    for start in range(0, len(records), 500):
        reply = client.put_records(StreamName=pipeline.name, Records=records[start : start + 500])
        assert not reply["FailedRecordCount"]


def workers_of(job):
    return sorted(process_tree(job.pid) - {job.pid})


def gone(pids):
    return not any(map(started_at, pids))


@pytest.fixture
def wide(tmp_path, elasticsearch, aws, unique_name):
    with contextlib.closing(Pipeline(tmp_path, elasticsearch, aws, unique_name, SHARDS)) as running:
        yield running


def test_kills_of_a_worker_and_the_parent_lose_and_double_nothing(wide):
    file = log_file(wide.folder / "lines.log", EVENTS)
    fill(wide, file)

    def start():
        job = wide.start_kinesis(
            "--workers", str(WORKERS), *READING, "--status_port", str(free_port()), ready=False
        )
        wait_until(lambda: job.check() or job.ready, "eight workers", PATIENCE_S)
        assert len(workers_of(job)) == WORKERS
        return job

    def reach(share):
        at = int(EVENTS * (share + random.random() / 10))
        wait_until(lambda: wide.count() >= at, f"{at} documents", PATIENCE_S)
        return wide.count()

    job = start()
    moments = [("worker", reach(0.1))]
    before = workers_of(job)
    os.kill(random.choice(before), signal.SIGKILL)
    page = page_of(job)

    def came_back():
        workers = status(page)["workers"]
        return all(each["ready"] for each in workers) and sum(each["restarts"] for each in workers) == 1

    wait_until(came_back, "another in its place", PATIENCE_S)
    assert len(set(workers_of(job)) & set(before)) == WORKERS - 1
    moments.append(("parent", reach(0.3)))
    before = workers_of(job)
    assert len(before) == WORKERS
    job.kill()
    wait_until(lambda: gone(before), "no worker outlives its parent", 60)
    moments.append(("again", wide.count()))
    assert moments[-1][1] < EVENTS, moments
    job = start()
    wide.wait_for(EVENTS, PATIENCE_S)
    before = workers_of(job)
    job.finish()
    assert gone(before)
    found = evidence.arrival(wide.client, wide.index, [file])
    assert found.exactly_once, (found, moments)
    assert found.documents == EVENTS, (found, moments)
    assert not wide.dead_letters()
    said = job.log.read_text()
    assert "stopped; everything read is written and acknowledged" in said
    assert "Traceback" not in said
    print(f"\ndocuments at each kill, and before the new start: {moments}")
