"""This benchmark measures the Kinesis read: GetRecords in, acknowledged batches out, CPU-seconds per million events.

usage: python -P benchmarks/kinesis_read.py [ROUNDS] [--memory]

Aggregated records of 50 KB with events of 350 bytes, in the Kinesis simulator of our tests (a process of its own).
Peer: boto3 and `aws-kinesis-agg` (pip install aws-kinesis-agg), one thread per shard. Floor: JSON, base64 and MD5 of
the same bytes, one record after the other. Only this process is measured; the pace that spares the service's limits
is switched off. `--memory` reads 200 shards into a stopped sink instead, and prints what this process grows by.
"""

import base64
import hashlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from harness import cpu_per_million, events, load_package, print_table, resident_mb, rounds, simulator

load_package("tests")

import orjson
import pybase64

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.wire.client import PutEntry, connect
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.transforms.batch import Event

HERE = Path(__file__).resolve().parent
COUNT = 400_000
SHARDS = 4
MEMORY_SHARDS = 200
MEMORY_BOUND_MB = 64 + 8 * 35


class Origin:
    def position(self) -> None:
        return None


def options_of(url: str) -> AwsOptions:
    return AwsOptions(endpoint_url=url, access_key="test", secret_key="test")


def fill(url: str, stream: str, count: int, **options: Any) -> None:
    given = KinesisWriteOptions(stream, rate_limit=1_000_000, metrics_level="none", **options)
    writer = KinesisWriter(given, options_of(url))
    keys = PartitionKeys([], randomized=given.randomized_partition_key)
    origin: Any = Origin()
    datas = events(2000)
    for start in range(0, count, 2000):
        batch = [Event(data, origin, start + index) for index, data in enumerate(datas)]
        letters, _ = writer.write(batch, keys)
        assert not letters
    writer.close()


def live_of(url: str, stream: str, session: AwsSession | None = None, **options: Any) -> KinesisLive:
    given = KinesisReadOptions(
        stream, checkpoints="none", shard_bytes_per_second=0, shard_reads_per_second=0, **options
    )
    return KinesisLive(f"benchmark:{stream}", given, options_of(url), session=session)


def ours(url: str, stream: str, count: int) -> Callable[[], float]:
    session = AwsSession(options_of(url))  # as the peer's: boto's clients are made once per process

    def work() -> int:
        live = live_of(url, stream, session)
        live.resume(None)
        done = 0
        while done < count:
            batch = live.take(10.0)
            assert batch is not None
            done += len(batch.events)
            live.acknowledge(batch.receipt.tokens)
        live.close()
        assert done == count
        return done

    work()
    return lambda: cpu_per_million(work)


def peer(url: str, stream: str, count: int) -> Callable[[], float]:
    import boto3
    from aws_kinesis_agg.deaggregator import deaggregate_records

    client = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    shards = [each["ShardId"] for each in client.list_shards(StreamName=stream)["Shards"]]

    def read(shard_id: str, found: list[int]) -> None:
        iterator = client.get_shard_iterator(
            StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        total = 0
        while True:
            reply = client.get_records(ShardIterator=iterator, Limit=10000)
            if not reply["Records"]:
                break
            # The library wants the records as a Lambda gets them.
            wrapped = [
                {
                    "kinesis": {
                        "data": base64.b64encode(each["Data"]),
                        "partitionKey": each["PartitionKey"],
                        "sequenceNumber": each["SequenceNumber"],
                        "kinesisSchemaVersion": "1.0",
                        "approximateArrivalTimestamp": 0,
                    },
                    "eventVersion": "1.0",
                    "eventID": "",
                    "eventName": "",
                    "invokeIdentityArn": "",
                    "awsRegion": "",
                    "eventSourceARN": "",
                    "eventSource": "",
                }
                for each in reply["Records"]
            ]
            total += len(deaggregate_records(wrapped))
            iterator = reply["NextShardIterator"]
        found.append(total)

    def work() -> int:
        found: list[int] = []
        threads = [threading.Thread(target=read, args=(each, found)) for each in shards]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(found) == count
        return count

    return lambda: cpu_per_million(work)


def floor() -> Callable[[], float]:
    blob = b"".join(events(COUNT // 20))
    parts = [blob[at : at + 51_200] for at in range(0, len(blob), 51_200)]
    replies = [
        orjson.dumps(
            {"Records": [{"Data": pybase64.b64encode(part).decode()} for part in parts[at : at + 25]]}
        )
        for at in range(0, len(parts), 25)
    ]

    def work() -> int:
        for _ in range(20):
            for reply in replies:
                for record in orjson.loads(reply)["Records"]:
                    hashlib.md5(
                        pybase64.b64decode(record["Data"], validate=True), usedforsecurity=False
                    ).digest()
        return COUNT

    return lambda: cpu_per_million(work)


def memory(url: str) -> None:
    client = connect(AwsSession(options_of(url)))
    payload = os.urandom(1 << 19)
    for shard in range(MEMORY_SHARDS):
        hash_key = str(((1 << 128) // MEMORY_SHARDS) * shard + (1 << 100))
        entries = [PutEntry(payload, "a", hash_key) for _ in range(4)]
        assert not any(result.error_code for result in client.put_records("many", entries).records)
    client.close()
    live = live_of(url, "many")
    before = resident_mb(os.getpid())
    live.resume(None)
    most = 0.0
    until = time.monotonic() + 20
    while time.monotonic() < until:
        time.sleep(0.1)
        most = max(most, resident_mb(os.getpid()) - before)
    print(
        f"{MEMORY_SHARDS} shards of 2 MiB, sink stopped for 20 s: {live.pending_bytes / 1e6:.0f} MB pending, "
        f"{threading.active_count()} threads, process grew by {most:.0f} MB at most (bound {MEMORY_BOUND_MB})"
    )
    live.close()


def main() -> None:
    arguments = [each for each in sys.argv[1:] if each != "--memory"]
    streams = [f"random:{SHARDS}", f"same:{SHARDS}", f"plain:{SHARDS}", f"many:{MEMORY_SHARDS}"]
    with simulator(*[each for stream in streams for each in ("--stream", stream)]) as url:
        if "--memory" in sys.argv:
            memory(url)
            return
        fill(url, "random", COUNT, randomized_partition_key=True)
        fill(url, "same", COUNT, keep_order=False)
        fill(url, "plain", COUNT // 8, randomized_partition_key=True, aggregation_enabled=False)
        contenders: dict[str, Callable[[], float]] = {}
        if importlib.util.find_spec("aws_kinesis_agg"):
            contenders["boto3 and aws-kinesis-agg"] = peer(url, "random", COUNT)
        contenders["floor: JSON, base64, MD5"] = floor()
        contenders["penstock, random keys"] = ours(url, "random", COUNT)
        contenders["penstock, one key"] = ours(url, "same", COUNT)
        contenders["penstock, not aggregated"] = ours(url, "plain", COUNT // 8)
        figures = rounds(contenders, int(arguments[0]) if arguments else 5)
    print_table("Kinesis read", figures, {"penstock, random keys": 1.6, "penstock, one key": 1.6})


if __name__ == "__main__":
    main()
