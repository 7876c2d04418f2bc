"""Replies of Elasticsearch are bounded in size and in time, and nonsense ends nothing."""

import contextlib
import functools
import gzip
import io
import itertools
import socket
import time
import tracemalloc
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.bulk._bulk import BadReply, read_reply
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, reason_in
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.cluster.sniffing import found_nodes
from penstock.io.errors import Unreachable
from penstock.io.http.replies import ReplyTooLarge, read_bounded
from tests.tools.peers.tls_http import Raw, closing

LIMIT = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def _client(server, **options):
    return Client(ElasticsearchOptions(hosts=[f"127.0.0.1:{server.port}"], max_reply_bytes=LIMIT, **options))


def _plain(size):
    return lambda: [
        HEAD + b"content-length: %d\r\n\r\n" % size,
        *itertools.repeat(b"x" * LIMIT, size // LIMIT),
    ]


def _endless():
    yield HEAD + b"transfer-encoding: chunked\r\n\r\n"
    while True:
        yield b"100000\r\n" + b"x" * LIMIT + b"\r\n"


@functools.cache
def _bomb():
    packer = zlib.compressobj(9, wbits=31)  # in pieces: it is made while memory is counted
    return b"".join(packer.compress(bytes(LIMIT)) for _ in range(200)) + packer.flush()


def _encoded(encoding, body):
    head = b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n"
    return lambda: [HEAD + head % (encoding, len(body())), body()]


_GZIP, _BROTLI = _encoded(b"gzip", _bomb), _encoded(b"br", lambda: bytes(200_000))


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (_plain(1 << 30), "larger than 1048576 bytes"),
        (_plain(LIMIT + LIMIT), "larger than 1048576 bytes"),
        (_endless, "larger than 1048576 bytes"),
        (_GZIP, "larger than 1048576 bytes"),
        (_BROTLI, "encoded as 'br'"),
        (lambda: [HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"], "incorrect header check"),
        (lambda: [HEAD + b"content-length: 9\r\n\r\nx"], "before its reply ended"),
        (lambda: [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n"], "more than 200 headers"),
        (lambda: [b"x" * 100_000], "a line of the reply is longer than 65536 bytes"),
    ],
    ids=["1 GiB", "2 MiB", "endless", "bomb", "brotli", "no gzip", "short", "headers", "status line"],
)  # fmt: skip
def test_a_reply_that_is_too_large_or_broken_counts_as_none(pieces, told):
    server = Raw(pieces)
    with closing(server):
        client = _client(server)
        tracemalloc.start()
        with pytest.raises(NoAnswer, match=told):
            client.bulk(b"{}\n")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        client.close()
    assert peak < 8 * LIMIT
    assert server.sent < 64 * LIMIT


@pytest.mark.parametrize(
    ("pieces", "hint"),
    [
        (_plain(LIMIT + LIMIT), "is that Elasticsearch? If it is, raise --max_reply_bytes."),
        (_BROTLI, "is that Elasticsearch?"),
    ],
    ids=["2 MiB", "brotli"],
)
def test_the_preflight_says_what_to_do_about_such_a_reply(pieces, hint):
    server = Raw(pieces)
    options = ElasticsearchOptions(hosts=[f"127.0.0.1:{server.port}"], max_reply_bytes=LIMIT)
    with closing(server), pytest.raises(Unreachable) as caught:
        require_cluster(options)
    assert str(caught.value).endswith(f"). Check --hosts and --path: {hint}")


@pytest.mark.parametrize("pieces", [_plain(LIMIT + LIMIT), lambda: [HEAD + b"content-length: 9\r\n\r\nx"]])
def test_replies_that_break_off_do_not_use_the_connections_up(pieces):
    server = Raw(pieces)
    with closing(server):
        client = _client(server)
        for _ in range(12):
            with pytest.raises(NoAnswer, match=r"larger than|before its reply ended"):
                client.bulk(b"{}\n")
        client.close()


def test_a_reply_of_just_the_limit_is_read_inflated_too():
    body = b"x" * LIMIT
    for head, data in ((b"", body), (b"content-encoding: gzip\r\n", gzip.compress(body))):
        answer = [HEAD + head + b"content-length: %d\r\n\r\n" % len(data) + data]
        server = Raw(lambda answer=answer: answer)
        with closing(server):
            client = _client(server)
            assert client.bulk(b"{}\n") == (200, body)
            client.close()


def _drops(head):
    return lambda: itertools.chain([head], itertools.repeat(b"x"))


@pytest.mark.parametrize(
    "pieces",
    [_drops(b"HTTP/1.1 200 OK\r\n"), _drops(HEAD + b"content-length: 99999\r\n\r\n"), lambda: itertools.repeat(b"H")],
    ids=["in the headers", "in the body", "in the status line"],
)  # fmt: skip
def test_the_time_out_is_a_total_however_slowly_bytes_come(pieces):
    server = Raw(pieces, pause=0.05)
    with closing(server):
        client = _client(server, timeout=1)
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="timed out"):
            client.bulk(b"{}\n")
        client.close()
    assert time.monotonic() - started < 60, "it would have gone on for more than an hour"


def test_a_server_that_takes_nothing_in_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = Client(ElasticsearchOptions(hosts=[f"127.0.0.1:{deaf.getsockname()[1]}"], timeout=1))
        with pytest.raises(NoAnswer, match="timed out"):
            client.bulk(b"x" * (32 << 20))
        client.close()


@given(
    st.binary(max_size=3000),
    st.integers(1, 3000),
    st.sampled_from([None, "gzip", "GZIP"]),
    st.integers(1, 500),
)
def test_reading_is_bounded_whatever_the_pieces(data, limit, encoding, piece):
    body = io.BytesIO(gzip.compress(data) if encoding else data)

    def read(size):
        return body.read(min(piece, size))

    if len(data) <= limit:
        assert read_bounded(read, limit, encoding) == data
    else:
        with pytest.raises(ReplyTooLarge):
            read_bounded(read, limit, encoding)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["errors", "items", "create", "status", "error", "type", "reason", "caused_by", "nodes", "http",
                         "publish_address", "roles", "Message", "message"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(JSON | st.binary(max_size=30), st.integers(1, 3))
def test_well_formed_nonsense_is_none_of_ours_or_is_read(value, expected):
    reply = (
        value if isinstance(value, bytes) else orjson.dumps(value, default=str) if _small(value) else b"[]"
    )
    with contextlib.suppress(BadReply):
        items = read_reply(reply, expected)
        assert items is None or (len(items) == expected and all(200 <= item.status < 600 for item in items))
    assert all(isinstance(host, str) and 0 < port < 65536 for host, port in found_nodes(reply))
    assert len(reason_in(value)) <= 500


def _small(value):
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True
