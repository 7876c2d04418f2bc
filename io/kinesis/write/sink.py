"""`WriteToKinesis` writes the batches of a Beam chain to a stream.

A whole batch is written before it is handed on: `WriteToKinesis` -> `WriteDeadLetters` -> `Acknowledge`. Clients,
connections, shard maps and threads belong to the process (`penstock.io.chain.live_objects`), not to the DoFn, of which
runners make a new one for nearly every bundle.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import borrowed, in_parts, without_refused
from penstock.io.elements import FromElements, IdFunction, WithRefused, as_batches, options_of, takes
from penstock.io.keywords.kinesis import WriteKeywords
from penstock.io.kinesis.write.metrics import COUNTS
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.writer import KinesisWriter
from penstock.io.options import display_data_of
from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = ["WriteToKinesis"]


@takes(KinesisWriteOptions, AwsOptions)
class WriteToKinesis(beam.PTransform):
    """Writes events to a Kinesis stream, aggregated as KPL does, and gives their batches.

    Takes `EventBatch`es, or any elements: dicts, rows, `str` and `bytes` (see `penstock.io.elements.FromElements`).

    Args:
        options: what to write where, and how; or the same as keywords: `stream_name`, `region`, and every other field of
            `KinesisWriteOptions` and `AwsOptions`.
        aws: who we are, and where AWS is; or as keywords. Without credentials the standard chain finds them.
        partition_key: a picklable function that gives an event's partition key (1 to 256 characters),
            instead of the options for it.
        id_fn: gives an element's id, for the steps behind; see `FromElements`.
        ids: likewise.

    Example:
        pipeline | beam.Create([{"user": "ann"}]) | WriteToKinesis(stream_name="logs", region="eu-west-1")

    Raises:
        OptionError: an argument is unknown, missing or has a value that can't be.

    Unit of parallelism: the batch; its requests are in flight at the same time (`max_connections`).
    Delivery guarantee: at least once; a batch is handed on when all of it is in the stream or refused.
    After a restart, events that were not acknowledged are written again.
    Refused events (larger than the stream takes, invalid, expired, throttled with `fail_if_throttled`, without a
    stream that takes them where the name comes from a field) become dead letters of the batch.
    IAM: kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:PutRecords on the stream; with a customer's KMS key
    kms:GenerateDataKey on it; cloudwatch:PutMetricData unless `metrics_level` is none (see docs/iam.md).
    """

    step_kind = StepKind(refuses=True)

    def __init__(
        self,
        options: KinesisWriteOptions | None = None,
        aws: AwsOptions | None = None,
        partition_key: Callable[[Event], str] | None = None,
        *,
        id_fn: IdFunction | None = None,
        ids: str | None = None,
        **arguments: Unpack[WriteKeywords],
    ) -> None:
        super().__init__()
        options, aws = options_of(
            "WriteToKinesis", arguments, {KinesisWriteOptions: options, AwsOptions: aws}
        )
        self._elements = FromElements(id_fn=id_fn, ids=ids, documents=False)
        self._options = options
        self._aws = aws
        self._keys = PartitionKeys(
            options.event_partition_keys,
            randomized=options.randomized_partition_key,
            function=partition_key,
            prefix=options.partition_key_prefix,
        )

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def with_exception_handling(
        self, *, main_tag: str = "good", dead_letter_tag: str = "bad"
    ) -> beam.PTransform:
        """Gives the same step with two outputs: the batches, and what was refused, as `penstock.io.elements.Refused`."""
        return WithRefused(self, main_tag, dead_letter_tag)

    def expand(self, collection: beam.PCollection) -> beam.PCollection:  # noqa: D102
        batches = as_batches(self, collection, self._elements)
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

    def setup(self) -> None:
        # On a worker without credentials this is told at its start, and not with the first event.
        AwsSession(self._aws).credentials()

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        if not batch.events:
            yield batch
            return
        options, aws = self._options, self._aws
        with borrowed(self._key, lambda: KinesisWriter(options, aws)) as writer:
            waited_ms = max(0.0, time.time() * 1000 - batch.timestamp_ms) if batch.timestamp_ms else 0.0
            with writer.room(len(batch.events)):
                written, letters = in_parts(
                    batch.events,
                    lambda part: writer.write(part, self._keys, waited_ms),
                    "kinesis",
                    LIVE.stopping,
                )
        for refused, _ in written:
            letters += refused
        size = sum(size for _, size in written)
        self._written.inc(len(batch.events) - len(letters))
        self._bytes.inc(size)
        for name, count in writer.recorder.take_counts().items():
            self._counters[name].inc(count)
        if letters:
            self._refused.inc(len(letters))
        yield without_refused(batch, letters)
