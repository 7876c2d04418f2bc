"""`archive_trials` tries what the archive needs before a job runs; `archive_statements` gives the IAM statements for it."""

from penstock.io.archive.options import ArchiveOptions
from penstock.io.aws.account_preflight import CREDENTIALS, AwsAccount
from penstock.io.preflight.iam import Arns, Statement, narrowed, statement
from penstock.io.preflight.trials import Finding, Trial, fine
from penstock.io.s3.objects import S3Objects
from penstock.io.s3.preflight import put_trial

__all__ = ["archive_statements", "archive_trials"]


def archive_statements(options: ArchiveOptions, arns: Arns) -> tuple[Statement, ...]:
    """Gives the statements that exactly the archive needs, besides those of reading the stream."""
    bucket, prefix = options.place
    return (
        statement("FindArchive", "s3:ListBucket", arns.bucket(bucket)),
        statement("Archive", "s3:PutObject", arns.bucket(bucket, f"{prefix}/*" if prefix else "*")),
    )


def archive_trials(options: ArchiveOptions, account: AwsAccount) -> list[Trial]:
    """Gives the trials of the bucket (quick), and of whether files may be put there."""
    bucket, prefix = options.place
    statements = archive_statements(options, account.arns)
    name = f"s3:ListBucket of {bucket}"

    def there() -> Finding:
        S3Objects(account.options).check_bucket(bucket)
        return fine(f"the bucket {bucket} is there")

    return [
        Trial(name, there, True, False, narrowed(statements, "s3:ListBucket"), (CREDENTIALS,)),
        put_trial(account, bucket, f"{prefix}/" if prefix else "", "--archive", statements, name),
    ]
