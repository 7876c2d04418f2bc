"""`KeptConnections` keeps connections open for requests: HTTP/1.1 as far as Kinesis' hot calls and bulks need it.

Problem. urllib3 and http.client spend 0.2 ms of CPU on a request and its reply (headers as e-mail, three layers
of response objects); signing and sending 50 KB takes less.

Plan. urllib3 makes the connection (addresses, TLS, certificates, time-outs). The request is two sends; the reply is
read by hand. Requests through a proxy go by urllib3 itself.

Invariants.
- A connection is kept only after a reply was read to its end and the peer didn't say that it closes; one that
  became readable meanwhile was closed by the peer and is thrown away.
- A request is sent once. Whatever goes wrong closes its connection and raises.
- Nothing that a peer says about sizes is believed beyond a bound.

Source: RFC 9112.
"""

import contextlib
from collections.abc import Callable, Mapping
from io import BufferedReader
from typing import NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.util.connection import is_connection_dropped

from penstock.io.http.in_time import file_of, in_time, send_all
from penstock.io.http.replies import MAX_REPLY_BYTES, too_large

__all__ = ["KeptConnections", "Reply"]

_MAX_LINE = 64 << 10
_MAX_HEADERS = 200
_WITH_BODY = ("POST", "PUT")
"""The methods whose requests have a body, if only an empty one: the others tell no length without one."""
_ONE_SEND = 256 << 10
"""Bytes up to which a body is copied behind its headers. A second system call, which wakes the peer, costs more."""


class Reply(NamedTuple):
    """A whole reply; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class KeptConnections:
    """Connections to one endpoint; safe from any thread.

    Args:
        host: the header Host.
        make: makes a connection of urllib3 that is not connected yet.
        request_timeout_s: how long a request may take in all, as `in_time` counts it; to connect has a time-out of its own.
            None: the caller's deadline holds for both.
        most: how many connections are kept; further ones are closed after their request.
        max_reply_bytes: a longer reply is an error.
    """

    def __init__(
        self,
        host: str,
        make: Callable[[], HTTPConnection],
        request_timeout_s: float | None,
        most: int,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._limit = max_reply_bytes
        self._always = {"Host": host, "Accept-Encoding": "identity", "User-Agent": "penstock"}
        self._make = make
        self._request_timeout_s = request_timeout_s
        self._most = most
        self._idle: list[HTTPConnection] = []

    def post(self, target: str, headers: Mapping[str, str], body: bytes | memoryview) -> Reply:
        """Does `request` with POST."""
        return self.request("POST", target, headers, body)

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | memoryview
    ) -> Reply:
        """Sends one request and reads its reply.

        Args:
            method: in capitals.
            target: the path, and the query, as they are to be sent.
            headers: all but Content-Length; Host, Accept-Encoding and User-Agent only where they are to be others.
            body: what to send.

        Raises:
            ReplyTooLarge: the reply is longer than its limit.
            OSError, ValueError, urllib3.exceptions.HTTPError: nobody answered, or not in HTTP.
        """
        connection = self._take()
        try:
            head = self._head(method, target, headers, len(body))
            sock = connection.sock
            seconds = self._request_timeout_s
            with contextlib.nullcontext() if seconds is None else in_time(seconds):
                if len(body) <= _ONE_SEND:
                    send_all(sock, b"".join((head, body)))
                else:
                    send_all(sock, head)
                    send_all(sock, body)
                with file_of(sock) as file:
                    reply, keep = _read_reply(file, self._limit, bodiless=method == "HEAD")
        except BaseException:
            connection.close()
            raise
        if keep and len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _head(self, method: str, target: str, headers: Mapping[str, str], size: int) -> bytes:
        sent = {**self._always, **headers}
        if size or method in _WITH_BODY:
            sent["Content-Length"] = str(size)
        lines = "\r\n".join(
            [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        )
        if not lines.count("\n") == lines.count("\r") == len(sent):
            message = "a header of the request holds a line break"
            raise ValueError(message)
        return f"{lines}\r\n\r\n".encode("latin-1")

    def _take(self) -> HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()  # the one used last: the others may close for want of work
            except IndexError:  # another thread was faster
                break
            if not is_connection_dropped(connection):
                return connection
            connection.close()
        connection = self._make()
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _read_reply(file: BufferedReader, limit: int, *, bodiless: bool) -> tuple[Reply, bool]:
    """Reads the reply, to HEAD without a body. Also tells whether the connection may be used again."""
    if not file.peek(1):
        message = "the peer closed the connection without a reply"
        raise ConnectionError(message)
    status = 100
    while 100 <= status < 200:
        line = _line(file)
        version, _, rest = line.partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit():
            message = "the peer doesn't speak HTTP/1"
            raise ValueError(message)
        status = int(rest[:3])
        headers = _headers(file)
    connection = headers.get(b"connection", b"").lower()
    keep = version == b"HTTP/1.1" and b"close" not in connection
    if bodiless or status in (204, 304):
        return Reply(status, headers, b""), keep
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return Reply(status, headers, _chunks(file, limit)), keep
    length = headers.get(b"content-length")
    if length is not None:
        return Reply(status, headers, _exactly(file, _number(length, 10, limit))), keep
    body = file.read(limit + 1)
    if len(body) > limit:
        raise too_large(limit)
    return Reply(status, headers, body), False


def _line(file: BufferedReader) -> bytes:
    line = file.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        if len(line) < _MAX_LINE:
            message = "the peer closed the connection before its reply ended"
            raise ConnectionError(message)
        message = f"a line of the reply is longer than {_MAX_LINE} bytes"
        raise ValueError(message)
    return line.rstrip(b"\r\n")


def _headers(file: BufferedReader) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for _ in range(_MAX_HEADERS):
        line = _line(file)
        if not line:
            return headers
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    message = f"the reply has more than {_MAX_HEADERS} headers"
    raise ValueError(message)


def _number(text: bytes, base: int, limit: int) -> int:
    if not text or text.strip(b"0123456789abcdefABCDEF"):
        message = "the reply doesn't tell its length"
        raise ValueError(message)
    number = int(text, base)
    if number > limit:
        raise too_large(limit)
    return number


def _exactly(file: BufferedReader, size: int) -> bytes:
    body = file.read(size)
    if len(body) < size:
        message = "the peer closed the connection before its reply ended"
        raise ConnectionError(message)
    return body


def _chunks(file: BufferedReader, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while size := _number(_line(file).partition(b";")[0].strip(), 16, limit):
        left -= size
        if left < 0:
            raise too_large(limit)
        parts.append(_exactly(file, size))
        if _line(file):
            message = "a chunk of the reply is longer than it says"
            raise ValueError(message)
    _headers(file)  # trailers
    return b"".join(parts)
