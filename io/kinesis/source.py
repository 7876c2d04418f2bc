"""`ReadFromKinesis`: a stream's events, in batches, from checkpoints that never pass what isn't delivered."""

import functools
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws import AwsOptions
from penstock.io.kinesis.live import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.live import LIVE
from penstock.io.options import display_data_of
from penstock.io.status import ShardStatus
from penstock.io.unbounded import BatchSource, Pacing, read_from
from penstock.transforms.batch import EventBatch

__all__ = ["ReadFromKinesis", "ShardSource"]


class ReadFromKinesis(beam.PTransform):
    """Reads every shard of a stream, takes KPL's aggregated records apart, and gives `EventBatch`es.

    Put `Acknowledge` last in the same chain: only what it has seen is checkpointed.

    Args:
        options: what to read.
        aws: who we are.
        pacing: how long a reader holds its bundle; by default what suits the pipeline's runner.

    Unit of parallelism: the shard. One process reads all shards it holds leases of at the same time; several
    jobs with one `application_name`, and the splits of one job (`read_splits`), share them.

    Delivery guarantee: at least once. After a crash, what was read since the last checkpoint
    (`checkpoint_interval_seconds`) is read again, with the same `position()` and index, so a sink that derives
    its ids from them writes it once. Records of one partition key come in order.

    IAM actions: kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords; dynamodb:DescribeTable,
    CreateTable, Scan, GetItem, PutItem, UpdateItem, DeleteItem; kms:Decrypt for an encrypted stream.
    """

    def __init__(self, options: KinesisReadOptions, aws: AwsOptions, *, pacing: Pacing | None = None) -> None:
        super().__init__()
        self._options = options
        self._aws = aws
        self._pacing = pacing

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        make = functools.partial(ShardSource, self._options, self._aws)
        return read_from(begin, make, self._pacing) | "Gauges" >> beam.ParDo(_GaugesDoFn())


class ShardSource(BatchSource):
    """The Beam source. Each split is a lease worker of its own, so the leases spread the shards evenly.

    Splits have live sources of their own even in one process: what one of them hands out is nothing to the
    other's checkpoint marks.
    """

    def __init__(
        self, options: KinesisReadOptions, aws: AwsOptions, pacing: Pacing, number: int | None = None
    ) -> None:
        key = f"kinesis:{options.stream_name}:{options.application_name}"
        if number is not None:
            key += f"#{number}"
        super().__init__(key, functools.partial(KinesisLive, key, options, aws), pacing)
        self._arguments = options, aws, pacing

    def split(self, desired_num_splits: int, options: Any = None) -> list[BatchSource]:
        """Up to `read_splits` splits, no more than the runner desires."""
        count = min(desired_num_splits, self._arguments[0].read_splits)
        if count < 2:
            return [self]
        return [ShardSource(*self._arguments, number) for number in range(count)]


class _GaugesDoFn(beam.DoFn):
    """Passes batches on, and shows Beam once a second how far behind each shard is."""

    def __init__(self) -> None:
        self._due = 0.0

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + 1.0
            source = LIVE.find(batch.source)
            if isinstance(source, KinesisLive):
                for shard in source.peers():
                    if isinstance(shard, ShardStatus) and shard.behind_s is not None:
                        behind_ms = round(shard.behind_s * 1000)
                        Metrics.gauge("kinesis", f"MillisBehindLatest.{shard.shard_id}").set(behind_ms)
        yield batch
