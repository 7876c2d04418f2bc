"""`listen` makes a listener that waits for its port; `Transport` is a connection that never blocks.

A connection's socket doesn't block: its own thread waits with `poll`, and the acknowledging thread, which serves
all connections, must never hang on a client that doesn't read. Only a connection's own thread closes its
socket, so no other thread can meet a file descriptor that already belongs to somebody else.
"""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable

from penstock.io.errors import AccessDenied, OptionError, PenstockError

__all__ = ["BIND_PATIENCE_S", "Transport", "listen"]

BIND_PATIENCE_S = 5.0
"""Seconds for which a taken port is tried again: a worker that lost its runner may hold it for a second."""

_LINGER_S = 1.0
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds. So a client whose machine is gone, or whose firewall forgot it, is noticed after two minutes."""


def listen(
    host: str,
    port: int,
    *,
    share: bool = False,
    accept: bool = True,
    patience_s: float = BIND_PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> socket.socket:
    """Makes a listening socket.

    Args:
        host: name or address; of several addresses, the first.
        port: 0 for any free one.
        share: other processes of this user may listen there too; the kernel spreads clients over them.
        accept: whether to listen. Otherwise the port is only taken, and the kernel gives it no clients.
        patience_s: how long to try again while the port is taken, in seconds.
        sleep: waits that many seconds.

    Raises:
        OptionError: the port is taken, or the host is no address of this machine.
        AccessDenied: the port needs a privilege (below 1024).
    """
    tries = max(1, round(patience_s / 0.25))
    for attempt in range(1, tries + 1):
        try:
            return _bind(host, port, share, accept)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == tries:
                raise _explain(error, host, port) from error
        sleep(0.25)
    raise AssertionError


def _bind(host: str, port: int, share: bool, accept: bool) -> socket.socket:
    candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = candidates[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        if accept:
            listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _explain(error: OSError, host: str, port: int) -> PenstockError:
    if error.errno == errno.EADDRINUSE:
        message = (
            f"--beats_port {port}: port {port} of {host} is taken. End the other process (another job, Logstash: "
            f"ss -ltnp 'sport = :{port}' tells which), or give another --beats_port."
        )
        return OptionError(message)
    if error.errno == errno.EACCES:
        message = f"--beats_port {port}: this user may not listen there. Give a --beats_port of 1024 or more."
        return AccessDenied(message)
    message = f"--beats_host {host!r}: cannot listen there: {error.strerror or error}. Give an address of this machine."
    return OptionError(message)


class Transport:
    """One client's TCP connection, without TLS.

    Args:
        sock: the connection.
        alarm: a socket that ends every wait when it becomes readable. So a stop reaches threads that wait. (To shut
            down the receiving side of the connection would look like a broken stream to TLS.)
    """

    def __init__(self, sock: socket.socket, alarm: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):  # not every system lets a socket choose
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(alarm, select.POLLIN)
        self._alarm = alarm

    def receive(self, size: int) -> bytes | None:
        """Gives at most `size` bytes; none at the end of the stream; None when there is nothing now."""
        try:
            return self._socket.recv(size)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, data: bytes) -> int:
        """Sends what can be sent now. Returns how many bytes were sent."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def wait(self, timeout_s: float | None) -> bool:
        """Waits until there may be something to receive, or for that many seconds (None: for ever)."""
        return bool(self._poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000))

    def end(self) -> None:
        """Ends receiving and sending at once, which wakes the thread that waits. From any thread."""
        with contextlib.suppress(OSError):
            # Not the object's own method: an SSLSocket would forget its session, which another thread uses.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def finish(self) -> None:
        """Closes so that what was sent still arrives. Unread bytes would make the kernel send a reset."""
        try:
            self._end_sending()
            self._poll.unregister(self._alarm)
            until = time.monotonic() + _LINGER_S
            while (left := until - time.monotonic()) > 0:
                # The socket's own method, because nobody needs what still comes over TLS.
                data = socket.socket.recv(self._socket, 65536) if self._poll.poll(left * 1000) else b""
                if not data:
                    break
        except OSError:
            pass
        self.close()

    def _end_sending(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes at once. Only the connection's own thread calls it."""
        self._socket.close()
