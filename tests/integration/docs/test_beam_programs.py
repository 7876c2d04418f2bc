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
from tests.tools.jobs.pipeline import wait_until
from tests.tools.machine import beam_programs

PROGRAMS = Path(__file__).parents[3] / "examples" / "beam"
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
        command = [sys.executable, "-P", str(PROGRAMS / f"{name}.py"), *arguments, *self.runner]
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
    programs.start("print_kinesis", "read", "print", *aws, *idle)
    programs.start("count_kinesis", "read", "count", "counts", *hosts, *aws, *idle)
    for name in ("dicts_to_kinesis", "lines_to_elasticsearch"):
        programs.ended(name)
    written = [json.loads(event)["user"] for event in kinesis.events("written")]
    assert sorted(written) == ["ann", "bob", "claire"]
    stored = map(str, elasticsearch.documents("lines"))
    assert sorted(stored) == ["{'message': 'plain text'}", "{'n': 1}", "{'n': 2}"]


def counted(elasticsearch):
    """Events of each user; a minute may have ended among them."""
    counts = collections.Counter()
    for document in elasticsearch.documents("counts"):
        counts[document["user"]] += document["events"]
    return counts


@PRISM
def test_programs_of_a_beam_developer_on_prism(peers, tmp_path):
    programs = Programs(tmp_path, ["--runner=PrismRunner", f"--prism_location={beam_programs.prism()}"])
    with contextlib.closing(programs):
        start_all(programs, peers, "--stop_when_idle", "2")
        for name in ("print_kinesis", "count_kinesis"):
            programs.ended(name)
    printed = programs.log("print_kinesis").read_text()
    assert printed.count("{'user': ") == len(EVENTS), printed
    assert counted(peers[1]) == COUNTS


@FLINK
@pytest.mark.full
def test_the_same_on_flink(peers, tmp_path, flink):
    """Jobs there are endless: windows are written as they close, and the jobs are cancelled."""
    known = {job["jid"] for job in flink.rest.jobs()}
    programs = Programs(tmp_path, [*flink.flink_runner_options, "--checkpointing_interval=1000"])
    with contextlib.closing(programs):
        try:
            start_all(programs, peers)
            wait_until(lambda: counted(peers[1]) == COUNTS, "the minutes' counts", 240)
            wait_until(
                lambda: all(f"'{name}'" in flink.worker_log() for name in COUNTS), "what is printed", 60
            )
        finally:
            for job in flink.rest.jobs():
                if job["jid"] not in known and job["end-time"] == -1:
                    flink.rest.cancel(job["jid"])
