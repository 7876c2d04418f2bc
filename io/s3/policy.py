"""`read_statements` gives the IAM statements of the S3 read, for `penstock check`, the docs and the tests alike."""

from penstock.io.preflight.iam import Arns, Statement, statement
from penstock.io.s3._selection import literal_prefix
from penstock.io.s3.options import S3ReadOptions, split_url

__all__ = ["read_statements"]

_NOTED_TABLE = ["dynamodb:DescribeTable", "dynamodb:CreateTable", "dynamodb:Scan", "dynamodb:PutItem"]


def read_statements(options: S3ReadOptions, arns: Arns) -> tuple[Statement, ...]:
    """Gives the statements that exactly these options need; none for local files."""
    made: list[Statement] = []
    versions = ["s3:GetObject", "s3:GetObjectVersion"] if options.input_manifest else "s3:GetObject"
    for url in options.input:
        bucket, key = split_url(url)
        if bucket:
            made.append(statement("List", "s3:ListBucket", arns.bucket(bucket)))
            made.append(statement("Read", versions, arns.bucket(bucket, f"{literal_prefix(key)}*")))
    if options.input_manifest:
        bucket, key = split_url(options.input_manifest)
        if bucket:
            made.append(statement("ReadList", "s3:GetObject", arns.bucket(bucket, key)))
    made += _manifest_statements(options.manifest or "", arns)
    return tuple(made)


def _manifest_statements(url: str, arns: Arns) -> list[Statement]:
    if url.startswith("dynamodb:"):
        return [statement("Note", _NOTED_TABLE, arns.table(url.removeprefix("dynamodb:")))]
    bucket, key = split_url(url)
    if not bucket:
        return []
    prefix = f"{key.strip('/')}/*" if key.strip("/") else "*"
    return [
        statement("ListNotes", "s3:ListBucket", arns.bucket(bucket)),
        statement("Note", "s3:PutObject", arns.bucket(bucket, prefix)),
    ]
