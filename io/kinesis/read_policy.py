"""The IAM policy that the Kinesis read needs: one source for `--help`, the docs and the tests."""

import json
from typing import Any

__all__ = ["READ_HELP", "read_policy"]

_STREAM = "arn:aws:kinesis:REGION:ACCOUNT:stream/STREAM"
_TABLE = "arn:aws:dynamodb:REGION:ACCOUNT:table/APPLICATION"


def read_policy(
    stream_arn: str = _STREAM, table_arn: str = _TABLE, *, namespace: str = "APPLICATION"
) -> dict[str, Any]:
    """The policy for an unencrypted stream, a lease table and metrics in CloudWatch.

    Args:
        stream_arn: the stream.
        table_arn: the lease table, named as the application. With `--checkpoints none` nothing of it is needed.
        namespace: the application. Without `--metrics cloudwatch` the statement isn't needed.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Action": [
                    "kinesis:DescribeStreamSummary",
                    "kinesis:ListShards",
                    "kinesis:GetShardIterator",
                    "kinesis:GetRecords",
                ],
                "Resource": stream_arn,
            },
            {
                "Sid": "Leases",
                "Effect": "Allow",
                "Action": [
                    "dynamodb:CreateTable",
                    "dynamodb:DescribeTable",
                    "dynamodb:Scan",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:UpdateItem",
                    "dynamodb:DeleteItem",
                ],
                "Resource": table_arn,
            },
            {
                "Sid": "Metrics",
                "Effect": "Allow",
                "Action": "cloudwatch:PutMetricData",
                "Resource": "*",
                "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
            },
        ],
    }


READ_HELP = f"""IAM policy of the Kinesis read:

{json.dumps(read_policy(), indent=2)}

Further: kms:Decrypt on the key of a stream that is encrypted with a customer's KMS key; sts:AssumeRole on
--role_arn. The statement Metrics is needed with --metrics cloudwatch only, Leases not with --checkpoints none.
See docs/iam.md."""
"""What `--help` of a job that reads from Kinesis ends with."""
