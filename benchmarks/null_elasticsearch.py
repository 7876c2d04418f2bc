"""An Elasticsearch that stores nothing: it says 201 to every action of every bulk, as cheaply as it can.

usage: python -P benchmarks/null_elasticsearch.py      prints its address; GET /_count tells how many it got

A process of its own, so that its CPU time is not that of the job under test.
"""

import functools
import http
import json
import socketserver
import threading
from collections.abc import Iterator

import numpy

NEWLINE = ord("\n")
ROOT = json.dumps(
    {
        "name": "null",
        "cluster_name": "null",
        "version": {"number": "9.4.3", "build_flavor": "default"},
        "tagline": "You Know, for Search",
    }
).encode()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 64 << 10

    def requests(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Gives method, target and length of each request; its body is then the next to be read."""
        while line := self.rfile.readline():
            method, target, _ = line.split(b" ", 2)
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            yield method, target, length

    def handle(self) -> None:
        # Each connection's own: a new one for every body would cost page faults.
        buffer = bytearray(256 << 10)
        numbers = numpy.frombuffer(
            buffer, numpy.uint8
        )  # counts lines in a quarter of the time of bytearray.count
        for method, target, length in self.requests():
            lines = 0
            while length:
                got = self.rfile.readinto1(memoryview(buffer)[:length])
                if not got:
                    return
                lines += int(numpy.count_nonzero(numbers[:got] == NEWLINE))
                length -= got
            self.wfile.write(answer(method, target, lines // 2))


COUNT = 0
LOCK = threading.Lock()


def answer(method: bytes, target: bytes, documents: int) -> bytes:
    global COUNT
    path = target.partition(b"?")[0]
    if path == b"/_bulk":
        with LOCK:
            COUNT += documents
        return bulk_reply(documents)
    if path == b"/_count":
        return reply(b'{"count":%d}' % COUNT)
    return reply(ROOT if path == b"/" else b"{}")


@functools.lru_cache(maxsize=10000)
def bulk_reply(documents: int) -> bytes:
    items = b",".join([b'{"create":{"status":201}}'] * documents)
    return reply(b'{"errors":false,"items":[%s]}' % items)


def reply(body: bytes, status: int = http.HTTPStatus.OK) -> bytes:
    return (
        b"HTTP/1.1 %d OK\r\nX-elastic-product: Elasticsearch\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (status, len(body), body)
    )


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
