"""How long an event takes from a Beat's socket to Elasticsearch's door, through both jobs, at three rates.

usage: python -P benchmarks/latency.py [EVENTS_PER_SECOND ...] [--seconds S] [--json]        default: 1 100 10000

Beats load -> beats-to-kinesis -> the Kinesis simulator of our tests (8 shards) -> kinesis-to-elasticsearch -> an endpoint
that notes when the bulk of each event is there, whole. Both jobs run with their defaults. Each event holds the moment at
which its window was sent, ten windows per second at most. To be searchable, a document then waits for the index's refresh
(`index.refresh_interval`, 1 s by default), which is no job's. `trickle.py` asks a real Elasticsearch.
"""

import argparse
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
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import null_elasticsearch
from harness import child_cpu_s, events, simulator
from jobs import free_port, job, leases, program, python, wait

SENT = re.compile(rb'"sent":(\d+)')
WINDOWS_PER_S = 10
WARM_UP_S = 5.0
LATENCIES: list[int] = []


class Handler(null_elasticsearch.Handler):
    """Notes how old each event of a bulk is, in microseconds."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            method, target, _ = line.split(b" ", 2)
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
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


def send(port: int, rate: int, seconds: float) -> int:
    """Sends at a steady rate, whatever the acknowledgements do; gives how many events."""
    size = max(1, rate // WINDOWS_PER_S)
    payloads = [data[:-1] + b',"sent":%d}' for data in events(size)]
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
            now = time.monotonic_ns()
            made = [data % now for data in payloads]
            frames = b"".join(
                struct.pack(">HII", 0x324A, n, len(data)) + data for n, data in enumerate(made, 1)
            )
            body = zlib.compress(frames, 1)
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
    parser.add_argument("rates", nargs="*", type=int, default=[1, 100, 10_000])
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
        program(*python(HERE / "latency.py", "--serve"), wait_for="http") as (_, hosts),
        job(
            "beats-to-kinesis", folder, "--beats_port", str(port), "--stream_name", "kinesis_poc",
            "--endpoint_url", kinesis, "--randomized_partition_key",
        ) as (first, _),
        job(
            "kinesis-to-elasticsearch", folder, "--kinesis_stream_name", "kinesis_poc", "--application_name", "latency",
            "--hosts", hosts, AWS_ENDPOINT_URL=tables, AWS_ENDPOINT_URL_KINESIS=kinesis,
        ) as (second, _),
    ):  # fmt: skip
        found: list[int] = []
        print("  events/s   events    p50 ms    p99 ms  p99.9 ms    worst  both jobs' cores")
        for rate in given.rates:
            warm = send(port, rate, WARM_UP_S)
            found = []
            wait(lambda warm=warm, found=found: len(found) >= warm or found.extend(latencies(hosts)))
            began, used = time.monotonic(), child_cpu_s(first) + child_cpu_s(second)
            count, found = send(port, rate, given.seconds), []
            cores = (child_cpu_s(first) + child_cpu_s(second) - used) / (time.monotonic() - began)
            wait(lambda count=count, found=found: len(found) >= count or found.extend(latencies(hosts)))
            found.sort()
            row = {"rate": rate, "events": count, "cores": round(cores, 2)}
            for name, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("worst", 1.0)):
                row[name] = found[min(len(found) - 1, int(len(found) * part))] / 1000
            print(
                f"  {rate:8,}  {count:7,}  {row['p50']:8.0f}  {row['p99']:8.0f}  {row['p99.9']:8.0f}  {row['worst']:7.0f}"
                f"  {cores:.2f}"
            )
            if given.json:
                print(json.dumps(row))
    print(f"load of this machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
