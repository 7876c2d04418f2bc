"""`S3Objects` and `LocalFiles` give the bytes and listings of buckets and local folders, behind one interface.

Errors of a call:
- The object is gone, overwritten, or archived to Glacier: `ObjectFailure`, which costs only that object.
- Credentials or permissions don't suffice, the bucket isn't there, the region is wrong: one clear error ends the job.
"""

import base64
import glob
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.bucket_region import REDIRECTED
from penstock.io.aws.listing import listed, sensible_page
from penstock.io.aws.sense import sensible, stored
from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.errors import AccessDenied, NotFound, OptionError, PeerError, PenstockError
from penstock.io.http.in_time import in_time
from penstock.io.s3._list_page import take_contents
from penstock.io.s3.origin import S3Object

__all__ = ["LocalFiles", "ObjectFailure", "S3Objects"]


_HEAD = {"ContentLength", "ETag", "LastModified"}


class ObjectFailure(Exception):
    """One object can't be read any more; `kind` is the word for its dead letter."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


_DELETED, _CHANGED, _UNREADABLE = "ObjectDeleted", "ObjectChanged", "UnreadableObject"
_FAILURES = {
    "NoSuchKey": (_DELETED, "the object was deleted after it was listed"),
    "404": (_DELETED, "the object was deleted after it was listed"),
    "NoSuchVersion": (_DELETED, "that version of the object does not exist"),
    "PreconditionFailed": (_CHANGED, "the object was overwritten after it was listed; list it again"),
    "412": (_CHANGED, "the object was overwritten after it was listed; list it again"),
    "InvalidObjectState": ("ObjectArchived", "the object is in Glacier; restore it first"),
    "InvalidRange": (_CHANGED, "the object is shorter than it was listed"),
}


class _InTime:
    """A body of which each read has a time-out in all, as a request has. So who sends a byte now and then is given up."""

    def __init__(self, body: Any, seconds: float) -> None:
        self._body = body
        self._seconds = seconds

    def read(self, size: int | None = None) -> bytes:
        with in_time(self._seconds):
            data: bytes = self._body.read(size)
        return data

    def close(self) -> None:
        self._body.close()


class S3Objects:
    """Reads and writes objects of buckets.

    Args:
        aws: who we are.
        request_payer: whether we pay for requests.
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
        self._unconditional = False
        if sse_customer_key:
            digest = hashlib.md5(base64.b64decode(sse_customer_key), usedforsecurity=False).digest()
            self._key = {
                "SSECustomerAlgorithm": "AES256",
                "SSECustomerKey": sse_customer_key,
                "SSECustomerKeyMD5": base64.b64encode(digest).decode(),
            }

    def level(
        self, bucket: str, prefix: str, start_after: str = ""
    ) -> tuple[list[str], list[S3Object]] | None:
        """Gives the folders directly below `prefix`, and the objects beside them; None where they fill more than a page."""
        arguments = self._page_arguments(bucket, prefix, start_after)
        page = sensible_page(self._list_page, **arguments, Delimiter="/")
        if page.get("IsTruncated"):
            return None
        objects = [each for found in page.get("Contents", ()) if (each := _listed_object(bucket, found))]
        return [each["Prefix"] for each in page.get("CommonPrefixes", ())], objects

    def list(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[S3Object]:
        """Gives all objects whose key begins with `prefix` and comes behind `start_after`, in the order of their keys.

        It asks for one page at a time, so memory does not grow with the listing.
        """
        arguments = self._page_arguments(bucket, prefix, start_after)
        for found in listed(self._list_page, **arguments):
            if each := _listed_object(bucket, found):
                yield each

    def _page_arguments(self, bucket: str, prefix: str, start_after: str) -> dict[str, Any]:
        after = {"StartAfter": start_after} if start_after else {}
        return {"Bucket": bucket, "Prefix": prefix, **after, **self._payer}

    def _list_page(self, **arguments: Any) -> dict[str, Any]:
        try:
            events = self.session.client("s3").meta.events
            events.register("before-parse.s3.ListObjectsV2", take_contents, unique_id="penstock-list-page")
            page: dict[str, Any] = self._call("list_objects_v2", **arguments)
        except (BotoCoreError, ClientError) as error:
            raise self._explain(
                error, "ListBucket", arguments["Bucket"], arguments["Prefix"], "list"
            ) from error
        return page

    def stat(self, bucket: str, key: str, version: str | None = None) -> S3Object:
        """Gives one object by its name. Raises `ObjectFailure` when it isn't there."""
        arguments = {"VersionId": version} if version else {}
        try:
            found = sensible(
                lambda: self._call(
                    "head_object", Bucket=bucket, Key=key, **arguments, **self._payer, **self._key
                ),
                lambda reply: "" if reply.keys() >= _HEAD else "the reply lacks its size, ETag or date",
                f"read s3://{bucket}/{key}",
            )
        except (BotoCoreError, ClientError) as error:
            raise self._failure(error, bucket, key) from error
        return S3Object(
            bucket, key, int(found["ContentLength"]), found["ETag"].strip('"'),
            round(found["LastModified"].timestamp() * 1000), version,
        )  # fmt: skip

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        """Gives the body from `start` to before `end`, and its version id."""
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
        etag, place = str(reply.get("ETag", "")).strip('"'), str(reply.get("ContentRange", ""))
        if not etag or (start and not place.startswith(f"bytes {start}-")):
            reply["Body"].close()
            lacks = "the range that was asked for" if etag else "an ETag"
            message = (
                f"cannot read {found.url}: the reply to GetObject has not {lacks}, so it is not the object. "
                "Check --endpoint_url, and proxies in between."
            )
            raise PeerError(message)
        if etag != found.etag:
            reply["Body"].close()
            raise ObjectFailure(*_FAILURES["PreconditionFailed"])
        return _InTime(reply["Body"], self.session.options.request_timeout / 1000), reply.get("VersionId")

    def put_new(self, bucket: str, key: str, body: bytes, content_type: str) -> bool:
        """Writes a whole object, unless there is one of that name. Gives whether it wrote.

        A store without conditional writes says so (501) or ignores the condition. Then the object is written over.
        """
        condition = {} if self._unconditional else {"IfNoneMatch": "*"}
        try:
            what = {"Bucket": bucket, "Key": key, "Body": body, "ContentType": content_type, **condition}
            sensible(lambda: self._call("put_object", **what), stored, f"write s3://{bucket}/{key}")
        except (BotoCoreError, ClientError) as error:
            code = _code(error)
            if condition and code in ("PreconditionFailed", "412"):
                return False
            if condition and code in ("NotImplemented", "501"):
                self._unconditional = True
                return self.put_new(bucket, key, body, content_type)
            raise self._explain(error, "PutObject", bucket, key, "write") from error
        return True

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
        if code in REDIRECTED:
            region = _region_of(error)
            found = f"It is in {region}. Give --region." if region else "Check --region and --endpoint_url."
            message = (
                f"cannot {verb} {where}: the bucket is not in {self.session.options.region} ({code}). {found}"
            )
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


def _listed_object(bucket: str, found: dict[str, Any]) -> S3Object | None:
    """Reads an entry of a listing; None for an entry that consoles show as a folder."""
    key, size = found["Key"], int(found["Size"])
    if key.endswith("/") and not size:
        return None
    return S3Object(
        bucket, key, size, found["ETag"].strip('"'), round(found["LastModified"].timestamp() * 1000)
    )


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _region_of(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return ""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", ""))


class LocalFiles:
    """Reads files of this machine, as objects without a bucket.

    Args:
        stopping: set when the job stops.
    """

    def __init__(self, stopping: threading.Event | None = None) -> None:
        self.stopping = stopping or threading.Event()

    @staticmethod
    def full_prefix(path: str) -> str:
        """Gives the beginning of the full paths of a path's or glob's files, up to its last folder."""
        literal = path if os.path.isdir(path) else path.partition("*")[0].partition("?")[0].partition("[")[0]
        full = os.path.abspath(literal) if literal else os.getcwd()
        folder = os.path.isdir(path) or literal.endswith("/") or not literal
        return f"{full.rstrip('/')}/" if folder else full

    def list(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[S3Object]:
        """Gives the files that a path or glob names; for a folder, all files below it.

        A link to nowhere, a pipe or the like among them carries its failure, and so costs itself alone. Named itself, it is
        an `ObjectFailure`.
        """
        # Literally first: a file's own name may hold the characters of a glob.
        paths = [prefix] if os.path.lexists(prefix) else sorted(glob.glob(prefix, recursive=True))
        for path in paths:
            if os.path.isdir(path):
                for folder, folders, names in os.walk(path):
                    folders.sort()
                    for name in sorted(names):
                        yield self._found(os.path.join(folder, name))
            else:
                yield self.stat("", path) if path == prefix else self._found(path)

    def _found(self, path: str) -> S3Object:
        try:
            return self.stat("", path)
        except ObjectFailure as failure:
            return S3Object("", os.path.abspath(path), 0, "", 0, None, (failure.kind, failure.reason))

    def stat(self, bucket: str, key: str, version: str | None = None) -> S3Object:
        """Gives one file. Raises `ObjectFailure` when it isn't there, or is no regular file."""
        try:
            found = os.stat(key)
        except OSError as error:
            raise ObjectFailure(_DELETED, error.strerror or "no such file") from error
        except ValueError as error:
            raise ObjectFailure(_DELETED, "no path holds a NUL") from error
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise ObjectFailure(_UNREADABLE, f"it is {kind}")
        path = os.path.abspath(key)
        etag = f"{found.st_size:x}-{found.st_mtime_ns:x}"
        return S3Object("", path, found.st_size, etag, found.st_mtime_ns // 1_000_000)

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        """Gives the file from `start` to before `end`. Raises `ObjectFailure` when it is gone or has changed."""
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
