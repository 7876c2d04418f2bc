"""This benchmark measures the two whole jobs: CPU-seconds per million 350-byte events, warm, beside a floor of the same run.

usage: python -P benchmarks/jobs.py [beats-to-kinesis | kinesis-to-elasticsearch | plain-records] [ROUNDS] [--OPTION=VALUE]

- beats-to-kinesis: from the Beats socket (windows of 2048 events, compression 3, two clients) to the acknowledged
  PutRecords, against the Kinesis simulator of our tests. Floor: what can't be left out, by the standard library alone:
  inflate, a bare loop over the frames, and MD5, base64 and SHA-256 of KPL's records.
- kinesis-to-elasticsearch: from aggregated records in two shards to the gathered bulk reply of an endpoint that
  stores nothing. Peer: boto3, protobuf for the aggregated records, json and helpers.streaming_bulk.
- plain-records: the same job from records of one event each.

Kinesis is the simulator of our tests, DynamoDB moto's. Every server and load generator is a process of its own; only
the job's own process is measured. Options go to kinesis-to-elasticsearch.
"""

import base64
import collections
import contextlib
import hashlib
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from harness import (
    child_cpu_s,
    cpu_per_million,
    events,
    load_package,
    print_table,
    resident_mb,
    rounds,
    simulator,
)

load_package("tests")
load_package("local")

from local.servers.elasticsearch_server import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WARM_UP = 100_000
MEASURED = 500_000
TO_READ = (WARM_UP + MEASURED + 100_000) // 140 * 140  # whole aggregated records
ENVIRONMENT = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": "us-east-1",
}


@contextlib.contextmanager
def program(
    *command: str | Path, wait_for: str = "", cwd: Path | None = None, **variables: str
) -> Iterator[tuple[int, str]]:
    """Runs a program until the block ends; gives its pid and the first line that holds `wait_for`."""
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**ENVIRONMENT, **variables},
        cwd=cwd,
    )
    try:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if wait_for in line:
                # What it says from now on is read too: a full pipe would hold it up.
                threading.Thread(
                    target=collections.deque, args=(process.stdout, 0), name="drain", daemon=True
                ).start()
                yield process.pid, line.strip()
                break
        else:
            sys.exit("".join(seen))
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


