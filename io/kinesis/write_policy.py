"""The IAM policy that the Kinesis write needs: one source for `--help`, the docs and the tests."""

import json
from typing import Any

__all__ = ["WRITE_HELP", "write_policy"]

_STREAM = "arn:aws:kinesis:REGION:ACCOUNT:stream/STREAM"


def write_policy(stream_arn: str = _STREAM, *, namespace: str = "KinesisProducerLibrary") -> dict[str, Any]:
    """The policy for an unencrypted stream and metrics in CloudWatch.

    Args:
        stream_arn: the stream; a pattern where events name their stream.
        namespace: `metrics_namespace`. Without metrics (`metrics_level` none) the statement isn't needed.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FindShards",
                "Effect": "Allow",
                "Action": ["kinesis:DescribeStreamSummary", "kinesis:ListShards"],
                "Resource": stream_arn,
            },
            {"Sid": "Write", "Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": stream_arn},
            {
                "Sid": "Metrics",
                "Effect": "Allow",
                "Action": "cloudwatch:PutMetricData",
                "Resource": "*",
                "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
            },
        ],
    }


WRITE_HELP = f"""IAM policy of the Kinesis write:

{json.dumps(write_policy(), indent=2)}

Further: kms:GenerateDataKey on the key of a stream that is encrypted with a customer's KMS key; sts:AssumeRole on
--role_arn and --metrics_role_arn. With --metrics_level none the statement Metrics is not needed. See docs/iam.md."""
"""What `--help` of a job that writes to Kinesis ends with."""
