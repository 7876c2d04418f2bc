"""`kinesis` holds an AWS in memory, as far as the Kinesis connectors need it: streams, and tables of leases.

It does what the API's documentation says of these calls, with their limits and errors. It has no resharding, throttling,
or permissions; for those there are emulators, and AWS.
"""

import base64
import bisect
import hashlib
import itertools
import re
import time
from collections.abc import Callable
from typing import Any

import orjson

from penstock.io.keywords.aws import AwsKeywords
from penstock.io.kinesis.kpl._deaggregation import deaggregate
from penstock.testing.http import HttpPeer, Reply, Request
from penstock.testing.table import NOT_FOUND, Refused, Table
from penstock.transforms.batch import Document

__all__ = ["InMemoryKinesis"]

_IN_USE = "ResourceInUseException"
_INVALID = "ValidationException"
_TOO_LARGE = "InvalidArgumentException"
_UNKNOWN = "UnknownOperationException"
_HASH_KEYS = 1 << 128
_MAX_RECORDS = 500
_MAX_REQUEST = 10 << 20
_MAX_RECORD = 1 << 20
_FIRST_NUMBER = 49_000_000 * 10**48


class InMemoryKinesis(HttpPeer):
    """Streams in memory, for `ReadFromKinesis` and `WriteToKinesis`; leases too, as DynamoDB has them.

    Give the connectors its `keywords`. Streams have to be created first.

    Example:
        >>> import apache_beam as beam
        >>> from penstock.io.kinesis import WriteToKinesis
        >>> from penstock.testing import InMemoryKinesis
        >>> with InMemoryKinesis() as kinesis:
        ...     kinesis.create_stream("users")
        ...     with beam.Pipeline(runner="FnApiRunner") as pipeline:
        ...         _ = pipeline | beam.Create([{"user": "ann"}]) | WriteToKinesis(stream_name="users", **kinesis.keywords)
        ...     kinesis.events("users")
        [b'{"user":"ann"}']
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._tables: dict[str, Table] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Kinesis_20131202.DescribeStreamSummary": lambda asked: self._stream(asked).summary(),
            "Kinesis_20131202.ListShards": lambda asked: self._stream(asked).list_shards(),
            "Kinesis_20131202.PutRecords": lambda asked: self._stream(asked).put_records(asked["Records"]),
            "Kinesis_20131202.GetShardIterator": lambda asked: self._stream(asked).iterator(asked),
            "Kinesis_20131202.GetRecords": self._get_records,
            "GraniteServiceVersion20100801.PutMetricData": lambda asked: {},  # CloudWatch: nobody looks at the numbers
            "DynamoDB_20120810.CreateTable": self._create_table,
            **{
                f"DynamoDB_20120810.{name}": self._on_table(name)
                for name in ("DescribeTable", "Scan", "GetItem", "PutItem", "UpdateItem", "DeleteItem")
            },
        }
        super().__init__()

    @property
    def keywords(self) -> AwsKeywords:
        """What the connectors need to find it: `WriteToKinesis(stream_name="users", **kinesis.keywords)`."""
        return {
            "endpoint_url": self.url,
            "region": "us-east-1",
            "access_key": "in-memory",
            "secret_key": "in-memory",
        }

    def create_stream(self, name: str, shards: int = 1) -> None:
        """Makes a stream whose shards have equal hash ranges."""
        with self._lock:
            self._streams[name] = _Stream(name, shards)

    def put(self, stream: str, *events: bytes | Document, partition_key: str = "-") -> None:
        """Writes events, one record each."""
        payloads = [each if isinstance(each, bytes) else orjson.dumps(each) for each in events]
        with self._lock:
            for payload in payloads:
                self._streams[stream].put(base64.b64encode(payload).decode(), partition_key, None)

    def events(self, stream: str) -> list[bytes]:
        """Gives the payloads of a stream, shard by shard in order; those of aggregated records each by itself."""
        with self._lock:
            datas = [
                base64.b64decode(record[2]) for shard in self._streams[stream].shards for record in shard
            ]
        payloads: list[bytes] = []
        for data in datas:
            aggregated = deaggregate(data)
            payloads += [data] if aggregated is None else aggregated[0]
        return payloads

    def _stream(self, asked: dict[str, Any]) -> "_Stream":
        name = str(asked.get("StreamName") or asked.get("StreamARN")).rpartition("/")[2]
        if name not in self._streams:
            raise Refused(NOT_FOUND, f"Stream {name} under account 000000000000 not found.")
        return self._streams[name]

    def _get_records(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, shard, number = asked["ShardIterator"].rsplit("/", 2)
        return self._stream({"StreamName": name}).read(int(shard), int(number), asked.get("Limit", 10_000))

    def _create_table(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["TableName"] in self._tables:
            raise Refused(_IN_USE, "the table is there already")
        table = self._tables[asked["TableName"]] = Table(asked)
        return table.describe(asked)

    def _on_table(self, operation: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        method = (
            re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower().removesuffix("_table").removesuffix("_item")
        )

        def run(asked: dict[str, Any]) -> dict[str, Any]:
            if asked["TableName"] not in self._tables:
                raise Refused(NOT_FOUND, "Requested resource not found")
            answer: dict[str, Any] = getattr(self._tables[asked["TableName"]], method)(asked)
            return answer

        return run

    def _reply(self, request: Request) -> Reply:
        operation = self._operations.get(request.headers.get("x-amz-target", ""))
        try:
            if operation is None:
                raise Refused(_UNKNOWN, request.headers.get("x-amz-target", request.path))
            with self._lock:
                return Reply(200, orjson.dumps(operation(orjson.loads(request.body))))
        except Refused as refused:
            return Reply(400, orjson.dumps({"__type": refused.code, "message": str(refused)}))


class _Stream:
    """A stream's shards: lists of sequence number, partition key, base64 of the data, and time of arrival."""

    def __init__(self, name: str, shards: int) -> None:
        self._name = name
        self._created = int(time.time())
        self._arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}"
        self._numbers = itertools.count(_FIRST_NUMBER, 16)
        self._edges = [_HASH_KEYS * index // shards for index in range(shards + 1)]
        self.shards: list[list[tuple[int, str, str, float]]] = [[] for _ in range(shards)]

    def summary(self) -> dict[str, Any]:
        described = {
            "StreamName": self._name,
            "StreamARN": self._arn,
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": self._created,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "OpenShardCount": len(self.shards),
            "ConsumerCount": 0,
        }
        return {"StreamDescriptionSummary": described}

    def list_shards(self) -> dict[str, Any]:
        return {
            "Shards": [
                {
                    "ShardId": _shard_id(number),
                    "HashKeyRange": {"StartingHashKey": str(low), "EndingHashKey": str(high - 1)},
                    "SequenceNumberRange": {"StartingSequenceNumber": str(_FIRST_NUMBER)},
                }
                for number, (low, high) in enumerate(itertools.pairwise(self._edges))
            ]
        }

    def put(self, data: str, partition_key: str, explicit: str | None) -> tuple[str, str]:
        digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
        hash_key = int.from_bytes(digest, "big") if explicit is None else int(explicit)
        shard = bisect.bisect_right(self._edges, hash_key) - 1
        number = next(self._numbers)
        self.shards[shard].append((number, partition_key, data, round(time.time(), 3)))
        return _shard_id(shard), str(number)

    def put_records(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        sizes = [len(each["Data"]) * 3 // 4 - 2 + len(each["PartitionKey"].encode()) for each in records]
        if not 1 <= len(records) <= _MAX_RECORDS or max(sizes) > _MAX_RECORD:
            raise Refused(_INVALID, "1 to 500 records of at most 1 MiB")
        if sum(sizes) > _MAX_REQUEST:
            raise Refused(_TOO_LARGE, "Records size exceeds 10 MiB")
        stored = [
            self.put(each["Data"], each["PartitionKey"], each.get("ExplicitHashKey")) for each in records
        ]
        results = [{"ShardId": shard, "SequenceNumber": number} for shard, number in stored]
        return {"FailedRecordCount": 0, "Records": results}

    def iterator(self, asked: dict[str, Any]) -> dict[str, str]:
        shard, kind = int(asked["ShardId"].rpartition("-")[2]), asked["ShardIteratorType"]
        records = self.shards[shard]
        if kind == "TRIM_HORIZON":
            number = 0
        elif kind == "LATEST":
            number = records[-1][0] + 1 if records else 0
        elif kind == "AT_TIMESTAMP":
            later = [record[0] for record in records if record[3] >= asked["Timestamp"]]
            number = later[0] if later else records[-1][0] + 1 if records else 0
        else:
            number = int(asked["StartingSequenceNumber"]) + (kind == "AFTER_SEQUENCE_NUMBER")
        return {"ShardIterator": f"{self._name}/{shard}/{number}"}

    def read(self, shard: int, number: int, limit: int) -> dict[str, Any]:
        records = self.shards[shard]
        start = bisect.bisect_left(records, number, key=lambda record: record[0])
        found = records[start : start + limit]
        after = found[-1][0] + 1 if found else number
        rest = records[start + len(found) :]
        return {
            "Records": [
                {
                    "Data": data,
                    "PartitionKey": key,
                    "SequenceNumber": str(each),
                    "ApproximateArrivalTimestamp": arrived,
                }
                for each, key, data, arrived in found
            ],
            "MillisBehindLatest": int((time.time() - rest[0][3]) * 1000) if rest else 0,
            "NextShardIterator": f"{self._name}/{shard}/{after}",
        }


def _shard_id(number: int) -> str:
    return f"shardId-{number:012d}"
