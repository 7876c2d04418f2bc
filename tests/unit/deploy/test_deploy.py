"""`deploy/`: what can be known of images and manifests without an engine or a cluster."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from jsonschema import Draft7Validator
from packaging.specifiers import SpecifierSet

from penstock.pipelines.jobs import find_job
from penstock.pipelines.run.runners import runs_elsewhere, settle

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FLINK = "1.19.3"
JOBS = ("beats-to-kinesis", "kinesis-to-elasticsearch")


@pytest.fixture(scope="module")
def containerfile():
    """Instructions as (name, rest), continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Containerfile").read_text(), flags=re.M)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [tuple(re.split(r"\s+", line.strip(), maxsplit=1)) for line in lines]


def test_all_that_the_image_copies_is_there(containerfile):
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source
        for name, rest in containerfile
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source in kept, f"{source} is kept out of the image's context by .dockerignore"


def test_all_that_setup_reads_is_copied(containerfile):
    copied = " ".join(rest for name, rest in containerfile if name == "COPY").split()
    manifest = re.findall(r"^(?:recursive-)?include (\S+)", (ROOT / "MANIFEST.in").read_text(), flags=re.M)
    needed = {
        "penstock",
        "io",
        "transforms",
        "pipelines",
        "setup.py",
        "pyproject.toml",
        "MANIFEST.in",
        "README.md",
    }
    assert needed <= set(copied)
    assert {path.partition("/")[0] for path in manifest} <= set(copied)


def test_the_images_versions_are_the_projects(containerfile):
    given = dict(rest.split("=") for name, rest in containerfile if name == "ARG")
    beam = next(each for each in PROJECT["dependencies"] if each.startswith("apache-beam"))
    assert given["BEAM_VERSION"] in SpecifierSet(beam.removeprefix("apache-beam"))
    assert given["BEAM_VERSION"] == metadata.version("apache-beam"), "what is tested is what is deployed"
    assert given["PYTHON_VERSION"] in SpecifierSet(PROJECT["requires-python"])
    targets = [rest.rpartition(" AS ")[2] for name, rest in containerfile if name == "FROM"]
    assert targets == ["wheel", "worker", "job"]


def _manifests(job):
    return list(yaml.safe_load_all((ROOT / f"deploy/kubernetes/{job}.yaml").read_text()))


def _of_kind(job, kind):
    return next((each for each in _manifests(job) if each["kind"] == kind), None)


def _container(spec, name):
    return next(each for each in spec["containers"] if each["name"] == name)


@pytest.mark.parametrize("job", JOBS)
def test_the_deployment_follows_the_operators_schema(job):
    schema = json.loads((Path(__file__).parent / "fixtures/flinkdeployment_1.10.json").read_text())
    schema["properties"] |= {
        "apiVersion": {"const": "flink.apache.org/v1beta1"},
        "kind": {},
        "metadata": {"required": ["name"]},
    }
    _refuse_unknown(schema)
    Draft7Validator.check_schema(schema)
    errors = list(Draft7Validator(schema).iter_errors(_of_kind(job, "FlinkDeployment")))
    assert not errors


def _refuse_unknown(schema):
    """The operator's API server drops what it doesn't know: here that is an error."""
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _refuse_unknown(value)
    if isinstance(schema, dict) and "properties" in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)


@pytest.mark.parametrize("job", JOBS)
def test_versions_names_and_ports_of_a_manifest_fit_together(job):
    deployment, submit = _of_kind(job, "FlinkDeployment"), _of_kind(job, "Job")
    spec, name = deployment["spec"], deployment["metadata"]["name"]
    assert spec["image"].startswith(f"flink:{FLINK}-")
    assert spec["flinkVersion"] == "v" + FLINK.rpartition(".")[0].replace(".", "_")
    plugin = _container(spec["podTemplate"]["spec"], "flink-main-container")["env"][0]["value"]
    assert plugin == f"flink-s3-fs-presto-{FLINK}.jar"
    worker = _container(spec["taskManager"]["podTemplate"]["spec"], "worker")
    client = _container(submit["spec"]["template"]["spec"], "submit")
    assert worker["image"].endswith(f"/penstock-worker:{PROJECT['version']}")
    assert client["image"].endswith(f"/penstock:{PROJECT['version']}")
    assert client["args"][0] == job
    assert f"--flink_master={name}-rest:8081" in client["args"]
    # One slot, one worker, one core: else two readers share a Python process.
    assert spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"] == "1"


def test_beats_reach_the_port_that_the_job_listens_on():
    deployment, service = (_of_kind("beats-to-kinesis", kind) for kind in ("FlinkDeployment", "Service"))
    pod = deployment["spec"]["taskManager"]["podTemplate"]
    (port,) = _container(pod["spec"], "worker")["ports"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    args = _container(_of_kind("beats-to-kinesis", "Job")["spec"]["template"]["spec"], "submit")["args"]
    assert f"--beats_port={port['containerPort']}" in args
    assert "--beats_host=0.0.0.0" in args


@pytest.mark.parametrize("job", JOBS)
def test_the_job_takes_the_options_of_its_manifest(job, monkeypatch):
    client = _container(_of_kind(job, "Job")["spec"]["template"]["spec"], "submit")
    for variable in client.get("env", []):
        monkeypatch.setenv(variable["name"], "secret")
    line = find_job(job).parse(client["args"][1:])
    options = PipelineOptions(list(line.beam))
    settle(options, job, streaming=True)
    assert runs_elsewhere(line.beam)
    assert options.view_as(FlinkRunnerOptions).flink_submit_uber_jar
