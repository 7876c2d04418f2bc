"""`penstock logstash` as its user runs it, on local servers: what only whole processes show."""

import json
import os
import signal
import subprocess
import sys

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper, Source
from local.demo.jobs import Job
from local.processes import Process
from local.servers.aws_server import CREDENTIALS, REGION
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.waiting import wait_until
from tests.tools.machine.yaml_environment import yaml_python

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
            if f"penstock.pipelines.commands.member -1 logstash --path.settings {self.folder}" in each
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


SECRET = "geheim/und+lang"
FORMED = {
    "beats": """
input { beats { host => "127.0.0.1" port => %(port)d } }
output { kinesis { stream_name => "%(name)s" access_key => "AK" secret_key => "${KEY}" randomized_partition_key => true } }
""",
    "kinesis": """
input { kinesis { kinesis_stream_name => "%(name)s" application_name => "%(name)s" codec => json
                  access_key_id => "AK" secret_access_key => "${KEY}" } }
filter { mutate { add_field => { "who" => "${WHO}" } } }
output { elasticsearch { hosts => ["%(hosts)s"] index => "%(name)s-formed" } }
""",
}


def test_the_printed_forms_run_without_the_file(pipeline, monkeypatch):
    """One as a command, the other as YAML; variables are still variables there, and no secret is in any text."""
    environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": pipeline.aws.endpoint_url, "KEY": SECRET, "WHO": "me",
                   "PENSTOCK_SECRET_KEY": SECRET}  # fmt: skip
    printed = {}
    for name, text in FORMED.items():
        conf = pipeline.folder / f"{name}.conf"
        conf.write_text(
            text % {"port": pipeline.port, "name": pipeline.name, "hosts": pipeline.elasticsearch.url}
        )
        form = "--to_command" if name == "beats" else "--to_yaml"
        printed[name] = subprocess.run(
            [sys.executable, "-P", "-m", "penstock", "logstash", "-f", str(conf), form],
            capture_output=True, text=True, env={**os.environ, **environment}, cwd=pipeline.folder, timeout=240, check=True,
        ).stdout  # fmt: skip
        conf.unlink()
    command = printed["beats"].replace(
        "penstock beats-to-kinesis", f"exec {sys.executable} -P -m penstock beats-to-kinesis"
    )
    assert command != printed["beats"]
    (pipeline.folder / "formed.yaml").write_text(printed["kinesis"])
    log = pipeline.folder / "formed.log"
    beats = Process("beats", ["sh", "-c", command], log, environment=environment, cwd=pipeline.folder)
    pipeline.started.append(beats)
    wait_until(lambda: beats.check() or " ready: " in log.read_text(), "the command")
    monkeypatch.setattr(sys, "executable", str(yaml_python()))
    formed = ["--yaml_pipeline_file", str(pipeline.folder / "formed.yaml")]
    pipeline.started.append(Job("run-yaml", formed, pipeline.folder, "yaml", environment))
    file = log_file(pipeline.folder / "a.log", 300)
    assert Shipper("127.0.0.1", pipeline.port, [Source(file.path)]).run().done
    pipeline.wait_for(300)
    assert {document["who"] for document in pipeline.documents()} == {"me"}
    assert evidence.arrival(pipeline.client, pipeline.index, [file]).exactly_once
    texts = [path.read_text() for path in pipeline.folder.rglob("*") if path.is_file()]
    assert not any(SECRET in text for text in (*printed.values(), *texts))
