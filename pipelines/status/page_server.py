"""`page_server` serves the status page: read-only, to whoever may reach the port, and to no web site.

Problem. A page on loopback can be reached by every web site that the same person looks at: by a form, an image, or a name
of its own that it points to 127.0.0.1 (DNS rebinding). And whoever asks, however often or slowly, must cost the
data nothing.

Plan and invariants.
- Only GET and HEAD of five paths; nothing here changes anything.
- The Host header must be a plain address, `localhost`, or a name from --status_names: a rebound name is none of them.
- No CORS header, so scripts of other origins can't read an answer; what a browser marks as asked by another site is
  refused too. `nosniff`, no framing, no referrer, and a policy that lets the page load nothing but this origin's JSON.
- At most `MAX_CONNECTIONS` at a time and `MAX_PER_SECOND` per second, others are closed at once; one request per
  connection, its head within `MAX_HEAD` bytes and `PATIENCE_S` seconds in all. Answers are made once a second.
"""

import http.server
import io
import ipaddress
import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from penstock.io.errors import AccessDenied, OptionError
from penstock.io.preflight.trials import Finding, Trial, fine
from penstock.pipelines.status.metrics import CONTENT_TYPE
from penstock.pipelines.status.monitor import Monitor
from penstock.pipelines.status.options import StatusOptions
from penstock.pipelines.status.page.render import PAGE, PAGE_POLICY

__all__ = ["StatusServer", "page_trials"]

_LOGGER = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
MAX_PER_SECOND = 50
MAX_HEAD = 8192
PATIENCE_S = 5.0

_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class StatusServer:
    """The server and its thread.

    Args:
        monitor: answers.
        host: address to listen on.
        port: 0 for any free one.
        names: host names that may stand in a request, besides localhost and addresses.

    Attributes:
        address: host and port that it listens on.

    Raises:
        OptionError: the port is taken, or the address is none of this machine.
        AccessDenied: this user may not listen on that port.
    """

    def __init__(self, monitor: Monitor, host: str, port: int, names: Sequence[str] = ()) -> None:
        self._server = _bound(host, port)
        self._server.server_activate()
        self._server.monitor = monitor
        self._server.names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        address, own_port = self._server.server_address[:2]
        self.address = (str(address), own_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.5,), name="penstock-status-http", daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is."""
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
        """Answers no more; returns within a second, whoever is connected."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def page_trials(options: StatusOptions) -> list[Trial]:
    """Whether the page could be served where the options say; nothing where they ask for none."""
    host, port = options.status_host, options.status_port
    if port is None:
        return []

    def free() -> Finding:
        _bound(host, port).server_close()
        return fine(f"{host}:{port} is free" if port else f"any free port of {host}")

    return [Trial("status page", free)]


def _bound(host: str, port: int) -> "_Server":
    """A server that has the port, and does not listen yet; errors as `StatusServer` raises them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    cls = type("_Server", (_Server,), {"address_family": family})
    server: _Server = cls((host, port), _Handler, False)
    try:
        server.server_bind()
    except PermissionError as error:
        server.server_close()
        message = (
            f"cannot serve the status page on {host}:{port}: not allowed. Use a --status_port above 1023."
        )
        raise AccessDenied(message) from error
    except (OSError, OverflowError) as error:
        server.server_close()
        why = getattr(error, "strerror", None) or error
        message = (
            f"cannot serve the status page on {host}:{port}: {why}. Check --status_host and --status_port."
        )
        raise OptionError(message) from error
    return server


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MAX_CONNECTIONS
    monitor: Monitor
    names: set[str]

    def __init__(self, *arguments: Any) -> None:
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._second, self._in_second = 0, 0
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of our own name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > MAX_PER_SECOND or not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _LOGGER.debug("a request for the status page failed", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    server_version = "penstock"
    sys_version = ""
    timeout = PATIENCE_S

    def setup(self) -> None:
        """Reads the head as a whole, with an end to patience, so that nobody holds a thread with a byte a second."""
        super().setup()
        deadline = time.monotonic() + PATIENCE_S
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) <= MAX_HEAD:
            left = deadline - time.monotonic()
            if left <= 0:
                head = b""
                break
            self.connection.settimeout(left)
            try:
                received = self.connection.recv(MAX_HEAD)
            except OSError:
                received = b""
            if not received:
                break
            head += received
        self.connection.settimeout(PATIENCE_S)
        self.rfile = io.BufferedReader(io.BytesIO(head if len(head) <= MAX_HEAD else b""))

    def do_GET(self) -> None:
        """Answers, or says why not."""
        refusal = self._refusal()
        if refusal:
            self._answer(*refusal)
            return
        path, _, query = self.path.partition("?")
        monitor = self.server.monitor
        if path == "/":
            self._answer(200, PAGE, "text/html; charset=utf-8", PAGE_POLICY)
        elif path == "/status.json":
            self._answer(200, monitor.status_json(_since(query)), "application/json")
        elif path == "/metrics":
            self._answer(200, monitor.metrics(), CONTENT_TYPE)
        elif path == "/healthz":
            self._answer(200, b"ok\n")
        elif path == "/readyz":
            reasons = monitor.picture.reasons
            self._answer(503 if reasons else 200, ("\n".join(reasons) or "ready").encode() + b"\n")
        else:
            self._answer(404, b"There are /, /status.json, /metrics, /healthz and /readyz.\n")

    do_HEAD = do_GET  # noqa: N815  the library's name

    def _refusal(self) -> tuple[int, bytes] | None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not _is_ours(hosts[0], self.server.names):
            told = json.dumps(hosts[0][:100] if hosts else "")
            return 421, f"This job does not answer to the name {told}; see --status_names.\n".encode()
        site = self.headers.get("Sec-Fetch-Site", "none")
        # A link from elsewhere may lead to the page; nothing of it may be fetched from there.
        if site not in ("none", "same-origin") and (
            self.path != "/" or self.headers.get("Sec-Fetch-Mode", "") != "navigate"
        ):
            return 403, b"Not for other sites.\n"
        return None

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8", policy: str = _POLICY
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's own refusals, in our words; a method that isn't there is 405."""
        status = 405 if code == 501 else code
        self._answer(status, f"{message or 'no'}\n"[:200].encode())

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the library's name
        """Says nothing: whoever asks must not fill the job's log."""


def _is_ours(host: str, names: set[str]) -> bool:
    """Whether a Host header names us: an address, or one of our names; with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if any(character in host for character in "/@?#\\ "):
        return False
    if name.rstrip(".") in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _since(query: str) -> int:
    """The number of the last point that the page has; 0 for anything that is none."""
    value = query.removeprefix("since=")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0
