"""This benchmark measures a backfill: CPU-seconds per million 320-byte events, beside a floor per format in the same run.

usage: python -P benchmarks/s3.py [formats | job | scale | memory] [ROUNDS]

- formats: objects on disk read into decoded events (what stands before the bulk write), against the floor of that
  format: read, decompress, decode, nothing else. Goal: twice the floor. Parquet, ORC and Avro also as they would be
  read in the job's own process; the process of their own may cost a tenth more than that.
- job: gzipped JSON lines to the gathered bulk reply of an endpoint that stores nothing, whole job; the read of the
  objects comes from moto's S3. Goal: 4.5.
- scale: the same with one and with two worker processes, events per second. Goal: 1.7 times as many.
- memory: the peak of a job over objects of 10 and of 320 MB, decompressed.
"""

import bz2
import contextlib
import gzip
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import child_cpu_s, cpu_per_million, events, load_package, print_table, rounds

load_package("tests")
load_package("local")

import fastavro
import orjson
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
from backports import zstd

from local.servers.aws_server import CREDENTIALS, REGION, AwsServer
from penstock.io.archive import LAYOUT
from penstock.io.archive.files import encode
from penstock.io.chain.live_objects import LIVE
from penstock.io.kinesis.positions import KinesisRecord
from penstock.io.s3.formats._rows import listed
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.tables import worker
from penstock.io.s3.tables._messages import Done, Table, Task
from penstock.io.s3.tables.process import Workers
from penstock.io.s3.tables.reading import TableReader
from penstock.transforms.batch import Event
from penstock.transforms.decode import JsonDecoder

HERE = Path(__file__).resolve().parent
COUNT = 200_000
ROWS = 100_000
OBJECTS, OBJECT_EVENTS = 300, 100_000
JOB = [sys.executable, "-P", "-m", "penstock", "s3-to-elasticsearch", "--index", "x"]


