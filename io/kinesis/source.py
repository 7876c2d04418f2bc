"""`ReadFromKinesis`: a stream's events, in batches, from checkpoints that never pass what isn't delivered."""

import functools

import apache_beam as beam
from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws import AwsOptions, AwsSession, explain
from penstock.io.errors import PeerError
from penstock.io.kinesis.calls import stream_argument
from penstock.io.kinesis.leases import LeaseTable
from penstock.io.kinesis.live import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.unbounded import Pacing, read_batches

__all__ = ["ReadFromKinesis", "check"]


class ReadFromKinesis(beam.PTransform):
    """Reads every shard of a stream, takes KPL's aggregated records apart, and gives `EventBatch`es.

    Put `Acknowledge` last in the same chain: only what it has seen is checkpointed.

    Args:
        options: what to read.
        aws: who we are.
        pacing: how long a reader holds its bundle; by default what suits the pipeline's runner.

    Unit of parallelism: the shard. One process reads all shards it holds leases of at the same time; several
    jobs with one `application_name` share them.

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

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        options = self._options
        key = f"kinesis:{options.stream_name}:{options.application_name}"
        return read_batches(
            begin, key, functools.partial(KinesisLive, key, options, self._aws), pacing=self._pacing
        )


def check(options: KinesisReadOptions, aws: AwsOptions) -> None:
    """Proves before the pipeline runs that the stream and the lease table can be read; makes the table.

    With `reset_checkpoints`, the application's leases are deleted here, once a job: a worker that starts
    anew later must find them.

    Raises:
        PenstockError: one line that says what is missing.
    """
    session = AwsSession(aws)
    session.credentials()
    stream = options.kinesis_stream_name
    try:
        reply = session.client("kinesis").describe_stream_summary(**stream_argument(stream))
    except (BotoCoreError, ClientError) as error:
        resource = f"stream {stream} (--kinesis_stream_name)"
        raise explain(error, session, "DescribeStreamSummary", resource, f"read stream {stream}") from error
    status = reply["StreamDescriptionSummary"]["StreamStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        message = f"cannot read stream {stream}: it is {status}. Wait until it is ACTIVE."
        raise PeerError(message)
    list_shards(session, stream)
    if options.checkpoints == "dynamodb":
        table = LeaseTable(session, options.application_name)
        table.create_if_missing()
        leases = table.scan()
        if options.reset_checkpoints:
            for lease in leases:
                table.delete(lease)
