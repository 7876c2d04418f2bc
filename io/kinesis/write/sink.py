"""The Kinesis write as a Beam transform.

A batch is written whole before it is handed on: `WriteToKinesis` -> `WriteDeadLetters` -> `Acknowledge`. Clients,
connections, shard maps and threads belong to the process (`penstock.io.chain.live_objects`), not to the DoFn, of which
runners make a new one for nearly every bundle.
"""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.metrics import Metrics

from penstock.io.aws.cloudwatch import MetricsUploader
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import borrowed, without_refused
from penstock.io.errors import NotFound
from penstock.io.kinesis.shard_map import LiveShardMap, list_shards
from penstock.io.kinesis.wire.client import connect
from penstock.io.kinesis.write.metrics import COUNTS, Recorder, series_of
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.partition_keys import PartitionKeys
from penstock.io.kinesis.write.stream_names import StreamName
from penstock.io.kinesis.write.writer import Refusal, StreamWriter
from penstock.io.options import display_data_of
from penstock.transforms.batch import DeadLetter, Event, EventBatch

__all__ = ["KinesisWriter", "WriteToKinesis", "uploader_of"]

_MAX_STREAMS = 1000
"""Streams that one process keeps shard maps for, where events name their stream."""


class WriteToKinesis(beam.PTransform):
    """Writes the events of each batch to a Kinesis stream, aggregated as KPL does, then hands the batch on.

    Args:
        options: what to write where, and how.
        aws: who we are, and where AWS is.
        partition_key: a picklable function that gives an event's partition key (1 to 256 characters),
            instead of the options for it.

    Unit of parallelism: the batch; its requests are in flight at the same time (`max_connections`).
    Delivery guarantee: at least once; a batch is handed on when all of it is in the stream or refused.
    After a restart, whatever was not acknowledged is written again.
    Refused events (over 1 MiB, expired, throttled with `fail_if_throttled`, without a stream where the name
    comes from a field) become dead letters of the batch.
    IAM: kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:PutRecords on the stream; with a customer's KMS key
    kms:GenerateDataKey on it; cloudwatch:PutMetricData unless `metrics_level` is none (see docs/iam.md).
    """

    def __init__(
        self,
        options: KinesisWriteOptions,
        aws: AwsOptions,
        partition_key: Callable[[Event], str] | None = None,
    ) -> None:
        super().__init__()
        self._options = options
        self._aws = aws
        self._keys = PartitionKeys(
            options.event_partition_keys, randomized=options.randomized_partition_key, function=partition_key
        )

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteToKinesis" >> beam.ParDo(
            _WriteToKinesisDoFn(self._options, self._aws, self._keys)
        )


class _WriteToKinesisDoFn(beam.DoFn):
    def __init__(self, options: KinesisWriteOptions, aws: AwsOptions, keys: PartitionKeys) -> None:
        self._options = options
        self._aws = aws
        self._keys = keys
        self._written = Metrics.counter("kinesis_write", "events")
        self._refused = Metrics.counter("kinesis_write", "refused")
        self._bytes = Metrics.counter("kinesis_write", "bytes")
        self._counters = {name: Metrics.counter("kinesis_write", name) for name in COUNTS}
        # The repr leaves secrets out; the access key tells two identities apart.
        self._key = f"kinesis_write:{options!r}:{aws!r}"

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        if not batch.events:
            yield batch
            return
        options, aws = self._options, self._aws
        with borrowed(self._key, lambda: KinesisWriter(options, aws)) as writer:
            waited_ms = max(0.0, time.time() * 1000 - batch.timestamp_ms) if batch.timestamp_ms else 0.0
            letters, size = writer.write(batch.events, self._keys, waited_ms)
        self._written.inc(len(batch.events) - len(letters))
        self._bytes.inc(size)
        for name, count in writer.recorder.take_counts().items():
            self._counters[name].inc(count)
        if letters:
            self._refused.inc(len(letters))
        yield without_refused(batch, letters)


