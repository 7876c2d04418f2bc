"""deploy/compose.yaml: valid by the Compose Specification, complete, and each job's command one that the job takes."""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from penstock.pipelines.jobs import JOBS, find_job

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
JOB_SERVICES = [name for name in SERVICES if name in JOBS]


def test_it_is_valid_by_the_specification():
    schema = json.loads((Path(__file__).parent / "fixtures" / "compose-spec.json").read_text())
    # The specification has `name` since 2022, this copy of its schema has not.
    jsonschema.Draft201909Validator(schema).validate({key: COMPOSE[key] for key in COMPOSE if key != "name"})


def test_it_has_everything_for_a_look():
    assert {
        "aws",
        "filebeat",
        "beats-to-kinesis",
        "kinesis-to-elasticsearch",
        "elasticsearch",
        "kibana",
    } <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name):
    service = SERVICES[name]
    assert set(service.get("depends_on", ())) <= set(SERVICES)
    for other, wish in service.get("depends_on", {}).items():
        if wish["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or source.startswith("/") or (DEPLOY / source).is_file(), source
    if "build" in service:
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert service["image"].rpartition(":")[2] not in ("", "latest"), "pin the image"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name):
    for port in SERVICES[name].get("ports", ()):
        assert str(port).startswith("127.0.0.1:")


@pytest.mark.parametrize("name", JOB_SERVICES)
def test_a_job_takes_its_command(name):
    service = SERVICES[name]
    assert service["entrypoint"] == ["penstock"]
    assert service["command"][0] == name
    assert find_job(name).parse(service["command"][1:]).beam == []


@pytest.mark.parametrize("name", JOB_SERVICES)
def test_a_job_finds_its_peers(name):
    """Each address that a job is given is a service's, on the port that it listens on."""
    service = SERVICES[name]
    addresses = [urlsplit(value) for value in re.findall(r"https?://[^\s,]+", " ".join(service["command"]))]
    listens = {"aws": 5000, "elasticsearch": 9200}
    assert addresses
    for address in addresses:
        assert listens[address.hostname] == address.port
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(service["environment"])
    for letters in re.findall(r"--dead_letters=file://(\S+)/", " ".join(service["command"])):
        assert letters in [volume.split(":")[1] for volume in service["volumes"]]


def test_the_emulator_listens_where_the_others_look():
    command = SERVICES["aws"]["command"]
    assert command[command.index("-p") + 1] == "5000"
    assert "localhost:5000" in SERVICES["aws"]["healthcheck"]["test"][-1]


def test_the_script_that_makes_the_stream_is_one():
    service = SERVICES["stream"]
    (script,) = service["command"]
    subprocess.run(["sh", "-n", "-c", script.replace("$$", "$")], check=True)
    assert "http://aws:5000" in script
    streams = {
        value
        for name in JOB_SERVICES
        for value in re.findall(r"--(?:kinesis_)?stream_name=(\S+)", " ".join(SERVICES[name]["command"]))
    }
    assert streams == set(re.findall(r"--stream-name (\S+)", script))


def test_filebeat_sends_to_the_port_that_the_job_listens_on():
    filebeat = yaml.safe_load((DEPLOY / "filebeat.yml").read_text())
    assert filebeat["output.logstash"]["hosts"] == ["beats-to-kinesis:5044"]
    assert "--beats_port=5044" in SERVICES["beats-to-kinesis"]["command"]
