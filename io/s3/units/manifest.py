"""`Manifest` keeps which units of work are finished, so that a backfill can be resumed.

A unit is noted after its last event is in Elasticsearch, or in the dead letters. A job that was killed before
reads it again, and the document ids make that harmless. The name of an entry holds the object's URL and ETag in a
hash, and which part of how many it is. So an object that is overwritten, or split another way, is read again.

- `file:///path`: JSON lines, appended by all processes of a machine, on disk before the next unit.
- `s3://bucket/prefix`: an empty object for each unit, named by it.
- `dynamodb:table`: an item for each unit; the table is made when it isn't there.
"""

import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import orjson
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from penstock.io.aws.listing import listed
from penstock.io.aws.sense import sensible, stored
from penstock.io.aws.session import AwsOptions, AwsSession, explain
from penstock.io.aws.tables import make_table, scanned
from penstock.io.errors import DeliveryError, NotFound, OptionError, PeerError, PenstockError
from penstock.io.preflight.trials import writable
from penstock.io.s3.origin import S3Object, WorkUnit

__all__ = ["Finished", "Manifest", "is_last_part", "object_id", "open_manifest", "unit_id"]


def object_id(found: S3Object) -> str:
    """Names an object's contents."""
    text = f"{found.url}\0{found.etag}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def unit_id(unit: WorkUnit) -> str:
    """Names a unit: `OBJECT:NUMBER-OF`."""
    return f"{object_id(unit.object)}:{unit.number}-{unit.of}"


def is_last_part(identity: str) -> bool:
    """Whether the unit of that id is the last part of its object, or all of it."""
    number, _, of = identity.rpartition(":")[2].partition("-")
    return int(number) + 1 == int(of)


class Manifest(Protocol):
    """Notes finished units."""

    where: str

    def read(self) -> Iterator[str]:
        """Gives the ids of all noted units."""

    def add(self, identity: str, url: str) -> None:
        """Notes a unit for good, or raises a `PenstockError`."""

    def close(self) -> None:
        """Closes files and connections."""


class Finished:
    """Knows which units earlier runs finished.

    Args:
        identities: ids of units.
    """

    def __init__(self, identities: Iterator[str] | None = None) -> None:
        self._parts: dict[str, set[str]] = {}
        for identity in identities or ():
            name, _, part = identity.partition(":")
            self._parts.setdefault(name, set()).add(part)

    def parts(self, found: S3Object) -> frozenset[str]:
        """Gives the finished parts of an object, as `NUMBER-OF`."""
        return frozenset(self._parts.get(object_id(found), ()))

    def whole(self, found: S3Object) -> bool:
        """Whether all parts of one way to split it are finished."""
        counts: dict[str, int] = {}
        for part in self._parts.get(object_id(found), ()):
            of = part.partition("-")[2]
            counts[of] = counts.get(of, 0) + 1
        return any(of.isdigit() and count >= int(of) for of, count in counts.items())


