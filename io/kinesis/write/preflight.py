"""What the Kinesis write needs before the pipeline runs."""

from penstock.io.aws.account_preflight import (
    CREDENTIALS,
    MADE_UP,
    AwsAccount,
    identity_checks,
    key_check,
    metrics_check,
)
from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.stream_preflight import STREAM, StreamChecks
from penstock.io.kinesis.wire.calls import stream_argument
from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.kinesis.write.policy import write_statements
from penstock.io.kinesis.write.stream_names import StreamName
from penstock.io.preflight.iam import narrowed
from penstock.io.preflight.trials import Check, Finding, not_tried, start

__all__ = ["check_write", "write_checks"]

PUT = "kinesis:PutRecords"
_BEYOND = str(1 << 128)
"""Hash keys end one below."""


def check_write(options: KinesisWriteOptions, aws: AwsOptions) -> None:
    """Finds credentials, reaches the endpoint, and sees that the stream is there and takes records.

    A stream name that events fill in can only be checked for credentials.

    Raises:
        OptionError: an option names what can't be (a profile, a region, an address).
        AccessDenied: no credentials, or they lack kinesis:DescribeStreamSummary or kinesis:ListShards.
        NotFound: there is no such stream.
        Unreachable: nobody answers at the endpoint.
        PeerError: the stream is being created or deleted.
    """
    account = AwsAccount(aws)
    start([*identity_checks(account), *write_checks(options, account)])


def write_checks(options: KinesisWriteOptions, account: AwsAccount) -> list[Check]:
    """Stream, shards, PutRecords, the stream's key, and metrics; `identity_checks` come before them."""
    statements = write_statements(options, account.arns)
    name = StreamName(options.stream_name).literal
    checks: list[Check] = []
    if name is None:
        checks.append(Check(PUT, _unknown_stream, after=(CREDENTIALS,)))
    else:
        stream = StreamChecks(account, name, "write to", "--stream_name")
        checks += stream.checks(statements)
        checks.append(
            Check(PUT, lambda: put_probe(stream), statements=narrowed(statements, PUT), after=(STREAM,))
        )
        checks.append(
            key_check(
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
        checks.append(
            metrics_check(of, options.metrics_namespace, write_statements(options, of.arns), (CREDENTIALS,))
        )
    return checks


def _unknown_stream() -> Finding:
    return not_tried(
        "events name their stream (--stream_name has a %{field}): which, is known when they come"
    )


def put_probe(stream: StreamChecks) -> Finding:
    """Whether PutRecords is denied, by a record that no shard can take."""
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
