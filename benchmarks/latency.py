"""This benchmark measures an event's way from a Beat's socket to Elasticsearch's door, through both jobs, at three rates.

usage: python -P benchmarks/latency.py [EVENTS_PER_SECOND ...] [--refresh INTERVAL] [--seconds S] [--json]
       default: 1 100 10000; with --refresh, 1 100

Beats load -> beats-to-kinesis -> the Kinesis simulator of our tests (8 shards) -> kinesis-to-elasticsearch -> an endpoint
that notes when the bulk of each event is there, whole. Both jobs run with their defaults. Each event holds the moment at
which its window was sent, ten windows per second at most.

To be searchable, a document then waits for the index's refresh (`index.refresh_interval`, 1 s by default), which is no
job's. `--refresh 1s` runs a real Elasticsearch in the endpoint's place, with that interval, and asks it every 10 ms for
the events that no search has found yet: an event is there when the reply with it has come. An index without an interval
of its own that nobody searches for 30 s isn't refreshed until the next search; this one is searched all the time.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import null_elasticsearch
from harness import child_cpu_s, events, simulator
from jobs import free_port, job, leases, program, python, wait

from local.servers.search.chosen import find_server
from local.terminal import Progress

SENT = re.compile(rb'"sent":(\d+)')
WINDOWS_PER_S = 10
WARM_UP_S = 5.0
INDEX = "latency"
EVERY_S = 0.01
LATENCIES: list[int] = []
NUMBERS = itertools.count(1)


class Handler(null_elasticsearch.Handler):
    """Notes how old each event of a bulk is, in microseconds."""

    def handle(self) -> None:
        for method, target, length in self.requests():
            body = self.rfile.read(length)
            now = time.monotonic_ns()
            sent = SENT.findall(body)
            LATENCIES.extend([(now - int(each)) // 1000 for each in sent])
            if target == b"/latencies":
                found, LATENCIES[:] = list(LATENCIES), []
                self.wfile.write(null_elasticsearch.reply(json.dumps(found).encode()))
            else:
                self.wfile.write(null_elasticsearch.answer(method, target, body.count(b"\n") // 2))


def serve() -> None:
    with null_elasticsearch.Server(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


def latencies(hosts: str) -> list[int]:
    """What was noted since the last time."""
    with urllib.request.urlopen(f"{hosts}/latencies", timeout=60) as reply:
        return list(json.load(reply))


class Searches:
    """Searches a real Elasticsearch all the time for what was sent and not found yet."""

    def __init__(self, hosts: str) -> None:
        self._hosts = hosts
        self._found: set[str] = set()
        self._waiting: dict[int, int] = {}
        self._latencies: list[int] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="searches", daemon=True).start()

    def sent(self, moment: int, count: int) -> None:
        """Takes note of a window, before it is sent."""
        with self._lock:
            self._waiting[moment] = count

    def latencies(self) -> list[int]:
        """What was found since the last time: how old each event was then, in microseconds."""
        with self._lock:
            found, self._latencies = self._latencies, []
        return found

    def _run(self) -> None:
        while True:
            with self._lock:
                oldest = min(self._waiting, default=None)
            if oldest is not None:
                self._search(oldest)
            time.sleep(EVERY_S)

    def _search(self, oldest: int) -> None:
        asked = {
            "size": 10_000,
            "_source": False,
            "docvalue_fields": ["sent"],
            "query": {"range": {"sent": {"gte": oldest}}},
        }
        hits = call(self._hosts, "POST", f"/{INDEX}/_search", asked)["hits"]["hits"]
        now = time.monotonic_ns()
        with self._lock:
            for hit in hits:
                if hit["_id"] in self._found:
                    continue
                self._found.add(hit["_id"])
                moment = hit["fields"]["sent"][0]
                self._latencies.append((now - moment) // 1000)
                self._waiting[moment] -= 1
                if not self._waiting[moment]:
                    del self._waiting[moment]


def call(hosts: str, method: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(hosts + path, json.dumps(body).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


@contextlib.contextmanager
def elasticsearch(folder: str, interval: str) -> Iterator[str]:
    """A real one, with an index that is refreshed so often; its address."""
    Path(folder).chmod(0o755)
    server = find_server("elasticsearch", Progress(sys.stderr))(Path(folder) / "elasticsearch").start()
    try:
        settings = {"index.refresh_interval": interval, "index.number_of_replicas": 0}
        mappings = {"properties": {"sent": {"type": "long"}}}
        call(server.url, "PUT", f"/{INDEX}", {"settings": settings, "mappings": mappings})
        yield server.url
    finally:
        server.kill()


def send(port: int, rate: int, seconds: float, note: Callable[[int, int], None] | None = None) -> int:
    """Sends at a steady rate, whatever the acknowledgements do; gives how many events."""
    size = max(1, rate // WINDOWS_PER_S)
    # The offset tells the event from each other one, as in a file; a document's id comes from it.
    payloads = [
        re.sub(rb'"offset":\d+', b'"offset":%%d%06d' % n, data)[:-1] + b',"sent":%d}'
        for n, data in enumerate(events(size))
    ]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        # Until all is acknowledged: what is under way when a Beat goes is sent again by it, and would be missed here.
        windows = -(-int(rate * seconds) // size)
        acknowledged = threading.Thread(target=await_acks, args=(connection, size, windows))
        acknowledged.start()
        began, sent = time.monotonic(), 0
        while sent < rate * seconds:
            pause = began + sent / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            number, now = next(NUMBERS), time.monotonic_ns()
            made = [data % (number, now) for data in payloads]
            frames = b"".join(
                struct.pack(">HII", 0x324A, n, len(data)) + data for n, data in enumerate(made, 1)
            )
            body = zlib.compress(frames, 1)
            if note is not None:
                note(now, size)
            connection.sendall(b"2W" + struct.pack(">I", size) + b"2C" + struct.pack(">I", len(body)) + body)
            sent += size
        acknowledged.join()
    return sent


def await_acks(connection: socket.socket, size: int, windows: int) -> None:
    replies = connection.makefile("rb")
    while windows:
        windows -= struct.unpack(">I", replies.read(6)[2:])[0] == size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rates", nargs="*", type=int)
    parser.add_argument("--refresh", metavar="INTERVAL", help="until a search finds it: 1s, 200ms, ...")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    port = free_port(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        leases() as tables,
        simulator("--stream", "kinesis_poc:8") as kinesis,
        endpoint(folder, given.refresh) as hosts,
        job(
            "beats-to-kinesis", folder, "--beats_port", str(port), "--stream_name", "kinesis_poc",
            "--endpoint_url", kinesis, "--randomized_partition_key",
        ) as (first, _),
        job(
            "kinesis-to-elasticsearch", folder, "--kinesis_stream_name", "kinesis_poc", "--application_name", "latency",
            "--hosts", hosts, "--index", INDEX, AWS_ENDPOINT_URL=tables, AWS_ENDPOINT_URL_KINESIS=kinesis,
        ) as (second, _),
    ):  # fmt: skip
        searches = Searches(hosts) if given.refresh else None
        note = searches.sent if searches else None
        look = searches.latencies if searches else lambda: latencies(hosts)
        print("  events/s   events    p50 ms    p99 ms  p99.9 ms    worst  both jobs' cores")
        for rate in given.rates or ([1, 100] if given.refresh else [1, 100, 10_000]):
            gathered(look, send(port, rate, WARM_UP_S, note))
            began, used = time.monotonic(), child_cpu_s(first) + child_cpu_s(second)
            count = send(port, rate, given.seconds, note)
            cores = (child_cpu_s(first) + child_cpu_s(second) - used) / (time.monotonic() - began)
            found = gathered(look, count)
            row = {"rate": rate, "refresh": given.refresh, "events": count, "cores": round(cores, 2)}
            for name, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("worst", 1.0)):
                row[name] = found[min(len(found) - 1, int(len(found) * part))] / 1000
            print(
                f"  {rate:8,}  {count:7,}  {row['p50']:8.0f}  {row['p99']:8.0f}  {row['p99.9']:8.0f}  {row['worst']:7.0f}"
                f"  {cores:.2f}"
            )
            if given.json:
                print(json.dumps(row))
    print(f"load of this machine: {os.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def endpoint(folder: str, refresh: str | None) -> Iterator[str]:
    """A real Elasticsearch where there is an interval, else the one that only notes; its address."""
    if refresh:
        with elasticsearch(folder, refresh) as hosts:
            yield hosts
    else:
        with program(*python(HERE / "latency.py", "--serve"), wait_for="http") as (_, hosts):
            yield hosts


def gathered(look: Callable[[], list[int]], count: int) -> list[int]:
    """The latencies of so many events, sorted, when all of them are there."""
    found: list[int] = []

    def all_there() -> bool:
        found.extend(look())
        return len(found) >= count

    wait(all_there)
    return sorted(found)


if __name__ == "__main__":
    main()
