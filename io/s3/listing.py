"""`list_objects` turns `--input` and `--input_manifest` into the objects that are to be read."""

import json
import threading
from collections.abc import Iterator

from penstock.io.aws.session import AwsOptions
from penstock.io.errors import NotFound, OptionError
from penstock.io.s3._selection import literal_prefix, pattern_of, selector
from penstock.io.s3.objects import LocalFiles, ObjectFailure, ObjectStream, S3Objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Object

__all__ = ["Stores", "list_objects"]

_MAX_MANIFEST_BYTES = 1 << 30


class Stores:
    """Buckets and local files: the one that an object, or a URL, belongs to.

    Args:
        options: how buckets are read.
        aws: who we are.
        stopping: set when the job stops.
    """

    def __init__(self, options: S3ReadOptions, aws: AwsOptions, stopping: threading.Event) -> None:
        self._options = options
        self._aws = aws
        self._stopping = stopping
        self._local = LocalFiles()
        self._remote: S3Objects | None = None

    def of(self, bucket: str) -> S3Objects | LocalFiles:
        """The store of a bucket; of local files for an empty name."""
        if not bucket:
            return self._local
        if self._remote is None:
            self._remote = S3Objects(
                self._aws,
                request_payer=self._options.request_payer,
                sse_customer_key=self._options.sse_customer_key,
                stopping=self._stopping,
            )
            self._remote.session.credentials()
        return self._remote

    def close(self) -> None:
        """Nothing is held between reads."""


def split_url(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; for a path, an empty bucket and the path."""
    if url.startswith("s3://"):
        bucket, _, key = url[5:].partition("/")
        return bucket, key
    return "", url.removeprefix("file://")


def list_objects(options: S3ReadOptions, stores: Stores) -> list[S3Object]:
    """What is to be read, each object once, in the order of the inputs and keys.

    Raises:
        PenstockError: an input that can't be listed, or in which there is nothing.
    """
    wanted = selector(options)
    found: dict[tuple[str, str, str | None], S3Object] = {}
    for url in options.input:
        bucket, key = split_url(url)
        store = stores.of(bucket)
        fits = pattern_of(key) if bucket else (lambda key: True)
        listed = False
        try:
            for each in store.list(bucket, literal_prefix(key) if bucket else key):
                if fits(each.key):
                    listed = True
                    if wanted(each):
                        found.setdefault((each.bucket, each.key, None), each)
        except ObjectFailure as failure:
            message = f"cannot read {url}: {failure.reason}."
            raise NotFound(message) from failure
        if not listed:
            message = f"--input {url}: there is nothing of that name."
            raise NotFound(message)
    if options.input_manifest:
        for each in _from_manifest(options.input_manifest, stores):
            if wanted(each):
                found.setdefault((each.bucket, each.key, each.version), each)
    return list(found.values())


def _from_manifest(url: str, stores: Stores) -> Iterator[S3Object]:
    for number, line in enumerate(_lines(url, stores), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        version = None
        if text.startswith("{"):
            try:
                entry = json.loads(text)
                bucket, key, version = str(entry["bucket"]), str(entry["key"]), entry.get("version")
            except (ValueError, KeyError, TypeError):
                message = (
                    f"--input_manifest {url}, line {number}: neither a URL nor JSON with bucket and key."
                )
                raise OptionError(message) from None
        else:
            bucket, key = split_url(text)
        try:
            yield stores.of(bucket).stat(bucket, key, version)
        except ObjectFailure as failure:
            message = f"--input_manifest {url}, line {number}: {text[:200]}: {failure.reason}."
            raise NotFound(message) from failure


def _lines(url: str, stores: Stores) -> list[str]:
    bucket, key = split_url(url)
    store = stores.of(bucket)
    try:
        found = store.stat(bucket, key)
        if found.size > _MAX_MANIFEST_BYTES:
            message = f"--input_manifest {url}: larger than {_MAX_MANIFEST_BYTES} bytes."
            raise OptionError(message)
        stream = ObjectStream(store, found)
        parts = []
        while part := stream.read():
            parts.append(part)
        stream.close()
    except ObjectFailure as failure:
        message = f"--input_manifest {url}: {failure.reason}."
        raise NotFound(message) from failure
    return b"".join(parts).decode(errors="replace").splitlines()
