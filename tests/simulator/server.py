"""A small HTTP/1.1 server on loopback, a thread per connection: just what botocore and urllib3 need."""

import contextlib
import socket
import threading
import uuid
from collections.abc import Callable

_MAX_HEAD = 64 << 10
_MAX_BODY = 64 << 20


class Reset(Exception):
    """The request's connection ends in a reset."""


class HttpServer:
    """Serves until it is closed.

    Args:
        port: 0 takes a free one.
        reply: headers (names in lower case) and body -> status and body; raises `Reset`.
    """

    def __init__(self, port: int, reply: Callable[[dict[bytes, bytes], bytes], tuple[int, bytes]]) -> None:
        self._reply = reply
        self._lock = threading.Lock()
        self._closed = False
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="simulator", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            stream = connection.makefile("rb", buffering=1 << 16)
            while True:
                line = stream.readline(_MAX_HEAD)
                if not line:
                    return
                headers: dict[bytes, bytes] = {}
                while (header := stream.readline(_MAX_HEAD)) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    headers[name.strip().lower()] = value.strip()
                length = int(headers.get(b"content-length", b"0"))
                if length > _MAX_BODY:
                    return
                if headers.get(b"expect", b"").lower() == b"100-continue":
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                status, reply = self._reply(headers, stream.read(length))
                request_id = uuid.uuid4()
                head = (
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.1\r\n"
                    f"x-amzn-RequestId: {request_id}\r\nContent-Length: {len(reply)}\r\n\r\n"
                )
                connection.sendall(head.encode() + reply)
        except Reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        except OSError:
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            # The file object holds the socket open: an abortive close needs both gone.
            stream.close()
            connection.close()

    def close(self) -> None:
        """Ends every connection; the port is free afterwards."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        with contextlib.suppress(OSError):
            # Wakes an accept() that is in progress; close alone does not.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
