"""`http` answers requests on a free port of 127.0.0.1, from threads of this process."""

import gzip
import http.server
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from penstock.io.chain.live_objects import LIVE

__all__ = ["HttpPeer", "Reply", "Request"]


class Request(NamedTuple):
    """A request: `headers` have names in lower case, `body` is inflated."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """A reply."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {"content-type": "application/json"}


class HttpPeer:
    """Listens from its making until `close`, or the end of its `with`; what it holds stays readable."""

    def __init__(self) -> None:
        peer = self

        class _Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the client has gone
                    self.close_connection = True

            def _answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                reply = peer._reply(Request(self.command, self.path, headers, body))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815  the names that http.server looks for

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                pass

        self._lock = threading.RLock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _reply(self, request: Request) -> Reply:
        raise NotImplementedError

    def close(self) -> None:
        """Closes this process's connectors, which write their last checkpoints then, and lets go of the port."""
        LIVE.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
