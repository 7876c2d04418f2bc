"""A request to AWS has a time-out in all: who sends, or takes, a byte now and then is given up in time."""

import itertools
import socket
import time

import pytest

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.errors import Unreachable
from penstock.io.kinesis.wire.calls import CallFailed, PutEntry
from penstock.io.kinesis.wire.client import connect
from penstock.io.s3.objects import S3Objects
from penstock.io.s3.origin import S3Object
from penstock.io.s3.streams import ObjectStream
from tests.tools.peers.tls_http import Raw, closing

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n"
TRICKLES = {
    "in the status line": lambda: itertools.repeat(b"H"),
    "in the headers": lambda: itertools.chain([HEAD], itertools.repeat(b"x")),
    "in the body": lambda: itertools.chain([HEAD + b"content-length: 99999\r\n\r\n"], itertools.repeat(b" ")),
}


def _aws(address):
    return AwsOptions(endpoint_url=address, access_key="x", secret_key="y", request_timeout=700)


def _put(aws, plane, data=b"x"):
    connect(AwsSession(aws), data_plane=plane).put_records("s", [PutEntry(data, "k")])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("plane", ["thin", "boto3"])
@pytest.mark.parametrize("where", TRICKLES)
def test_the_time_out_is_a_total_however_slowly_bytes_come(monkeypatch, where, plane, way):
    server = Raw(TRICKLES[where], pause=0.05)
    with closing(server):
        address = f"http://127.0.0.1:{server.port}"
        if way == "proxy":
            monkeypatch.setenv("http_proxy", address)
            address = "http://kinesis.invalid"
        started = time.monotonic()
        with pytest.raises(CallFailed, match="timed out"):
            _put(_aws(address), plane)
    assert time.monotonic() - started < 60, "it would have gone on for more than half an hour"


@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_who_takes_nothing_in_is_given_up_in_time(monkeypatch, plane):
    monkeypatch.setattr("penstock.io.http.in_time._BYTES_PER_SECOND", 90 << 20)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(CallFailed, match="timed out"):
        _put(_aws(f"http://127.0.0.1:{deaf.getsockname()[1]}"), plane, b"x" * (9 << 20))


def test_the_control_plane_and_uploads_too():
    server = Raw(TRICKLES["in the headers"], pause=0.05)
    with closing(server):
        session = AwsSession(_aws(f"http://127.0.0.1:{server.port}"))
        assert session.principal() == "the job's principal"
        objects = S3Objects(session.options)
        with pytest.raises(Exception, match=r"timed out|[Tt]imeout"):
            objects.session.call("s3", "put_object", retries=False, Bucket="lake", Key="k", Body=b"x")


def test_an_object_that_trickles_is_given_up_in_time(monkeypatch):
    """Each part of it that is read has the time of a request: bytes that come now and then buy none."""
    monkeypatch.setattr("penstock.io.s3.streams.delays", lambda *_: itertools.repeat(0.0))
    head = b'HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 999999\r\n\r\n'
    server = Raw(lambda: itertools.chain([head], itertools.repeat(b"x")), pause=0.05)
    with closing(server):
        objects = S3Objects(_aws(f"http://127.0.0.1:{server.port}"))
        stream = ObjectStream(objects, S3Object("lake", "k", 999_999, "e", 0))
        started = time.monotonic()
        with pytest.raises(Unreachable, match="cannot read s3://lake/k beyond byte 0"):
            stream.read()
    assert time.monotonic() - started < 60, "it would have gone on for 14 hours"


@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("plane", ["thin", "boto3"])
def test_a_large_reply_over_a_slow_line_is_read(monkeypatch, plane, way):
    """It takes longer than the time-out alone; each of its bytes gives it time."""
    monkeypatch.setattr("penstock.io.http.in_time._BYTES_PER_SECOND", 5_000)
    reply = b'{"Records":[{"SequenceNumber":"1","ShardId":"s"}],"x":"%b"}' % (b"x" * 200_000)
    head = HEAD + b"content-length: %d\r\n\r\n" % len(reply)
    pieces = [head, *(reply[at : at + 10_000] for at in range(0, len(reply), 10_000))]
    server = Raw(lambda: pieces, pause=0.05)
    with closing(server):
        address = f"http://127.0.0.1:{server.port}"
        if way == "proxy":
            monkeypatch.setenv("http_proxy", address)
            address = "http://kinesis.invalid"
        _put(_aws(address), plane)
