"""`penstock check` against servers that enforce permissions: what it tells to add is just what is missing.

The loop is closed on both sides: a user who may nothing runs the check, is given what it prints, and runs it again.
"""

import json

import boto3
import pytest

from penstock.io.preflight.iam import actions_of, merged, policy, statement
from penstock.pipelines import check as check_command
from penstock.pipelines.__main__ import main
from tests.tools.jobs.planted import free_port
from tests.tools.peers.moto_iam import MotoIam

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def _log_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(check_command, "set_up_logging", lambda options: None)


@pytest.fixture
def iam(aws_factory):
    server = aws_factory()
    server.client("kinesis").create_stream(StreamName="orders", ShardCount=2)
    server.client("kinesis").put_record(StreamName="orders", PartitionKey="k", Data=b"{}")
    server.client("s3").create_bucket(Bucket="my-archive")
    server.client("dynamodb").create_table(
        TableName="app", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
    )  # fmt: skip
    yield MotoIam(server)
    server.stop()


@pytest.fixture
def check(iam, tmp_path, monkeypatch, capsys):
    """Runs a check as the user of the policy; its exit code and its document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_SECRET_KEY", iam.aws.secret_key)

    def run(*arguments):
        code = main(
            ["check", *arguments, "--endpoint_url", iam.aws.endpoint_url, "--access_key", iam.aws.access_key]
        )
        return code, json.loads(capsys.readouterr().out)

    return run


READ = ("--kinesis_stream_name", "orders", "--application_name", "app", "--metrics", "cloudwatch")


@pytest.mark.parametrize(
    "job",
    [
        ("kinesis-to-s3", *READ, "--archive", "s3://my-archive/x"),
        ("beats-to-kinesis", "--stream_name", "orders", "--beats_port", str(free_port())),
    ],
    ids=lambda job: job[0],
)
def test_what_is_told_to_add_is_the_least_policy(iam, check, job):
    iam.allow(policy([statement("Nothing", "sts:GetCallerIdentity", "*")]))
    added = []
    for _ in range(6):  # what is denied hides what depends on it
        code, found = check(*job, "--json")
        if not found["add"]:
            break
        assert code == 1
        added += found["add"]["policy"]["Statement"]
        iam.allow(policy(merged(added)))
    told = {action for each in added for action in actions_of(each)}
    _, least = check(*job, "--policy")
    needed = {action for each in least["Statement"] for action in actions_of(each)}
    assert told == needed - {"dynamodb:CreateTable"}, "making a table can't be tried"
    for each in added:
        assert "ACCOUNT" not in each["Resource"]
    assert code == 0, found
    failed = [each for each in found["checks"] if each["mark"] == "failed"]
    assert failed == []


def test_a_check_leaves_everything_as_it_was(iam, check):
    def state():
        iam.enforce(False)
        kinesis, dynamodb, s3 = (iam.server.client(each) for each in ("kinesis", "dynamodb", "s3"))
        shards = kinesis.list_shards(StreamName="orders")["Shards"]
        records = 0
        for shard in shards:
            iterator = kinesis.get_shard_iterator(
                StreamName="orders", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records += len(kinesis.get_records(ShardIterator=iterator)["Records"])
        return (
            records,
            dynamodb.scan(TableName="app")["Items"],
            s3.list_objects_v2(Bucket="my-archive")["KeyCount"],
            [
                each["MetricName"]
                for each in iam.server.client("cloudwatch").list_metrics()["Metrics"]
                if not each["Namespace"].startswith("AWS/")
            ],
        )

    before = state()
    check("kinesis-to-s3", *READ, "--archive", "s3://my-archive/x", "--json")
    check("beats-to-kinesis", "--stream_name", "orders", "--beats_port", str(free_port()), "--json")
    assert state() == before == (1, [], 0, [])


def test_the_elasticsearch_role_that_is_told_is_enough(iam, check, secured_elasticsearch, monkeypatch):
    admin = secured_elasticsearch.client()
    admin.security.put_role(name="shipping", cluster=[], indices=[])
    admin.security.put_user(username="shipper", password="shippers-password", roles=["shipping"])
    iam.enforce(False)
    monkeypatch.setenv("PENSTOCK_PASSWORD", "shippers-password")
    job = (
        "kinesis-to-elasticsearch", *READ, "--hosts", secured_elasticsearch.url, "--user", "shipper",
        "--index", "logs-test-%{+YYYY.MM.dd}", "--manage_template",
    )  # fmt: skip
    code, found = check(*job, "--json")
    marks = {each["name"]: each["mark"] for each in found["checks"]}
    assert code == 1
    assert marks["Elasticsearch privileges"] == "failed"
    assert marks["Elasticsearch disks"] == "not tried", "needs what the job doesn't"
    role = found["add"]["role"]
    assert check(*job, "--role")[1] == role
    admin.security.put_role(name="shipping", **role)
    code, found = check(*job, "--json")
    assert code == 0, found
    admin.security.put_role(name="shipping", cluster=[*role["cluster"], "monitor"], indices=role["indices"])
    _, found = check(*job, "--json")
    marks = {each["name"]: each["mark"] for each in found["checks"]}
    for name in ("Elasticsearch", "Elasticsearch health", "Elasticsearch disks"):
        assert marks[name] in ("ok", "warning"), found
    assert not admin.indices.exists_index_template(name="penstock")
    assert "shippers-password" not in json.dumps(found)


def test_a_local_stack_is_all_right(aws, elasticsearch, unique_name, tmp_path, monkeypatch, capsys):
    """What everybody tries first: the emulators that the README starts."""
    monkeypatch.chdir(tmp_path)
    aws.create_stream(unique_name, 2)
    arguments = (
        "--kinesis_stream_name", unique_name, "--application_name", unique_name,
        "--endpoint_url", aws.endpoint_url, "--hosts", elasticsearch.url,
    )  # fmt: skip
    assert main(["check", "kinesis-to-elasticsearch", *arguments]) == 0
    out = capsys.readouterr().out
    assert "FAIL" not in out
    assert "  ok    kinesis:ListShards " in out
    assert "  ok    Elasticsearch " in out
    tables = boto3.client("dynamodb", region_name="us-east-1", endpoint_url=aws.endpoint_url).list_tables()
    assert unique_name not in tables["TableNames"]
