"""`read_policy` gives the IAM policy of the Kinesis read, for `--help`, `penstock check`, the docs and the tests alike."""

import json
from typing import Any

from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.preflight.iam import Arns, Statement, policy, statement

__all__ = ["READ_HELP", "read_policy", "read_statements"]

_STREAM = "arn:aws:kinesis:REGION:ACCOUNT:stream/STREAM"
_TABLE = "arn:aws:dynamodb:REGION:ACCOUNT:table/APPLICATION"


def _statements(stream_arn: str, table_arn: str | None, namespace: str | None) -> list[Statement]:
    made = [
        statement(
            "Read",
            [
                "kinesis:DescribeStreamSummary",
                "kinesis:ListShards",
                "kinesis:GetShardIterator",
                "kinesis:GetRecords",
            ],
            stream_arn,
        )
    ]
    if table_arn is not None:
        actions = [
            "dynamodb:CreateTable",
            "dynamodb:DescribeTable",
            "dynamodb:Scan",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
        ]
        made.append(statement("Leases", actions, table_arn))
    if namespace is not None:
        condition = {"StringEquals": {"cloudwatch:namespace": namespace}}
        made.append(statement("Metrics", "cloudwatch:PutMetricData", "*", condition))
    return made


def read_policy(
    stream_arn: str = _STREAM, table_arn: str = _TABLE, *, namespace: str = "APPLICATION"
) -> dict[str, Any]:
    """Gives the policy for an unencrypted stream, a lease table and metrics in CloudWatch.

    Args:
        stream_arn: the stream.
        table_arn: the lease table, named as the application. With `--checkpoints none` nothing of it is needed.
        namespace: the application. Without `--metrics cloudwatch` the statement isn't needed.
    """
    return policy(_statements(stream_arn, table_arn, namespace))


def read_statements(
    options: KinesisReadOptions, arns: Arns, key_arn: str | None = None
) -> tuple[Statement, ...]:
    """Gives the statements that exactly these options need.

    Args:
        options: the read's options.
        arns: how the account's resources are named.
        key_arn: the customer's key that encrypts the stream.
    """
    made = _statements(
        arns.stream(options.kinesis_stream_name),
        arns.table(options.application_name) if options.checkpoints == "dynamodb" else None,
        options.application_name if options.metrics == "cloudwatch" else None,
    )
    if key_arn is not None:
        made.append(statement("Decrypt", "kms:Decrypt", key_arn))
    return tuple(made)


READ_HELP = f"""IAM policy of the Kinesis read:

{json.dumps(read_policy(), indent=2)}

Further: kms:Decrypt on the key of a stream that is encrypted with a customer's KMS key; sts:AssumeRole on
--role_arn. The statement Metrics is needed with --metrics cloudwatch only, Leases not with --checkpoints none.
See docs/iam.md; `penstock check` with these options tries it all, and with --policy prints what just these options need."""
"""The last part of `--help` of a job that reads from Kinesis."""
