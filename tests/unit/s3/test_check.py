"""The trials of S3's inputs, manifests and archive, and of places for dead letters: denials, and that nothing changes."""

import json
from pathlib import Path

import boto3
import botocore.client
import moto
import pytest
from botocore.exceptions import ClientError

from penstock.io.archive import ArchiveOptions, archive_statements, archive_trials
from penstock.io.aws.account_preflight import AwsAccount, identity_trials
from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import preflight as letters
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.preflight.iam import Arns, actions_of, policy
from penstock.io.preflight.trials import Mark, try_all
from penstock.io.s3 import S3ReadOptions, read_statements, read_trials

KEYS = AwsOptions(access_key="AKIDEXAMPLE", secret_key="example")
ARNS = Arns("us-east-1", "123456789012")


class Aws:
    """`refused` maps an operation to the code it fails with."""

    def __init__(self):
        self.refused = {"UploadPart": "NoSuchUpload"}  # as S3 answers; moto fails with a 500
        self.s3 = boto3.client("s3", region_name="us-east-1")

    def state(self):
        objects = self.s3.list_objects_v2(Bucket="my-logs").get("Contents", [])
        uploads = self.s3.list_multipart_uploads(Bucket="my-logs").get("Uploads", [])
        tables = boto3.client("dynamodb", region_name="us-east-1").list_tables()["TableNames"]
        return [(each["Key"], each["ETag"]) for each in objects], uploads, tables


@pytest.fixture
def aws(monkeypatch):
    with moto.mock_aws():
        made = Aws()
        made.s3.create_bucket(Bucket="my-logs")
        made.s3.put_object(Bucket="my-logs", Key="in/a.jsonl", Body=b"{}\n")
        real = botocore.client.BaseClient._make_api_call

        def call(self, operation, arguments):
            if operation in made.refused:
                code = made.refused[operation]
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
            return real(self, operation, arguments)

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield made


def look(trials, account):
    return {trial.name: finding for trial, finding in try_all([*identity_trials(account), *trials])}


def read(options):
    account = AwsAccount(KEYS)
    return look(read_trials(options, account), account)


def archive(options):
    account = AwsAccount(KEYS)
    return look(archive_trials(options, account), account)


def failures(found):
    return {name: finding for name, finding in found.items() if finding.mark is Mark.FAILED}


def test_an_input_is_listed_and_a_byte_of_it_is_read(aws):
    before = aws.state()
    found = read(S3ReadOptions(["s3://my-logs/in/*.jsonl"], manifest="s3://my-logs/done"))
    assert not failures(found)
    assert found["s3:GetObject of s3://my-logs/in/*.jsonl"].text == "read a byte of s3://my-logs/in/a.jsonl"
    assert found["s3:PutObject to my-logs/done/"].mark is Mark.OK
    assert aws.state() == before


@pytest.mark.parametrize(
    ("operation", "name", "action", "resource"),
    [
        ("ListObjectsV2", "s3:ListBucket of s3://my-logs/in/", "s3:ListBucket", "arn:aws:s3:::my-logs"),
        ("GetObject", "s3:GetObject of s3://my-logs/in/", "s3:GetObject", "arn:aws:s3:::my-logs/in/*"),
        ("UploadPart", "s3:PutObject to my-logs/done/", "s3:PutObject", "arn:aws:s3:::my-logs/done/*"),
    ],
)
def test_a_denial_is_one_failure_with_the_statement_to_add(aws, operation, name, action, resource):
    aws.refused[operation] = "AccessDenied"
    found = read(S3ReadOptions(["s3://my-logs/in/"], manifest="s3://my-logs/done"))
    assert set(failures(found)) == {name}
    assert [(each["Action"], each["Resource"]) for each in found[name].statements] == [(action, resource)]
    assert f"needs {action}" in found[name].text


def test_inputs_that_are_not_there(aws, tmp_path):
    found = failures(read(S3ReadOptions(["s3://nowhere/x", "s3://my-logs/other", str(tmp_path / "none")])))
    texts = {name: finding.text for name, finding in found.items()}
    assert "there is no bucket nowhere" in texts.pop("s3:ListBucket of s3://nowhere/x")
    assert "there is nothing of that name" in texts.pop("s3:ListBucket of s3://my-logs/other")
    assert "there is nothing of that name" in texts.pop(f"files of {tmp_path / 'none'}")
    assert not texts


def test_local_files_need_nothing_of_aws(tmp_path):
    (tmp_path / "a.log").write_text("x\n")
    options = S3ReadOptions([str(tmp_path)], manifest=f"file://{tmp_path}/notes/m.jsonl")
    found = {
        trial.name: finding for trial, finding in try_all(read_trials(options, AwsAccount(AwsOptions())))
    }
    assert {finding.mark for finding in found.values()} == {Mark.OK}
    assert read_statements(options, ARNS) == ()
    assert not (tmp_path / "notes").exists()


def test_a_manifest_in_dynamodb_is_not_made(aws):
    found = read(S3ReadOptions(["s3://my-logs/in/"], manifest="dynamodb:done"))
    assert found["dynamodb:DescribeTable"].text == "there is no manifest done yet; the job makes it"
    assert "dynamodb:UpdateItem" not in found, "the manifest is never updated"
    assert found["dynamodb:PutItem"].mark is Mark.NOT_TRIED
    assert aws.state()[2] == []


