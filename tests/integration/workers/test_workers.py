"""`--workers`: both jobs by two processes each; a worker and then a parent is killed, and nothing is lost, doubled or left.

The moments of the kills differ from run to run on purpose; a failure prints the counts at each of them.
"""

import json
import os
import random
import signal
import time
import urllib.request

import pytest

from local.demo import evidence
from local.processes import started_at
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import Shipping, log_file, wait_until
from tests.tools.machine.listening import process_tree

pytestmark = [pytest.mark.kills, pytest.mark.servers, pytest.mark.long]

BEATS, LINES, RATE = 6, 2500, 500
EVENTS = BEATS * LINES
# As in test_kills: small, slow reads, so that a kill comes in the middle.
READING = (
    *("--checkpoint_interval_seconds", "1", "--shard_reads_per_second", "2"),
    *("--additional_settings", "failoverTimeMillis=2000,maxRecords=5"),
)
TWO = ("--workers", "2")


def workers_of(job):
    return sorted(process_tree(job.pid) - {job.pid})


def status_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json?since=0", timeout=30) as reply:
        return json.load(reply)


def came_back(workers):
    """Whether both are ready, one of them in its second life."""
    return sorted(each["restarts"] for each in workers) == [0, 1] and all(each["ready"] for each in workers)


def gone(pids):
    return not any(map(started_at, pids))


def test_kills_of_workers_and_parents_lose_and_double_nothing(pipeline):
    files = [log_file(pipeline.folder / f"{n}.log", LINES, f"beat {n}") for n in range(BEATS)]
    ports = {"beats": free_port(), "kinesis": free_port()}
    begin = {
        "beats": lambda: pipeline.start_beats(*TWO, "--status_port", str(ports["beats"])),
        "kinesis": lambda: pipeline.start_kinesis(*TWO, *READING, "--status_port", str(ports["kinesis"])),
    }
    jobs = {name: start() for name, start in begin.items()}
    assert [len(workers_of(job)) for job in jobs.values()] == [2, 2]
    beats = Shipping(pipeline.port, files, rate=RATE, window=100, backoff_s=(0.1, 0.3))
    acknowledged = beats.acknowledged

    moments = []
    for name, count, share in (("beats", acknowledged, 0.1), ("kinesis", pipeline.count, 0.05)):
        at = int(EVENTS * (share + random.random() / 10))
        wait_until(lambda count=count, at=at: count() >= at, f"{at} of {name}")
        before = workers_of(jobs[name])
        os.kill(random.choice(before), signal.SIGKILL)
        moments.append((name, "worker", acknowledged(), pipeline.count()))
        # Another comes in its place, by itself, and the page shows both.
        wait_until(
            lambda name=name: came_back(status_of(ports[name])["workers"]), f"a worker of {name} again"
        )
        assert len(set(workers_of(jobs[name])) & set(before)) == 1
    for name, count in (("beats", acknowledged), ("kinesis", pipeline.count)):
        workers = workers_of(jobs[name])
        jobs[name].kill()
        moments.append((name, "parent", acknowledged(), count()))
        wait_until(lambda workers=workers: gone(workers), f"no worker of {name} outlives its parent", 40)
        jobs[name] = begin[name]()
    counts = beats.join(120)
    assert acknowledged() == EVENTS, (counts, moments)
    pipeline.wait_for(EVENTS)
    workers = [pid for job in jobs.values() for pid in workers_of(job)]
    for job in jobs.values():
        job.finish()
    assert gone(workers)
    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, (found, moments)
    assert found.documents == EVENTS, (found, moments)
    assert not pipeline.dead_letters()
    for job in jobs.values():
        said = job.log.read_text()
        assert "stopped; everything read is written and acknowledged" in said
        assert "Traceback" not in said


def test_eight_on_two_cores_stop_cleanly_and_lose_nothing(pipeline):
    files = [log_file(pipeline.folder / f"{n}.log", 300, f"beat {n}") for n in range(10)]
    job = pipeline.start_beats("--workers", "8", "--max_pending_records", "1000")
    beats = Shipping(pipeline.port, files, window=50, backoff_s=(0.1, 0.3))
    counts = beats.join(120)
    assert beats.acknowledged() == 3000, counts
    assert len(pipeline.lines_in_stream()) == 3000
    workers = workers_of(job)
    assert len(workers) == 8
    # As a service manager does it: to every process of the job.
    for pid in (*workers, job.pid):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while job.alive and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.exit_code == 0, job.last_words()
    assert gone(workers)
    assert job.log.read_text().count("stopped; everything read is written and acknowledged") == 1
