"""`write_policy` gives the IAM policy of the Kinesis write, for `--help`, `penstock check`, the docs and the tests alike."""

import json
import re
from typing import Any

from penstock.io.kinesis.write.options import KinesisWriteOptions
from penstock.io.preflight.iam import Arns, Statement, policy, statement

__all__ = ["WRITE_HELP", "write_policy", "write_statements"]

_STREAM = "arn:aws:kinesis:REGION:ACCOUNT:stream/STREAM"


def _statements(stream_arn: str, namespace: str | None) -> list[Statement]:
    made = [
        statement("FindShards", ["kinesis:DescribeStreamSummary", "kinesis:ListShards"], stream_arn),
        statement("Write", "kinesis:PutRecords", stream_arn),
    ]
    if namespace is not None:
        condition = {"StringEquals": {"cloudwatch:namespace": namespace}}
        made.append(statement("Metrics", "cloudwatch:PutMetricData", "*", condition))
    return made


def write_policy(stream_arn: str = _STREAM, *, namespace: str = "KinesisProducerLibrary") -> dict[str, Any]:
    """Gives the policy for an unencrypted stream and metrics in CloudWatch.

    Args:
        stream_arn: the stream; a pattern where events name their stream.
        namespace: `metrics_namespace`. Without metrics (`metrics_level` none) the statement isn't needed.
    """
    return policy(_statements(stream_arn, namespace))


def write_statements(
    options: KinesisWriteOptions, arns: Arns, key_arn: str | None = None
) -> tuple[Statement, ...]:
    """Gives the statements that exactly these options need.

    Args:
        options: the write's options. Metrics under an identity of their own need nothing here.
        arns: how the account's resources are named.
        key_arn: the customer's key that encrypts the stream.
    """
    own_metrics = options.metrics_access_key or options.metrics_role_arn
    metrics = options.metrics_level != "none" and not own_metrics
    pattern = arns.stream(re.sub(r"%\{[^{}]+\}", "*", options.stream_name))
    made = _statements(pattern, options.metrics_namespace if metrics else None)
    if key_arn is not None:
        made.append(statement("Encrypt", "kms:GenerateDataKey", key_arn))
    return tuple(made)


WRITE_HELP = f"""IAM policy of the Kinesis write:

{json.dumps(write_policy(), indent=2)}

Further: kms:GenerateDataKey on the key of a stream that is encrypted with a customer's KMS key; sts:AssumeRole on
--role_arn and --metrics_role_arn. With --metrics_level none the statement Metrics is not needed. See docs/iam.md;
`penstock check` with these options tries it all, and with --policy prints what just these options need."""
"""The last part of `--help` of a job that writes to Kinesis."""