class KinesisWriter:
    """What all DoFn instances of a process share: client, connections, threads, one `StreamWriter` a stream.

    Args:
        options: the write's options.
        aws: who we are, and where AWS is.
        recorder: counts what happens.
        stopping: set when the job stops.
    """

    def __init__(
        self,
        options: KinesisWriteOptions,
        aws: AwsOptions,
        *,
        recorder: Recorder | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self._options = options
        self._session = AwsSession(aws)
        self._client = connect(
            self._session, max_connections=options.max_connections, data_plane=options.data_plane
        )
        self._stream = StreamName(options.stream_name)
        self.recorder = recorder or Recorder()
        self._stopping = stopping or LIVE.stopping
        self._pool = concurrent.futures.ThreadPoolExecutor(
            options.max_connections, thread_name_prefix="penstock-put"
        )
        self._metrics = None
        if options.metrics_level != "none":
            self._metrics = uploader_of(self.recorder, options, aws)
            self._metrics.start()
        self._lock = threading.Lock()
        self._writers: dict[str, StreamWriter] = {}

    def write(
        self, events: Sequence[Event], keys: PartitionKeys, waited_ms: float = 0.0
    ) -> tuple[list[DeadLetter], int]:
        """Writes events; gives the dead letters of those that were refused, and the bytes of all.

        Raises:
            PenstockError: what no retry cures; nothing counts as written then.
        """
        datas = [orjson.dumps(event.document) if event.changed else event.data for event in events]
        chosen = keys.of(events)
        size = sum(map(len, datas))
        if self._stream.literal is not None:
            refusals = self._writer(self._stream.literal).write(datas, chosen, waited_ms)
            return [_letter(events[refusal.at], refusal) for refusal in refusals], size
        letters: list[DeadLetter] = []
        groups: dict[str | None, list[int]] = {}
        for index, stream in enumerate(self._stream.of(events)):
            groups.setdefault(stream, []).append(index)
        for stream, indices in groups.items():
            letters += self._write_group(stream, indices, events, datas, chosen, waited_ms)
        return letters, size

    def _write_group(
        self,
        stream: str | None,
        indices: list[int],
        events: Sequence[Event],
        datas: list[bytes],
        keys: list[str] | None,
        waited_ms: float,
    ) -> list[DeadLetter]:
        """Events that name their stream themselves: a name that isn't there refuses them, not the job."""
        pattern = self._options.stream_name
        if stream is None:
            reason = f"the event's fields give no stream name for --stream_name {pattern}"
            return [_letter(events[index], Refusal(index, "NoStream", reason, 0)) for index in indices]
        try:
            refusals = self._writer(stream).write(
                [datas[index] for index in indices],
                None if keys is None else [keys[index] for index in indices],
                waited_ms,
            )
        except NotFound:
            with self._lock:
                self._writers.pop(stream, None)
            reason = f"there is no stream {stream} (--stream_name {pattern})"
            return [_letter(events[index], Refusal(index, "NoStream", reason, 1)) for index in indices]
        return [_letter(events[indices[refusal.at]], refusal) for refusal in refusals]

    def _writer(self, stream: str) -> StreamWriter:
        with self._lock:
            writer = self._writers.get(stream)
            if writer is None:
                while len(self._writers) >= _MAX_STREAMS:
                    self._writers.pop(next(iter(self._writers)))
                session = self._session
                writer = self._writers[stream] = StreamWriter(
                    stream,
                    self._client,
                    session,
                    LiveShardMap(lambda: list_shards(session, stream), stream),
                    self._options,
                    pool=self._pool,
                    recorder=self.recorder,
                    stopping=self._stopping,
                )
            return writer

    def close(self) -> None:
        """Ends the threads and closes the connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()
        if self._metrics is not None:
            self._metrics.close()


def uploader_of(recorder: Recorder, options: KinesisWriteOptions, aws: AwsOptions) -> MetricsUploader:
    """Makes the uploader of what `recorder` sums up, by the options' level, granularity, namespace and delay."""
    return MetricsUploader(
        lambda: series_of(recorder.take(), options.metrics_level, options.metrics_granularity),
        lambda: AwsSession(options.metrics_aws(aws)),
        options.metrics_namespace,
        every_s=options.metrics_upload_delay / 1000,
        option="--metrics_namespace",
        advice="--metrics_level none switches metrics off",
    )


def _letter(event: Event, refusal: Refusal) -> DeadLetter:
    return DeadLetter(event, refusal.error, refusal.reason, "kinesis", attempts=max(refusal.attempts, 1))