def python(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-P", *arguments]


def job(name: str, folder: str, *options: str, **variables: str) -> Any:
    command = python("-m", "penstock", name, *options)
    return program(*command, wait_for=" ready: ", cwd=Path(folder), **variables)


# -- beats-to-kinesis ------------------------------------------------------------------------------------


def beats_job() -> float:
    port = free_port(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        simulator("--stream", "kinesis_poc:2", "--forget") as endpoint_url,
        job("beats-to-kinesis", folder, *receiving(port, endpoint_url)) as (pid, _),
    ):
        load(port, WARM_UP)
        before = child_cpu_s(pid)
        sent = load(port, MEASURED)
        used = child_cpu_s(pid) - before
        MEMORY["beats-to-kinesis"] = resident_mb(pid)
        return used / sent * 1e6


def receiving(port: int, endpoint_url: str) -> list[str]:
    """The options of a job that takes Beats on a port, and writes to a stand-in of Kinesis as fast as it can."""
    return [
        *("--beats_port", str(port), "--stream_name", "kinesis_poc", "--endpoint_url", endpoint_url),
        *("--randomized_partition_key", "--max_pending_records", "10000", "--rate_limit", "1000000"),
    ]


def load(port: int, count: int) -> int:
    windows = str(count // 2 // 2048)
    command = python(HERE / "beats_load.py", "127.0.0.1", str(port), "2", windows)
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def beats_floor() -> float:
    """Inflates a window's frames and walks over them; hashes, encodes and signs records of 50 KB. Nothing else."""
    payloads = events(2048)
    frames = b"".join(struct.pack(">HII", 0x324A, n, len(data)) + data for n, data in enumerate(payloads, 1))
    body = zlib.compress(frames, 3)

    def work() -> int:
        count = 0
        for _ in range(50):
            inflated = zlib.decompress(body)
            position, unpack = 0, struct.Struct(">HII").unpack_from
            found = []
            while position < len(inflated):
                _code, _sequence, length = unpack(inflated, position)
                found.append(inflated[position + 10 : position + 10 + length])
                position += 10 + length
            for start in range(0, len(found), 140):
                record = b"".join(found[start : start + 140])
                encoded = base64.b64encode(record + hashlib.md5(record).digest())
                hashlib.sha256(encoded).digest()
            count += len(found)
        return count

    return cpu_per_million(work)


# -- kinesis-to-elasticsearch ----------------------------------------------------------------------------


def kinesis_job(name: str, records: Iterator[dict[str, Any]]) -> float:
    with leases() as endpoint_url, simulator("--stream", "kinesis_poc:2") as kinesis_url:
        fill(kinesis_url, records)
        return measured_job(name, AWS_ENDPOINT_URL=endpoint_url, AWS_ENDPOINT_URL_KINESIS=kinesis_url)


def reading(hosts: str) -> list[str]:
    """The options of a job that reads a stand-in of Kinesis, as fast as it can, into that cluster."""
    return [
        *("--kinesis_stream_name", "kinesis_poc", "--application_name", "benchmark", "--hosts", hosts),
        *("--checkpoint_interval_seconds", "10"),
        *("--shard_bytes_per_second", "0", "--shard_reads_per_second", "0"),
    ]


def measured_job(name: str, **variables: str) -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts),
        job("kinesis-to-elasticsearch", folder, *reading(hosts), *EXTRA, **variables) as (pid, _),
    ):
        wait(lambda: received(hosts) >= WARM_UP)
        before, first = child_cpu_s(pid), received(hosts)
        wait(
            lambda: received(hosts) >= min(first + MEASURED, TO_READ)
        )  # the warm-up may have gone on for long
        used, last = child_cpu_s(pid) - before, received(hosts)
        MEMORY[name] = resident_mb(pid)
        return used / (last - first) * 1e6


def kinesis_peer() -> float:
    """boto3, protobuf, json and helpers.streaming_bulk: what one writes without a framework."""
    count = 60_000
    with (
        simulator("--stream", "kinesis_poc:2") as endpoint_url,
        program(*python(HERE / "null_elasticsearch.py"), wait_for="http") as (_, hosts),
    ):
        fill(endpoint_url, aggregated_records(count))
        command = python(__file__, "peer", endpoint_url, hosts)
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
        return float(out)


def peer(endpoint_url: str, hosts: str) -> None:
    import boto3
    from elasticsearch import Elasticsearch, helpers

    aggregated_record = kpl_message()
    kinesis = boto3.client("kinesis", endpoint_url=endpoint_url, region_name="us-east-1")
    elasticsearch = Elasticsearch(hosts)

    def actions() -> Iterator[dict[str, Any]]:
        for shard in kinesis.list_shards(StreamName="kinesis_poc")["Shards"]:
            place = {"StreamName": "kinesis_poc", "ShardId": shard["ShardId"]}
            iterator = kinesis.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while True:
                reply = kinesis.get_records(ShardIterator=iterator, Limit=10000)
                iterator = reply["NextShardIterator"]
                if not reply["Records"]:
                    break
                for record in reply["Records"]:
                    message = record["Data"][4:-16]
                    assert hashlib.md5(message).digest() == record["Data"][-16:]
                    for index, user_record in enumerate(aggregated_record.FromString(message).records):
                        document = json.loads(user_record.data)
                        yield {
                            "_op_type": "create",
                            "_index": "logs-" + document["@timestamp"][:10],
                            "_id": f"{record['SequenceNumber']}:{index}",
                            "_source": document,
                        }

    def work() -> int:
        return sum(ok for ok, _ in helpers.streaming_bulk(elasticsearch, actions(), chunk_size=2000))

    print(cpu_per_million(work))