def test_a_list_of_objects(aws):
    aws.s3.put_object(Bucket="my-logs", Key="list.txt", Body=b"s3://my-logs/in/a.jsonl\n")
    options = S3ReadOptions(input_manifest="s3://my-logs/list.txt")
    assert read(options)["list s3://my-logs/list.txt"].mark is Mark.OK
    gone = read(S3ReadOptions(input_manifest="s3://my-logs/gone.txt"))["list s3://my-logs/gone.txt"]
    assert gone.mark is Mark.FAILED
    assert "--input_manifest s3://my-logs/gone.txt" in gone.text


def test_the_archive(aws):
    before = aws.state()
    options = ArchiveOptions("s3://my-logs/archive/x")
    found = archive(options)
    assert not failures(found)
    assert aws.state() == before
    aws.refused["UploadPart"] = "AccessDenied"
    (name,) = failures(archive(options))
    assert name == "s3:PutObject to my-logs/archive/x/"
    aws.refused["UploadPart"] = "InternalError"
    missing = archive(ArchiveOptions("s3://nowhere/x"))
    assert "there is no bucket nowhere" in missing["s3:ListBucket of nowhere"].text
    assert missing["s3:PutObject to nowhere/x/"].mark is Mark.NOT_TRIED


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            S3ReadOptions(["s3://bbb/p/*.gz"]),
            {("s3:ListBucket", "arn:aws:s3:::bbb"), ("s3:GetObject", "arn:aws:s3:::bbb/p/*")},
        ),
        (
            S3ReadOptions(["s3://bbb/p"], input_manifest="s3://ccc/list", manifest="dynamodb:done"),
            {
                ("s3:ListBucket", "arn:aws:s3:::bbb"),
                ("s3:GetObject", "arn:aws:s3:::bbb/p*"),
                ("s3:GetObjectVersion", "arn:aws:s3:::bbb/p*"),
                ("s3:GetObject", "arn:aws:s3:::ccc/list"),
                *(
                    (f"dynamodb:{each}", "arn:aws:dynamodb:us-east-1:123456789012:table/done")
                    for each in ("DescribeTable", "CreateTable", "Scan", "PutItem")
                ),
            },
        ),
        (
            S3ReadOptions(["/var/log"], manifest="s3://bbb"),
            {("s3:ListBucket", "arn:aws:s3:::bbb"), ("s3:PutObject", "arn:aws:s3:::bbb/*")},
        ),
    ],
)  # fmt: skip
def test_statements(options, expected):
    made = {
        (action, each["Resource"]) for each in read_statements(options, ARNS) for action in actions_of(each)
    }
    assert made == expected


def test_the_archives_statements():
    made = archive_statements(ArchiveOptions("s3://bbb/archive"), ARNS)
    assert [(each["Action"], each["Resource"]) for each in made] == [
        ("s3:ListBucket", "arn:aws:s3:::bbb"),
        ("s3:PutObject", "arn:aws:s3:::bbb/archive/*"),
    ]


def test_the_docs_show_the_archives_policy():
    made = policy(archive_statements(ArchiveOptions("s3://BUCKET/PREFIX"), ARNS))
    assert json.dumps(made, indent=2) in (Path(__file__).parents[3] / "docs" / "iam.md").read_text()


# -- dead letters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "names", "action", "resource"),
    [
        ("s3://my-logs/dl", "dead letters: s3:PutObject to my-logs/dl/", "s3:PutObject", "arn:aws:s3:::my-logs/dl/*"),
        (
            "kinesis:refused", "dead letters: kinesis:PutRecords", "kinesis:PutRecords",
            "arn:aws:kinesis:us-east-1:123456789012:stream/refused",
        ),
    ],
)  # fmt: skip
def test_a_place_for_dead_letters_in_aws(aws, url, names, action, resource):
    boto3.client("kinesis", region_name="us-east-1").create_stream(StreamName="refused", ShardCount=1)
    account = AwsAccount(KEYS)
    found = look(letters.trials(url, account, None), account)
    assert not failures(found)
    aws.refused |= {"UploadPart": "AccessDenied", "PutRecords": "AccessDeniedException"}
    assert set(failures(look(letters.trials(url, account, None), account))) == {names}
    (statement,) = letters.keep_statements(url, ARNS)
    assert (statement["Action"], statement["Resource"]) == (action, resource)


def test_dead_letters_in_a_file_are_looked_at_when_a_job_starts(tmp_path):
    (trial,) = letters.trials(f"file://{tmp_path}/a/b.jsonl", None, None)
    assert trial.quick
    assert trial.run().mark is Mark.OK
    (tmp_path / "a").write_text("a file")
    ((_, finding),) = try_all(letters.trials(f"file://{tmp_path}/a/b.jsonl", None, None))
    assert finding.mark is Mark.FAILED
    assert finding.text.startswith("--dead_letters: cannot write ")


def test_dead_letters_in_the_jobs_own_cluster():
    roles = letters.roles_with(ElasticsearchOptions(index="a"), "elasticsearch:refused")
    assert [each["indices"][0]["names"] for each in roles] == [["a"], ["refused"]]
    assert len(letters.roles_with(ElasticsearchOptions(index="a"), "file:///x")) == 1


def test_a_store_to_replay_from(aws, tmp_path):
    account = AwsAccount(KEYS)
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert not failures(look(letters.replay_trials(f"file://{tmp_path}/x.jsonl", account, None), account))
    missing = failures(look(letters.replay_trials(f"file://{tmp_path}/y.jsonl", account, None), account))
    assert "there is no file" in missing["dead letters"].text
    assert not failures(look(letters.replay_trials("s3://my-logs/in", account, None), account))
    actions = {a for each in letters.replay_statements("kinesis:refused", ARNS) for a in actions_of(each)}
    assert "kinesis:GetRecords" in actions
