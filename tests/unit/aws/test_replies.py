"""Replies of AWS, or of whoever answers in its place, are bounded on every way, as Elasticsearch's are."""

import itertools
import tracemalloc

import pytest
from botocore.exceptions import ClientError

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import OptionError
from penstock.io.kinesis.wire.client import PutEntry, connect
from tests.tools.peers.tls_http import Raw, closing

LIMIT = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n"


def _gigabyte():
    return [HEAD + b"content-length: %d\r\n\r\n" % (1 << 30), *itertools.repeat(b"x" * LIMIT, 1024)]


def _endless():
    yield HEAD + b"transfer-encoding: chunked\r\n\r\n"
    yield from itertools.repeat(b"100000\r\n" + b"x" * LIMIT + b"\r\n")


def _session(address, **options):
    return AwsSession(
        AwsOptions(endpoint_url=address, access_key="x", secret_key="y", max_reply_bytes=LIMIT, **options)
    )


def _call(session, plane):
    if plane == "boto":
        return session.client("sts", retries=False).get_caller_identity()
    return connect(session, data_plane=plane).put_records("s", [PutEntry(b"x", "k")])


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("plane", ["boto", "boto3", "thin"])
@pytest.mark.parametrize("pieces", [_gigabyte, _endless])
def test_a_reply_that_is_too_large_counts_as_none(pieces, plane, way, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Raw(pieces)
    with closing(server):
        address = f"http://127.0.0.1:{server.port}"
        if way == "proxy":
            monkeypatch.setenv("http_proxy", address)
            address = "http://kinesis.invalid"
        session = _session(address)
        for service in ("sts", "kinesis"):
            session.client(service)  # botocore's models are loaded
        tracemalloc.start()
        with pytest.raises(Exception, match="larger than 1048576 bytes"):
            _call(session, plane)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 24 * LIMIT
    assert server.sent < 64 * LIMIT


def test_a_reply_within_the_limit_is_read():
    body = b'{"__type":"ResourceNotFoundException","message":"%b"}' % (b"x" * 1000)
    server = Raw(lambda: [b"HTTP/1.1 400 Bad\r\ncontent-length: %d\r\n\r\n" % len(body) + body])
    with closing(server), pytest.raises(ClientError, match="x" * 1000):
        _session(f"http://127.0.0.1:{server.port}").client("kinesis", retries=False).list_streams()


def test_the_limit_is_at_least_a_byte():
    with pytest.raises(OptionError, match="--max_reply_bytes"):
        AwsOptions(max_reply_bytes=0)
