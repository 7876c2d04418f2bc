"""HTTP/1.1 by hand: every way a reply may be framed, every way it may break, and when a connection is kept."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from urllib3.connection import HTTPConnection

from penstock.io.http.kept_connections import KeptConnections


class Peer:
    """Accepts connections and answers each request with the next of the canned replies; None: closes instead."""

    def __init__(self, *replies: bytes | None) -> None:
        self.requests: list[bytes] = []
        self.accepted = 0
        self._replies = list(replies)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                with connection:
                    while self._answer(connection):
                        pass

    def _answer(self, connection: socket.socket) -> bool:
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                return False
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        reply = self._replies.pop(0)
        if reply is None:
            return False
        for piece in reply.split(b"|"):
            connection.sendall(piece)
        # Without a length the reply ends where the connection does.
        said = reply.replace(b"|", b"").lower()
        return b"length" in said or b"chunked" in said or b" 204 " in said

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@contextlib.contextmanager
def talking(*replies: bytes | None, most: int = 2) -> Iterator[tuple[Peer, KeptConnections]]:
    peer = Peer(*replies)
    kept = KeptConnections(
        f"127.0.0.1:{peer.port}", lambda: HTTPConnection("127.0.0.1", peer.port, timeout=2), 2.0, most
    )
    yield peer, kept
    kept.close()
    peer.close()


def good(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), more, body)


@pytest.mark.parametrize("size", [0, 10, 256 << 10, (256 << 10) + 1, 3 << 20])
def test_what_is_sent(size: int) -> None:
    body = b"x" * size
    with talking(good(b"{}")) as (peer, kept):
        reply = kept.post("/path", {"X-Amz-Target": "T"}, memoryview(body))
        assert (reply.status, reply.body, reply.headers[b"content-length"]) == (200, b"{}", b"2")
    head, _, sent = peer.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /path HTTP/1.1"
    assert b"X-Amz-Target: T" in lines
    assert b"Host: 127.0.0.1:%d" % peer.port in lines
    assert sent == body


def test_a_request_without_a_body_tells_no_length_and_a_reply_to_head_has_none() -> None:
    with talking(good(b"{}"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", good(b"x")) as (peer, kept):
        assert kept.request("GET", "/", {}, b"").body == b"{}"
        assert kept.request("HEAD", "/", {}, b"").body == b""
        assert kept.request("PUT", "/", {"User-Agent": "mine", "Host": "other"}, b"").body == b"x"
        assert peer.accepted == 1
    assert [b"Content-Length" in request for request in peer.requests] == [False, False, True]
    assert peer.requests[0].count(b"User-Agent: penstock\r\n") == 1
    assert b"User-Agent: penstock" not in peer.requests[2]
    assert peer.requests[2].count(b"Host: ") == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (good(b"a" * 100_000), b"a" * 100_000),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + good(b"x"), b"x"),
        (b"HTTP/1.1 100 Continue\r\nServer: y\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + good(b"x"), b"x"),
        (b"HTTP/1.1 200\r\ncontent-LENGTH:1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", b"x"),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
        (CHUNKED + b"3\r\nabc\r\nA;x=y\r\n012345678\n\r\n0\r\n\r\n", b"abc012345678\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", b""),
        (b"HT|TP/1.1 200 |OK\r|\nContent-Leng|th: 3\r\n\r|\na|bc", b"abc"),
    ],
)  # fmt: skip
def test_replies_that_leave_the_connection_open(reply: bytes, body: bytes) -> None:
    with talking(reply, reply) as (peer, kept):
        assert [kept.post("/", {}, b"").body for _ in range(2)] == [body, body]
        assert peer.accepted == 1


@pytest.mark.parametrize(
    "reply",
    [
        good(b"x", b"Connection: close\r\n"),
        good(b"x").replace(b"1.1", b"1.0"),
        b"HTTP/1.1 200 OK\r\n\r\nx",
    ],
)
def test_replies_after_which_the_connection_ends(reply: bytes) -> None:
    with talking(reply, reply) as (peer, kept):
        for _ in range(2):
            # The peer waits for us to close where it told us to.
            assert kept.post("/", {}, b"").body == b"x"
        assert peer.accepted == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (None, ConnectionError),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n", ConnectionError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ValueError),
        (b"HTTP/1.1 OK\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"Content-Length: 0\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nLength: " + b"a" * 70_000 + b"\r\n\r\n", ValueError),
        (CHUNKED + b"fffffff\r\n", ValueError),
        (CHUNKED + b"1\r\nabc\r\n0\r\n\r\n", ValueError),
        (CHUNKED + b"\r\n", ValueError),
    ],
)
def test_replies_that_break(reply: bytes | None, error: type[Exception]) -> None:
    with talking(reply, good(b"x")) as (peer, kept):
        with pytest.raises(error):
            kept.post("/", {}, b"")
        assert kept.post("/", {}, b"").body == b"x"
        assert peer.accepted == 2


def test_a_body_that_ends_early() -> None:
    # "Transfer-Length" makes the peer of these tests wait, so it is ended from outside.
    with talking(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", good(b"x")) as (_, kept):
        kept._read_timeout_s = 0.2
        with pytest.raises(TimeoutError):
            kept.post("/", {}, b"")


def test_a_reply_without_a_length_is_bounded_too() -> None:
    with talking(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11) as (_, kept):
        kept._limit = 10
        with pytest.raises(ValueError, match="larger than 10 bytes"):
            kept.post("/", {}, b"")


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used() -> None:
    peer = Peer(good(b"1"), good(b"2"))
    made: list[HTTPConnection] = []

    def make() -> HTTPConnection:
        made.append(HTTPConnection("127.0.0.1", peer.port, timeout=2))
        return made[-1]

    kept = KeptConnections("host", make, 2.0, 2)
    assert kept.post("/", {}, b"").body == b"1"
    made[0].sock.shutdown(socket.SHUT_RD)  # it looks as if the peer had closed
    assert kept.post("/", {}, b"").body == b"2"
    assert len(made) == 2
    kept.close()
    peer.close()


def test_a_header_is_one_line() -> None:
    with talking() as (peer, kept):
        with pytest.raises(ValueError, match="line break"):
            kept.post("/", {"X-Amz-Security-Token": "secret\r\nHost: other"}, b"")
        assert peer.requests == []


def test_no_more_are_kept_than_asked_for() -> None:
    with talking(good(b"1"), good(b"2"), most=0) as (peer, kept):
        assert [kept.post("/", {}, b"").body for _ in range(2)] == [b"1", b"2"]
        assert peer.accepted == 2
