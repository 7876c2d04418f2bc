"""A small Kinesis for tests and benchmarks: the calls, and an HTTP server on loopback in threads.

    with KinesisSimulator() as kinesis:
        stream = kinesis.create_stream("orders", shards=2)
        kinesis.faults.refuse_records("ProvisionedThroughputExceededException", share=0.5, times=3)
        kinesis.faults.at("PutRecords", 2, lambda: kinesis.split("orders", "shardId-000000000000"))
        ... AwsOptions(endpoint_url=kinesis.endpoint_url, access_key="test", secret_key="test") ...
        kinesis.user_records("orders")

It has what other emulators lack: throttles, partial failures, expired and trimmed positions, latency,
resets, resharding at a chosen moment; about 200,000 records a second. Signatures are not verified.
"""

import base64
import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import orjson

from tests.simulator.faults import Faults
from tests.simulator.server import HttpServer, Reset
from tests.simulator.state import SimulatedShard, SimulatedStream, wall_clock


class Refused(Exception):
    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class _Entry(msgspec.Struct, rename="pascal", gc=False):
    data: str
    partition_key: str = ""
    explicit_hash_key: str | None = None


class _PutRecords(msgspec.Struct, rename="pascal"):
    records: list[_Entry]
    stream_name: str = ""
    stream_a_r_n: str = msgspec.field(name="StreamARN", default="")


_decode_put = msgspec.json.Decoder(_PutRecords).decode


