"""Does the cost grow no faster than the load? Shards, Beats, objects and sizes of batches, each from 1 to many.

usage: python -P benchmarks/growth.py [shards | beats | objects | batches] [--repeats N] [--json]

Only the process under test is measured, in CPU time, the least of the repeats. The number of events is the same in each row
of shards, Beats and batches, so the cost per event tells what more shards, clients or batches add; of objects, each
holds one event. The exponent is that of the whole cost from the row before: how its growth compares with that of the
number. 0: it doesn't matter; 1: linear; above that, something is wrong.

- shards: aggregated records of 140 events to acknowledged batches (`KinesisLive`), then idle at the tips for 5 s.
- beats: windows of 100 events to acknowledgements (`BeatsServer`), then connected and idle for 5 s.
- objects: listed, planned and read (`s3-to-elasticsearch` without runner and sink), from memory.
- batches: decoded, made to bulks, sent to an endpoint that stores nothing.
"""

import argparse
import asyncio
import io
import itertools
import json
import math
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import beats
import jobs
import kinesis_read
from elasticsearch_write import decoded, null_elasticsearch
from harness import child_cpu_s, events, resident_mb, simulator

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object
from penstock.io.s3.reading import UnitReader, plan
from penstock.io.s3.units.listed import Listed
from penstock.io.s3.units.manifest import Finished

IDLE_S = 5.0
AGGREGATED = 140
WINDOW = 100


class Row(NamedTuple):
    """One number of things: the whole CPU time, what it was for, and what idling costs per thing and second."""

    number: int
    cpu_s: float
    events: int
    idle_us: float | None = None
    idle_kb: float | None = None


def least(repeats: int, work: Callable[[], float]) -> float:
    return min(work() for _ in range(repeats))