def open_manifest(url: str, aws: AwsOptions, *, look_only: bool = False) -> Manifest:
    """Opens the manifest that `--manifest` names (the options have checked the URL).

    Args:
        url: the manifest's URL.
        aws: who we are.
        look_only: whether to make no file and no table. Then only `read` may be called.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "file":
        return _FileManifest(os.devnull if look_only and not os.path.exists(rest[2:]) else rest[2:])
    if scheme == "dynamodb":
        return _TableManifest(rest, AwsSession(aws), look_only=look_only)
    bucket, _, prefix = rest[2:].partition("/")
    return _BucketManifest(bucket, prefix.strip("/"), AwsSession(aws))


class _FileManifest:
    def __init__(self, path: str) -> None:
        self.where = path
        self._lock = threading.Lock()
        if path != os.devnull:
            writable("--manifest", path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        except OSError as error:
            message = f"--manifest: cannot write {path}: {error.strerror}."
            raise OptionError(message) from error

    def read(self) -> Iterator[str]:
        with open(self.where, "rb") as file:
            for line in file:
                try:
                    yield str(orjson.loads(line)["unit"])
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    continue  # the process was killed while it wrote this line, so that unit is read again

    def add(self, identity: str, url: str) -> None:
        line = orjson.dumps({"unit": identity, "url": url, "finished": int(time.time())}) + b"\n"
        try:
            with self._lock:
                if os.write(self._file, line) != len(line):
                    message = f"cannot note a finished object in {self.where}: the disk is full. The job can be resumed."
                    raise DeliveryError(message)
                os.fsync(self._file)
        except OSError as error:
            message = (
                f"cannot note a finished object in {self.where}: {error.strerror}. The job can be resumed."
            )
            raise DeliveryError(message) from error

    def close(self) -> None:
        os.close(self._file)


class _AwsManifest:
    def __init__(self, where: str, service: str, arn: str, session: AwsSession) -> None:
        self.where = where
        self._service = service
        self._arn = arn
        self._session = session

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        try:
            return self._session.call(self._service, method, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise self._explained(error, operation) from error

    def _explained(self, error: Exception, operation: str) -> PenstockError:
        resource = f"{self._arn} (--manifest)"
        return explain(error, self._session, operation, resource, f"use the manifest {self.where}")

    def close(self) -> None:
        pass


class _BucketManifest(_AwsManifest):
    def __init__(self, bucket: str, prefix: str, session: AwsSession) -> None:
        super().__init__(f"s3://{bucket}/{prefix}", "s3", f"arn:aws:s3:::{bucket}/{prefix}*", session)
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""

    def read(self) -> Iterator[str]:
        list_page = functools.partial(self._call, "ListBucket", "list_objects_v2")
        for found in listed(list_page, Bucket=self._bucket, Prefix=self._prefix):
            yield found["Key"][len(self._prefix) :].replace("/", ":")

    def add(self, identity: str, url: str) -> None:
        key = self._prefix + identity.replace(":", "/")
        what = {"Bucket": self._bucket, "Key": key, "Body": b""}
        doing = f"use the manifest {self.where}"
        sensible(lambda: self._call("PutObject", "put_object", **what), stored, doing)


class _TableManifest(_AwsManifest):
    def __init__(self, table: str, session: AwsSession, *, look_only: bool) -> None:
        super().__init__(f"dynamodb:{table}", "dynamodb", f"table {table}", session)
        self._table = table
        self._look_only = look_only

    def read(self) -> Iterator[str]:
        if not self._is_there():
            return

        def scan_page(**given: Any) -> Any:
            return self._sensible(
                "Scan", "scan", lambda page: [each["unit"]["S"] for each in page["Items"]], **given
            )

        for item in scanned(scan_page, ProjectionExpression="#u", ExpressionAttributeNames={"#u": "unit"}):
            yield item["unit"]["S"]

    def add(self, identity: str, url: str) -> None:
        item = {"unit": {"S": identity}, "url": {"S": url}, "finished": {"N": str(int(time.time()))}}
        self._call("PutItem", "put_item", TableName=self._table, Item=item)

    def _sensible(self, operation: str, method: str, look: Callable[[Any], object], **given: Any) -> Any:
        """Gives a reply that holds what `look` looks at."""

        def fault(reply: Any) -> str:
            look(reply)
            return ""

        call = functools.partial(self._call, operation, method, TableName=self._table, **given)
        return sensible(call, fault, f"use the manifest {self.where}")

    def _is_there(self) -> bool:
        """Whether the table is there. Makes it, where that is allowed."""
        key = [{"AttributeName": "unit", "KeyType": "HASH"}]
        try:
            found = self._sensible(
                "DescribeTable", "describe_table", lambda reply: reply["Table"]["KeySchema"]
            )
            if found["Table"]["KeySchema"] != key:
                message = f"--manifest: the table {self._table} is no manifest (its key is not unit). Give another name."
                raise OptionError(message)
        except NotFound:
            if self._look_only:
                return False
        try:
            make_table(self._session, self._table, "unit")
        except WaiterError as error:
            message = f"--manifest: the table {self._table} is not ready after two minutes. Start the job again later."
            raise PeerError(message) from error
        except (BotoCoreError, ClientError) as error:
            raise self._explained(error, "CreateTable") from error
        return True
