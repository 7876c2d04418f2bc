"""`server` serves the status page: read-only, to everybody who may reach the port, and to no web site.

Problem. Every web site that the same person looks at can reach a page on loopback: by a form, an image, or a name
of its own that points to 127.0.0.1 (DNS rebinding). And requests, however many or slow, must cost the
data nothing, and must not keep a liveness probe from its answer.

Plan and invariants.
- One thread serves all connections, and never waits for one of them. `_http` decides who may ask for what.
- No CORS header, so scripts of other origins can't read an answer. `nosniff`, no framing, no referrer, and a policy that
  lets the page load nothing but this origin's JSON.
- At most `MAX_CONNECTIONS` at a time: one more takes the place of the one that has sent least and is oldest. So a
  whole request is always answered. One request per connection, its head within `MAX_HEAD` bytes, all of it
  within `PATIENCE_S` seconds.
- At most `MAX_PER_SECOND` connections are taken per second; further ones wait in the listener's queue.
- When the process has no file descriptor left, one that was kept aside serves a connection at a time; and where not even
  that helps, the listener pauses instead of spinning.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence

from penstock.io.errors import AccessDenied, OptionError
from penstock.io.preflight.trials import Finding, Trial, fine
from penstock.io.rarely import Rarely
from penstock.pipelines.status.metrics import CONTENT_TYPE
from penstock.pipelines.status.monitor import Monitor
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page._http import Answer, end_of_head, read_head, refusal_of
from penstock.pipelines.status.page.jobs import Jobs
from penstock.pipelines.status.page.render import PAGE, PAGE_POLICY

__all__ = ["StatusServer", "page_trials"]

_LOGGER = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_PER_SECOND = 200
MAX_HEAD = 8192
PATIENCE_S = 5.0
_BACKLOG = 128
_LOOK_S = 0.5
_PAUSE_S = 0.2
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class StatusServer:
    """The server and its thread.

    Args:
        monitor: gives the answers.
        host: address to listen on.
        port: 0 for any free one.
        names: host names that may stand in a request, besides localhost and addresses.
        others: give the answers about further jobs, each with a page of its own beside the first.

    Attributes:
        address: host and port that it listens on.

    Raises:
        OptionError: the port is taken, or the address is not one of this machine.
        AccessDenied: this user may not listen on that port.
    """

    def __init__(
        self,
        monitor: Monitor,
        host: str,
        port: int,
        names: Sequence[str] = (),
        others: Sequence[Monitor] = (),
    ) -> None:
        self.monitor = monitor
        self._jobs = Jobs([monitor, *others])
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._listener = _bound(host, port)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        address, own_port = self._listener.getsockname()[:2]
        self.address = (str(address), own_port)
        self._open: dict[int, _Connection] = {}
        self._spare: int | None = None
        self._allowance, self._refilled_at = float(MAX_PER_SECOND), time.monotonic()
        self._resume_at: float | None = 0.0
        self._rarely = Rarely()
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="penstock-status-http", daemon=True)

    @property
    def url(self) -> str:
        """The page's address."""
        host, port = self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.address[0].partition("%")[0]).is_loopback

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the server. Returns within a second, whoever is connected."""
        os.write(self._wake, b"x")
        if self._thread.is_alive():
            self._thread.join(5.0)
        for connection in list(self._open.values()):
            self._close(connection)
        self._selector.close()
        self._listener.close()
        for descriptor in (self._woken, self._wake, *(() if self._spare is None else (self._spare,))):
            os.close(descriptor)

    # -- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            self._look_at_listener(now)
            for key, _ in self._selector.select(self._wait_s(now)):
                if key.fd == self._woken:
                    return
                if key.data is None:
                    self._accept()
                else:
                    self._serve(key.data)
            now = time.monotonic()
            for connection in [each for each in self._open.values() if each.deadline <= now]:
                self._close(connection)

    def _wait_s(self, now: float) -> float:
        times = [each.deadline for each in self._open.values()]
        times += [] if self._resume_at is None else [self._resume_at]
        return max(0.0, min([_LOOK_S, *(each - now for each in times)]))

    def _look_at_listener(self, now: float) -> None:
        """Listens again after a pause, and keeps a descriptor aside."""
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _pause(self, seconds: float) -> None:
        self._selector.unregister(self._listener)
        self._resume_at = time.monotonic() + seconds

    def _accept(self) -> None:
        now = time.monotonic()
        self._allowance = min(
            float(MAX_PER_SECOND), self._allowance + (now - self._refilled_at) * MAX_PER_SECOND
        )
        self._refilled_at = now
        if self._allowance < 1.0:
            self._pause((1.0 - self._allowance) / MAX_PER_SECOND)
            return
        try:
            sock = self._accepted()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EINTR):
                if self._rarely.due("accept"):
                    _LOGGER.warning(
                        "the status page cannot take a connection: %s (said once a minute)", error.strerror
                    )
                self._pause(_PAUSE_S)
            return
        self._allowance -= 1.0
        if len(self._open) >= MAX_CONNECTIONS:
            self._close(min(self._open.values(), key=lambda each: (bool(each.answer), each.since)))
        connection = _Connection(sock, now)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        self._open[sock.fileno()] = connection
        self._serve(connection)

    def _accepted(self) -> socket.socket:
        """Gives the next connection, with the reserved descriptor where there is no other."""
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno not in _NO_DESCRIPTOR or self._spare is None:
                raise
            os.close(self._spare)
            self._spare = None
            sock, _ = self._listener.accept()
        sock.setblocking(False)
        return sock

    def _serve(self, connection: "_Connection") -> None:
        """Goes on with a connection as far as that is possible without waiting."""
        try:
            if connection.answer is None and not self._read(connection):
                return
            if connection.answer:
                connection.answer = connection.answer[connection.sock.send(connection.answer) :]
            if not connection.answer:
                connection.sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):  # unread bytes would turn the close into a reset
                    connection.sock.recv(1 << 16)
                self._close(connection)
        except BlockingIOError:
            wanted = selectors.EVENT_READ if connection.answer is None else selectors.EVENT_WRITE
            self._selector.modify(connection.sock, wanted, connection)
        except OSError:
            self._close(connection)
        except Exception:
            _LOGGER.debug("a request for the status page failed", exc_info=True)
            self._close(connection)

    def _read(self, connection: "_Connection") -> bool:
        """Reads on. Returns whether there is an answer now."""
        received = connection.sock.recv(MAX_HEAD + 1)
        connection.head += received
        end = end_of_head(connection.head)
        if end > MAX_HEAD or (not end and len(connection.head) > MAX_HEAD):
            connection.answer = memoryview(Answer(431, b"The head is too long.\n").encode())
            return True
        if not end:
            if not received:
                self._close(connection)
            return False
        request = read_head(bytes(connection.head[:end]))
        if isinstance(request, Answer):
            connection.answer = memoryview(request.encode())
            return True
        answer = refusal_of(request, self._names) or self._answer(request.path, request.query)
        connection.answer = memoryview(answer.encode(head_only=request.method == "HEAD"))
        connection.deadline = time.monotonic() + PATIENCE_S
        return True

    def _answer(self, path: str, query: str) -> Answer:
        if path == "/":
            return Answer(200, PAGE, "text/html; charset=utf-8", PAGE_POLICY)
        if path == "/status.json":
            found = self._jobs.status_json(query)
            return (
                Answer(404, b"No job is called that.\n")
                if found is None
                else Answer(200, found, "application/json")
            )
        if path == "/metrics":
            return Answer(200, self._jobs.metrics(), CONTENT_TYPE)
        if path == "/healthz":
            return Answer(200, b"ok\n")
        if path == "/readyz":
            reasons = self._jobs.reasons()
            return Answer(503 if reasons else 200, ("\n".join(reasons) or "ready").encode() + b"\n")
        return Answer(404, b"There are /, /status.json, /metrics, /healthz and /readyz.\n")

    def _close(self, connection: "_Connection") -> None:
        if self._open.pop(connection.sock.fileno(), None) is not None:
            self._selector.unregister(connection.sock)
            connection.sock.close()


class _Connection:
    __slots__ = ("answer", "deadline", "head", "since", "sock")

    def __init__(self, sock: socket.socket, since: float) -> None:
        self.sock = sock
        self.since = since
        self.deadline = since + PATIENCE_S
        self.head = bytearray()
        self.answer: memoryview | None = None


def page_trials(options: StatusOptions) -> list[Trial]:
    """Gives the trial of whether the page can be served; none where the options ask for no page."""
    host, port = options.status_host, options.status_port
    if port is None:
        return []

    def free() -> Finding:
        _bound(host, port).close()
        return fine(f"{host}:{port} is free" if port else f"any free port of {host}")

    return [Trial("status page", free)]


def _bound(host: str, port: int) -> socket.socket:
    """Makes a socket that has the port, and does not listen yet. Raises as `StatusServer` does."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except PermissionError as error:
        made.close()
        message = (
            f"cannot serve the status page on {host}:{port}: not allowed. Use a --status_port above 1023."
        )
        raise AccessDenied(message) from error
    except (OSError, OverflowError) as error:
        made.close()
        why = getattr(error, "strerror", None) or error
        message = (
            f"cannot serve the status page on {host}:{port}: {why}. Check --status_host and --status_port."
        )
        raise OptionError(message) from error
    return made
