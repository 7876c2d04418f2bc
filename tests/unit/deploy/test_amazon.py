"""`deploy/amazon`: the template by CloudFormation's schemas, and the script before a gate that verifies signatures."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.io.elasticsearch import ElasticsearchOptions, iam_statements
from penstock.io.preflight.iam import Arns
from tests.tools.search.gate import Gate, gate_before

FOLDER = Path(__file__).parents[3] / "deploy/amazon"
TEMPLATE = FOLDER / "opensearch.yaml"
JOB_ROLE = "arn:aws:iam::111122223333:role/penstock"


# cfnlint takes a second to import, which each of pytest's workers would spend on collecting.
def test_cloudformation_knows_all_of_the_template():
    from cfnlint import api as cfnlint

    assert cfnlint.lint(TEMPLATE.read_text(), None, ["eu-west-1", "us-east-1"]) == []


def test_the_domain_lets_the_job_do_what_the_policy_says():
    from cfnlint.decode import cfn_yaml

    domain = cfn_yaml.loads(TEMPLATE.read_text())["Resources"]["Domain"]["Properties"]
    job, admin = domain["AccessPolicies"]["Statement"]
    options = ElasticsearchOptions(hosts=["search-x-abc.eu-west-1.es.amazonaws.com"], manage_template=True)
    (needed,) = iam_statements(options, Arns())
    assert set(job["Action"]) == set(needed["Action"])
    assert (job["Principal"], admin["Principal"]) == (
        {"AWS": {"Ref": "JobRole"}},
        {"AWS": {"Ref": "AdminRole"}},
    )
    assert domain["AdvancedSecurityOptions"]["Enabled"] is True


@pytest.fixture
def map_role(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")

    def run(*arguments, **environment):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        keys = {"AWS_ACCESS_KEY_ID": "AKIAADMIN", "AWS_SECRET_ACCESS_KEY": "admins-secret"}
        given = {**os.environ, "PATH": path, "AWS_REGION": "eu-west-1", **keys, **environment}
        command = [FOLDER / "map_role.sh", *arguments]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


JOB = (
    *("kinesis-to-elasticsearch", "--kinesis_stream_name", "orders", "--application_name", "app"),
    *("--index", "logs-%{+YYYY.MM.dd}"),
)


@pytest.mark.parametrize("token", ["", "the-session"])
def test_the_script_makes_the_role_and_maps_it(map_role, token):
    gate = Gate({"AKIAADMIN": ("admins-secret", token or None)})
    with gate_before(gate, lambda request: (201, b'{"status":"CREATED"}')) as domain:
        done = map_role(domain.url, JOB_ROLE, *JOB, AWS_SESSION_TOKEN=token)
    assert (done.returncode, gate.accepted) == (0, 2), done.stderr
    role, mapping = domain.requests
    assert [f"{each.method} {each.path}" for each in domain.requests] == [
        f"PUT /_plugins/_security/api/{each}/penstock" for each in ("roles", "rolesmapping")
    ]
    (index,) = json.loads(role.body)["index_permissions"]
    assert index["index_patterns"] == ["logs-*"]
    assert json.loads(mapping.body) == {"backend_roles": [JOB_ROLE]}


def test_a_refusal_ends_the_script_with_what_aws_says(map_role):
    with gate_before(Gate({"AKIAADMIN": ("another", None)}), lambda request: (201, b"{}")) as domain:
        done = map_role(domain.url, JOB_ROLE, *JOB)
    assert done.returncode != 0
    assert "does not match the signature" in done.stdout
    assert len(domain.requests) == 1
    assert "admins-secret" not in done.stdout + done.stderr


def test_without_arguments_the_script_says_how_it_is_called(map_role):
    done = map_role("search-x.eu-west-1.es.amazonaws.com")
    assert done.returncode == 2
    assert "usage: map_role.sh ENDPOINT JOB_ROLE_ARN JOB" in done.stderr
