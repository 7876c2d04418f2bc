"""The trials of the Kinesis read and write: each permission is tried, each denial tells its statement, nothing changes."""

import dataclasses

import boto3
import botocore.client
import moto
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.error_codes import ACTIONS
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions, read_trials, write_trials
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.read.policy import read_statements
from penstock.io.kinesis.write.policy import write_statements
from penstock.io.preflight.iam import Arns, actions_of
from penstock.io.preflight.trials import Mark, try_all

KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
ARNS = Arns("us-east-1", "123456789012")
READ = KinesisReadOptions("orders", application_name="app", metrics="cloudwatch")
WRITE = KinesisWriteOptions("orders")
NOT_PROVEN = {"kinesis:PutRecords", "cloudwatch:PutMetricData"}


class Calls(list):
    """The operations that were called. `denied` is refused with AccessDenied, `unreachable` gets no answer."""

    denied = None
    unreachable = None


@pytest.fixture
def calls(monkeypatch):
    made = Calls()
    real = botocore.client.BaseClient._make_api_call

    def record(self, operation, arguments):
        made.append(operation)
        if operation == made.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        if operation == made.unreachable:
            raise EndpointConnectionError(endpoint_url="https://nowhere")
        return real(self, operation, arguments)

    with moto.mock_aws():
        session = AwsSession(KEYS)
        session.client("kinesis").create_stream(StreamName="orders", ShardCount=2)
        session.client("kinesis").put_record(StreamName="orders", PartitionKey="a", Data=b"x")
        LeaseTable(session, "app").create_if_missing()
        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
        yield made


def look(kind, options, aws=KEYS):
    account = AwsAccount(aws)
    trials = (read_trials if kind == "read" else write_trials)(options, account)
    return {trial.name: finding for trial, finding in try_all([*identity_trials(account), *trials])}


def failures(found):
    return {name: finding for name, finding in found.items() if finding.mark is Mark.FAILED}


@pytest.mark.parametrize(("kind", "options"), [("read", READ), ("write", WRITE)])
def test_every_action_of_the_policy_is_tried_and_nothing_fails(calls, kind, options):
    found = look(kind, options)
    assert not failures(found)
    statements = read_statements(options, ARNS) if kind == "read" else write_statements(options, ARNS)
    actions = {action for each in statements for action in actions_of(each)} - {"dynamodb:CreateTable"}
    assert actions <= {ACTIONS[operation] for operation in calls if operation in ACTIONS}
    assert actions <= set(found)
    assert {name for name, finding in found.items() if finding.mark is Mark.NOT_TRIED} <= NOT_PROVEN
    assert "arn:aws:sts::123456789012" in found["AWS identity"].text


