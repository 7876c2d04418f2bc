"""A YAML file, `penstock run`, both jobs by two workers each: load, kills and a stop. Nothing lost or doubled, memory flat.

Half a minute of load; `PENSTOCK_MINUTES=10` makes it longer.
"""

import os
import random
import signal
import threading

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import log_file, wait_until
from tests.tools.jobs.status_page import ready, status

pytestmark = [pytest.mark.full, pytest.mark.kills, pytest.mark.servers, pytest.mark.timeout(3600)]

SECONDS = 60 * float(os.environ.get("PENSTOCK_MINUTES", "0.5"))
BEATS, RATE = 4, 100
LINES = int(SECONDS * RATE)
JOBS = ("beats-to-kinesis", "kinesis-to-elasticsearch")
GROWTH = 1.15

FILE = """
aws: {{region: us-east-1, endpoint_url: "{aws}"}}
status: {{status_port: {page}}}
run: {{workers: 2, dead_letters: "file://{folder}/letters.jsonl"}}
jobs:
  beats-to-kinesis:
    beats: {{beats_port: {port}}}
    kinesis: {{stream_name: "{name}", randomized_partition_key: true, metrics_level: none}}
  kinesis-to-elasticsearch:
    kinesis:
      kinesis_stream_name: "{name}"
      application_name: "{name}"
      checkpoint_interval_seconds: 1
      additional_settings: [failoverTimeMillis=2000]
    elasticsearch: {{hosts: ["{elasticsearch}"], index: "{name}-%{{+YYYY.MM.dd}}"}}
"""


class Both:
    """The command, and what its page says."""

    def __init__(self, pipeline, page):
        self._pipeline, self._runs = pipeline, 0
        self.page = f"http://127.0.0.1:{page}/"
        text = FILE.format(
            aws=pipeline.aws.endpoint_url, elasticsearch=pipeline.elasticsearch.url, page=page,
            folder=pipeline.folder, port=pipeline.port, name=pipeline.name,
        )  # fmt: skip
        (pipeline.folder / "both.yaml").write_text(text)

    def start(self):
        self._runs += 1
        self.job = Job("run", ["both.yaml"], self._pipeline.folder, f"run-{self._runs}")
        self._pipeline.started.append(self.job)
        wait_until(lambda: self.job.check() or "status page" in self.job.log.read_text(), "the page")
        wait_until(lambda: self.job.check() or ready(self.page) == 200, "both jobs")

    def workers(self, job):
        return status(self.page, job)["workers"]

    def kill_a_worker(self, job):
        """Kills one, and returns when the page shows that it is there again."""
        before = self.workers(job)
        chosen = random.choice([each for each in before if each["pid"]])
        os.kill(chosen["pid"], signal.SIGKILL)

        def again():
            now = {each["number"]: each for each in self.workers(job)}
            mine = now[chosen["number"]]
            return mine["restarts"] == chosen["restarts"] + 1 and all(each["ready"] for each in now.values())

        wait_until(again, f"worker {chosen['number']} of {job} again")

    def memory(self):
        return {job: status(self.page, job)["job"]["resident_bytes"] for job in JOBS}


def test_both_jobs_of_a_file_live_through_kills_and_a_stop(pipeline):
    files = [log_file(pipeline.folder / f"{n}.log", LINES, f"beat {n}") for n in range(BEATS)]
    both = Both(pipeline, free_port())
    both.start()
    shippers = [
        Shipper("127.0.0.1", pipeline.port, [each.path], rate=RATE, window=50, backoff_s=(0.1, 0.5))
        for each in files
    ]
    threads = [threading.Thread(target=each.run, daemon=True) for each in shippers]
    for thread in threads:
        thread.start()

    def acknowledged():
        return sum(each.counts.acknowledged for each in shippers)

    def reached(share):
        wait_until(
            lambda: acknowledged() >= share * BEATS * LINES, f"{share:.0%} of the load", SECONDS * 10 + 120
        )

    reached(0.1)
    for job in JOBS:
        both.kill_a_worker(job)
    reached(0.4)
    both.job.finish()  # a clean stop under load
    assert both.job.log.read_text().count("stopped; everything read is written and acknowledged") == len(JOBS)
    both.start()
    reached(0.5)
    for job in JOBS:
        both.kill_a_worker(job)
    early, at, shown = both.memory(), acknowledged(), status(both.page, JOBS[0])["totals"]["out"]
    for thread in threads:
        thread.join(SECONDS * 10 + 300)
    assert acknowledged() == BEATS * LINES, [each.counts for each in shippers]
    pipeline.wait_for(BEATS * LINES)
    late = both.memory()
    print(f"\nmemory after the last kill, and at the end: {early}, {late}")
    for job in JOBS:
        assert late[job] < GROWTH * early[job], (job, early, late)
    # The page tells the truth: what was acknowledged since, but for the second that it looks late.
    wait_until(
        lambda: (
            abs(status(both.page, JOBS[0])["totals"]["out"] - shown - (acknowledged() - at))
            < 5 * BEATS * RATE
        ),
        "the page to say what was acknowledged",
    )
    assert [each["ready"] for each in status(both.page)["jobs"]] == [True, True]
    assert [len(both.workers(job)) for job in JOBS] == [2, 2]
    both.job.finish()
    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, found
    assert found.documents == BEATS * LINES, found
    assert not (pipeline.folder / "letters.jsonl").exists()
    for job in pipeline.started:
        assert "Traceback" not in job.log.read_text()
