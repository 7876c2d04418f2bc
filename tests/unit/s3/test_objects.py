"""Buckets as moto serves them: what a listing gives, and what can happen to an object between listing and reading."""

import base64
import datetime
import io

import boto3
import pytest
from botocore.exceptions import ClientError

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import AccessDenied, NotFound, OptionError, Unreachable
from penstock.io.s3.objects import ObjectFailure, S3Objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.streams import ObjectStream
from penstock.io.s3.units.manifest import Finished, is_last_part, object_id, open_manifest, unit_id
from tests.unit.s3.conftest import BUCKET


def test_overwritten_and_deleted_objects_are_told_apart(s3, store):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"one\n" * 100)
    found = next(store.list(BUCKET, ""))
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"two\n" * 100)
    with pytest.raises(ObjectFailure) as changed:
        ObjectStream(store, found).read()
    assert changed.value.kind == "ObjectChanged"
    s3.delete_object(Bucket=BUCKET, Key="a")
    reader = UnitReader(WorkUnit(found), S3ReadOptions(input=["x"]), store)
    letters = [letter for _, refused in reader.pieces() for letter in refused]
    assert [letter.error for letter in letters] == ["ObjectDeleted"]
    assert letters[0].event.origin.describe()["bucket"] == BUCKET
    assert not reader.finished


class Broken(io.BytesIO):
    """A body whose connection breaks after some bytes."""

    def __init__(self, data, after):
        super().__init__(data)
        self.after = after

    def read(self, size=-1):
        if self.tell() >= self.after:
            raise ConnectionResetError
        return super().read(min(size, self.after - self.tell()))


def test_a_broken_connection_goes_on_where_it_stopped(s3, store, monkeypatch):
    content = bytes(range(256)) * 4000
    s3.put_object(Bucket=BUCKET, Key="a", Body=content)
    found = next(store.list(BUCKET, ""))
    whole, starts = store.get, []

    def get(each, start, end):
        starts.append(start)
        body, version = whole(each, start, end)
        return (Broken(body.read(), 300_000) if len(starts) < 4 else body), version

    monkeypatch.setattr(store, "get", get)
    monkeypatch.setattr(store.stopping, "wait", lambda seconds: False)
    stream = ObjectStream(store, found)
    parts = []
    while part := stream.read(100_000):
        parts.append(part)
    assert b"".join(parts) == content
    assert starts == [0, 300_000, 600_000, 900_000]


def test_a_connection_that_stays_broken_is_one_error(s3, store, monkeypatch):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 1000)
    found = next(store.list(BUCKET, ""))
    monkeypatch.setattr(store, "get", lambda *arguments: (Broken(b"", 0), None))
    monkeypatch.setattr(store.stopping, "wait", lambda seconds: False)
    with pytest.raises(Unreachable, match=f"s3://{BUCKET}/a beyond byte 0"):
        ObjectStream(store, found).read()


def refusing(store, monkeypatch, code, operation="GetObject", headers=None):
    error = ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPHeaders": headers or {}}},
        operation,
    )

    def call(service, method, **arguments):
        raise error

    monkeypatch.setattr(store.session, "call", call)


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        ("AccessDenied", AccessDenied, "s3:GetObject on arn:aws:s3:::lake-of-tests/a"),
        ("403", AccessDenied, "s3:GetObject on arn:aws:s3:::lake-of-tests/a"),
        ("KMS.DisabledException", Exception, "KMS"),
        ("NoSuchBucket", NotFound, "no bucket lake-of-tests"),
        ("PermanentRedirect", OptionError, "It is in eu-west-1. Give --region"),
        ("InvalidObjectState", ObjectFailure, "Glacier"),
    ],
)
def test_refusals_of_a_read(s3, store, monkeypatch, code, error, text):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 1000)
    found = next(store.list(BUCKET, ""))
    monkeypatch.setattr(store.session, "principal", lambda: "somebody")
    monkeypatch.setattr(store.stopping, "wait", lambda seconds: False)
    refusing(store, monkeypatch, code, headers={"x-amz-bucket-region": "eu-west-1"})
    with pytest.raises(error, match=text):
        ObjectStream(store, found).read()


