"""`KeptConnections` POSTs over connections that are kept open: HTTP/1.1 as far as the two hot calls need it.

Problem. urllib3 and http.client spend 0.3 ms of CPU on a request and its reply (headers as e-mail, three layers
of response objects); signing and sending 50 KB takes less.

Plan. urllib3 makes the connection (addresses, TLS, certificates, time-outs). The request is two sends; the reply is
read by hand. Requests through a proxy go by urllib3 itself (see `thin_client`).

Invariants.
- A connection is kept only after a reply was read to its end and the peer didn't say that it closes; one that
  became readable meanwhile was closed by the peer and is thrown away.
- A request is sent once. Whatever goes wrong closes its connection and raises.
- Nothing that a peer says about sizes is believed beyond a bound.

Source: RFC 9112.
"""

from collections.abc import Callable, Mapping
from io import BufferedReader
from typing import NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.util.connection import is_connection_dropped

from penstock.io.http.in_time import file_of, in_time, send_all
from penstock.io.http.replies import MAX_REPLY_BYTES

__all__ = ["KeptConnections", "Reply", "ReplyTooLarge"]

_MAX_LINE = 64 << 10
_MAX_HEADERS = 200
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
        most: how many connections are kept; further ones are closed after their request.
        max_reply_bytes: a longer reply is an error.
    """

    def __init__(
        self,
        host: str,
        make: Callable[[], HTTPConnection],
        request_timeout_s: float,
        most: int,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._limit = max_reply_bytes
        self._always = (
            f"Host: {host}\r\nAccept-Encoding: identity\r\nUser-Agent: penstock\r\nContent-Length: "
        )
        self._make = make
        self._request_timeout_s = request_timeout_s
        self._most = most
        self._idle: list[HTTPConnection] = []

    def post(self, target: str, headers: Mapping[str, str], body: bytes | memoryview) -> Reply:
        """Sends one request and reads its reply.

        Args:
            target: the path.
            headers: all but Host and those that describe the body.
            body: what to send.

        Raises:
            OSError, ValueError, urllib3.exceptions.HTTPError: nobody answered, or not in HTTP.
        """
        connection = self._take()
        try:
            head = self._head(target, headers, len(body))
            sock = connection.sock
            with in_time(self._request_timeout_s):
                if len(body) <= _ONE_SEND:
                    send_all(sock, b"".join((head, body)))
                else:
                    send_all(sock, head)
                    send_all(sock, body)
                with file_of(sock) as file:
                    reply, keep = _read_reply(file, self._limit)
        except BaseException:
            connection.close()
            raise
        if keep and len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _head(self, target: str, headers: Mapping[str, str], size: int) -> bytes:
        lines = "\r\n".join(
            [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        )
        if lines.count("\n") != len(headers):
            message = "a header of the request holds a line break"
            raise ValueError(message)
        return f"{lines}\r\n{self._always}{size}\r\n\r\n".encode("latin-1")

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


def _read_reply(file: BufferedReader, limit: int) -> tuple[Reply, bool]:
    """Reads the reply. Also tells whether the connection may be used again."""
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
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return Reply(status, headers, _chunks(file, limit)), keep
    length = headers.get(b"content-length")
    if length is not None:
        return Reply(status, headers, _exactly(file, _number(length, 10, limit))), keep
    if status in (204, 304):
        return Reply(status, headers, b""), keep
    body = file.read(limit + 1)
    if len(body) > limit:
        raise ReplyTooLarge(limit)
    return Reply(status, headers, body), False


class ReplyTooLarge(ValueError):
    """The reply is larger than the limit of what we hold in memory."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the reply is larger than {limit} bytes (--max_reply_bytes)")


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
        raise ReplyTooLarge(limit)
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
            raise ReplyTooLarge(limit)
        parts.append(_exactly(file, size))
        if _line(file):
            message = "a chunk of the reply is longer than it says"
            raise ValueError(message)
    _headers(file)  # trailers
    return b"".join(parts)
