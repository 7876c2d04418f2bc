"""`BotoClient` makes PutRecords and GetRecords by boto's own client. It is slower, and the thin client is measured by it."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from penstock.io.aws.sense import NONSENSE, BadReply, promised
from penstock.io.aws.session import AwsSession
from penstock.io.kinesis.wire.calls import (
    CallFailed,
    ChildShard,
    GetRecordsReply,
    HashKeyRange,
    PutEntry,
    PutRecordsReply,
    PutResult,
    Record,
    bad_reply,
    iterator_request,
    not_signed,
    records_request,
    stream_argument,
    unanswered,
    with_fresh_credentials,
    without_values,
)

__all__ = ["BotoClient"]


class BotoClient:
    """Calls the data plane by boto3: see `client`. The methods are those of `KinesisClient`.

    Args:
        session: whose client makes the calls.
        max_connections: the most connections that are kept open.
    """

    def __init__(self, session: AwsSession, max_connections: int) -> None:
        self._session = session
        self._max_connections = max_connections

    def put_records(self, stream: str, entries: list[PutEntry]) -> PutRecordsReply:
        """Puts records. The reply has one result per record, in order."""
        records = []
        for data, partition_key, explicit_hash_key in entries:
            record: dict[str, Any] = {"Data": data, "PartitionKey": partition_key}
            if explicit_hash_key is not None:
                record["ExplicitHashKey"] = explicit_hash_key
            records.append(record)
        reply = self._call("PutRecords", "put_records", {**stream_argument(stream), "Records": records})
        try:
            results = [_result_of(each) for each in reply["Records"]]
        except NONSENSE as error:
            raise bad_reply(operation="PutRecords", what="the reply is not what the API promises") from error
        if len(results) != len(entries):
            raise bad_reply(operation="PutRecords", what="the reply has another number of records")
        return PutRecordsReply(results)

    def get_records(self, iterator: str, limit: int = 10000, stream: str | None = None) -> GetRecordsReply:
        """Reads on from an iterator."""
        reply = self._call("GetRecords", "get_records", records_request(iterator, limit, stream))
        try:
            return _reply_of(reply)
        except NONSENSE as error:
            raise bad_reply(operation="GetRecords", what="the reply is not what the API promises") from error

    def get_shard_iterator(
        self,
        stream: str,
        shard_id: str,
        kind: str,
        *,
        sequence_number: str | None = None,
        timestamp: float | None = None,
    ) -> str:
        """Gives an iterator of a shard."""
        request = iterator_request(stream, shard_id, kind, sequence_number, timestamp)
        reply = self._call("GetShardIterator", "get_shard_iterator", request)
        if not isinstance(reply.get("ShardIterator"), str):
            raise bad_reply(operation="GetShardIterator", what="the reply has no iterator")
        return str(reply["ShardIterator"])

    def _call(self, operation: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        return with_fresh_credentials(self._session, lambda _: self._send(operation, method, request))

    def _send(self, operation: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        client = self._session.client("kinesis", retries=False, max_connections=self._max_connections)
        try:
            with promised():
                reply: dict[str, Any] = getattr(client, method)(**request)
        except ClientError as error:
            if error.operation_name != operation:
                raise not_signed(operation, error, self._session) from error
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            code, text = str(details.get("Code", "")), without_values(str(details.get("Message", "")))
            raise CallFailed(operation, code, text, status) from error
        except (BotocoreConnectionError, HTTPClientError) as error:
            raise unanswered(operation, error, client.meta.endpoint_url) from error
        except BadReply as error:
            raise bad_reply(operation=operation, what=str(error)) from error
        except BotoCoreError as error:
            raise not_signed(operation, error, self._session) from error
        return reply

    def close(self) -> None:
        """Does nothing, because boto's clients belong to the session."""


def _result_of(result: dict[str, Any]) -> PutResult:
    return PutResult(
        result.get("SequenceNumber"),
        result.get("ShardId"),
        result.get("ErrorCode"),
        result.get("ErrorMessage"),
    )


def _reply_of(reply: dict[str, Any]) -> GetRecordsReply:
    records = [
        Record(
            each["SequenceNumber"],
            each["Data"],
            each.get("PartitionKey", ""),
            each["ApproximateArrivalTimestamp"].timestamp() if "ApproximateArrivalTimestamp" in each else 0.0,
        )
        for each in reply["Records"]
    ]
    children = [
        ChildShard(
            each["ShardId"],
            each["ParentShards"],
            HashKeyRange(each["HashKeyRange"]["StartingHashKey"], each["HashKeyRange"]["EndingHashKey"]),
        )
        for each in reply.get("ChildShards") or ()
    ]
    return GetRecordsReply(records, reply.get("NextShardIterator"), reply.get("MillisBehindLatest"), children)
