"""A loopback HTTP server that keeps what it was asked and answers as it is told."""

import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Callable, Iterator


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes]


class FakeHttp:
    def __init__(self, url: str, answer: Callable[[Request], Answer]) -> None:
        self.url = url
        self.answer = answer
        self.requests: list[Request] = []
        self.headers: dict[str, str] = {}
        """Further headers of every reply."""


@contextlib.contextmanager
def fake_http(answer: Callable[[Request], Answer]) -> Iterator[FakeHttp]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            fake.requests.append(request)
            status, reply = fake.answer(request)
            self.send_response(status)
            self.send_header("content-type", self.headers.get("accept", "application/json"))
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(reply)))
            for name, value in fake.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _handle  # noqa: N815  the library's names

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeHttp(f"http://127.0.0.1:{server.server_address[1]}", answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
