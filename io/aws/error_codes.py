"""`error_codes` holds tables: what AWS' error codes mean, and which IAM action allows a call."""

__all__ = ["ACTIONS", "BAD_KEY_CODES", "DENIED_CODES", "EXPIRED_CODES", "THROTTLED_CODES"]

ACTIONS = {
    "AssumeRole": "sts:AssumeRole",
    "CreateTable": "dynamodb:CreateTable",
    "Decrypt": "kms:Decrypt",
    "DeleteItem": "dynamodb:DeleteItem",
    "DescribeStreamSummary": "kinesis:DescribeStreamSummary",
    "DescribeTable": "dynamodb:DescribeTable",
    "GenerateDataKey": "kms:GenerateDataKey",
    "GetItem": "dynamodb:GetItem",
    "GetObject": "s3:GetObject",
    "GetRecords": "kinesis:GetRecords",
    "GetShardIterator": "kinesis:GetShardIterator",
    "ListBucket": "s3:ListBucket",
    "ListShards": "kinesis:ListShards",
    "PutItem": "dynamodb:PutItem",
    "PutObject": "s3:PutObject",
    "PutMetricData": "cloudwatch:PutMetricData",
    "PutRecords": "kinesis:PutRecords",
    "Scan": "dynamodb:Scan",
    "UpdateItem": "dynamodb:UpdateItem",
}
"""API call -> the IAM action that allows it (Service Authorization Reference)."""

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException"})
"""Error codes that new credentials cure."""

BAD_KEY_CODES = frozenset(
    {
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Error codes that blame the keys, or what they sign."""

DENIED_CODES = BAD_KEY_CODES | {
    "AccessDenied",
    "AccessDeniedException",
    "KMSAccessDeniedException",
    "OptInRequired",
    "UnauthorizedOperation",
}
"""Error codes that no retry can cure."""

THROTTLED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
    }
)
"""Error codes that ask us to send less; the same call works later."""