class KinesisSimulator:
    """Kinesis on `endpoint_url`; every method is safe from any thread.

    Args:
        port: 0 takes a free one.
        clock: seconds since 1970.

    Attributes:
        faults: what goes wrong on purpose.
        page_size: at most so many shards in a ListShards reply.
        max_read_records, max_read_bytes: at most so much in a GetRecords reply.
        max_request_bytes: at most so much in a PutRecords.
        iterator_age_s: an iterator older than this is expired.
        trimmed_positions: what GetShardIterator does with a position that is trimmed: `horizon` or `refuse`.
        expired_keys: access key ids whose requests get ExpiredTokenException.
        seen_keys: every access key id that signed a request.
        reads_per_second: GetRecords calls that a shard takes per second; 0 for no limit.
        identity: who STS says the caller is; AssumeRole gives keys ASIA..1, ASIA..2 for `role_lifetime_s` seconds.
        assumed: how often a role was assumed.
    """

    def __init__(self, port: int = 0, *, clock: Callable[[], float] = wall_clock) -> None:
        self.faults = Faults()
        self.page_size = 1000
        self.max_read_records = 10_000
        self.max_read_bytes = 10 << 20
        self.max_request_bytes = 10 << 20
        self.iterator_age_s = 300.0
        self.trimmed_positions = "horizon"
        self.expired_keys: set[str] = set()
        self.seen_keys: set[str] = set()
        self.reads_per_second = 0
        self.identity = "arn:aws:iam::000000000000:user/tester"
        self.role_lifetime_s = 3600.0
        self.assumed = 0
        self._reads: dict[tuple[str, str, int], int] = {}
        self._clock = clock
        self._lock = threading.RLock()
        self._streams: dict[str, SimulatedStream] = {}
        self._generation = 0
        self._operations: dict[str, Callable[[bytes], dict[str, Any]]] = {
            "PutRecords": self._put_records,
            "PutRecord": self._put_record,
            "GetRecords": self._get_records,
            "GetShardIterator": self._get_shard_iterator,
            "ListShards": self._list_shards,
            "DescribeStreamSummary": self._describe_stream_summary,
            "CreateStream": self._create_stream,
            "DeleteStream": self._delete_stream,
            "SplitShard": self._split_shard,
            "MergeShards": self._merge_shards,
            "UpdateMaxRecordSize": self._update_max_record_size,
            "UpdateStreamRecordDistributionStrategy": self._update_strategy,
        }
        self._server = HttpServer(port, self._reply)

    # -- the Python side -------------------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def create_stream(self, name: str, shards: int = 1, *, created: float | None = None) -> SimulatedStream:
        """A stream that is ACTIVE at once, its shards of equal hash ranges; `created` is now unless told."""
        with self._lock:
            if name in self._streams:
                raise Refused("ResourceInUseException", f"Stream {name} exists")
            stream = self._streams[name] = SimulatedStream(name, shards, clock=self._clock, created=created)
            return stream

    def delete_stream(self, name: str) -> None:
        """The stream is gone; one of the same name is another stream."""
        with self._lock:
            del self._streams[self.stream(name).name]

    def stream(self, name: str) -> SimulatedStream:
        """Raises `Refused` for one that isn't there."""
        with self._lock:
            stream = self._streams.get(name.rpartition("/")[2])
            if stream is None:
                raise Refused(
                    "ResourceNotFoundException", f"Stream {name} under account 000000000000 not found."
                )
            return stream

    def split(self, name: str, shard_id: str, new_starting_hash_key: int | None = None) -> list[str]:
        """Splits an open shard (in the middle, unless told); the children's ids."""
        with self._lock:
            return [child.shard_id for child in self.stream(name).split(shard_id, new_starting_hash_key)]

    def merge(self, name: str, shard_id: str, adjacent_id: str) -> str:
        """Merges two open neighbours; the child's id."""
        with self._lock:
            return self.stream(name).merge(shard_id, adjacent_id).shard_id

    def trim(self, name: str, shard_id: str, count: int) -> None:
        """The shard's oldest `count` records are gone."""
        with self._lock:
            self.stream(name).trim(shard_id, count)

    def throttle(self, name: str, records: float = 1000, size: float = 1 << 20) -> None:
        """Each shard of the stream takes no more than this a second."""
        with self._lock:
            self.stream(name).throttle(records, size)

    def expire_iterators(self) -> None:
        """Every iterator handed out until now is expired."""
        with self._lock:
            self._generation += 1

    def put(self, name: str, data: bytes, partition_key: str, explicit_hash_key: int | None = None) -> str:
        """Stores a record past all faults and throttles; its sequence number."""
        with self._lock:
            stored = self.stream(name).put(
                base64.b64encode(data).decode(), 0, partition_key, explicit_hash_key
            )
            assert stored is not None
            return stored[1]

    def records(self, name: str) -> list[tuple[str, str, bytes, int | None]]:
        """Every record stored, by shard, in order: shard id, partition key, data, explicit hash key."""
        with self._lock:
            return [
                (
                    shard.shard_id,
                    stored.partition_key,
                    base64.b64decode(stored.data_b64),
                    stored.explicit_hash_key,
                )
                for shard, stored in self.stream(name).records()
            ]

    # -- the calls -------------------------------------------------------------------------------------

    def _named(self, request: dict[str, Any]) -> SimulatedStream:
        return self.stream(request.get("StreamName") or request.get("StreamARN") or "")

    def _put_records(self, body: bytes) -> dict[str, Any]:
        request = _decode_put(body)
        entries = request.records
        if not 1 <= len(entries) <= 500:
            raise Refused("ValidationException", "1 validation error detected: records must be 1 to 500")
        with self._lock:
            named = self.stream(request.stream_name or request.stream_a_r_n)
        sizes = []
        for entry in entries:
            size = len(entry.data) * 3 // 4 - entry.data.endswith("=") - entry.data.endswith("==")
            size += len(entry.partition_key.encode())
            if size > named.max_record_kib << 10:
                raise Refused("ValidationException", "1 validation error detected: a record is too large")
            if len(entry.partition_key) > 256 or not (entry.partition_key or named.strategy == "AUTO"):
                raise Refused(
                    "ValidationException", "1 validation error detected: a partition key is not valid"
                )
            sizes.append(size)
        if sum(sizes) > self.max_request_bytes:
            raise Refused("InvalidArgumentException", "Records size exceeds the limit of a request")
        for entry in entries:
            if entry.explicit_hash_key is not None and not 0 <= int(entry.explicit_hash_key) < 1 << 128:
                raise Refused(
                    "InvalidArgumentException", "ExplicitHashKey must be in the range: [0, 2^128-1]."
                )
        fault = self.faults.take("records", "PutRecords")
        results: list[dict[str, str]] = []
        failed = 0
        with self._lock:
            stream = self.stream(request.stream_name or request.stream_a_r_n)
            if stream.status not in ("ACTIVE", "UPDATING"):
                raise Refused("ResourceNotFoundException", f"Stream {stream.name} is {stream.status}")
            for entry, size in zip(entries, sizes, strict=True):
                if fault is not None and self.faults.random.random() < fault.share:
                    results.append({"ErrorCode": fault.code, "ErrorMessage": fault.message})
                    failed += 1
                    continue
                explicit = None if entry.explicit_hash_key is None else int(entry.explicit_hash_key)
                stored = stream.put(entry.data, size, entry.partition_key, explicit)
                if stored is None:
                    code = "ProvisionedThroughputExceededException"
                    message = f"Rate exceeded for shard in stream {stream.name} under account 000000000000."
                    results.append({"ErrorCode": code, "ErrorMessage": message})
                    failed += 1
                else:
                    results.append({"ShardId": stored[0], "SequenceNumber": stored[1]})
        return {"FailedRecordCount": failed, "Records": results}

    def _put_record(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            explicit = request.get("ExplicitHashKey")
            stored = self._named(request).put(
                request["Data"],
                len(request["Data"]) * 3 // 4,
                request.get("PartitionKey", ""),
                None if explicit is None else int(explicit),
            )
        if stored is None:
            raise Refused("ProvisionedThroughputExceededException", "Rate exceeded")
        return {"ShardId": stored[0], "SequenceNumber": stored[1]}

    def _iterator(self, stream: SimulatedStream, shard: SimulatedShard, position: int) -> str:
        parts = [
            stream.name, stream.created, shard.shard_id, position, self._generation, self._clock(), uuid.uuid4().hex,
        ]  # fmt: skip
        return base64.b64encode(orjson.dumps([str(part) for part in parts])).decode()

    def _get_shard_iterator(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        kind = request["ShardIteratorType"]
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,128}", request["ShardId"]):
            raise Refused(
                "ValidationException", "1 validation error detected: Value at 'shardId' is not valid"
            )
        with self._lock:
            stream = self._named(request)
            try:
                shard = stream.shard(request["ShardId"])
            except KeyError:
                text = f"Shard {request['ShardId']} in stream {stream.name} under account 000000000000 does not exist"
                raise Refused("ResourceNotFoundException", text) from None
            if kind == "TRIM_HORIZON":
                position = 0
            elif kind == "LATEST":
                position = shard.sequence_numbers[-1] + 1 if shard.sequence_numbers else 0
                if not shard.sequence_numbers and shard.trimmed:
                    position = shard.trimmed + 1
            elif kind == "AT_TIMESTAMP":
                since = float(request["Timestamp"])
                if since > self._clock() + 1:
                    raise Refused(
                        "InvalidArgumentException", "The timestamp cannot be greater than the current one."
                    )
                later = [stored.sequence_number for stored in shard.records if stored.arrived >= since]
                tip = shard.sequence_numbers[-1] + 1 if shard.sequence_numbers else 0
                position = later[0] if later else tip
            else:
                number = int(request["StartingSequenceNumber"])
                last = shard.ending_sequence_number
                if number < shard.starting_sequence_number or (last is not None and number > last):
                    text = f"StartingSequenceNumber {number} used in GetShardIterator on shard {shard.shard_id} is invalid"
                    raise Refused("InvalidArgumentException", text)
                if number <= shard.trimmed and self.trimmed_positions == "refuse":
                    raise Refused("InvalidArgumentException", f"StartingSequenceNumber {number} is trimmed")
                position = number + (kind == "AFTER_SEQUENCE_NUMBER")
            return {"ShardIterator": self._iterator(stream, shard, position)}

    def _get_records(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        try:
            name, created, shard_id, position, generation, issued, _ = orjson.loads(
                base64.b64decode(request["ShardIterator"])
            )
        except ValueError:
            raise Refused("InvalidArgumentException", "Invalid ShardIterator.") from None
        limit = min(request.get("Limit") or self.max_read_records, self.max_read_records)
        with self._lock:
            if int(generation) < self._generation or self._clock() - float(issued) > self.iterator_age_s:
                raise Refused("ExpiredIteratorException", "Iterator expired.")
            stream = self.stream(name)
            if str(stream.created) != created:
                raise Refused("ResourceNotFoundException", f"Stream {name} was deleted")
            shard = stream.shard(shard_id)
            if self.reads_per_second:
                second = (name, shard_id, int(self._clock()))
                self._reads[second] = self._reads.get(second, 0) + 1
                if self._reads[second] > self.reads_per_second:
                    raise Refused("ProvisionedThroughputExceededException", "Rate exceeded for shard")
            found, after, lag = stream.read(shard, int(position), limit, self.max_read_bytes)
            reply: dict[str, Any] = {
                "Records": [
                    {
                        "Data": stored.data_b64,
                        "SequenceNumber": str(stored.sequence_number),
                        "ApproximateArrivalTimestamp": round(stored.arrived, 3),
                        **({"PartitionKey": stored.partition_key} if stored.partition_key else {}),
                    }
                    for stored in found
                ],
                "MillisBehindLatest": lag,
            }
            if self.faults.take("no_next_iterator", "GetRecords") is not None:
                return reply
            ended = shard.closed and (not shard.sequence_numbers or after > shard.sequence_numbers[-1])
            if not ended:
                reply["NextShardIterator"] = self._iterator(stream, shard, after)
            else:
                reply["NextShardIterator"] = None
                reply["ChildShards"] = [
                    {
                        "ShardId": child.shard_id,
                        "ParentShards": list(child.parents),
                        "HashKeyRange": {
                            "StartingHashKey": str(child.start),
                            "EndingHashKey": str(child.end),
                        },
                    }
                    for child in shard.children
                ]
            return reply

    def _list_shards(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            if "NextToken" in request:
                if "StreamName" in request:
                    raise Refused(
                        "InvalidArgumentException", "NextToken and StreamName cannot be provided together."
                    )
                name, _, after = request["NextToken"].rpartition(":")
                stream = self.stream(name)
            else:
                stream, after = self._named(request), request.get("ExclusiveStartShardId", "")
            kind = request.get("ShardFilter", {}).get("Type", "FROM_TRIM_HORIZON")
            shards = [shard for shard in stream.listed() if shard["ShardId"] > after]
            if kind == "AT_LATEST":
                shards = [
                    each for each in shards if "EndingSequenceNumber" not in each["SequenceNumberRange"]
                ]
            elif kind == "AFTER_SHARD_ID":
                shards = [shard for shard in shards if shard["ShardId"] > request["ShardFilter"]["ShardId"]]
            size = min(self.page_size, request.get("MaxResults") or 1000)
            reply: dict[str, Any] = {"Shards": shards[:size]}
            if len(shards) > size:
                reply["NextToken"] = f"{stream.name}:{shards[size - 1]['ShardId']}"
            return reply

    def _describe_stream_summary(self, body: bytes) -> dict[str, Any]:
        with self._lock:
            stream = self._named(orjson.loads(body))
            further: dict[str, Any] = {"MaxRecordSizeInKiB": stream.max_record_kib}
            if stream.strategy is not None:
                further["RecordDistributionStrategy"] = stream.strategy
            if stream.warm_mibps is not None:
                further["WarmThroughput"] = {"CurrentMiBps": stream.warm_mibps}
            return {
                "StreamDescriptionSummary": {
                    **further,
                    "StreamName": stream.name,
                    "StreamARN": stream.arn,
                    "StreamStatus": stream.status,
                    "StreamModeDetails": {"StreamMode": stream.mode},
                    "RetentionPeriodHours": stream.retention_h,
                    "StreamCreationTimestamp": stream.created,
                    "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                    "EncryptionType": "NONE",
                    "OpenShardCount": len(stream.open_shards),
                    "ConsumerCount": 0,
                }
            }

    def _create_stream(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        stream = self.create_stream(request["StreamName"], int(request.get("ShardCount") or 4))
        stream.mode = request.get("StreamModeDetails", {}).get("StreamMode", stream.mode)
        stream.strategy = request.get("RecordDistributionStrategy")
        stream.max_record_kib = int(request.get("MaxRecordSizeInKiB") or stream.max_record_kib)
        stream.warm_mibps = request.get("WarmThroughputMiBps")
        return {}

    def _update_max_record_size(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            self._named(request).max_record_kib = int(request["MaxRecordSizeInKiB"])
        return {}

    def _update_strategy(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            stream = self._named(request)
            if stream.mode != "ON_DEMAND":
                raise Refused("InvalidArgumentException", "Only on-demand streams have a strategy.")
            stream.strategy = request["RecordDistributionStrategy"]
        return {}

    def _delete_stream(self, body: bytes) -> dict[str, Any]:
        self.delete_stream(self._named(orjson.loads(body)).name)
        return {}

    def _split_shard(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            try:
                self._named(request).split(request["ShardToSplit"], int(request["NewStartingHashKey"]))
            except (KeyError, ValueError) as error:
                raise Refused("InvalidArgumentException", str(error)) from None
        return {}

    def _merge_shards(self, body: bytes) -> dict[str, Any]:
        request = orjson.loads(body)
        with self._lock:
            try:
                self._named(request).merge(request["ShardToMerge"], request["AdjacentShardToMerge"])
            except (KeyError, ValueError) as error:
                raise Refused("InvalidArgumentException", str(error)) from None
        return {}

    # -- requests --------------------------------------------------------------------------------------

    def _reply(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        operation = headers.get(b"x-amz-target", b"").decode().rpartition(".")[2]
        if body.startswith(b"Action="):
            return self._sts(headers, dict(parse_qsl(body.decode())))
        self.faults.called(operation)
        if self.faults.take("reset", operation):
            raise Reset
        try:
            self._authenticate(headers)
            fault = self.faults.take("refuse", operation)
            if fault is not None:
                raise Refused(fault.code, fault.message, fault.status)
            answer = self.faults.take("body", operation)
            if answer is not None:
                return answer.status, answer.message.encode()
            if operation not in self._operations:
                raise Refused("UnknownOperationException", operation)
            try:
                reply = 200, orjson.dumps(self._operations[operation](body))
            except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
                raise Refused("SerializationException", type(error).__name__) from error
        except Refused as refused:
            reply = refused.status, orjson.dumps({"__type": refused.code, "message": refused.message})
        if self.faults.take("reset_after", operation):
            raise Reset
        return reply

    def _sts(self, headers: dict[bytes, bytes], request: dict[str, str]) -> tuple[int, bytes]:
        """AssumeRole (each time another key) and GetCallerIdentity, in STS' XML."""
        action = request["Action"]
        self.faults.called(action)
        fault = self.faults.take("refuse", action)
        if fault is not None:
            code = f"<Error><Type>Sender</Type><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
            return fault.status, f"<ErrorResponse>{code}</ErrorResponse>".encode()
        if action == "AssumeRole":
            self.assumed += 1
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.role_lifetime_s))
            result = (
                f"<Credentials><AccessKeyId>ASIA{self.assumed:016d}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
                f"<SessionToken>token{self.assumed}</SessionToken><Expiration>{until}</Expiration></Credentials>"
                f"<AssumedRoleUser><Arn>{request['RoleArn']}</Arn><AssumedRoleId>A:B</AssumedRoleId></AssumedRoleUser>"
            )
        else:
            result = f"<Arn>{self.identity}</Arn><UserId>U</UserId><Account>000000000000</Account>"
        xmlns = "https://sts.amazonaws.com/doc/2011-06-15/"
        body = (
            f'<{action}Response xmlns="{xmlns}"><{action}Result>{result}</{action}Result></{action}Response>'
        )
        return 200, body.encode()

    def _authenticate(self, headers: dict[bytes, bytes]) -> None:
        credential = headers.get(b"authorization", b"").decode()
        if "Credential=" not in credential:
            raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
        key = credential.partition("Credential=")[2].partition("/")[0]
        self.seen_keys.add(key)
        if key in self.expired_keys:
            raise Refused("ExpiredTokenException", "The security token included in the request is expired")

    def close(self) -> None:
        """Ends every connection; the port is free afterwards."""
        self._server.close()

    def __enter__(self) -> "KinesisSimulator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def hash_of(partition_key: str) -> int:
    """Where a partition key stands among the hash keys."""
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")
