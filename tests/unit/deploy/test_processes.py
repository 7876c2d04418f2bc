"""Plain processes: the Kubernetes manifests against its schemas and our options, and the systemd unit."""

import configparser
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import certifi
import jsonschema
import pytest
import yaml

from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.jobs import find_job
from penstock.pipelines.status import metrics

ROOT = Path(__file__).parents[3]
JOBS = ("beats-to-kinesis", "kinesis-to-elasticsearch")
UNIT = ROOT / "deploy/systemd/penstock@.service"
GRACE_S = 10  # what a sink gets beyond --stop_timeout


@pytest.fixture(scope="module")
def schemas():
    return json.loads((Path(__file__).parent / "fixtures/kubernetes_1.34.json").read_text())


def manifests(job):
    found = list(yaml.safe_load_all((ROOT / f"deploy/kubernetes/processes/{job}.yaml").read_text()))
    return {each["kind"]: each for each in found}


@pytest.mark.parametrize("job", JOBS)
def test_each_manifest_follows_the_schema_of_its_kind(schemas, job):
    for kind, each in manifests(job).items():
        schema = {"$ref": f"#/$defs/{schemas['kinds'][kind]}", "$defs": schemas["$defs"]}
        errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(each)]
        assert not errors, kind
    broken = manifests(job)["Deployment"]
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    schema = {"$ref": f"#/$defs/{schemas['kinds']['Deployment']}", "$defs": schemas["$defs"]}
    assert not jsonschema.Draft202012Validator(schema).is_valid(broken), "a mistyped name must be found"


@pytest.mark.parametrize("job", JOBS)
def test_what_belongs_together_in_a_manifest_does(job, tmp_path):
    found = manifests(job)
    deployment, labels = found["Deployment"], found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"].endswith(f"/penstock:{version}")
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    for kind in ("PodDisruptionBudget", "Deployment"):
        assert found[kind]["spec"]["selector"]["matchLabels"] == labels
    assert (
        found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    )
    assert pod["enableServiceLinks"] is False
    assert container["args"][0] == job
    # The job takes its file; the secret's path is that of the mount.
    text = found["ConfigMap"]["data"]["penstock.yaml"]
    (tmp_path / "api_key").write_text("abracadabra")
    shutil.copy(certifi.where(), tmp_path / "ca.crt")
    for there, here in (
        ("/run/secrets/penstock/", f"{tmp_path}/"),
        ("/etc/penstock/authorities/", f"{tmp_path}/"),
        ("BUCKET", "bucket"),
    ):
        text = text.replace(there, here)
    (tmp_path / "penstock.yaml").write_text(text)
    assert container["args"][1:] == ["--config=/etc/penstock/penstock.yaml"]
    options = find_job(job).parse(["--config", str(tmp_path / "penstock.yaml")]).get(JobOptions)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert (options.status_host, options.status_port) == ("0.0.0.0", ports["status"])
    assert pod["terminationGracePeriodSeconds"] > options.stop_timeout + GRACE_S
    assert not options.dead_letters.startswith("file:"), "a pod's files go with it"


def test_beats_reach_the_port_and_the_autoscaler_asks_for_a_metric_that_there_is():
    beats, search = map(manifests, JOBS)
    service = beats["Service"]["spec"]
    assert service["selector"] == beats["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert "beats_port: 5044" in beats["ConfigMap"]["data"]["penstock.yaml"]
    assert service["ports"][0]["port"] == 5044
    (metric,) = search["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] in Path(metrics.__file__).read_text()


def test_the_unit_spares_wrong_options_and_waits_for_a_stop():
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == ["run", "/etc/penstock/%i.yaml"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert int(service["TimeoutStopSec"]) > JobOptions().stop_timeout + GRACE_S
    assert service["KillMode"] == "mixed", "jobs are stopped by their parent, once"
    assert service["WorkingDirectory"].endswith(service["StateDirectory"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_unit_and_finds_it_safe(tmp_path):
    text = re.sub(r"/opt/penstock/bin/penstock", "/bin/true", UNIT.read_text())  # it must be there
    (tmp_path / UNIT.name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"./{UNIT.name}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    safe = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", f"./{UNIT.name}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    if "unrecognized option" in safe.stderr:
        pytest.skip("this systemd-analyze reads no units offline")
    assert safe.returncode == 0, safe.stdout
