"""Work spreads over a Flink cluster, also when that changes; the archive and its backfill run there too."""

import json
import threading
import uuid
from collections.abc import Iterator

import pytest

from local.flink.cluster import FlinkCluster
from local.servers.aws_server import REGION
from tests.servers import SharedAws, SharedElasticsearch
from tests.tools.jobs.flink import CHECKPOINTS, FLINK, FlinkPipeline, kill_workers
from tests.tools.models.archive import archived

pytestmark = FLINK

SHARDS = 4


@pytest.fixture
def stream(
    flink: FlinkCluster,
    elasticsearch: SharedElasticsearch,
    aws: SharedAws,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["Stream"]:
    folder = tmp_path_factory.mktemp("flink")
    made = Stream(flink, folder, elasticsearch, aws, f"t{uuid.uuid4().hex[:12]}", shards=SHARDS)
    try:
        yield made
    finally:
        made.close()


class Stream(FlinkPipeline):
    """A stream that the test itself writes numbered events to."""

    written = 0

    def put(self, count: int) -> None:
        kinesis = self.aws.client("kinesis")
        for start in range(self.written, self.written + count, 100):
            records = [
                {
                    "Data": json.dumps({"n": n, "@timestamp": "2026-11-01T10:00:00Z"}),
                    "PartitionKey": f"key-{n}",
                }
                for n in range(start, start + 100)
            ]
            assert kinesis.put_records(StreamName=self.name, Records=records)["FailedRecordCount"] == 0
        self.written += count

    def wait_for_all(self) -> None:
        """Until every event is there, and then: once."""
        self.until(lambda: self.count() >= self.written, f"{self.written} documents")
        found = self.client.search(
            index=self.index,
            size=0,
            aggregations={"kinds": {"cardinality": {"field": "n", "precision_threshold": 40_000}}},
        )
        assert self.count() == self.written
        assert found["aggregations"]["kinds"]["value"] == self.written

    def owners(self) -> dict[int, int]:
        """How many shards each process holds leases of."""
        found: dict[int, int] = {}
        for row in self.aws.client("dynamodb").scan(TableName=self.name)["Items"]:
            owner = row.get("leaseOwner", {}).get("S", "")
            if owner:
                pid = int(owner.split(":")[1])
                found[pid] = found.get(pid, 0) + 1
        return found


def test_shards_spread_over_both_workers_and_a_savepoint_takes_them_elsewhere(flink, stream):
    job = stream.start_kinesis("--parallelism=2")
    # One slot a task manager, one worker a task manager: each split has a process of its own.
    stream.until(
        lambda: stream.owners() == dict.fromkeys(flink.workers(), SHARDS // 2),
        "two workers with two shards each",
    )
    assert len(flink.workers()) == 2
    stream.put(1000)
    stream.wait_for_all()

    feeding = threading.Thread(target=lambda: [stream.put(100) for _ in range(20)])
    feeding.start()
    savepoint = job.stop_with_savepoint()
    job = stream.start_kinesis("--parallelism=1", f"--savepoint_path={savepoint}")
    # Both splits, in one process now: a savepoint keeps the number of splits.
    stream.until(
        lambda: stream.owners() == dict.fromkeys(flink.workers(), SHARDS), "one worker with four shards"
    )
    feeding.join()
    stream.wait_for_all()

    savepoint = job.stop_with_savepoint()
    stream.put(500)
    stream.start_kinesis("--parallelism=2", f"--savepoint_path={savepoint}")
    stream.until(lambda: stream.owners() == dict.fromkeys(flink.workers(), SHARDS // 2), "two workers again")
    stream.put(500)
    stream.wait_for_all()
    assert not stream.dead_letters()


def test_the_archive_and_its_backfill_run_there_too(flink, stream):
    """By `--runner FlinkRunner`, which starts a job server of its own; a kill of the worker in the middle."""
    bucket = f"bucket-{stream.name}"
    s3 = stream.aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    aws = ("--region", REGION, "--endpoint_url", stream.aws.endpoint_url)
    stream.put(1000)
    job = stream.submit(
        "kinesis-to-s3",
        *("--kinesis_stream_name", stream.name, "--application_name", f"{stream.name}-archive", *aws),
        *("--archive", f"s3://{bucket}/archive", "--archive_format", "json", "--archive_compression", "gzip"),
        *("--roll_seconds", "1", "--additional_settings", "failoverTimeMillis=2000"),
        *CHECKPOINTS,
        *("--parallelism", "2"),
        runner=flink.flink_runner_options,
    )

    def count():
        return len(set(archived(s3, bucket)))  # moto numbers each shard from 1

    stream.until(lambda: count() >= 200, "the first files")
    stream.put(500)
    kill_workers(flink)
    stream.put(500)
    stream.until(lambda: count() >= stream.written, "all records in the archive")
    job.stop_with_savepoint()
    assert count() == stream.written

    backfill = stream.submit(
        "s3-to-elasticsearch",
        *(
            "--input",
            f"s3://{bucket}/archive/",
            *aws,
            "--hosts",
            stream.elasticsearch.url,
            "--index",
            stream.name + "-b",
        ),
        *("--dead_letters", f"file://{stream.folder}/dead_letters/backfill.jsonl"),
    )
    assert backfill.wait(120) == 0, backfill.last_words()
    assert stream.count() == stream.written
    assert not stream.dead_letters()
