"""The files in examples/ do what they say, on the run's servers."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from local.demo import evidence
from local.servers.aws_server import CREDENTIALS
from penstock.testing import InMemoryElasticsearch, InMemoryKinesis
from tests.tools.machine.yaml_environment import yaml_python

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
IDLE = ("--stop_when_idle", "3")


def run(*command, cwd, code=0, **environment):
    """Runs a command as a user would, from a folder that isn't the checkout."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, **CREDENTIALS, "PATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def documents(elasticsearch, index):
    return evidence.documents(elasticsearch.client(request_timeout=60), index)


@pytest.fixture
def stream(aws, unique_name):
    """A stream with twelve events: every third a debug line, and one without a host."""
    aws.create_stream(unique_name, 2)
    kinesis = aws.client("kinesis")
    for number in range(12):
        event = {"message": f"line {number}", "host": {"name": f"{'db' if number % 2 else 'web'}-{number}"}}
        event["log"] = {"level": "info" if number % 3 else "debug"}
        if number == 7:
            del event["host"]
        kinesis.put_record(StreamName=unique_name, Data=json.dumps(event).encode(), PartitionKey=str(number))
    return unique_name


def test_a_job_of_ones_own_in_python(aws, elasticsearch, stream, tmp_path):
    run(
        sys.executable, "-P", EXAMPLES / "own_pipeline.py", "--kinesis_stream_name", stream, "--application_name", stream,
        "--hosts", elasticsearch.url, "--index", stream, "--endpoint_url", aws.endpoint_url, *IDLE, cwd=tmp_path,
    )  # fmt: skip
    found = {each["message"]: each["labels"]["team"] for each in documents(elasticsearch, stream)}
    assert found == {
        f"line {number}": "storage" if number % 2 else "shop" for number in (1, 2, 4, 5, 8, 10, 11)
    }
    letters = (tmp_path / "dead_letters" / "own-pipeline.jsonl").read_text().splitlines()
    assert [json.loads(letter)["error"] for letter in letters] == ["KeyError"]


def test_the_same_in_yaml(aws, elasticsearch, stream, tmp_path):
    variables = {
        "stream": stream, "application": stream, "hosts": elasticsearch.url, "index": stream,
        "endpoint_url": aws.endpoint_url, "dead_letters": f"file://{tmp_path}/refused.jsonl",
    }  # fmt: skip
    said = run(
        yaml_python(), "-P", "-m", "penstock", "run-yaml", *IDLE,
        "--yaml_pipeline_file", EXAMPLES / "own_pipeline.yaml", "--jinja_variables", json.dumps(variables), cwd=tmp_path,
    )  # fmt: skip
    assert "everything read is written and acknowledged" in said
    found = {each["message"]: each["labels"] for each in documents(elasticsearch, stream)}
    assert found == {f"line {number}": {"team": "shop"} for number in (1, 2, 4, 5, 7, 8, 10, 11)}
    leases = aws.client("dynamodb").scan(TableName=stream)["Items"]
    assert any(lease["checkpoint"]["S"].isdigit() for lease in leases)


def test_rows_in_yaml_pass_through_beams_own_steps(tmp_path):
    with (
        InMemoryKinesis() as kinesis,
        InMemoryElasticsearch(lambda found: "too often" if found["often"] else None) as elasticsearch,
    ):
        kinesis.create_stream("users", 2)
        kinesis.create_stream("refused")
        kinesis.put(
            "users", {"user": "ann", "visits": 3}, {"user": "bob", "visits": 30}, {"visits": 1}, b"no JSON"
        )
        variables = {
            "stream": "users", "application": "visits", "refused": "refused",
            "endpoint_url": kinesis.url, "hosts": elasticsearch.url,
        }  # fmt: skip
        said = run(
            yaml_python(), "-P", "-m", "penstock", "run-yaml", *IDLE,
            "--yaml_pipeline_file", EXAMPLES / "beam" / "visits.yaml",
            "--jinja_variables", json.dumps(variables), cwd=tmp_path,
        )  # fmt: skip
        assert elasticsearch.documents("visits") == [{"user": "ann", "visits": 3, "often": False}], said
        (refused,) = map(json.loads, kinesis.events("refused"))
    assert json.loads(refused["element"])["user"] == "bob"
    assert refused["msg"] == "too often"


def test_a_backfill_with_beams_own_yaml_command(elasticsearch, unique_name, tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"message": "line {number}"}}\n' for number in range(30)))
    (tmp_path / "b.jsonl").write_text('{"message": "line 30"}\nno JSON\n')
    variables = {
        "input": f"{tmp_path}/*.jsonl", "hosts": elasticsearch.url, "index": unique_name,
        "manifest": f"file://{tmp_path}/manifest", "dead_letters": f"file://{tmp_path}/refused.letters",
    }  # fmt: skip
    command = (
        yaml_python(), "-P", "-m", "apache_beam.yaml.main", "--yaml_pipeline_file", EXAMPLES / "backfill.yaml",
        "--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        "--jinja_variables", json.dumps(variables),
    )  # fmt: skip
    run(*command, cwd=tmp_path)
    assert {each["message"] for each in documents(elasticsearch, unique_name)} == {
        f"line {number}" for number in range(31)
    }
    assert len((tmp_path / "refused.letters").read_text().splitlines()) == 1
    run(*command, cwd=tmp_path)  # the manifest says that nothing is left
    assert len((tmp_path / "refused.letters").read_text().splitlines()) == 1


def test_the_provider_file_is_what_the_command_prints(tmp_path):
    made = run(sys.executable, "-P", "-m", "penstock", "run-yaml", "--provider_file", cwd=tmp_path)
    head, _, rest = (EXAMPLES / "providers.yaml").read_text().partition("\n")
    assert head.startswith("#")
    assert rest == made


def test_refused_events_are_sent_again(elasticsearch, tmp_path):
    said = run("bash", EXAMPLES / "replay.sh", cwd=tmp_path, ELASTICSEARCH=elasticsearch.url)
    assert '{"hits":{"hits":[{"_source":{"message":"refused at first","took":"long"}}]}}' in said
    assert "1 dead letters sent again, 0 of them refused again" in said


def test_no_example_is_untested():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        "README.md", "own_pipeline.py", "own_pipeline.yaml", "backfill.yaml", "providers.yaml", "replay.sh",
        "counts_per_minute.py",  # test_beam_programs.py
        "process_worker.sh",  # tests/unit/deploy
    }  # fmt: skip
    assert {path.name for path in (EXAMPLES / "beam").iterdir() if path.is_file()} == {
        "dicts_to_kinesis.py", "print_kinesis.py", "count_kinesis.py", "lines_to_elasticsearch.py",  # test_beam_programs.py
        "visits.yaml",
    }  # fmt: skip
