"""`penstock run FILE.yaml` as its user runs it: two jobs, one process that stops them, one page."""

import os
import signal

import pytest

from local.demo.jobs import Job
from tests.tools.jobs.pipeline import wait_until
from tests.tools.jobs.status_page import page_of, ready, status, text

pytestmark = pytest.mark.servers

FILE = """
log: {log_level: info}
%(status)s
run: {dead_letters: "file://%(folder)s/letters.jsonl"}
jobs:
  one: &tail
    job: logstash
    logstash:
      config_string: >-
        input { file { path => "%(folder)s/in" start_position => "beginning" sincedb_path => "%(folder)s/one.db" } }
        output { file { path => "%(folder)s/one" codec => line { format => "%%{message}" } } }
  two:
    <<: *tail
    logstash:
      config_string: >-
        input { file { path => "%(folder)s/in" start_position => "beginning" sincedb_path => "%(folder)s/two.db" } }
        output { file { path => "%(folder)s/two" codec => line { format => "%%{message}" } } }
"""


def test_two_jobs_of_a_file_run_and_stop_as_one(tmp_path):
    (tmp_path / "both.yaml").write_text(FILE % {"folder": tmp_path, "status": ""})
    (tmp_path / "in").write_text("a line\n")
    job = Job("run", ["both.yaml"], tmp_path)
    written = [tmp_path / "one", tmp_path / "two"]
    wait_until(
        lambda: all(each.exists() and each.read_text() == "a line\n" for each in written), "both lines"
    )
    os.kill(job.pid, signal.SIGTERM)
    assert job.wait(120) == 0
    said = job.log.read_text()
    for name in ("one", "two"):
        assert f"[{name}] " in said
    assert said.count("stopped; everything read is written and acknowledged") == 2


def test_jobs_with_one_port_have_one_page_that_tells_of_each(tmp_path):
    (tmp_path / "both.yaml").write_text(FILE % {"folder": tmp_path, "status": "status: {status_port: 0}"})
    (tmp_path / "in").write_text("a line\nanother\n")
    job = Job("run", ["both.yaml"], tmp_path)
    page = page_of(job)
    assert ready(page) == 503
    assert text(f"{page}healthz") == "ok\n"
    wait_until(lambda: ready(page) == 200, "both jobs")
    for name in ("one", "two"):
        wait_until(
            lambda name=name: (told := status(page, job=name))["totals"]["out"] == 2 and told["job"]["ready"],
            f"the events of {name}",
        )
        assert status(page, job=name)["job"]["name"] == name
    assert [each["name"] for each in status(page)["jobs"]] == ["one", "two"]
    for line in (
        'penstock_ready{name="one"} 1',
        'penstock_source_events_total{source="file:file:1",name="two"} 2',
    ):
        assert f"\n{line}\n" in text(f"{page}metrics")
    job.finish()
