"""`read_trials` tries what the S3 read needs, and writes nothing: see `penstock.io.aws.account_preflight`."""

import threading

from penstock.io.aws.account_preflight import CREDENTIALS, MADE_UP, AwsAccount
from penstock.io.aws.table_preflight import table_trials
from penstock.io.errors import NotFound
from penstock.io.preflight.iam import Statement, narrowed
from penstock.io.preflight.trials import Finding, Trial, fine, not_tried, writable
from penstock.io.s3._selection import literal_prefix
from penstock.io.s3.listing import Stores
from penstock.io.s3.objects import LocalFiles, ObjectFailure, S3Objects
from penstock.io.s3.options import S3ReadOptions, split_url
from penstock.io.s3.origin import S3Object
from penstock.io.s3.policy import read_statements

__all__ = ["put_trial", "read_trials"]


def read_trials(options: S3ReadOptions, account: AwsAccount) -> list[Trial]:
    """Gives trials for each input (the listing's first page, a byte of its first object), then for lists and manifest.

    Args:
        options: the options of the read.
        account: who we are; not used for local files.
    """
    statements = read_statements(options, account.arns)
    trials: list[Trial] = []
    for url in options.input:
        trials += _input_trials(url, options, account, statements)
    if options.input_manifest:
        trials += _list_trials(options.input_manifest, options, account, statements)
    if options.manifest:
        trials += _manifest_trials(options.manifest, account, statements)
    return trials


def _store(options: S3ReadOptions, account: AwsAccount, bucket: str) -> S3Objects | LocalFiles:
    return Stores(options, account.options, threading.Event()).of(bucket)


def _input_trials(
    url: str, options: S3ReadOptions, account: AwsAccount, statements: tuple[Statement, ...]
) -> list[Trial]:
    bucket, key = split_url(url)
    first: list[S3Object] = []

    def listing() -> Finding:
        try:
            found = next(
                iter(_store(options, account, bucket).list(bucket, literal_prefix(key) if bucket else key)),
                None,
            )
        except ObjectFailure as failure:
            message = f"cannot read {url}: {failure.reason}."
            raise NotFound(message) from failure
        if found is None:
            message = f"--input {url}: there is nothing of that name."
            raise NotFound(message)
        first.append(found)
        return fine(f"there is {found.url}")

    name, after = (f"s3:ListBucket of {url}", (CREDENTIALS,)) if bucket else (f"files of {url}", ())
    return [
        Trial(
            name, listing, statements=narrowed(_of(statements, bucket, "List"), "s3:ListBucket"), after=after
        ),
        Trial(
            f"s3:GetObject of {url}" if bucket else f"reading {url}",
            lambda: _read(first, _store(options, account, bucket)),
            statements=narrowed(_of(statements, bucket, "Read"), "s3:GetObject"),
            after=(name,),
        ),
    ]


def _of(statements: tuple[Statement, ...], bucket: str, *names: str) -> tuple[Statement, ...]:
    """Gives the statements of those names on that bucket."""
    return tuple(
        each
        for each in statements
        if each["Sid"] in names and each["Resource"].split(":", 5)[5].partition("/")[0] == bucket
    )


def _read(found: list[S3Object], store: S3Objects | LocalFiles) -> Finding:
    if not found[0].size:
        return not_tried(f"{found[0].url} is empty")
    try:
        body, _ = store.get(found[0], 0, 1)
        body.read(1)
        body.close()
    except ObjectFailure as failure:
        return not_tried(f"{found[0].url}: {failure.reason}")
    return fine(f"read a byte of {found[0].url}")


def _list_trials(
    url: str, options: S3ReadOptions, account: AwsAccount, statements: tuple[Statement, ...]
) -> list[Trial]:
    bucket, key = split_url(url)

    def run() -> Finding:
        try:
            found = _store(options, account, bucket).stat(bucket, key)
        except ObjectFailure as failure:
            message = f"--input_manifest {url}: {failure.reason}."
            raise NotFound(message) from failure
        return _read([found], _store(options, account, bucket))

    after = (CREDENTIALS,) if bucket else ()
    return [
        Trial(
            f"list {url}",
            run,
            statements=narrowed(_of(statements, bucket, "ReadList"), "s3:GetObject"),
            after=after,
        )
    ]


def _manifest_trials(url: str, account: AwsAccount, statements: tuple[Statement, ...]) -> list[Trial]:
    if url.startswith("file:"):
        return [Trial("manifest", lambda: writable("--manifest", url.removeprefix("file://")), quick=True)]
    if url.startswith("dynamodb:"):
        table = url.removeprefix("dynamodb:")
        return table_trials(
            account, table, what="manifest", key="unit", option="--manifest", statements=statements
        )
    bucket, key = split_url(url)
    prefix = key.strip("/")
    name = f"s3:ListBucket of {url}"

    def listing() -> Finding:
        S3Objects(account.options).check_bucket(bucket)
        return fine(f"the bucket {bucket} is there")

    return [
        Trial(
            name,
            listing,
            statements=narrowed(_of(statements, bucket, "ListNotes"), "s3:ListBucket"),
            after=(CREDENTIALS,),
        ),
        put_trial(account, bucket, f"{prefix}/" if prefix else "", "--manifest", statements, name),
    ]


def put_trial(
    account: AwsAccount, bucket: str, prefix: str, option: str, statements: tuple[Statement, ...], after: str
) -> Trial:
    """Tries whether objects may be put under a prefix (empty, or with its slash). It puts a part of a missing upload."""
    key = f"{prefix}{MADE_UP}"

    def run() -> Finding:
        return account.probe(
            "s3",
            "UploadPart",
            f"{account.arns.bucket(bucket, prefix)}* ({option})",
            f"write to s3://{bucket}/{prefix}",
            refused_with=("NoSuchUpload",),
            action="PutObject",
            Bucket=bucket,
            Key=key,
            UploadId=MADE_UP,
            PartNumber=1,
            Body=b"",
        )

    return Trial(
        f"s3:PutObject to {bucket}/{prefix}",
        run,
        statements=narrowed(statements, "s3:PutObject"),
        after=(after,),
    )