def timed(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


# -- shards ----------------------------------------------------------------------------------------------


def shards(repeats: int) -> Iterator[Row]:
    records, numbers = 1000, (1, 10, 100, 1000)
    with simulator(*[each for number in numbers for each in ("--stream", f"s{number}:{number}")]) as url:
        client = jobs.client(url)
        made = list(jobs.aggregated_records(AGGREGATED * records))
        for number in numbers:
            for start in range(0, records, 90):
                some = [
                    {**record, "ExplicitHashKey": str((start + index) % number * ((1 << 128) // number) + 1)}
                    for index, record in enumerate(made[start : start + 90])
                ]
                client.put_records(StreamName=f"s{number}", Records=some)
            found = [read_shards(url, number, AGGREGATED * records) for _ in range(repeats)]
            yield Row(
                number, min(cpu for cpu, _ in found), AGGREGATED * records, min(idle for _, idle in found)
            )


def read_shards(url: str, number: int, count: int) -> tuple[float, float]:
    """CPU seconds to read a stream, and microseconds per second and shard at its end."""
    live = kinesis_read.live_of(url, f"s{number}")
    before, done = time.process_time(), 0
    live.resume(None)
    while done < count:
        batch = live.take(10.0)
        assert batch is not None
        done += len(batch.events)
        live.acknowledge(batch.receipt.tokens)
    used = time.process_time() - before
    idle = timed(lambda: time.sleep(IDLE_S))
    live.close()
    return used, idle / IDLE_S / number * 1e6


# -- Beats -----------------------------------------------------------------------------------------------


def clients(repeats: int) -> Iterator[Row]:
    windows = 2000
    for number in (1, 100, 2000):
        found = [serve_clients(number, windows // number) for _ in range(repeats)]
        yield Row(
            number,
            min(cpu for cpu, _, _ in found),
            windows * WINDOW,
            min(idle for _, idle, _ in found),
            min(size for _, _, size in found),
        )


def serve_clients(number: int, windows: int) -> tuple[float, float, float]:
    """CPU seconds for all windows, microseconds per second and idle client, and KB that each client holds."""
    with beats.started(beats.ours()) as (server, port):
        beats.load(port, 1, 8)
        size = resident_mb(server.pid)
        command = [sys.executable, "-P", __file__, "--load", str(port), str(number), str(windows)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout is not None
            assert load.stdin is not None
            assert load.stdout.readline() == "connected\n"
            before = child_cpu_s(server.pid)
            load.stdin.write("go\n")
            load.stdin.flush()
            assert load.stdout.readline() == "done\n"
            used = child_cpu_s(server.pid) - before
            before = child_cpu_s(server.pid)
            time.sleep(IDLE_S)
            idle = child_cpu_s(server.pid) - before
            size = resident_mb(server.pid) - size
        return used, idle / IDLE_S / number * 1e6, size / number * 1e3


async def send(port: int, number: int, windows: int) -> None:
    """The load: connects all, waits for a line, sends each client's windows, 20 under way, stays until its input ends."""
    payloads = events(WINDOW)
    frames = b"".join(struct.pack(">HII", 0x324A, n, len(data)) + data for n, data in enumerate(payloads, 1))
    body = zlib.compress(frames, 3)
    window = b"2W" + struct.pack(">I", WINDOW) + b"2C" + struct.pack(">I", len(body)) + body
    made = []
    for start in range(0, number, 100):
        made += await asyncio.gather(
            *[asyncio.open_connection("127.0.0.1", port) for _ in range(min(100, number - start))]
        )
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = acknowledged = 0
        while acknowledged < windows:
            while sent < windows and sent - acknowledged < 20:
                writer.write(window)
                sent += 1
            acknowledged += struct.unpack(">I", (await reader.readexactly(6))[2:])[0] == WINDOW

    await asyncio.gather(*[one(*each) for each in made])
    print("done", flush=True)
    await asyncio.to_thread(sys.stdin.read)


# -- objects ---------------------------------------------------------------------------------------------


class Memory:
    """Objects of one line, from memory."""

    stopping = threading.Event()

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        return io.BytesIO(LINE[start:end]), None


LINE = events(1)[0] + b"\n"


def objects(repeats: int) -> Iterator[Row]:
    options = S3ReadOptions(input=["s3://lake/"])
    store: Any = Memory()

    def work(number: int) -> None:
        found = (S3Object("lake", f"2026/{n:09}.jsonl", len(LINE), f"{n:x}", 0) for n in range(number))
        listed, count = Listed(found, Finished()), 0
        for each in listed:
            for unit in plan(each, options, store):
                count += sum(len(found) for found, _ in UnitReader(unit, options, store).pieces())
        listed.close()
        assert count == number

    for number in (1, 1000, 1_000_000):
        inner = max(1, 1000 // number)  # the clock is too coarse for one
        times = (
            repeats if number < 1_000_000 else 1
        )  # which takes half a minute, and more than that hardly varies
        yield Row(
            number,
            least(times, lambda n=number, k=inner: timed(lambda: [work(n) for _ in range(k)]) / k),
            number,
        )


# -- batches ---------------------------------------------------------------------------------------------


def batches(repeats: int) -> Iterator[Row]:
    count = 16_000
    ready = decoded(events(count))
    with null_elasticsearch() as url:
        writer = BulkWriter(ElasticsearchOptions(hosts=[url]), threading.Event())
        for size in (8000, 1000, 100, 10, 1):
            some = ready if size > 1 else ready[: count // 8]
            parts = [some[start : start + size] for start in range(0, len(some), size)]

            def work(parts: list[list[Any]] = parts) -> None:
                for part in parts:
                    assert writer.write(part).written == len(part)

            work()
            yield Row(size, least(repeats, lambda work=work: timed(work)), len(some))
        writer.close()


PARTS = {"shards": shards, "beats": clients, "objects": objects, "batches": batches}


def report(name: str, rows: list[Row]) -> list[dict[str, Any]]:
    print(f"{name}\n  {'number':>9}  us per event  exponent  idle: us per second and each, KB each")
    lines, before = [], None
    for row in sorted(rows):
        # Of batches, what grows is one batch.
        cost = row.cpu_s * (row.number / row.events if name == "batches" else 1)
        exponent = None if before is None else math.log(cost / before[1]) / math.log(row.number / before[0])
        before = row.number, cost
        idle = "" if row.idle_us is None else f"{row.idle_us:8.1f}"
        size = "" if row.idle_kb is None else f"{row.idle_kb:8.1f}"
        shown = "" if exponent is None else f"{exponent:8.2f}"
        print(f"  {row.number:>9,}  {row.cpu_s / row.events * 1e6:12.2f}  {shown:8}  {idle:8}  {size:8}")
        lines.append({"table": name, **row._asdict(), "exponent": exponent})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--json", action="store_true", help="the rows again, as lines that a program can read"
    )
    parser.add_argument("--load", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        asyncio.run(send(*given.load))
        return
    names = [given.part] if given.part else list(PARTS)
    lines = list(itertools.chain(*[report(name, list(PARTS[name](given.repeats))) for name in names]))
    if given.json:
        print("\n".join(map(json.dumps, lines)))
    print(f"load of this machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