def kpl_message() -> Any:
    """protobuf's class for KPL's AggregatedRecord, as far as its fields are needed here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="kpl.proto", package="kpl", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    record = file.message_type.add(name="Record")
    record.field.add(name="partition_key_index", number=1, label=2, type=kinds.TYPE_UINT64)
    record.field.add(name="data", number=3, label=2, type=kinds.TYPE_BYTES)
    aggregated = file.message_type.add(name="AggregatedRecord")
    aggregated.field.add(name="partition_key_table", number=1, label=3, type=kinds.TYPE_STRING)
    aggregated.field.add(name="records", number=3, label=3, type=kinds.TYPE_MESSAGE, type_name=".kpl.Record")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kpl.AggregatedRecord"))


@contextlib.contextmanager
def leases() -> Iterator[str]:
    """The address of a DynamoDB (moto's)."""
    with program(*python(ROOT / "local" / "servers" / "moto_program.py", "0"), wait_for="serving at") as (
        _,
        line,
    ):
        yield line.rpartition(" ")[2]


def client(endpoint_url: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client("kinesis", endpoint_url=endpoint_url, region_name="us-east-1", **keys)


def fill(endpoint_url: str, records: Iterator[dict[str, Any]]) -> None:
    boto = client(endpoint_url)
    while some := list(itertools.islice(records, 90)):
        boto.put_records(StreamName="kinesis_poc", Records=some)


def aggregated_records(count: int) -> Iterator[dict[str, Any]]:
    """Records of 50 KB, evenly over both shards, by code of its own."""
    payloads = events(100_000)
    for number in range(count // 140):
        start = number * 140 % (len(payloads) - 140)
        message = b"\x0a\x01a" + b"".join(user_record(data) for data in payloads[start : start + 140])
        blob = b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()
        yield {"Data": blob, "PartitionKey": "a", "ExplicitHashKey": str((number % 2) << 127)}


def plain_records(count: int) -> Iterator[dict[str, Any]]:
    payloads = events(100_000)
    for number in range(count):
        data = payloads[number % len(payloads)]
        yield {"Data": data, "PartitionKey": "a", "ExplicitHashKey": str((number % 2) << 127)}


def user_record(data: bytes) -> bytes:
    inner = b"\x08\x00\x1a" + varint(len(data)) + data
    return b"\x1a" + varint(len(inner)) + inner


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def received(hosts: str) -> int:
    with urllib.request.urlopen(f"{hosts}/_count") as reply:
        return int(json.load(reply)["count"])


def wait(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("the job does not get on")
        time.sleep(0.05)


MEMORY: dict[str, float] = {}
EXTRA: list[str] = []


def main() -> None:
    if sys.argv[1:2] == ["peer"]:
        peer(*sys.argv[2:])
        return
    chosen = [each for each in sys.argv[1:] if not each.isdigit() and not each.startswith("--")]
    EXTRA.extend(each for each in sys.argv[1:] if each.startswith("--"))
    count = next((int(each) for each in sys.argv[1:] if each.isdigit()), 3)
    if not chosen or "beats-to-kinesis" in chosen:
        figures = rounds(
            {"floor: inflate, frames, MD5, base64, SHA-256": beats_floor, "beats-to-kinesis": beats_job},
            count,
        )
        print_table("beats-to-kinesis", figures, {"beats-to-kinesis": 2.5})
    if not chosen or "kinesis-to-elasticsearch" in chosen:
        name = "kinesis-to-elasticsearch"
        contenders = {
            "boto3 + streaming_bulk": kinesis_peer,
            name: lambda: kinesis_job(name, aggregated_records(TO_READ)),
        }
        print_table(name, rounds(contenders, count), {name: 4.0})
    if not chosen or "plain-records" in chosen:
        name = "plain-records"
        contenders = {name: lambda: kinesis_job(name, plain_records(TO_READ))}
        print_table(name, rounds(contenders, count), {name: 5.0})
    for name, megabytes in MEMORY.items():
        print(f"  {name}: {megabytes:.0f} MB resident at the end")


if __name__ == "__main__":
    main()
