"""Replies of status 200 that are none: what a proxy's sign-on page, an emulator or an empty body must not do."""

import contextlib
import re
import threading

import orjson
import pytest

from penstock.io.aws import sense
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.dead_letters.stores import KinesisStore, S3Store
from penstock.io.errors import PeerError, StopTimeout
from penstock.io.s3.objects import ObjectFailure, S3Objects
from penstock.io.s3.origin import S3Object
from penstock.io.s3.units.manifest import open_manifest
from penstock.transforms.batch import DeadLetter
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import event

HTML = b"<html><body>please log in</body></html>"
PAGE = (
    b"<ListBucketResult><IsTruncated>%b</IsTruncated>%b<Contents><Key>%b</Key><LastModified>2026-01-01T00:00:00.000Z"
    b"</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size></Contents></ListBucketResult>"
)
FIRST = PAGE % (b"true", b"<NextContinuationToken>t</NextContinuationToken>", b"a")
LAST = PAGE % (b"false", b"", b"b")
NO_PAGE = [HTML, b"", b"<ListBucketResult></ListBucketResult>", PAGE % (b"true", b"", b"b")]
STOPPED = threading.Event()
STOPPED.set()
LETTERS = [DeadLetter(event(b"nope"), "e", "r", "decode")]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(sense, "delays", lambda *_: iter([0.0] * 9))


def _aws(fake) -> AwsOptions:
    return AwsOptions(endpoint_url=fake.url, access_key="x", secret_key="y")


@pytest.mark.parametrize("nonsense", NO_PAGE)
def test_a_page_that_is_none_never_ends_a_listing(nonsense):
    bad = [0]

    def answer(request):
        if "continuation-token" not in request.path and "delimiter" not in request.path:
            return 200, FIRST
        bad[0] -= 1
        return 200, nonsense if bad[0] >= 0 else LAST

    with fake_http(answer) as fake:
        objects = S3Objects(_aws(fake))
        ways = {
            "list": lambda: [each.key for each in objects.list("lake", "p/")],
            "level": lambda: [each.key for each in objects.level("lake", "p/")[1]],
            "manifest": lambda: list(open_manifest("s3://lake/p", _aws(fake), look_only=True).read()),
            "letters": lambda: list(S3Store("lake", "p", _aws(fake), STOPPED).read()),
        }
        for way, run in ways.items():
            bad[0] = 2
            if way in ("list", "level"):
                assert run() == ["a", "b"][way == "level" :], "a later try is believed"
            bad[0] = 99
            with pytest.raises(PeerError, match=r"cannot list s3://lake/p/: .*(no page|more follow).* Check"):
                run()


@pytest.mark.parametrize("nonsense", [HTML, b""])
def test_an_upload_without_an_etag_is_not_stored(nonsense):
    with fake_http(lambda request: (200, nonsense)) as fake:
        ways = (
            lambda: S3Objects(_aws(fake)).put_new("lake", "k", b"x", "text/plain"),
            lambda: S3Store("lake", "p", _aws(fake), STOPPED).append(LETTERS),
            lambda: open_manifest("s3://lake/p", _aws(fake)).add("a:0-1", "s3://lake/a"),
        )
        for run in ways:
            fake.requests.clear()
            fake.headers = {}
            with pytest.raises((PeerError, StopTimeout)) as caught:
                run()
            assert re.search(r"s3://lake.*has no ETag", str(caught.value.__cause__ or caught.value))
            assert len(fake.requests) == 5
            fake.headers = {"ETag": '"e"'}
            run()


@pytest.mark.parametrize(
    ("headers", "start", "error", "text"),
    [
        ({}, 0, PeerError, "s3://lake/k: .* has not an ETag"),
        ({"ETag": '"e"'}, 2, PeerError, "s3://lake/k: .* has not the range"),
        ({"ETag": '"e"', "Content-Range": "bytes 0-4/5"}, 2, PeerError, "has not the range"),
        ({"ETag": '"other"'}, 0, ObjectFailure, "overwritten"),
        ({"ETag": '"e"', "Content-Range": "bytes 2-4/5"}, 2, None, ""),
        ({"ETag": '"e"'}, 0, None, ""),
    ],
)
def test_a_body_is_believed_only_when_it_is_the_objects(headers, start, error, text):
    with fake_http(lambda request: (200, b"<html")) as fake:
        fake.headers = headers
        found = S3Object("lake", "k", 5, "e", 0)
        with pytest.raises(error, match=text) if error else contextlib.nullcontext():
            S3Objects(_aws(fake)).get(found, start, None)


NO_REPLY = [b"{}", b"[]", b"null", b"", HTML, b'{"Records":[]}', b'{"Records":[{}]}', b'{"Records":[1]}']


@pytest.mark.parametrize("nonsense", NO_REPLY)
def test_letters_in_kinesis_survive_nonsense(nonsense):
    replies = [nonsense] * 2
    good = orjson.dumps({"Records": [{"SequenceNumber": "1", "ShardId": "s"}]})
    with fake_http(lambda request: (200, replies.pop() if replies else good)) as fake:
        store = KinesisStore("refused", _aws(fake), STOPPED)
        store.append(LETTERS)
        assert len(fake.requests) == 3
        replies[:] = [nonsense] * 99
        for run in (lambda: store.append(LETTERS), lambda: list(store.read())):
            with pytest.raises((PeerError, StopTimeout), match="stream refused"):
                run()
        assert AwsSession(_aws(fake)).principal() == "the job's principal"
