"""`penstock logstash` as its user runs it, on local servers: what only whole processes show."""

import json
import os
import signal
import subprocess
import sys

import pytest

from local.demo.jobs import Job
from local.servers.aws_server import CREDENTIALS, REGION
from tests.tools.machine.waiting import wait_until

pytestmark = pytest.mark.servers

OBJECTS = """
input { s3 { bucket => "%(name)s" prefix => "a/" region => "%(region)s" codec => json
             sincedb_path => "%(folder)s/sincedb" include_object_properties => true } }
filter { if [n] == 1 { drop { } } mutate { add_field => { "key" => "%%{[@metadata][s3][key]}" } } }
output {
  file { path => "%(folder)s/all" codec => line { format => "%%{n} %%{key}" } }
  if [n] > 2 { file { path => "%(folder)s/large" codec => line { format => "%%{n}" } } }
}
"""


def test_an_input_s3_passes_filters_into_each_output_once(aws, tmp_path, unique_name):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=unique_name)
    for key, numbers in (("a/1", (1, 2)), ("a/2", (3,)), ("b/1", (4,))):
        body = "".join(f'{{"n": {n}}}\n' for n in numbers)
        s3.put_object(Bucket=unique_name, Key=key, Body=body.encode())
    conf = tmp_path / "s3.conf"
    conf.write_text(OBJECTS % {"name": unique_name, "region": REGION, "folder": tmp_path})
    command = [sys.executable, "-P", "-m", "penstock", "logstash", "-f", str(conf)]
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": aws.endpoint_url}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "all").read_text().splitlines()) == ["2 a/1", "3 a/2"]
    assert (tmp_path / "large").read_text() == "3\n"
    assert (tmp_path / "sincedb.penstock").read_text().count("s3://") == 2


TAIL = """
input { file { path => "%(folder)s/%(name)s.in" start_position => "beginning" sincedb_path => "%(folder)s/%(name)s.db" } }
output { file { path => "%(folder)s/%(name)s.out" codec => line { format => "%%{message}" } } }
"""


class Pipelines:
    """Two pipelines of one `pipelines.yml`, as one process and its two."""

    def __init__(self, folder, log, *options):
        self.folder = folder
        for name in ("one", "two"):
            (folder / f"{name}.conf").write_text(TAIL % {"folder": folder, "name": name})
            (folder / f"{name}.in").write_text(f"{log}\n")
        lines = [f"- {{pipeline.id: {name}, path.config: {folder}/{name}.conf}}\n" for name in ("one", "two")]
        (folder / "pipelines.yml").write_text("".join(lines))
        self.job = Job("logstash", ["--path.settings", str(folder), *options], folder, log)
        wait_until(lambda: all(self.written(name) == [log] for name in ("one", "two")), "both lines")

    def written(self, name):
        path = self.folder / f"{name}.out"
        return path.read_text().splitlines()[-1:] if path.exists() else []

    def processes(self):
        """The ids of the pipelines' processes, by name."""
        found = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        mine = [
            each
            for each in found
            if f"penstock.pipelines.workers.together -1 logstash --path.settings {self.folder}" in each
        ]
        return {each.split()[-1]: int(each.split()[0]) for each in mine}


def test_the_pipelines_of_a_folder_run_and_end_as_one(tmp_path):
    pipelines = Pipelines(tmp_path, "stopped")
    assert set(pipelines.processes()) == {"one", "two"}
    pipelines.job.finish()
    assert not pipelines.processes()
    said = pipelines.job.log.read_text()
    for name in ("one", "two"):
        assert f"[{name}] " in said
        assert f"logstash-{name}: stopped; everything read is written and acknowledged" in said

    pipelines = Pipelines(tmp_path, "failed", "--log_format", "json")
    os.kill(pipelines.processes()["two"], signal.SIGKILL)
    assert pipelines.job.wait(120) == 1
    said = [json.loads(line) for line in pipelines.job.log.read_text().splitlines()]
    assert "logstash: two was killed by signal 9; the others are stopped." in [
        each["message"] for each in said
    ]
    assert {each.get("penstock.job") for each in said} == {"one", "two", None}
    assert not pipelines.processes()


@pytest.mark.full
def test_no_pipeline_outlives_its_parent(tmp_path):
    pipelines = Pipelines(tmp_path, "orphaned")
    pipelines.job.kill()
    wait_until(lambda: not pipelines.processes(), "the pipelines' end without their parent")