def test_a_prefix_that_may_not_be_listed_is_one_error(s3, store, monkeypatch):
    monkeypatch.setattr(store.session, "principal", lambda: "somebody")
    refusing(store, monkeypatch, "AccessDenied", "ListObjectsV2")
    with pytest.raises(AccessDenied, match=r"somebody needs s3:ListBucket on arn:aws:s3:::lake-of-tests\. "):
        list(store.list(BUCKET, "private/"))


def test_requester_pays_and_customer_keys_are_sent(s3, monkeypatch):
    key = base64.b64encode(b"k" * 32).decode()
    store = S3Objects(AwsOptions(), request_payer=True, sse_customer_key=key)
    seen = []

    def call(service, method, **arguments):
        seen.append(arguments)
        if method == "get_object":
            return {"Body": io.BytesIO(b"x"), "ETag": '"e"'}
        modified = datetime.datetime.now(datetime.UTC)
        return {
            "IsTruncated": False,
            "Contents": [{"Key": "a", "Size": 1, "ETag": '"e"', "LastModified": modified}],
        }

    monkeypatch.setattr(store.session, "call", call)
    assert ObjectStream(store, next(store.list(BUCKET, ""))).read() == b"x"
    assert [each["RequestPayer"] for each in seen] == ["requester"] * 2
    assert seen[1]["SSECustomerKey"] == key
    assert seen[1]["IfMatch"] == '"e"'


@pytest.mark.parametrize("url", ["file://{folder}/deep/manifest", f"s3://{BUCKET}/done", "dynamodb:finished"])
def test_manifests_remember_units(s3, tmp_path, url):
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    found = next(S3Objects(AwsOptions()).list(BUCKET, "a"))
    units = [WorkUnit(found, number, 3) for number in range(3)]
    assert [is_last_part(unit_id(unit)) for unit in units] == [False, False, True]
    where = url.format(folder=tmp_path)
    manifest = open_manifest(where, AwsOptions())
    assert not Finished(manifest.read()).whole(found)
    for unit in units[:2]:
        manifest.add(unit_id(unit), found.url)
        manifest.add(unit_id(unit), found.url)  # a unit that was read twice
    manifest.close()
    done = Finished(open_manifest(where, AwsOptions()).read())
    assert done.parts(found) == {"0-3", "1-3"}
    assert not done.whole(found)
    manifest = open_manifest(where, AwsOptions())
    manifest.add(unit_id(units[2]), found.url)
    assert Finished(manifest.read()).whole(found)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"overwritten")
    again = next(S3Objects(AwsOptions()).list(BUCKET, "a"))
    assert object_id(again) != object_id(found)
    assert not Finished(manifest.read()).whole(again)


def test_looking_at_a_manifest_that_is_not_there_makes_none(s3, tmp_path):
    for url in (f"file://{tmp_path}/deep/manifest", "dynamodb:finished"):
        assert list(open_manifest(url, AwsOptions(), look_only=True).read()) == []
    assert list(tmp_path.iterdir()) == []
    assert boto3.client("dynamodb", region_name="us-east-1").list_tables()["TableNames"] == []


def test_a_table_of_others_is_no_manifest(s3):
    boto3.client("dynamodb", region_name="us-east-1").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(OptionError, match=r"--manifest: the table orders is no manifest"):
        list(open_manifest("dynamodb:orders", AwsOptions()).read())


def test_a_manifest_cut_short_by_a_kill_is_read(tmp_path):
    path = tmp_path / "manifest"
    path.write_bytes(b'{"unit":"a:0-1","url":"x"}\n{"unit":"b:0-')
    assert list(open_manifest(f"file://{path}", AwsOptions()).read()) == ["a:0-1"]
