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
from penstock.io.errors import NotFound, StateError
from penstock.io.kinesis.lease.own_rows import all_in_one
from penstock.io.kinesis.lease.rules._ownership import may_reset, sort_rows
from penstock.io.kinesis.lease.table import LeaseTable, Rows
from penstock.io.kinesis.positions import StreamIdentity
from penstock.io.kinesis.read.policy import read_statements
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard, list_shards
from penstock.io.kinesis.stream_facts import describe_stream
from penstock.io.kinesis.stream_preflight import SHARDS, STREAM, StreamTrials
from penstock.io.kinesis.wire.calls import stream_argument
from penstock.io.preflight.iam import narrowed
from penstock.io.preflight.trials import Finding, Trial, failed, fine, not_tried, require_quick

__all__ = ["prepare_read", "read_trials", "require_readable"]

ITERATOR = "kinesis:GetShardIterator"
RECORDS = "kinesis:GetRecords"
ROWS = "lease table rows"


def require_readable(options: KinesisReadOptions, aws: AwsOptions) -> None:
    """Proves before the pipeline runs that the stream and the lease table can be read; makes the table.

    Raises:
        PenstockError: one line that says what is missing.
    """
    account = AwsAccount(aws)
    require_quick([*identity_trials(account), *read_trials(options, account)])
    prepare_read(options, aws)


def prepare_read(options: KinesisReadOptions, aws: AwsOptions) -> None:
    """Makes the lease table where it isn't there; with `reset_checkpoints` deletes the stream's leases.

    It runs once per job: a worker that starts again later must find the leases.

    Raises:
        StateError: a row is another stream's, or can't be used; one line that says which and what to do.
        PenstockError: one line that says what is missing.
    """
    if options.checkpoints != "dynamodb":
        return
    session = AwsSession(aws)
    table = LeaseTable(session, options.application_name)
    table.create_if_missing()
    rows = table.rows()
    if not rows.leases and not rows.broken:
        return
    identity = describe_stream(session, options.kinesis_stream_name).identity
    if options.reset_checkpoints:
        for key in _to_reset(rows, identity):
            table.forget(key)
        rows = table.rows()
    shards = list_shards(session, options.kinesis_stream_name)
    trouble = _first_trouble(rows, shards, identity, table.name)
    if trouble is not None:
        raise StateError(trouble)


def _to_reset(rows: Rows, identity: StreamIdentity) -> list[str]:
    """Gives the keys of the rows that `--reset_checkpoints` deletes: all but those that say they are another stream's."""
    keys = [(lease.shard_id, None if lease.stream is None else lease.stream.arn) for lease in rows.leases] + [
        (broken.key, broken.stream) for broken in rows.broken
    ]
    return [key for key, arn in keys if may_reset(key, arn, identity)]


def _first_trouble(rows: Rows, shards: list[Shard], identity: StreamIdentity, table: str) -> str | None:
    _, troubles = sort_rows(rows, {shard.shard_id: shard for shard in shards}, identity, table)
    return all_in_one(troubles) if troubles else None


def read_trials(options: KinesisReadOptions, account: AwsAccount) -> list[Trial]:
    """Gives the trials of stream, shards, a first record, the key, the lease table and metrics.

    `identity_trials` come before.
    """
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
        trials.append(Trial(ROWS, _LeaseRows(options, stream).look, after=(SHARDS, "dynamodb:Scan")))
    if options.metrics == "cloudwatch":
        trials.append(metrics_trial(account, options.application_name, statements, (CREDENTIALS,)))
    return trials


class _LeaseRows:
    """Tries whether the rows of the lease table are this stream's, and counts the open shards that have none."""

    def __init__(self, options: KinesisReadOptions, stream: StreamTrials) -> None:
        self._options = options
        self._stream = stream

    def look(self) -> Finding:
        options, stream = self._options, self._stream
        try:
            rows = LeaseTable(stream.account.session, options.application_name).rows()
        except NotFound:
            return not_tried("the table isn't there yet")
        facts = stream.facts
        if facts is None:
            return not_tried("the stream could not be looked at")
        if options.reset_checkpoints:
            forgotten = set(_to_reset(rows, facts.identity))
            rows = Rows(
                [lease for lease in rows.leases if lease.shard_id not in forgotten],
                [broken for broken in rows.broken if broken.key not in forgotten],
            )
        trouble = _first_trouble(rows, stream.shards, facts.identity, options.application_name)
        if trouble is not None:
            return failed(StateError(trouble))
        known = {lease.shard_id for lease in rows.leases}
        fresh = sum(not shard.closed and shard.shard_id not in known for shard in stream.shards)
        return fine(f"{len(known)} rows, all of this stream; {fresh} open shards have none yet")


class _FirstRecord:
    """Reads one record of the oldest shard. Nobody notices, because a read removes nothing from Kinesis."""

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
