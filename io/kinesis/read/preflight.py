"""`read_trials` tries before the start what the Kinesis read needs: the stream, one record, and the lease table."""

from typing import Any

from penstock.io.aws.account_preflight import (
    CREDENTIALS,
    AwsAccount,
    identity_trials,
    key_trial,
    metrics_trial,
)
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.aws.table_preflight import table_trials
from penstock.io.kinesis.lease.table import LeaseTable
from penstock.io.kinesis.read.policy import read_statements
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.stream_preflight import SHARDS, STREAM, StreamTrials
from penstock.io.kinesis.wire.calls import stream_argument
from penstock.io.preflight.iam import narrowed
from penstock.io.preflight.trials import Finding, Trial, fine, not_tried, require_quick

__all__ = ["prepare_read", "read_trials", "require_readable"]

ITERATOR = "kinesis:GetShardIterator"
RECORDS = "kinesis:GetRecords"


def require_readable(options: KinesisReadOptions, aws: AwsOptions) -> None:
    """Proves before the pipeline runs that the stream and the lease table can be read; makes the table.

    Raises:
        PenstockError: one line that says what is missing.
    """
    account = AwsAccount(aws)
    require_quick([*identity_trials(account), *read_trials(options, account)])
    prepare_read(options, aws)


def prepare_read(options: KinesisReadOptions, aws: AwsOptions) -> None:
    """Makes the lease table where it isn't there; with `reset_checkpoints` deletes the application's leases.

    Once a job: a worker that starts anew later must find them.

    Raises:
        PenstockError: one line that says what is missing.
    """
    if options.checkpoints != "dynamodb":
        return
    table = LeaseTable(AwsSession(aws), options.application_name)
    table.create_if_missing()
    leases = table.scan()
    if options.reset_checkpoints:
        for lease in leases:
            table.delete(lease)


def read_trials(options: KinesisReadOptions, account: AwsAccount) -> list[Trial]:
    """Stream, shards, a first record, its key, the lease table, metrics; `identity_trials` come before them."""
    statements = read_statements(options, account.arns)
    stream = StreamTrials(account, options.kinesis_stream_name, "read", "--kinesis_stream_name")
    first = _FirstRecord(stream)
    trials = [
        *stream.trials(statements),
        Trial(ITERATOR, first.iterator, statements=narrowed(statements, ITERATOR), after=(SHARDS,)),
        Trial(RECORDS, first.read, statements=narrowed(statements, RECORDS), after=(ITERATOR,)),
        key_trial(
            account,
            "Decrypt",
            stream.key,
            stream.what,
            (STREAM,),
            lambda arn: narrowed(read_statements(options, account.arns, arn), "kms:Decrypt"),
        ),
    ]
    if options.checkpoints == "dynamodb":
        trials += table_trials(
            account,
            options.application_name,
            what="lease table",
            key="leaseKey",
            option="--application_name",
            statements=statements,
        )
    if options.metrics == "cloudwatch":
        trials.append(metrics_trial(account, options.application_name, statements, (CREDENTIALS,)))
    return trials


class _FirstRecord:
    """Reads one record, of the oldest shard. Nobody notices: reading Kinesis takes nothing away."""

    def __init__(self, stream: StreamTrials) -> None:
        self._stream = stream
        self._iterator = ""

    def _call(self, operation: str, **arguments: Any) -> Any:
        stream = self._stream
        return stream.account.call("kinesis", operation, stream.resource, stream.doing, **arguments)

    def iterator(self) -> Finding:
        shards = self._stream.shards
        if not shards:
            return not_tried("the stream has no shards")
        reply = self._call(
            "GetShardIterator",
            ShardId=shards[0].shard_id,
            ShardIteratorType="TRIM_HORIZON",
            **stream_argument(self._stream.stream),
        )
        self._iterator = reply["ShardIterator"]
        return fine("allowed")

    def read(self) -> Finding:
        if not self._iterator:
            return not_tried("the stream has no shards")
        reply = self._call("GetRecords", ShardIterator=self._iterator, Limit=1)
        return fine(
            "allowed; a record was read" if reply["Records"] else "allowed; there was nothing to read"
        )
