"""`ReadFromKinesis` gives the events of a stream, in batches. Its checkpoints never pass an event that isn't delivered."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, Unpack

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.source_status import ShardStatus
from penstock.io.chain.unbounded import Pacing, PlannedRead, read_batches, readers_of
from penstock.io.elements import GiveElements, Output, options_of, takes
from penstock.io.errors import OptionError
from penstock.io.keywords.kinesis import ReadKeywords
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read.rewinding import RewindingKinesis
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.options import display_data_of
from penstock.transforms.batch import EventBatch

__all__ = ["ReadFromKinesis", "key_of", "read_shards"]

ALSO = {"stream_name": "kinesis_stream_name"}
"""Further names of options."""


@takes(KinesisReadOptions, AwsOptions, **ALSO)
class ReadFromKinesis(beam.PTransform):
    """Reads every shard of a stream, takes KPL's aggregated records apart, and gives `EventBatch`es, or elements.

    Batches: put `Acknowledge` last in the same chain: only what it has seen is checkpointed. Elements (`output`): any
    transform may follow; what a committed bundle held is checkpointed, by Beam's bundle finalization.

    Args:
        options: what to read; or the same as keywords: `stream_name`, `application_name`, `region`, and every other field
            of `KinesisReadOptions` and `AwsOptions`.
        aws: who we are; or as keywords. Without credentials the standard chain finds them.
        pacing: how long a reader holds its bundle; by default what suits the pipeline's runner.
        output: gives elements instead of batches: `dict`, `bytes`, `row`, a NamedTuple class, or names of fields with their
            types; see `penstock.io.elements.GiveElements`.

    Example:
        pipeline | ReadFromKinesis(stream_name="logs", application_name="show", output="dict") | beam.Map(print)

    The read is endless. Among Beam's options `--stop_when_idle=5` ends it once nothing has come for five seconds and all is
    acknowledged (Flink refuses it). Windows behind it close as time goes on PrismRunner and FlinkRunner; DirectRunner gives
    what is grouped only at the end, so it needs that option. The time of an element is that of its arrival in the stream.

    Unit of parallelism: the shard. One process reads all shards whose leases it holds at the same time. Several
    jobs with one `application_name`, and the splits of one job (`read_splits`), share them.

    Delivery guarantee: at least once. After a crash, what was read since the last checkpoint
    (`checkpoint_interval_seconds`) is read again, with the same `position()` and index, so a sink that derives
    its ids from them writes it once. Records of one partition key come in order.

    With `output` it is at least once as far as the runner keeps what it has committed. Where a restored runner's position
    and the lease differ, the smaller one counts, so that nothing is left out. What a kill does:

    - DirectRunner: it loses what a window or a GroupByKey held, as the runner keeps it in memory only, and repeats at most
      the last bundle (5 s).
    - Flink: it loses nothing, and repeats what came since the last complete checkpoint: about `--checkpointing_interval` and
      the length of a bundle (`--max_read_time_seconds`, 5 s at most).
    - Prism: its state dies with it, as DirectRunner's.

    IAM actions: kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords; dynamodb:DescribeTable,
    CreateTable, Scan, GetItem, PutItem, UpdateItem, DeleteItem; kms:Decrypt for an encrypted stream.
    """

    def __init__(
        self,
        options: KinesisReadOptions | None = None,
        aws: AwsOptions | None = None,
        *,
        pacing: Pacing | None = None,
        output: Output | None = None,
        **arguments: Unpack[ReadKeywords],
    ) -> None:
        super().__init__()
        self._give = None if output is None else GiveElements(output)
        options, aws = options_of(
            "ReadFromKinesis", arguments, {KinesisReadOptions: options, AwsOptions: aws}, **ALSO
        )
        self._options = options
        self._aws = aws
        self._pacing = pacing

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options, self._aws)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        if self._give is None:
            make = functools.partial(KinesisLive, options=self._options, aws=self._aws)
            return read_shards(begin, self._options, make, self._pacing)
        if isinstance(begin, PlannedRead):
            message = "ReadFromKinesis with output can't be one of ReadFromAll's reads: they give batches."
            raise OptionError(message)
        if self._options.read_splits > 1:
            message = "ReadFromKinesis: output and read_splits exclude each other: such a read is one split."
            raise OptionError(message)
        pacing = (self._pacing or Pacing.of_pipeline(begin.pipeline)).finalizing()
        options = dataclasses.replace(self._options, read_splits=1)
        rewinding = functools.partial(RewindingKinesis, options=options, aws=self._aws)
        return read_shards(begin, options, rewinding, pacing, readers=1) | "Give" >> self._give


def key_of(options: KinesisReadOptions) -> str:
    """Gives the live sources' key, without a split's number."""
    return f"kinesis:{options.stream_name}:{options.application_name}"


def read_shards(
    begin: beam.pvalue.PBegin,
    options: KinesisReadOptions,
    make: Callable[[str], KinesisLive],
    pacing: Pacing | None,
    *,
    readers: int | None = None,
) -> beam.PCollection:
    """Gives batches of a stream's records from live sources that `make` makes, with gauges of how far each shard is behind.

    Each split is a lease worker of its own, so the leases spread the shards evenly. Splits have live sources of
    their own even in one process, because the marks of one must not count what the other hands out.
    """
    key = key_of(options)
    readers = readers or readers_of(begin, options.read_splits, "--read_splits")
    if readers > 1 and options.checkpoints == "none":
        message = f"{readers} splits need --checkpoints=dynamodb: they share the shards by their leases."
        raise OptionError(message)
    batches = read_batches(begin, key, make, pacing=pacing, readers=readers, apart=True)
    return batches | "Gauges" >> beam.ParDo(_GaugesDoFn(key))


_SHOWN: dict[str, set[str]] = {}
"""Key -> the shards that this process has shown gauges of. It outlives DoFns, of which runners make new ones."""


class _GaugesDoFn(beam.DoFn):
    """Passes batches on, and shows Beam how far behind each shard is.

    It does so once per second, and at the end of a bundle, because a shard that is idle, or can't be read, sends no batch. A
    runner hears of the gauge when the bundle ends. A bundle with a stuck sink doesn't end; then only the gauge's time,
    which stands still, tells.

    Args:
        key: the live sources' key, without a split's number.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._due = 0.0

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + 1.0
            self._show()
        yield batch

    def finish_bundle(self) -> None:
        self._show()

    def _show(self) -> None:
        behind: dict[str, float | None] = {}
        for source in LIVE.sources:
            if source.key.partition("#")[0] == self._key:
                shards = [peer for peer in source.peers() if isinstance(peer, ShardStatus)]
                behind.update((shard.shard_id, shard.behind_s) for shard in shards)
        shown = _SHOWN.setdefault(self._key, set())
        for shard_id in shown - behind.keys():
            # Another worker reads the shard from now on. An old lag of ours would alarm for ever.
            Metrics.gauge("kinesis", f"MillisBehindLatest.{shard_id}").set(0)
        now_ms = time.time() * 1000
        _SHOWN[self._key] = {shard_id for shard_id, seconds in behind.items() if seconds is not None}
        for shard_id, seconds in behind.items():
            if seconds is not None:
                Metrics.gauge("kinesis", f"MillisBehindLatest.{shard_id}").set(round(seconds * 1000))
                Metrics.gauge("kinesis", f"durable_until_ms.{shard_id}").set(round(now_ms - seconds * 1000))
