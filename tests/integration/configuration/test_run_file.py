"""`penstock run FILE.yaml` as its user runs it: two jobs, one process that stops them."""

import os
import signal

import pytest

from local.demo.jobs import Job
from tests.tools.jobs.pipeline import wait_until

pytestmark = pytest.mark.servers

FILE = """
log: {log_level: info}
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
    (tmp_path / "both.yaml").write_text(FILE % {"folder": tmp_path})
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
