"""`stores` keeps letters in Elasticsearch, S3 or Kinesis, for jobs whose machines come and go.

Each store writes before `append` returns, and tries until it can or the job stops. When it raises, the batch isn't
acknowledged. Clients are made when a store is first used, by the process that uses it.
"""

import dataclasses
import functools
import hashlib
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import orjson

from penstock.io.aws.sense import sensible
from penstock.io.aws.session import AwsOptions, AwsSession
from penstock.io.backoff import delays
from penstock.io.dead_letters._letters import letter_id, lines_of
from penstock.io.dead_letters.file_store import MAX_LETTER_BYTES, lines_in
from penstock.io.elasticsearch._dialects import dialect_that_denies
from penstock.io.elasticsearch.cluster._roles import role_to_read
from penstock.io.elasticsearch.cluster.client import Client, NoAnswer, unreachable
from penstock.io.elasticsearch.cluster.client import explain as explain_status
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied, DeliveryError, NotFound, PeerError, StopTimeout
from penstock.io.meters import METERS
from penstock.io.s3.objects import ObjectFailure, S3Objects
from penstock.io.s3.streams import ObjectStream
from penstock.transforms.batch import DeadLetter, Event

__all__ = ["ElasticsearchStore", "KinesisStore", "S3Store"]

_LOGGER = logging.getLogger(__name__)
_Reply = TypeVar("_Reply")

_PAGE = 100
_MAX_DOCUMENT_BYTES = 512 << 10
"""Hits per page of a search, so that a page stays below `--max_reply_bytes`."""

_MAX_RECORD_BYTES = 1_000_000
"""Bytes of a record: below 1 MiB with the partition key, which every stream takes."""


class ElasticsearchStore:
    """One index of the job's own cluster: `elasticsearch:index`.

    A letter's id is made from the event and the step that refused it, so a batch that comes again adds nothing.
    """

    gathers = False

    def __init__(self, index: str, options: ElasticsearchOptions, stopping: threading.Event) -> None:
        self.where = f"index {index}"
        self._index = index
        self._options = dataclasses.replace(
            options, index=index, data_stream="false", action="create", document_id="auto", routing=None,
            version=None, version_type=None, pipeline=None, script=None, upsert=None, doc_as_upsert=False,
            dlq_custom_codes=[],
        )  # fmt: skip
        self._writer = BulkWriter(self._options, stopping)

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good. Raises `DeliveryError` when it can't."""
        events = [
            Event(
                line.rstrip(b"\n"),
                letter.event.origin,
                position,
                number,
                id=_numbered(letter_id(letter), number),
            )
            for position, letter in enumerate(letters)
            for number, line in enumerate(lines_of(letter, _MAX_DOCUMENT_BYTES))
        ]
        report = self._writer.write(events)
        if report.letters:
            first = report.letters[0]
            message = (
                f"cannot store {len(report.letters)} refused events in {self.where}: {first.error} ({first.status}). "
                "They are not acknowledged and come again; look at the index's mapping, or name another --dead_letters."
            )
            raise DeliveryError(message)

    def read(self) -> Iterator[bytes]:
        """All letters, as lines. A page that is larger than `--max_reply_bytes` is asked for anew, with half the letters."""
        client = Client(self._options)
        doing = f"read the dead letters in {self.where}"
        given: set[str] = set()
        size = _PAGE
        try:
            while True:
                try:
                    yield from self._pages(client, size, given, doing)
                    return
                except NoAnswer as error:
                    if size == 1 or "--max_reply_bytes" not in str(error):
                        raise unreachable(error, client.where, doing) from error
                    size //= 2
        finally:
            client.close()

    def _pages(self, client: Client, size: int, given: set[str], doing: str) -> Iterator[bytes]:
        """Gives the letters whose ids are not in `given`, where their ids are added."""
        status, page = client.call(
            "POST", f"/{self._index}/_search?scroll=5m", {"size": size, "sort": ["_doc"]}
        )
        while True:
            if status != 200:
                dialect, role = dialect_that_denies(page), role_to_read(self._index)
                raise explain_status(status, page, self._options, client.where, doing, dialect, role)
            try:
                found = [(str(hit["_id"]), orjson.dumps(hit["_source"])) for hit in page["hits"]["hits"]]
                scroll_id = page["_scroll_id"]
            except (KeyError, TypeError, orjson.JSONEncodeError):
                message = (
                    f"cannot {doing}: what Elasticsearch at {client.where} answers is no page of a search."
                )
                raise PeerError(message) from None
            for name, line in found:
                if name not in given:
                    given.add(name)
                    yield line
            if not found:
                client.call("DELETE", "/_search/scroll", {"scroll_id": scroll_id})
                return
            question = {"scroll": "5m", "scroll_id": scroll_id}
            status, page = client.call("POST", "/_search/scroll", question)

    def close(self) -> None:
        """Closes the connections."""
        self._writer.close()