@pytest.mark.parametrize(("kind", "options"), [("read", READ), ("write", WRITE)])
def test_nothing_changes(calls, kind, options):
    def state():
        names = ("kinesis", "dynamodb", "cloudwatch")
        kinesis, dynamodb, cloudwatch = (boto3.client(each, region_name="us-east-1") for each in names)
        shards = [each["ShardId"] for each in kinesis.list_shards(StreamName="orders")["Shards"]]
        records = []
        for shard in shards:
            iterator = kinesis.get_shard_iterator(
                StreamName="orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records += kinesis.get_records(ShardIterator=iterator)["Records"]
        return (
            [(each["SequenceNumber"], each["Data"]) for each in records],
            dynamodb.list_tables()["TableNames"],
            dynamodb.scan(TableName="app")["Items"],
            cloudwatch.list_metrics()["Metrics"],
        )

    before = state()
    assert len(before[0]) == 1
    look(kind, options)
    missing = dataclasses.replace(READ, application_name="app-that-is-not-there")
    look("read", missing)
    assert state() == before


def denials():
    for kind, statements in (("read", read_statements(READ, ARNS)), ("write", write_statements(WRITE, ARNS))):
        for each in statements:
            for action in actions_of(each):
                if action != "dynamodb:CreateTable":
                    yield pytest.param(kind, action, each, id=f"{kind}-{action}")


@pytest.mark.parametrize(("kind", "action", "statement"), list(denials()))
def test_a_denial_is_one_failure_with_the_statement_to_add(calls, kind, action, statement):
    calls.denied = action.partition(":")[2]
    found = look(kind, READ if kind == "read" else WRITE)
    assert set(failures(found)) == {action}
    ((told),) = found[action].statements
    assert told["Action"] == action
    assert told["Resource"].replace("ACCOUNT", "123456789012") == statement["Resource"]
    assert told.get("Condition") == statement.get("Condition")
    assert f"needs {action} on " in found[action].text


def test_what_needs_a_denied_call_is_not_tried(calls):
    calls.denied = "DescribeStreamSummary"
    found = look("read", READ)
    for name in ("kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords", "kms:Decrypt"):
        assert found[name].mark is Mark.NOT_TRIED
    assert found["dynamodb:Scan"].mark is Mark.OK


def test_without_a_table_nothing_can_be_proven_but_a_denial_shows(calls):
    missing = dataclasses.replace(READ, application_name="not-there")
    found = look("read", missing)
    assert found["dynamodb:DescribeTable"].text == "there is no lease table not-there yet; the job makes it"
    assert found["dynamodb:CreateTable"].mark is Mark.NOT_TRIED
    assert found["dynamodb:PutItem"].mark is Mark.NOT_TRIED
    calls.denied = "PutItem"
    assert look("read", missing)["dynamodb:PutItem"].mark is Mark.FAILED


def test_a_table_of_something_else_is_told(calls):
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="users", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    found = look("read", dataclasses.replace(READ, application_name="users"))
    assert found["dynamodb:DescribeTable"].mark is Mark.FAILED
    assert (
        "the table users is no lease table (its key is not leaseKey)" in found["dynamodb:DescribeTable"].text
    )
    assert found["dynamodb:Scan"].mark is Mark.NOT_TRIED


@pytest.mark.parametrize("reset", [False, True])
def test_rows_that_are_not_this_streams_fail_and_are_left_alone(calls, reset):
    dynamodb = AwsSession(KEYS).client("dynamodb")
    shard = {"leaseKey": {"S": "shardId-000000000000"}}
    options = dataclasses.replace(READ, reset_checkpoints=reset)
    for item, says in (
        ({"checkpoint": {"S": "SHARD_END"}}, "says SHARD_END, but the shard is open in stream orders"),
        ({"checkpoint": {"S": "garbage"}}, "can't be read: checkpoint 'garbage'"),
        ({"checkpoint": {"S": "LATEST"}, "penstockStreamArn": {"S": "arn:other"}}, "belongs to arn:other"),
    ):
        dynamodb.put_item(TableName="app", Item={**shard, **item})
        before = dynamodb.scan(TableName="app")["Items"]
        found = look("read", options)["lease table rows"]
        if reset and "other" not in says:
            assert found.text == "0 rows, all of this stream; 2 open shards have none yet"
        else:
            assert found.mark is Mark.FAILED
            assert says in found.text
        assert dynamodb.scan(TableName="app")["Items"] == before


def test_options_leave_checks_out(calls):
    found = look("read", dataclasses.replace(READ, checkpoints="none", metrics="nil"))
    assert not any(name.startswith(("dynamodb:", "cloudwatch:")) for name in found)
    found = look("write", dataclasses.replace(WRITE, metrics_level="none"))
    assert "cloudwatch:PutMetricData" not in found
    found = look("write", KinesisWriteOptions("logs-%{kind}"))
    assert found["kinesis:PutRecords"].mark is Mark.NOT_TRIED
    assert "kinesis:ListShards" not in found


def test_a_stream_that_is_not_there(calls):
    found = look("write", KinesisWriteOptions("nowhere"))
    assert set(failures(found)) == {"kinesis:DescribeStreamSummary"}
    assert "there is no such stream in us-east-1" in found["kinesis:DescribeStreamSummary"].text
    assert found["kinesis:DescribeStreamSummary"].statements == ()


def test_no_word_from_sts_is_no_failure(calls):
    calls.unreachable = "GetCallerIdentity"
    found = look("write", WRITE)
    assert found["AWS identity"].mark is Mark.NOT_TRIED
    assert not failures(found)


def test_keys_that_aws_refuses_fail_once(calls, monkeypatch):
    recorded = botocore.client.BaseClient._make_api_call

    def refuse(self, operation, arguments):
        if operation == "GetCallerIdentity":
            raise ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "no"}}, operation)
        return recorded(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
    found = look("write", WRITE)
    assert found["AWS identity"].mark is Mark.FAILED
    assert "AWS refuses the credentials (InvalidClientTokenId)" in found["AWS identity"].text


# -- KMS -------------------------------------------------------------------------------------------------


@pytest.fixture
def key(calls, monkeypatch):
    """The stream is encrypted; `answers` tells what KMS says to a dry run, which moto doesn't know."""
    client = boto3.client("kinesis", region_name="us-east-1")
    arn = boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["Arn"]
    client.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=arn)
    asked = []
    recorded = botocore.client.BaseClient._make_api_call

    class Key(str):
        code = "DryRunOperationException"

    made = Key(arn)
    made.asked = asked

    def answer(self, operation, arguments):
        if operation in ("GenerateDataKey", "Decrypt"):
            asked.append((operation, arguments))
            raise ClientError({"Error": {"Code": made.code, "Message": "x"}}, operation)
        return recorded(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", answer)
    return made


@pytest.mark.parametrize(("kind", "operation"), [("read", "Decrypt"), ("write", "GenerateDataKey")])
def test_the_streams_key_is_tried_dry(key, kind, operation):
    options = READ if kind == "read" else WRITE
    found = look(kind, options)[f"kms:{operation}"]
    assert found.mark is Mark.OK
    ((called, arguments),) = key.asked
    assert called == operation
    assert arguments["DryRun"] is True
    assert arguments["KeyId"] == key
    key.code = "AccessDeniedException"
    denied = look(kind, options)[f"kms:{operation}"]
    assert denied.mark is Mark.FAILED
    assert f"needs kms:{operation} on {key}" in denied.text
    assert [(each["Action"], each["Resource"]) for each in denied.statements] == [(f"kms:{operation}", key)]


def test_the_key_that_aws_manages_needs_nothing(calls):
    client = boto3.client("kinesis", region_name="us-east-1")
    client.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    found = look("write", WRITE)["kms:GenerateDataKey"]
    assert found.mark is Mark.OK
    assert "needs no permission" in found.text
    assert "GenerateDataKey" not in calls


# -- the least policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (READ, set()),
        (dataclasses.replace(READ, metrics="nil"), {"Metrics"}),
        (dataclasses.replace(READ, checkpoints="none"), {"Leases"}),
        (WRITE, set()),
        (dataclasses.replace(WRITE, metrics_level="none"), {"Metrics"}),
        (dataclasses.replace(WRITE, metrics_role_arn="arn:aws:iam::1:role/m"), {"Metrics"}),
    ],
)
def test_statements_are_only_those_that_the_options_need(options, gone):
    read = isinstance(options, KinesisReadOptions)
    made = (read_statements if read else write_statements)(options, ARNS, "arn:key")
    everything = (
        {"Read", "Leases", "Metrics", "Decrypt"} if read else {"FindShards", "Write", "Metrics", "Encrypt"}
    )
    assert {each["Sid"] for each in made} == everything - gone
    without_key = (read_statements if read else write_statements)(options, ARNS)
    assert {each["Sid"] for each in without_key} == everything - gone - {"Decrypt", "Encrypt"}


def test_a_pattern_for_streams_that_events_name():
    made = write_statements(KinesisWriteOptions("logs-%{kind}-%{[a][b]}"), ARNS)
    assert made[1]["Resource"] == "arn:aws:kinesis:us-east-1:123456789012:stream/logs-*-*"
