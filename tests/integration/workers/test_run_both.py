"""A YAML file, `penstock run`, both jobs by two workers each: load, kills and a stop. Each event is a document, once.

The page is read all the time: its workers make up its totals, a kill is a restart, a process that it names is there. The
memory of each process is looked at once per second, and stays flat. Half a minute of load; `PENSTOCK_MINUTES=10` makes it
longer.
"""

import contextlib
import os
import random
import signal
import statistics
import threading
import time

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.processes import started_at
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import log_file, wait_until
from tests.tools.jobs.status_page import ready, status
from tests.tools.machine.listening import process_tree

pytestmark = [pytest.mark.full, pytest.mark.kills, pytest.mark.servers, pytest.mark.timeout(3600)]

SECONDS = 60 * float(os.environ.get("PENSTOCK_MINUTES", "0.5"))
BEATS, RATE, WORKERS = 4, 100, 2
PARTS = {"workers": 0.15, "command": 0.1, "stop": 0.1, "rest": 0.65}
"""The load comes in parts, one for each thing that happens: a machine that takes its time meets all of them under load."""
JOBS = ("beats-to-kinesis", "kinesis-to-elasticsearch")
PROCESSES = 1 + len(JOBS) * (1 + WORKERS)
PATIENCE_S = SECONDS * 10 + 300
GROWTH, LOOK_S = 1.15, 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")