def write_files(folder: Path) -> None:
    data = events(COUNT, 320)
    text = b"\n".join(data) + b"\n"
    (folder / "lines").write_bytes(text)
    (folder / "lines.gz").write_bytes(gzip.compress(text, 6))
    (folder / "lines.zst").write_bytes(zstd.compress(text))
    (folder / "lines.bz2").write_bytes(bz2.compress(text))
    (folder / "array.gz").write_bytes(gzip.compress(b"[" + b",".join(data) + b"]"))
    rows = [flat(line) for line in data[:ROWS]]
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet", compression="zstd")
    pyarrow.orc.write_table(pa.Table.from_pylist(rows), str(folder / "table.orc"), compression="zstd")
    names = list(rows[0])
    schema = {"type": "record", "name": "r", "fields": [
        {"name": name, "type": "long" if isinstance(rows[0][name], int) else "string"} for name in names
    ]}  # fmt: skip
    with (folder / "table.avro").open("wb") as file:
        fastavro.writer(file, schema, rows, codec="deflate")
    archived = [
        Event(line, KinesisRecord("s", "shardId-000000000000", str(number // 100), "k", 1, 100), number % 100)
        for number, line in enumerate(data)
    ]
    (folder / "archive.parquet").write_bytes(encode(archived, "parquet", "zstd"))


def flat(line: bytes) -> dict[str, object]:
    document = orjson.loads(line)
    return {
        "timestamp": document["@timestamp"], "offset": document["log"]["offset"], "path": document["log"]["file"]["path"],
        "agent": document["agent"]["ephemeral_id"], "host": document["host"]["name"], "message": document["message"],
    }  # fmt: skip


# -- formats ---------------------------------------------------------------------------------------------


def ours(path: Path) -> Callable[[], int]:
    """Reads an object as the job does, up to the events that the sink would get."""
    decoder = JsonDecoder(keep_documents=False)
    options = S3ReadOptions(input=[str(path)])
    store = LocalFiles()

    def work() -> int:
        count = 0
        for found, letters in UnitReader(
            WorkUnit(store.stat("", str(path))), options, store, [LAYOUT]
        ).pieces():
            if found and found[0].id is not None:  # rows are decoded already
                count += len(found)
                continue
            decoded, refused = decoder.decode(found)
            assert not letters
            assert not refused
            count += len(decoded)
        return count

    return work


def with_workers(work: Callable[[], int]) -> float:
    """CPU-seconds per million, those of the processes that read tables among them."""
    before = tables_cpu_s()
    count = 0

    def counted() -> int:
        nonlocal count
        count = work()
        return count

    here = cpu_per_million(counted)
    return here + (tables_cpu_s() - before) / count * 1e6


def tables_cpu_s() -> float:
    """By the scheduler's clock: the other one has ticks of a hundredth of a second."""
    workers: Workers = LIVE.share("s3 table workers", Workers)
    files = [file for each in workers._idle for file in Path(f"/proc/{each.pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


class Here:
    """Stands for a worker's channel: the same code, in this process."""

    task = 0

    def __init__(self, reader: TableReader, choose: Callable[..., Sequence[str] | None]) -> None:
        self._reader = reader
        self._choose = choose

    def bytes_of(self, _: int, offset: int, size: int) -> bytes:
        return b"".join(self._reader._bytes(offset, size))

    def wanted(self, table: Table) -> Sequence[str] | None:
        return self._choose(table.names, table.marks)


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Without a process of their own, and with nothing that goes from one to the other."""

    def messages(
        self: TableReader, task: Task, choose: Callable[..., Sequence[str] | None]
    ) -> Iterator[object]:
        for message in worker._done(task, Here(self, choose)):  # type: ignore[arg-type]
            yield message if isinstance(message, Done) else listed(message)

    through_workers = TableReader._messages
    TableReader._messages = messages  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        TableReader._messages = through_workers  # type: ignore[method-assign]


def inside(work: Callable[[], int]) -> float:
    with in_this_process():
        return cpu_per_million(work)


def floor_lines(opener: Callable[[Path], object], path: Path) -> Callable[[], int]:
    def work() -> int:
        count = 0
        with opener(path) as file:  # type: ignore[attr-defined]
            for line in file:
                orjson.loads(line)
                count += 1
        return count

    return work


def floor_array(path: Path) -> Callable[[], int]:
    return lambda: len(orjson.loads(gzip.decompress(path.read_bytes())))


def floor_parquet(path: Path) -> Callable[[], int]:
    def work() -> int:
        count = 0
        for batch in pq.ParquetFile(path).iter_batches(2000, use_threads=False):
            count += len(batch.to_pylist())
        return count

    return work


def floor_orc(path: Path) -> Callable[[], int]:
    def work() -> int:
        file = pyarrow.orc.ORCFile(str(path))
        return sum(len(file.read_stripe(number).to_pylist()) for number in range(file.nstripes))

    return work


def floor_avro(path: Path) -> Callable[[], int]:
    def work() -> int:
        with path.open("rb") as file:
            return sum(1 for _ in fastavro.reader(file))

    return work


def formats(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        pairs = {
            "lines": floor_lines(lambda path: path.open("rb"), folder / "lines"),
            "lines.gz": floor_lines(gzip.open, folder / "lines.gz"),
            "lines.zst": floor_lines(zstd.open, folder / "lines.zst"),
            "lines.bz2": floor_lines(bz2.open, folder / "lines.bz2"),
            "array.gz": floor_array(folder / "array.gz"),
            "table.parquet": floor_parquet(folder / "table.parquet"),
            "table.orc": floor_orc(folder / "table.orc"),
            "table.avro": floor_avro(folder / "table.avro"),
            "archive.parquet": floor_parquet(folder / "archive.parquet"),
        }
        for file, floor in pairs.items():
            mine = ours(folder / file)
            mine()  # what starts is started
            contenders = {f"floor {file}": lambda f=floor: cpu_per_million(f)}
            if file.endswith((".parquet", ".orc", ".avro")):
                contenders["in this process"] = lambda m=mine: inside(m)
            figures = rounds(contenders | {f"penstock {file}": lambda m=mine: with_workers(m)}, count)
            print_table(file, figures)


# -- the whole job ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def endpoint() -> Iterator[tuple[str, int]]:
    """An Elasticsearch that stores nothing: its address and its process id."""
    null = subprocess.Popen(
        [sys.executable, "-P", str(HERE / "null_elasticsearch.py")], stdout=subprocess.PIPE, text=True
    )
    assert null.stdout is not None
    try:
        yield null.stdout.readline().strip(), null.pid
    finally:
        null.terminate()
        null.wait()


@contextlib.contextmanager
def endpoints() -> Iterator[tuple[str, AwsServer]]:
    """The same, and moto's S3."""
    with endpoint() as (url, _), tempfile.TemporaryDirectory() as folder:
        aws = AwsServer(Path(folder))
        try:
            yield url, aws.wait_ready()
        finally:
            aws.stop()


def fill(aws: AwsServer, objects: int, each: int) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="lake")
    data = events(each, 320)
    body = gzip.compress(b"\n".join(data) + b"\n", 6)
    for number in range(objects):
        s3.put_object(Bucket="lake", Key=f"{number:03d}.gz", Body=body)


def run_job(url: str, *options: str) -> tuple[float, str, int]:
    """CPU-seconds of the job and its workers, what it said, and its peak memory in KB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*JOB, "--hosts", url, *options],
            capture_output=True, text=True, cwd=folder, env={**os.environ, **CREDENTIALS}, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr, after.ru_maxrss


def whole(count: int) -> None:
    """The difference between a long and a short run, so that starting costs nothing."""
    with endpoints() as (url, aws):
        fill(aws, 12, 100_000)
        options = ("--region", REGION, "--endpoint_url", aws.endpoint_url)

        def contender() -> float:
            short, _, _ = run_job(url, "--input", "s3://lake/000", *options)
            long, _, _ = run_job(url, "--input", "s3://lake/0", *options)
            return (long - short) / 1.1

        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "lines.gz"
            file.write_bytes(gzip.compress(b"\n".join(events(COUNT, 320)) + b"\n", 6))
            floor = floor_lines(gzip.open, file)
            figures = rounds(
                {
                    "floor: read, inflate, decode": lambda: cpu_per_million(floor),
                    "s3-to-elasticsearch": contender,
                },
                count,
            )
        print_table(
            "gzipped JSON lines in S3 to the bulk reply, whole job", figures, {"s3-to-elasticsearch": 4.5}
        )


def scale(count: int) -> None:
    """From files, so that beside the workers only the endpoint needs a core; long enough that starting is little."""
    with endpoint() as (url, server), tempfile.TemporaryDirectory() as name:
        first = Path(name) / "000.gz"
        first.write_bytes(gzip.compress(b"\n".join(events(OBJECT_EVENTS, 320)) + b"\n", 6))
        for number in range(1, OBJECTS):
            (Path(name) / f"{number:03d}.gz").hardlink_to(first)
        rates: dict[int, list[float]] = {1: [], 2: []}
        cpu: dict[int, list[float]] = {1: [], 2: []}
        endpoint_cpu: list[float] = []
        for _ in range(count):
            for workers in rates:
                before = child_cpu_s(server)
                used, said, _ = run_job(url, "--workers", str(workers), "--input", f"{name}/*.gz")
                rate = re.search(r"([\d,]+) events per second", said)
                assert rate is not None
                rates[workers].append(float(rate[1].replace(",", "")))
                cpu[workers].append(used / (OBJECTS * OBJECT_EVENTS) * 1e6)
                endpoint_cpu.append((child_cpu_s(server) - before) / (OBJECTS * OBJECT_EVENTS) * 1e6)
        one, two = (statistics.median(found) for found in rates.values())
        print(f"one worker {one:,.0f} events/s, two {two:,.0f}: {two / one:.2f} times (goal 1.7)")
        print(
            f"  CPU-s per million events, starting included: one {statistics.median(cpu[1]):.2f}, "
            f"two {statistics.median(cpu[2]):.2f}, the endpoint beside them {statistics.median(endpoint_cpu):.2f}"
        )
        print(f"  rounds: {rates}; load of this machine: {os.getloadavg()[0]:.1f}")


def memory(_: int) -> None:
    with endpoint() as (url, _), tempfile.TemporaryDirectory() as name:
        for count in (30_000, 1_000_000):
            text = b"\n".join(events(count, 320)) + b"\n"
            file = Path(name) / f"{count}.gz"
            file.write_bytes(gzip.compress(text, 1))
            del text
            peak = peak_of([*JOB, "--hosts", url, "--input", str(file)], name)
            print(f"{count:>9,} events in one gzip object: peak {peak / 1e3:.0f} MB")


def peak_of(command: list[str], folder: str) -> int:
    """Peak memory in KB, from its own VmHWM: `ru_maxrss` would count ours, from before the exec, too."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, IndexError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
        time.sleep(0.1)
    assert process.returncode == 0
    return peak


if __name__ == "__main__":
    parts = {"formats": formats, "job": whole, "scale": scale, "memory": memory}
    chosen = [argument for argument in sys.argv[1:] if argument in parts] or list(parts)
    number = next((int(argument) for argument in sys.argv[1:] if argument.isdigit()), 5)
    for part in chosen:
        parts[part](number)
