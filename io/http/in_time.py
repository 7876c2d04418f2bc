"""`in_time` makes a request's time-out a total: a peer that sends, or takes, one byte now and then can't hold it for ever.

Plan. A thread's request has a deadline. Each step on a socket gets what is left of it. The deadline may move on by a second
for each 500 KB that went over the wire: a large request over a slow line is not cut off, and trickling buys nothing. Where
a thread has no deadline the socket's own time-out holds. The body of an object is read under a deadline for each part.
"""

import contextlib
import http.client
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = [
    "POOLS",
    "TimedConnection",
    "TimedReader",
    "TimedSocket",
    "TimedTlsConnection",
    "file_of",
    "in_time",
    "pools_of",
    "send_all",
]

_BYTES_PER_SECOND = 500_000
_here = threading.local()


class _Deadline:
    """When a request must be done, in monotonic seconds."""

    def __init__(self, seconds: float, *, moves: bool) -> None:
        self._until = time.monotonic() + seconds
        self._moves = moves

    def left(self) -> float:
        """Gives the seconds that are left. Raises `TimeoutError` when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            message = "timed out"
            raise TimeoutError(message)
        return left

    def moved(self, count: int) -> None:
        """Takes note that so many bytes went over the wire."""
        if self._moves:
            self._until += count / _BYTES_PER_SECOND


def _deadline() -> _Deadline | None:
    return getattr(_here, "deadline", None)


@contextlib.contextmanager
def in_time(seconds: float, *, moves: bool = True) -> Iterator[None]:
    """Gives this thread's request so many seconds in all, for as long as the block runs.

    Args:
        seconds: from now.
        moves: whether each 500 KB that go over the wire give it a second more.
    """
    before = _deadline()
    _here.deadline = _Deadline(seconds, moves=moves)
    try:
        yield
    finally:
        _here.deadline = before


def send_all(sock: Any, data: Any) -> None:
    """Sends bytes within the deadline of this thread's request."""
    deadline = _deadline()
    if deadline is None:
        sock.sendall(data)
        return
    with memoryview(data) as view:
        sent = 0
        while sent < len(view):
            sock.settimeout(deadline.left())
            count = sock.send(view[sent : sent + (1 << 20)])
            deadline.moved(count)
            sent += count


class TimedReader(io.RawIOBase):
    """A socket's file. Each read may take the rest of the request's time."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:  # noqa: D102
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: D102
        deadline = _deadline()
        if deadline is not None:
            self._sock.settimeout(deadline.left())
        count: int | None = self._raw.readinto(buffer)
        if deadline is not None:
            deadline.moved(count or 0)
        return count

    def close(self) -> None:  # noqa: D102
        self._raw.close()
        super().close()


def file_of(sock: Any) -> io.BufferedReader:
    """Gives what a socket receives as a file, which is read within the deadline of the thread's request."""
    return io.BufferedReader(TimedReader(sock))


class TimedSocket:
    """The part of a socket that `http.client` needs for a reply."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: D102
        return file_of(self._sock)


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **given: Any) -> None:
        super().__init__(TimedSocket(sock), *arguments, **given)  # type: ignore[arg-type]


class _Timed:
    """What each connection gets: it connects, sends and receives within the deadline."""

    response_class = _Reply
    sock: Any
    timeout: Any

    def connect(self) -> None:
        deadline = _deadline()
        if deadline is not None:
            left = deadline.left()
            self.timeout = min(self.timeout, left) if isinstance(self.timeout, (int, float)) else left
        super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is not None and isinstance(data, (bytes, bytearray, memoryview)):
            send_all(self.sock, data)
        else:
            super().send(data)  # type: ignore[misc]


class TimedConnection(_Timed, HTTPConnection):  # type: ignore[misc]
    """Plain HTTP within the deadline."""


class TimedTlsConnection(_Timed, HTTPSConnection):  # type: ignore[misc]
    """HTTPS within the deadline."""


def pools_of(plain: type, secure: type) -> dict[str, Any]:
    """Gives urllib3's pools of these kinds of connections, by scheme."""
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


POOLS = pools_of(TimedConnection, TimedTlsConnection)
"""Pools of connections that keep to the deadline, by scheme."""
