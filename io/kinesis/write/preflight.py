"""`preflight` tries the stream of the Kinesis write, its shards and the metrics before the pipeline runs."""

from penstock.io.aws.account_preflight import (
    CREDENTIALS,
    MADE_UP,
    AwsAccount,
    identity_trials,
    key_trial,
    metrics_trial,
)
from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.stream_preflight import STREAM, StreamTrials
from penstock.io.kinesis.wire.calls import stream_argument
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.policy import write_statements
from penstock.io.kinesis.write.routing import StreamName
from penstock.io.preflight.iam import narrowed
from penstock.io.preflight.trials import Finding, Trial, not_tried, require_quick

__all__ = ["require_writable", "write_trials"]

PUT = "kinesis:PutRecords"
_BEYOND = str(1 << 128)
"""The number of hash keys; the last one is one less."""


def require_writable(options: KinesisWriteOptions, aws: AwsOptions) -> None:
    """Finds credentials, reaches the endpoint, and sees that the stream is there and takes records.

    A stream name that events fill in can only be checked for credentials.

    Raises:
        OptionError: an option names a profile, region or address that can't be.
        AccessDenied: no credentials, or they lack kinesis:DescribeStreamSummary or kinesis:ListShards.
        NotFound: there is no such stream.
        Unreachable: nobody answers at the endpoint.
        PeerError: the stream is being created or deleted.
    """
    account = AwsAccount(aws)
    require_quick([*identity_trials(account), *write_trials(options, account)])


def write_trials(options: KinesisWriteOptions, account: AwsAccount) -> list[Trial]:
    """Gives the trials of stream, shards, PutRecords, the stream's key and metrics. `identity_trials` come before them."""
    statements = write_statements(options, account.arns)
    name = StreamName(options.stream_name).literal
    trials: list[Trial] = []
    if name is None:
        trials.append(Trial(PUT, _unknown_stream, after=(CREDENTIALS,)))
    else:
        stream = StreamTrials(account, name, "write to", "--stream_name")
        trials += stream.trials(statements)
        trials.append(
            Trial(PUT, lambda: put_probe(stream), statements=narrowed(statements, PUT), after=(STREAM,))
        )
        trials.append(
            key_trial(
                account,
                "GenerateDataKey",
                stream.key,
                stream.what,
                (STREAM,),
                lambda arn: narrowed(write_statements(options, account.arns, arn), "kms:GenerateDataKey"),
            )
        )
    if options.metrics_level != "none":
        own = options.metrics_aws(account.options)
        of = account if own == account.options else AwsAccount(own)
        trials.append(
            metrics_trial(of, options.metrics_namespace, write_statements(options, of.arns), (CREDENTIALS,))
        )
    return trials


def _unknown_stream() -> Finding:
    return not_tried(
        "events name their stream (--stream_name has a %{field}): which, is known when they come"
    )


def put_probe(stream: StreamTrials) -> Finding:
    """Tries PutRecords with a record that no shard can take, to see whether it is denied."""
    record = {"Data": b"", "PartitionKey": MADE_UP, "ExplicitHashKey": _BEYOND}
    return stream.account.probe(
        "kinesis",
        "PutRecords",
        stream.resource,
        stream.doing,
        refused_with=("InvalidArgumentException", "ValidationException"),
        proves=False,
        Records=[record],
        **stream_argument(stream.stream),
    )