class S3Store:
    """Objects of JSON lines: `s3://bucket/prefix`.

    The key is `prefix/YYYY/MM/DD/HASH.jsonl`. Equal letters make an equal key, so the same ones that come again together on
    the same day add nothing.
    """

    gathers = True

    def __init__(self, bucket: str, prefix: str, options: AwsOptions, stopping: threading.Event) -> None:
        self.where = f"s3://{bucket}/{prefix}"
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._stopping = stopping
        self._objects = S3Objects(options, stopping=stopping)

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good, however long it takes. Raises a `PenstockError` when that never works, or on a stop."""
        name = hashlib.blake2b("".join(map(letter_id, letters)).encode(), digest_size=16).hexdigest()
        key = f"{self._prefix}{time.strftime('%Y/%m/%d', time.gmtime())}/{name}.jsonl"
        body = b"".join([line for letter in letters for line in lines_of(letter, MAX_LETTER_BYTES)])
        put = functools.partial(self._objects.put_new, self._bucket, key, body, "application/x-ndjson")
        _patiently(put, len(letters), self.where, self._stopping)

    def read(self) -> Iterator[bytes]:
        """Gives all letters, as lines, in the order of their keys."""
        for found in self._objects.list(self._bucket, self._prefix):
            if found.key.endswith((".jsonl", ".jsonl.gz")):
                body = _Body(ObjectStream(self._objects, found))
                try:
                    yield from lines_in(io.BufferedReader(body), found.url)
                except ObjectFailure as failure:
                    message = f"cannot read the dead letters in {found.url}: {failure.reason}."
                    raise PeerError(message) from failure

    def close(self) -> None:
        """Does nothing: nothing is held."""


class KinesisStore:
    """A stream, one record per letter, or per part of a letter that is longer than a record may be: `kinesis:stream`."""

    gathers = False

    def __init__(self, stream: str, options: AwsOptions, stopping: threading.Event) -> None:
        self.where = f"stream {stream}"
        self._stream = stream
        self._session = AwsSession(options)
        self._stopping = stopping

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good, however long it takes. Raises a `PenstockError` when that never works, or on a stop."""
        records = [
            {"Data": line, "PartitionKey": letter_id(letter)}
            for letter in letters
            for line in lines_of(letter, _MAX_RECORD_BYTES)
        ]
        waits = delays(0.2, 10.0)
        while records:
            failed: list[dict[str, Any]] = []
            for group in _groups(records):
                put = functools.partial(self._call, "PutRecords", "put_records", Records=group)
                reply = _patiently(put, len(letters), self.where, self._stopping)
                pairs = zip(group, reply["Records"], strict=True)
                failed += [record for record, result in pairs if result.get("ErrorCode")]
            records = failed
            if records and self._stopping.wait(next(waits)):
                raise _stopped(len(letters), self.where)

    def read(self) -> Iterator[bytes]:
        """Gives all letters that are in the stream now."""
        shards: list[str] = []
        token: dict[str, str] = {"StreamName": self._stream}
        while token:
            page = self._session_call("ListShards", "list_shards", token)
            shards += [shard["ShardId"] for shard in page["Shards"]]
            token = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        for shard in shards:
            iterator = self._call(
                "GetShardIterator", "get_shard_iterator", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = self._session_call("GetRecords", "get_records", {"ShardIterator": iterator})
                yield from (record["Data"] for record in page["Records"])
                iterator = page.get("NextShardIterator")
                if not page["Records"]:
                    if not page.get("MillisBehindLatest"):
                        break
                    time.sleep(0.2)  # five reads per second and shard are allowed

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        return self._session_call(operation, method, {"StreamName": self._stream, **arguments})

    def _session_call(self, operation: str, method: str, arguments: dict[str, Any]) -> Any:
        resource = f"stream {self._stream} (--dead_letters)"
        doing = f"use the dead letters in {self.where}"
        call = functools.partial(
            self._session.call_explained, "kinesis", method, operation, resource, doing, **arguments
        )
        return sensible(call, lambda reply: _fault(operation, arguments, reply), doing)

    def close(self) -> None:
        """Nothing is held."""


def _fault(operation: str, arguments: dict[str, Any], reply: dict[str, Any]) -> str:
    """Says what is wrong with a reply of Kinesis; "" when nothing is. Other missing fields raise `KeyError`."""
    if operation == "GetShardIterator":
        return "" if reply["ShardIterator"] else "the reply has no iterator"
    if operation == "ListShards":
        if arguments.get("NextToken") and reply.get("NextToken") == arguments["NextToken"]:
            return "the pages of shards go in a circle"
        return "" if all(shard["ShardId"] for shard in reply["Shards"]) else "a shard has no id"
    records = reply["Records"]
    if operation == "GetRecords":
        return "" if all(isinstance(each["Data"], bytes) for each in records) else "a record has no data"
    if len(records) != len(arguments["Records"]):
        return "the reply has another number of records"
    if not all(each.get("SequenceNumber") or each.get("ErrorCode") for each in records):
        return "a record has neither a sequence number nor an error, so nothing says that it is stored"
    return ""


def _patiently(put: Callable[[], _Reply], letters: int, where: str, stopping: threading.Event) -> _Reply:
    """Tries until the store takes it, or the job stops; what is refused for a permission, a name or a region is raised."""
    waits = delays(0.5, 30.0)
    told = False
    while True:
        try:
            return put()
        except (AccessDenied, NotFound):
            raise
        except PeerError as error:
            METERS.retried("dead_letters", type(error).__name__, letters, str(error))
            if not told:
                told = True
                _LOGGER.warning("%d refused events wait for %s: %s; trying again", letters, where, error)
            if stopping.is_set() or stopping.wait(next(waits)):
                raise _stopped(letters, where) from error


def _stopped(letters: int, where: str) -> StopTimeout:
    message = f"{letters} refused events were not stored in {where} before the stop; they come again."
    return StopTimeout(message)


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number}" if number else name


class _Body(io.RawIOBase):
    """An object's bytes as a file."""

    def __init__(self, body: ObjectStream) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _groups(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Gives records in groups of at most 500 records and 4 MB (the limits are 500, and 5 MB with the keys)."""
    group: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = len(record["Data"])
        if group and (len(group) == 500 or size + length > 4 << 20):
            yield group
            group, size = [], 0
        group.append(record)
        size += length
    if group:
        yield group
