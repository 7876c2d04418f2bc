"""`S3Objects` and `LocalFiles` give the bytes and listings of buckets and local folders, behind one face.

What a read can meet, and what becomes of it:
- a connection that breaks, a 5xx, a throttle: the read goes on where it stopped, with the same ETag;
- the object is gone, overwritten, or archived to Glacier: `ObjectFailure`, which costs that object only;
- credentials or permissions don't suffice, the bucket isn't there, the region is wrong: one clear error.
"""

import base64
import glob
import hashlib
import io
import logging
import os
import stat
import threading
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import urllib3.exceptions
from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.listing import listed
from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.backoff import delays
from penstock.io.errors import (
    AccessDenied,
    NotFound,
    OptionError,
    PeerError,
    PenstockError,
    Unreachable,
    without_traceback,
)
from penstock.io.s3.origin import S3Object

__all__ = ["LocalFiles", "ObjectFailure", "ObjectStream", "S3Objects", "SeekableObject"]

_LOGGER = logging.getLogger(__name__)
_TRIES = 8
_BROKEN = (
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.IncompleteReadError,
    botocore.exceptions.ResponseStreamingError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
)


class ObjectFailure(Exception):
    """One object can't be read any more; `kind` is the word for its dead letter."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


_DELETED, _CHANGED = "ObjectDeleted", "ObjectChanged"
_FAILURES = {
    "NoSuchKey": (_DELETED, "the object was deleted after it was listed"),
    "404": (_DELETED, "the object was deleted after it was listed"),
    "NoSuchVersion": (_DELETED, "that version of the object does not exist"),
    "PreconditionFailed": (_CHANGED, "the object was overwritten after it was listed; list it again"),
    "412": (_CHANGED, "the object was overwritten after it was listed; list it again"),
    "InvalidObjectState": ("ObjectArchived", "the object is in Glacier; restore it first"),
    "InvalidRange": (_CHANGED, "the object is shorter than it was listed"),
}


class S3Objects:
    """Buckets.

    Args:
        aws: who we are.
        request_payer: whether we pay.
        sse_customer_key: base64 of an SSE-C key.
        stopping: set when the job stops, so that no retry outlives it.
    """

    def __init__(
        self,
        aws: AwsOptions,
        *,
        request_payer: bool = False,
        sse_customer_key: str | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self.session = AwsSession(aws)
        self.stopping = stopping or threading.Event()
        self._payer = {"RequestPayer": "requester"} if request_payer else {}
        self._key: dict[str, str] = {}
        if sse_customer_key:
            digest = hashlib.md5(base64.b64decode(sse_customer_key), usedforsecurity=False).digest()
            self._key = {
                "SSECustomerAlgorithm": "AES256",
                "SSECustomerKey": sse_customer_key,
                "SSECustomerKeyMD5": base64.b64encode(digest).decode(),
            }

    def list(self, bucket: str, prefix: str) -> Iterator[S3Object]:
        """All objects whose key begins with `prefix`, in the order of their keys."""

        def list_page(**arguments: Any) -> Any:
            try:
                return self._call("list_objects_v2", **arguments)
            except (BotoCoreError, ClientError) as error:
                raise self._explain(error, "ListBucket", bucket, prefix, "list") from error

        for found in listed(list_page, Bucket=bucket, Prefix=prefix, **self._payer):
            if found["Key"].endswith("/") and not found["Size"]:
                continue  # what consoles show as a folder
            yield S3Object(
                bucket, found["Key"], int(found["Size"]), found["ETag"].strip('"'),
                round(found["LastModified"].timestamp() * 1000),
            )  # fmt: skip

    def stat(self, bucket: str, key: str, version: str | None = None) -> S3Object:
        """One object by its name; raises `ObjectFailure` when it isn't there."""
        arguments = {"VersionId": version} if version else {}
        try:
            found = self._call("head_object", Bucket=bucket, Key=key, **arguments, **self._payer, **self._key)
        except (BotoCoreError, ClientError) as error:
            raise self._failure(error, bucket, key) from error
        return S3Object(
            bucket, key, int(found["ContentLength"]), found["ETag"].strip('"'),
            round(found["LastModified"].timestamp() * 1000), version,
        )  # fmt: skip

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        """The body from `start` to before `end`, and the version id it has."""
        arguments: dict[str, Any] = {"VersionId": found.version} if found.version else {}
        if start or end is not None:
            arguments["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            reply = self._call(
                "get_object",
                Bucket=found.bucket,
                Key=found.key,
                IfMatch=f'"{found.etag}"',
                **arguments,
                **self._payer,
                **self._key,
            )
        except (BotoCoreError, ClientError) as error:
            raise self._failure(error, found.bucket, found.key) from error
        return reply["Body"], reply.get("VersionId")

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Writes an object whole, over what is there."""
        try:
            self._call("put_object", Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (BotoCoreError, ClientError) as error:
            raise self._explain(error, "PutObject", bucket, key, "write") from error

    def check_bucket(self, bucket: str) -> None:
        """Raises a `PenstockError` when the bucket isn't there or isn't ours to use."""
        self.session.credentials()
        try:
            self._call("head_bucket", Bucket=bucket)
        except (BotoCoreError, ClientError) as error:
            raise self._explain(error, "ListBucket", bucket, "", "use") from error

    def _call(self, method: str, **arguments: Any) -> Any:
        return self.session.call("s3", method, **arguments)

    def _failure(self, error: Exception, bucket: str, key: str) -> Exception:
        failure = _FAILURES.get(_code(error))
        if failure is not None:
            return ObjectFailure(*failure)
        return self._explain(error, "GetObject", bucket, key, "read")

    def _explain(self, error: Exception, operation: str, bucket: str, key: str, verb: str) -> PenstockError:
        where = f"s3://{bucket}/{key}"
        code = _code(error)
        if code in ("NoSuchBucket", "404"):
            return NotFound(f"cannot {verb} {where}: there is no bucket {bucket}. Check its name.")
        if code in (
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "301",
        ):
            region = _region_of(error)
            hint = f" It is in {region}." if region else ""
            message = f"cannot {verb} {where}: the bucket is not in {self.session.options.region}.{hint} Give --region."
            return OptionError(message)
        if code == "403":
            message = (
                f"cannot {verb} {where}: access denied. {self.session.principal()} needs s3:{operation} on "
                f"arn:aws:s3:::{bucket}{'/' + key if key and operation != 'ListBucket' else ''}. See docs/iam.md."
            )
            return AccessDenied(message)
        if code == "InvalidRequest" and "encrypt" in str(error).lower():
            return AccessDenied(
                f"cannot {verb} {where}: it is encrypted with a customer's key. Give --sse_customer_key."
            )
        resource = f"arn:aws:s3:::{bucket}" + ("" if operation == "ListBucket" else f"/{key}")
        return explain(error, self.session, operation, resource, f"{verb} {where}")


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _region_of(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return ""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", ""))


class LocalFiles:
    """Files of this machine, as objects without a bucket."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def list(self, bucket: str, prefix: str) -> Iterator[S3Object]:
        """The files that a path or glob names; of a folder, all below it."""
        # First as it stands: a file's own name may hold what a glob has.
        paths = [prefix] if os.path.lexists(prefix) else sorted(glob.glob(prefix, recursive=True))
        for path in paths:
            if os.path.isdir(path):
                for folder, folders, names in os.walk(path):
                    folders.sort()
                    for name in sorted(names):
                        yield self.stat("", os.path.join(folder, name))
            else:
                yield self.stat("", path)

    def stat(self, bucket: str, key: str, version: str | None = None) -> S3Object:
        """One file; raises `ObjectFailure` when it isn't there."""
        try:
            found = os.stat(key)
        except OSError as error:
            raise ObjectFailure(_DELETED, error.strerror or "no such file") from error
        if not stat.S_ISREG(found.st_mode):
            message = f"--input {key}: not a regular file."
            raise OptionError(message)
        path = os.path.abspath(key)
        etag = f"{found.st_size:x}-{found.st_mtime_ns:x}"
        return S3Object("", path, found.st_size, etag, found.st_mtime_ns // 1_000_000)

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        """The file from `start` to before `end`; raises `ObjectFailure` when it is gone or another."""
        if self.stat("", found.key).etag != found.etag:
            raise ObjectFailure(_CHANGED, "the file changed after it was listed")
        try:
            file = open(found.key, "rb")  # noqa: SIM115  the stream closes it
        except PermissionError as error:
            message = f"cannot read {found.key}: permission denied."
            raise AccessDenied(message) from error
        except OSError as error:
            raise ObjectFailure(_DELETED, error.strerror or "no such file") from error
        file.seek(start)
        return (file if end is None else _Bounded(file, end - start)), None


class _Bounded:
    def __init__(self, file: Any, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


class ObjectStream:
    """An object's bytes, one after another; goes on where it stopped when the connection breaks.

    Args:
        store: where the object is.
        found: the object.
        start: the first byte.
        end: behind the last one; None for the object's end.

    Attributes:
        position: the next byte.
        version: the object's version id, once something was read.
    """

    def __init__(
        self, store: S3Objects | LocalFiles, found: S3Object, start: int = 0, end: int | None = None
    ) -> None:
        self._store = store
        self._object = found
        self._end = found.size if end is None else min(end, found.size)
        self._body: Any = None
        self.position = start
        self.version = found.version

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Up to `size` bytes; none at the end.

        Raises:
            ObjectFailure: the object is gone, or another one.
            PenstockError: access denied, or S3 can't be reached.
        """
        if self.position >= self._end or not size:
            return b""
        waits = delays(0.2, 10.0)
        for attempt in range(_TRIES):
            try:
                if self._body is None:
                    end = None if self._end == self._object.size else self._end
                    self._body, version = self._store.get(self._object, self.position, end)
                    self.version = version or self.version
                data: bytes = self._body.read(min(size, self._end - self.position))
                if data:
                    self.position += len(data)
                    return data
                failure: Exception = ConnectionError("the reply ended before the object did")
            except _BROKEN as error:
                failure = without_traceback(error)
            except (Unreachable, PeerError) as error:
                if isinstance(error, (AccessDenied, NotFound)):
                    raise
                failure = without_traceback(error)
            self.close()
            _LOGGER.debug("reading %s again from byte %d (%s)", self._object.url, self.position, failure)
            if attempt < _TRIES - 1 and self._store.stopping.wait(next(waits)):
                break
        if isinstance(failure, PenstockError):
            raise without_traceback(failure)
        message = f"cannot read {self._object.url} beyond byte {self.position}: {type(failure).__name__}. Check the network."
        raise Unreachable(message)

    def close(self) -> None:
        """Lets go of the connection; a later read opens another."""
        if self._body is not None:
            self._body.close()
            self._body = None


class SeekableObject(io.RawIOBase):
    """An object as a file that can be sought in, a request for each stretch; for Parquet."""

    def __init__(self, store: S3Objects | LocalFiles, found: S3Object) -> None:
        self._store = store
        self._object = found
        self._position = 0
        self.failure: Exception | None = None
        """What broke the last read: Arrow passes on only its text."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sets where the next read begins."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._object.size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, unless the end is nearer."""
        end = self._object.size if size < 0 else min(self._position + size, self._object.size)
        stream = ObjectStream(self._store, self._object, self._position, end)
        parts = []
        try:
            while part := stream.read(8 << 20):
                parts.append(part)
        except (PenstockError, ObjectFailure) as error:
            self.failure = without_traceback(error)
            message = "the object cannot be read any more"
            raise OSError(message) from error
        finally:
            stream.close()
        self._position = stream.position
        return b"".join(parts)
