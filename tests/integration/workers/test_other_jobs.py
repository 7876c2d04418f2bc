"""`--workers` of jobs that a file describes: one of two processes is killed, and each event is there once.

The two jobs of their own are in `test_workers`, `kinesis-to-s3` in `s3/test_archive_takeover`.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

import local
from local.demo import evidence
from local.demo.jobs import Job
from local.processes import started_at
from local.servers.aws_server import CREDENTIALS
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import Shipping, log_file
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.listening import process_tree
from tests.tools.machine.waiting import wait_until
from tests.tools.machine.yaml_environment import yaml_python

pytestmark = [pytest.mark.kills, pytest.mark.servers, pytest.mark.long]

EXAMPLES = Path(local.__file__).resolve().parents[1] / "examples"
BEATS, LINES = 4, 1500

CONF = """
input { beats { host => "127.0.0.1" port => %(port)d } }
filter {
  grok { match => { "message" => "%%{TIMESTAMP_ISO8601:time} %%{HOSTNAME} %%{DATA:app}: %%{GREEDYDATA:text}" } }
  date { match => ["time", "ISO8601"] remove_field => ["time"] }
}
output { elasticsearch { hosts => ["%(hosts)s"] index => "%(name)s-%%{+YYYY}" } }
"""


def start(pipeline, name, *options):
    job = Job(
        name,
        [*options, "--workers", "2", "--status_port", str(free_port())],
        pipeline.folder,
        environment={**CREDENTIALS, "AWS_ENDPOINT_URL": pipeline.aws.endpoint_url},
    )
    pipeline.started.append(job)
    return job.wait_ready()


def workers_of(job):
    return sorted(process_tree(job.pid) - {job.pid})


def kill_one(job):
    before = workers_of(job)
    os.kill(before[0], signal.SIGKILL)
    page = page_of(job)
    wait_until(
        lambda: sorted(each["restarts"] for each in status(page)["workers"]) == [0, 1], "it is started again"
    )


def ship(pipeline):
    """Ships files, and gives those and what ships them."""
    files = [log_file(pipeline.folder / f"{n}.log", LINES, f"beat {n}") for n in range(BEATS)]
    return files, Shipping(pipeline.port, files, rate=400, window=100, backoff_s=(0.1, 0.3))


def require_each_once(pipeline, job, files):
    pipeline.wait_for(BEATS * LINES)
    workers = workers_of(job)
    job.finish()
    assert not any(map(started_at, workers))
    found = evidence.arrival(pipeline.client, pipeline.index, files)
    assert found.exactly_once, found
    assert found.documents == BEATS * LINES
    assert not pipeline.dead_letters()
    assert "Traceback" not in job.log.read_text()


def test_a_logstash_conf(pipeline):
    conf = pipeline.folder / "chain.conf"
    conf.write_text(CONF % {
        "port": pipeline.port, "name": pipeline.name, "hosts": pipeline.elasticsearch.url,
    })  # fmt: skip
    letters = f"file://{pipeline.folder}/dead_letters/chain.jsonl"
    job = start(pipeline, "logstash", "-f", str(conf), "--dead_letters", letters)
    files, beats = ship(pipeline)
    wait_until(lambda: beats.acknowledged() >= BEATS * LINES // 8, "some lines")
    kill_one(job)
    beats.join(120)
    assert beats.acknowledged() == BEATS * LINES
    require_each_once(pipeline, job, files)


def test_a_pipeline_in_yaml(pipeline, monkeypatch):
    """The example, from the stream that `beats-to-kinesis` fills."""
    variables = {
        "stream": pipeline.name,
        "application": pipeline.name,
        "hosts": pipeline.elasticsearch.url,
        "index": f"{pipeline.name}-yaml",
        "dead_letters": f"file://{pipeline.folder}/dead_letters/yaml.jsonl",
    }
    pipeline.start_beats()
    monkeypatch.setattr(sys, "executable", str(yaml_python()))
    job = start(
        pipeline, "run-yaml", "--yaml_pipeline_file", str(EXAMPLES / "own_pipeline.yaml"),
        "--jinja_variables", ",".join(f"{name}={value}" for name, value in variables.items()),
    )  # fmt: skip
    files, beats = ship(pipeline)
    wait_until(lambda: pipeline.count() > 0, "the first documents")
    kill_one(job)
    beats.join(120)
    assert beats.acknowledged() == BEATS * LINES
    require_each_once(pipeline, job, files)
