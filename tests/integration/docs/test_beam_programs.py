"""The programs of examples/beam on Prism and on Flink; on FnApiRunner they are unit tests."""

import collections
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.servers.aws_server import CREDENTIALS
from penstock.testing import InMemoryElasticsearch, InMemoryKinesis
from tests.tools.machine import go_programs
from tests.tools.machine.waiting import wait_until

EXAMPLES = Path(__file__).parents[3] / "examples"
PROGRAMS = EXAMPLES / "beam"
EVENTS = [{"user": name} for name in ("ann", "bob", "ann", "claire", "ann")]
COUNTS = {"ann": 3, "bob": 1, "claire": 1}


PRISM = pytest.mark.xdist_group("prism")
FLINK = pytest.mark.xdist_group("flink")


class Programs:
    """The programs of examples/beam, started beside each other on a runner and peers in memory."""

    def __init__(self, folder, runner):
        self.folder, self.runner = folder, runner
        self.started: dict[str, subprocess.Popen] = {}

    def start(self, name, *arguments):
        folder = PROGRAMS if (PROGRAMS / f"{name}.py").exists() else EXAMPLES
        command = [sys.executable, "-P", str(folder / f"{name}.py"), *arguments, *self.runner]
        with self.log(name).open("wb") as log:
            self.started[name] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **CREDENTIALS}
            )

    def log(self, name):
        return self.folder / f"{name}.log"

    def ended(self, name):
        assert self.started[name].wait(240) == 0, self.log(name).read_text()[-4000:]

    def close(self):
        for process in self.started.values():
            process.kill()
            process.wait()


@pytest.fixture
def peers():
    with InMemoryKinesis() as kinesis, InMemoryElasticsearch() as elasticsearch:
        for stream in ("written", "read"):
            kinesis.create_stream(stream, shards=2)
        kinesis.put("read", *EVENTS)
        yield kinesis, elasticsearch


def start_all(programs, peers, *idle):
    kinesis, elasticsearch = peers
    lines = programs.folder / "lines.txt"
    lines.write_text('{"n": 1}\nplain text\n{"n": 2}\n')
    aws, hosts = ("--endpoint_url", kinesis.url), ("--hosts", elasticsearch.url)
    programs.start("dicts_to_kinesis", "written", *aws)
    programs.start("lines_to_elasticsearch", str(lines), "lines", *hosts)
    if not idle:  # endless reads take a cluster's slots for good
        programs.ended("dicts_to_kinesis")
        programs.ended("lines_to_elasticsearch")
    programs.start("print_kinesis", "read", "print", *aws, *idle)
    programs.start("count_kinesis", "read", "count", "counts", *hosts, *aws, *idle)
    programs.ended("dicts_to_kinesis")
    programs.ended("lines_to_elasticsearch")
    written = [json.loads(event)["user"] for event in kinesis.events("written")]
    assert sorted(written) == ["ann", "bob", "claire"]
    stored = map(str, elasticsearch.documents("lines"))
    assert sorted(stored) == ["{'message': 'plain text'}", "{'n': 1}", "{'n': 2}"]


def counted(elasticsearch):
    """Events of each user; a window may have ended among them."""
    counts = collections.Counter()
    for document in elasticsearch.documents("counts"):
        counts[document.get("user") or document["level"]] += document["events"]
    return counts


def count_beside_a_chain(programs, peers):
    """Each event is stored, and the counts come while the job runs."""
    kinesis, elasticsearch = peers
    kinesis.create_stream("logs", shards=2)
    kinesis.put("logs", *[{"log": {"level": level}} for level in ("info", "error", "info")])
    programs.start(
        "counts_per_minute",
        *("--kinesis_stream_name", "logs", "--application_name", "logs", "--endpoint_url", kinesis.url),
        *(
            "--hosts",
            elasticsearch.url,
            "--index",
            "logs",
            "--counts_index",
            "counts",
            "--window_seconds",
            "2",
        ),
        *("--dead_letters", f"file://{programs.folder}/letters"),
    )

    def is_counted():
        assert programs.started["counts_per_minute"].poll() is None, programs.log(
            "counts_per_minute"
        ).read_text()
        return counted(elasticsearch) == {"info": 2, "error": 1}

    wait_until(is_counted, "counts of a running job", 240)
    assert len(elasticsearch.documents("logs")) == 3


@PRISM
def test_programs_of_a_beam_developer_on_prism(peers, tmp_path):
    programs = Programs(tmp_path, ["--runner=PrismRunner", f"--prism_location={go_programs.prism()}"])
    with contextlib.closing(programs):
        start_all(programs, peers, "--stop_when_idle", "2")
        for name in ("print_kinesis", "count_kinesis"):
            programs.ended(name)
    printed = programs.log("print_kinesis").read_text()
    assert printed.count("{'user': ") == len(EVENTS), printed
    assert counted(peers[1]) == COUNTS


@PRISM
def test_counts_beside_a_chain_on_prism(peers, tmp_path):
    programs = Programs(tmp_path, ["--runner=PrismRunner", f"--prism_location={go_programs.prism()}"])
    with contextlib.closing(programs):
        count_beside_a_chain(programs, peers)
        programs.started["counts_per_minute"].terminate()
        programs.ended("counts_per_minute")


@pytest.fixture
def on_flink(flink, tmp_path):
    """Jobs there are endless: windows are written as they close, and the jobs are cancelled."""

    def running():
        return [job["jid"] for job in flink.rest.jobs() if job["end-time"] == -1]

    programs = Programs(tmp_path, [*flink.flink_runner_options, "--checkpointing_interval=1000"])
    yield programs
    programs.close()
    for job_id in running():
        flink.rest.cancel(job_id)
    wait_until(lambda: not running(), "the jobs' end")


@FLINK
@pytest.mark.full
def test_programs_of_a_beam_developer_on_flink(peers, on_flink, flink):
    start_all(on_flink, peers)
    wait_until(lambda: counted(peers[1]) == COUNTS, "the minutes' counts", 240)
    wait_until(lambda: all(f"'{name}'" in flink.worker_log() for name in COUNTS), "what is printed", 60)


@FLINK
@pytest.mark.full
def test_counts_beside_a_chain_on_flink(peers, on_flink):
    count_beside_a_chain(on_flink, peers)