FILE = """
aws: {{region: us-east-1, endpoint_url: "{aws}"}}
status: {{status_port: {page}}}
run: {{workers: {workers}, dead_letters: "file://{folder}/letters.jsonl"}}
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
        self.kills = dict.fromkeys(JOBS, 0)
        text = FILE.format(
            aws=pipeline.aws.endpoint_url, elasticsearch=pipeline.elasticsearch.url, page=page, workers=WORKERS,
            folder=pipeline.folder, port=pipeline.port, name=pipeline.name,
        )  # fmt: skip
        (pipeline.folder / "both.yaml").write_text(text)

    def start(self):
        self._runs += 1
        self.kills = dict.fromkeys(JOBS, 0)
        self.job = Job("run", ["both.yaml"], self._pipeline.folder, f"run-{self._runs}")
        self._pipeline.started.append(self.job)
        wait_until(lambda: self.job.check() or "status page" in self.job.log.read_text(), "the page")
        wait_until(lambda: self.job.check() or ready(self.page) == 200, "both jobs", PATIENCE_S)
        assert len(self.processes()) == PROCESSES

    def processes(self):
        return process_tree(self.job.pid)

    def workers(self, job):
        return status(self.page, job)["workers"]

    def kill_a_worker(self, job):
        """Kills one, and returns when the page shows that it is there again."""
        before = self.workers(job)
        chosen = random.choice([each for each in before if each["pid"]])
        assert chosen["pid"] in self.processes()
        os.kill(chosen["pid"], signal.SIGKILL)
        self.kills[job] += 1

        def again():
            now = {each["number"]: each for each in self.workers(job)}
            mine = now[chosen["number"]]
            return mine["restarts"] == chosen["restarts"] + 1 and all(each["ready"] for each in now.values())

        wait_until(again, f"worker {chosen['number']} of {job} again", PATIENCE_S)
        mine = next(each for each in self.workers(job) if each["number"] == chosen["number"])
        assert "was killed" in mine["why"]
        assert mine["pid"] != chosen["pid"]

    def end(self, how):
        """Ends the command, by a clean stop or by SIGKILL; none of its processes is left."""
        before = self.processes()
        how()
        wait_until(lambda: not any(map(started_at, before)), "no process is left", 60)


class Looks:
    """Looks at the page and at the processes once per second, until it is told to end."""

    def __init__(self, both):
        self._both, self._over = both, threading.Event()
        self.untrue, self.count = [], 0
        self.memory = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self):
        self._over.set()
        self._thread.join(60)

    def _run(self):
        while not self._over.wait(LOOK_S):
            for job in JOBS:
                with contextlib.suppress(OSError):  # between two runs there is no page
                    self._compare(job, status(self._both.page, job))
            with contextlib.suppress(OSError):
                for pid in self._both.processes():
                    with open(f"/proc/{pid}/statm") as file:
                        pages = int(file.read().split()[1])
                    self.memory.setdefault(pid, []).append((time.monotonic(), pages * PAGE))

    def _compare(self, job, shown):
        workers, totals = shown["workers"], shown["totals"]
        if not workers:
            return  # the command has just begun
        self.count += 1
        sums = {
            "in": sum(each["events"] for each in workers),
            "out": sum(each["acknowledged_events"] for each in workers),
            "pending": sum(each["pending_events"] for each in workers),
        }
        if any(totals[name] != number for name, number in sums.items()):
            self.untrue.append((job, sums, {name: totals[name] for name in sums}))

    def growth(self, pid, since):
        """The memory of a process in the last fifth of the time, beside the first fifth."""
        taken = [size for at, size in self.memory[pid] if at >= since]
        part = max(1, len(taken) // 5)
        return statistics.median(taken[-part:]) / statistics.median(taken[:part])


class Load:
    """Files that as many Beats ship at a steady rate, from now on."""

    def __init__(self, pipeline, name):
        lines = int(SECONDS * RATE * PARTS[name])
        self.files = [log_file(pipeline.folder / f"{name}-{n}.log", lines, f"beat {n}") for n in range(BEATS)]
        self.lines = BEATS * lines
        self._shippers = [
            Shipper("127.0.0.1", pipeline.port, [each.path], rate=RATE, window=50, backoff_s=(0.1, 0.5))
            for each in self.files
        ]
        self._threads = [threading.Thread(target=each.run, daemon=True) for each in self._shippers]
        for thread in self._threads:
            thread.start()

    def acknowledged(self):
        return sum(each.counts.acknowledged for each in self._shippers)

    def reach(self, share):
        wait_until(lambda: self.acknowledged() >= share * self.lines, f"{share:.0%} of the load", PATIENCE_S)

    def end(self):
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert self.acknowledged() == self.lines, [each.counts for each in self._shippers]


def test_both_jobs_of_a_file_live_through_kills_and_a_stop(pipeline):
    both = Both(pipeline, free_port())
    both.start()
    looks = Looks(both)

    def shown(job, name):
        return status(both.page, job)["totals"][name]

    loads = [load := Load(pipeline, "workers")]
    load.reach(0.2)
    for job in JOBS:
        both.kill_a_worker(job)
    load.end()
    for name, how in (("command", lambda: both.job.kill()), ("stop", lambda: both.job.finish())):
        loads.append(load := Load(pipeline, name))
        load.reach(0.3)
        both.end(how)
        assert load.acknowledged() < load.lines, "it was to end under load"
        said = both.job.log.read_text()
        clean = said.count("stopped; everything read is written and acknowledged")
        assert clean == (len(JOBS) if name == "stop" else 0)
        both.start()
        load.end()
    loads.append(load := Load(pipeline, "rest"))
    load.reach(0.1)
    for job in JOBS:
        both.kill_a_worker(job)
    load.reach(0.3)
    warm, at, out = time.monotonic(), load.acknowledged(), shown(JOBS[0], "out")
    load.end()
    lines = sum(each.lines for each in loads)
    pipeline.wait_for(lines)

    # The page tells the truth: what was acknowledged since, but for the seconds that it looks late.
    wait_until(
        lambda: abs(shown(JOBS[0], "out") - out - (load.lines - at)) < 5 * BEATS * RATE,
        "the page to say what was acknowledged",
    )
    for job in JOBS:
        wait_until(lambda job=job: shown(job, "pending") == 0, f"{job} has nothing left")
        # What the killed worker had taken in came again, so it is in "in" twice; what it did in its last second is nowhere.
        assert shown(job, "in") >= shown(job, "out") > load.lines / 2
        assert sum(each["restarts"] for each in both.workers(job)) == both.kills[job] == 1
        assert [each["ready"] for each in both.workers(job)] == [True] * WORKERS
    assert [each["ready"] for each in status(both.page)["jobs"]] == [True, True]
    looks.end()
    assert looks.count > 10
    assert not looks.untrue, (looks.count, looks.untrue[:5])

    grown = {pid: round(looks.growth(pid, warm), 3) for pid in both.processes()}
    print(f"\n{looks.count} looks at the page; memory of each process, the last fifth by the first: {grown}")
    assert len(grown) == PROCESSES
    assert max(grown.values()) < GROWTH, grown

    both.end(both.job.finish)
    found = evidence.arrival(pipeline.client, pipeline.index, [file for each in loads for file in each.files])
    assert found.exactly_once, found
    assert found.documents == lines, found
    assert not (pipeline.folder / "letters.jsonl").exists()
    for job in pipeline.started:
        assert "Traceback" not in job.log.read_text()
