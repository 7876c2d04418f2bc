"""HTTPS servers with any chain of certificates, and a CONNECT proxy that reads along: for tests of who is believed."""

import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


class Listener(threading.Thread):
    """Accepts on 127.0.0.1 and hands each connection to `serve` in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self.port = self.address[1]

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(60)
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.join()


class Relay(Listener):
    """Passes bytes on to 127.0.0.1:`to`, as a man in the middle would, and keeps all that it can read (`read`)."""

    def __init__(self, to: int) -> None:
        super().__init__()
        self._to = to
        self.read = b""
        self.start()

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to), 60) as server:
            back = threading.Thread(target=self._copy, args=(server, connection, False), daemon=True)
            back.start()
            self._copy(connection, server, True)
            back.join()

    def _copy(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.read += piece if keep else b""
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class ConnectProxy(Relay):
    """Is a proxy that tunnels to 127.0.0.1:`to` whatever was asked for."""

    def __init__(self, to: int, certificate: tuple[Path, Path] | None = None) -> None:
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        super().__init__(to)

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        self.read += head
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        super().serve(connection)


class Raw(Listener):
    """Sends the pieces that it is given, as they are, after each request; `pause` seconds between two."""

    def __init__(self, pieces: Callable[[], Iterable[bytes]], pause: float = 0.0) -> None:
        super().__init__()
        self._pieces, self._pause = pieces, pause
        self.sent = 0
        self.start()

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        with contextlib.suppress(OSError):
            for piece in self._pieces():
                connection.sendall(piece)
                self.sent += len(piece)
                if self._pause:
                    time.sleep(self._pause)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass  # closed with bytes unread, it would reset what is on its way


class TlsServer:
    """Answers each request with `reply`, and keeps what it was told (`heard`)."""

    def __init__(self, chain: Path, key: Path, reply: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        heard = self.heard = []  # type: list[str]

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                heard.append(f"{self.path} {self.headers.get('authorization')}")
                answer = server.replies.get(self.path.partition("?")[0], reply)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _handle  # noqa: N815  the library's names

            def log_message(self, *arguments: object) -> None:
                pass

        server = self
        self.replies: dict[str, bytes] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def closing(*each: "TlsServer | Listener") -> Iterator[None]:
    try:
        yield
    finally:
        for one in each:
            one.close()
