"""This benchmark measures the Kinesis write: payload bytes in, acknowledged PutRecords out, CPU-seconds per million events.

usage: python -P benchmarks/kinesis_write.py [ROUNDS]

Batches of 2,000 events of 350 bytes, against the Kinesis simulator of our tests (a process of its own). Peer:
`aws-kinesis-agg` (pip install aws-kinesis-agg) and boto3, which aggregates without regard to shards. Floor: MD5,
base64 and SHA-256 of the same bytes, which KPL's format and the signature demand, one record after the other (the
kernels hash several side by side, so penstock may cost less). Only this process is measured.
"""

import base64
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "upb")
sys.path.insert(0, str(Path(__file__).parent))
from harness import cpu_per_million, events, load_package, print_table, rounds, simulator

load_package("tests")

import pybase64

from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.transforms.batch import Event
from tests.tools.samples.events import ToyOrigin

HERE = Path(__file__).resolve().parent
BATCH = 2000
BATCHES = 60
STREAM = "benchmark"


def ours(endpoint_url: str, fields: list[str] | None = None, **options: Any) -> Callable[[], float]:
    aws = AwsOptions(endpoint_url=endpoint_url, access_key="test", secret_key="test")
    given = KinesisWriteOptions(
        STREAM, rate_limit=1_000_000, metrics_level="none", event_partition_keys=fields or [], **options
    )
    writer = KinesisWriter(given, aws)
    keys = PartitionKeys(given.event_partition_keys, randomized=given.randomized_partition_key)
    origin = ToyOrigin(None)
    batch = [Event(data, origin, index) for index, data in enumerate(events(BATCH))]

    def work() -> int:
        for _ in range(BATCHES):
            letters, _ = writer.write(batch, keys)
            assert not letters
        return BATCHES * BATCH

    work()
    return lambda: cpu_per_million(work)


def peer(endpoint_url: str) -> Callable[[], float]:
    import boto3
    from aws_kinesis_agg.aggregator import RecordAggregator

    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    datas = events(BATCH)

    def work() -> int:
        for _ in range(BATCHES // 6):
            aggregator = RecordAggregator(51200)
            records = []
            for data in datas:
                full = aggregator.add_user_record("-", data)
                if full:
                    records.append(full.get_contents())
            records.append(aggregator.clear_and_get().get_contents())
            entries = [{"PartitionKey": key, "Data": data} for key, _, data in records]
            reply = client.put_records(StreamName=STREAM, Records=entries)
            assert reply["FailedRecordCount"] == 0
        return BATCHES // 6 * BATCH

    work()
    return lambda: cpu_per_million(work)


def floor() -> Callable[[], float]:
    blob = b"".join(events(BATCH))
    parts = [blob[at : at + 51_200] for at in range(0, len(blob), 51_200)]

    def work() -> int:
        for _ in range(BATCHES):
            encoded = []
            for part in parts:
                hashlib.md5(part, usedforsecurity=False).digest()
                encoded.append(pybase64.b64encode(part))
            hashlib.sha256(b"".join(encoded)).hexdigest()
        return BATCHES * BATCH

    assert pybase64.b64encode(blob) == base64.b64encode(blob)
    return lambda: cpu_per_million(work)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with simulator("--stream", f"{STREAM}:4", "--forget") as url:
        contenders: dict[str, Callable[[], float]] = {}
        if importlib.util.find_spec("aws_kinesis_agg"):
            contenders["aws-kinesis-agg and boto3"] = peer(url)
        contenders["floor: MD5, base64, SHA-256"] = floor()
        contenders["penstock, random keys"] = ours(url, randomized_partition_key=True)
        contenders["penstock, random keys, boto3"] = ours(
            url, randomized_partition_key=True, data_plane="boto3"
        )
        contenders["penstock, key '-', order kept"] = ours(url)
        contenders["penstock, key '-', order free"] = ours(url, keep_order=False)
        contenders["penstock, key from a field"] = ours(url, ["agent.ephemeral_id"])
        contenders["penstock, random, not aggregated"] = ours(
            url, randomized_partition_key=True, aggregation_enabled=False
        )
        figures = rounds(contenders, count)
    print_table("Kinesis write", figures, {"penstock, random keys": 1.5})


if __name__ == "__main__":
    main()
