"""Our signature is botocore's, for every kind of key, endpoint and body; a key is derived once per day."""

import datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from penstock.io.kinesis.wire._signature import Keys, Signer
from penstock.io.kinesis.wire.transport import host_of

TYPE = "application/x-amz-json-1.1"
TARGET = "Kinesis_20131202.GetRecords"


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://kinesis.eu-west-1.amazonaws.com/", "/"),
        ("https://kinesis.eu-west-1.amazonaws.com:443/", "/"),
        ("http://127.0.0.1:4567/", "/"),
        ("http://[::1]:4567/", "/"),
        ("http://localhost:80/", "/"),
        ("https://gateway/aws/kinesis/", "/aws/kinesis/"),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"\x00" * 300_000], ids=["short", "long"])
def test_it_is_botocores(url, path, token, body):
    now = datetime.datetime.now(datetime.UTC)
    request = AWSRequest("POST", url, data=body, headers={"X-Amz-Target": TARGET, "Content-Type": TYPE})
    auth = SigV4Auth(Credentials("AKID", "secret+/", token), "kinesis", "eu-west-1")
    auth.add_auth(request)
    theirs = {name: value for name, value in request.headers.items() if name != "Host"}
    signer = Signer(host_of(url), path, "eu-west-1", "kinesis", TYPE)
    moment = datetime.datetime.strptime(theirs["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    assert abs(moment - now) < datetime.timedelta(minutes=5)
    for again in (body, memoryview(body)):
        assert signer.headers(Keys("AKID", "secret+/", token), TARGET, again, moment) == theirs


def test_other_keys_and_another_day_give_another_signature():
    signer = Signer("host", "/", "eu-west-1", "kinesis", TYPE)
    first = datetime.datetime(2026, 11, 28, 23, 59, 59, tzinfo=datetime.UTC)
    told = [
        signer.headers(keys, TARGET, b"{}", now)["Authorization"]
        for keys in (Keys("A", "one"), Keys("A", "two"), Keys("A", "one"))
        for now in (first, first + datetime.timedelta(seconds=1))
    ]
    assert told[:2] == told[4:]
    assert len(set(told)) == 4
    assert "one" not in repr(Keys("A", "one", "token"))
