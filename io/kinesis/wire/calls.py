"""`calls` declares the arguments, replies and failures of the calls of Kinesis' data plane, for both clients."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, CredentialRetrievalError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from penstock.io.aws.error_codes import BAD_KEY_CODES, EXPIRED_CODES, THROTTLED_CODES
from penstock.io.aws.no_answer import no_answer
from penstock.io.aws.sense import BadReply
from penstock.io.aws.session import AwsSession, explain, explain_code
from penstock.io.errors import PeerError, PenstockError, Unreachable

__all__ = [
    "REPLY_TOO_LARGE",
    "CallFailed",
    "ChildShard",
    "GetRecordsReply",
    "HashKeyRange",
    "KinesisClient",
    "PutEntry",
    "PutRecordsReply",
    "PutResult",
    "Record",
    "bad_reply",
    "failure_behind",
    "iterator_request",
    "not_promised",
    "not_signed",
    "records_request",
    "stream_argument",
    "stream_arn",
    "stream_in_words",
    "unanswered",
    "with_fresh_credentials",
    "without_values",
]
_Reply = TypeVar("_Reply")

_MAX_TEXT = 300
UNANSWERED = "ConnectionError"
REPLY_TOO_LARGE = "ReplyTooLarge"
"""Our own error code. When fewer records are asked for, the service sends less."""
_RETRIED_CODES = frozenset({"RequestTimeout", "RequestTimeoutException", "TooManyRequestsException"})
_RETRIED_STATUSES = (408, 429)
_INVALID_CODES = frozenset(
    {
        "InvalidArgument",
        "InvalidArgumentException",
        "InvalidParameterValueException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
"""Error codes that blame the contents of the request."""
_BLAMES_STREAM = re.compile(r"'stream(?:Name|ARN)'|\bstream ?arn\b", re.IGNORECASE)
_VALUE = re.compile(r"value ['{].*(?:['}] at '(?=[\w.]+' failed ))", re.DOTALL | re.IGNORECASE)
_CUT_VALUE = re.compile(r"value ['{].*", re.DOTALL | re.IGNORECASE)
"""The service's words for a value that breaks a rule: `Value 'x' at 'records.1.member.partitionKey' failed to ...`."""


class PutEntry(NamedTuple):
    """One record of a PutRecords: data and key up to what the stream takes (1 to 10 MiB), a key of 1-256 UTF-16 units."""

    data: bytes
    partition_key: str
    explicit_hash_key: str | None = None


class PutResult(msgspec.Struct, rename="pascal", gc=False):
    """The result for one record: its place in the stream, or why it isn't there."""

    sequence_number: str | None = None
    shard_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class PutRecordsReply(msgspec.Struct, rename="pascal"):
    """One result per entry, in the entries' order."""

    records: list[PutResult]


class Record(msgspec.Struct, rename="pascal", gc=False):
    """One Kinesis record; the arrival timestamp is in seconds since 1970, by Kinesis' clock.

    The partition key is empty where the service manages keys and the producer gave none.
    """

    sequence_number: str
    data: bytes
    partition_key: str = ""
    approximate_arrival_timestamp: float = 0.0


class HashKeyRange(msgspec.Struct, rename="pascal", gc=False):
    """First and last hash key of a shard, as decimal strings."""

    starting_hash_key: str
    ending_hash_key: str


class ChildShard(msgspec.Struct, rename="pascal", gc=False):
    """A child shard, which goes on where a closed shard ended."""

    shard_id: str
    parent_shards: list[str]
    hash_key_range: HashKeyRange


class GetRecordsReply(msgspec.Struct, rename="pascal"):
    """Records in order; no next iterator means that the shard is closed and read to its end."""

    records: list[Record]
    next_shard_iterator: str | None = None
    millis_behind_latest: int | None = None
    child_shards: list[ChildShard] = []


class CallFailed(Exception):
    """One call failed.

    Attributes:
        operation: the API call.
        code: the service's error code; `ConnectionError` where nobody answered.
        text: the service's own words, at most 300 characters; or who didn't answer, why, and what to do.
        status: the HTTP status, or None where nobody answered.
        cause: our own error, where one says it all already (no credentials).
    """

    def __init__(
        self, operation: str, code: str, text: str, status: int | None, cause: PenstockError | None = None
    ) -> None:
        super().__init__(operation, code, text, status, cause)
        self.operation, self.code, self.text, self.status, self.cause = operation, code, text, status, cause

    def __str__(self) -> str:
        return f"{self.operation}: {self.code}: {self.text}"

    @property
    def throttled(self) -> bool:
        """Whether the service asks for less: back off and try again."""
        return self.code in THROTTLED_CODES or self.status == 429

    @property
    def retriable(self) -> bool:
        """Whether the same call may work later: throttled, a server's fault, too slow, no connection."""
        if self.cause is not None:
            return False
        if self.throttled or self.status is None or self.status >= 500:
            return True
        return self.status in _RETRIED_STATUSES or self.code in _RETRIED_CODES

    @property
    def invalid(self) -> bool:
        """Whether the service blames the contents of the request, not its sender or its stream."""
        return self.code in _INVALID_CODES or self.status == 413

    @property
    def blames_stream(self) -> bool:
        """Whether the service calls the stream's name or ARN invalid."""
        return self.invalid and _BLAMES_STREAM.search(self.text) is not None

    @property
    def ours(self) -> bool:
        """Whether the service blames our credentials, so that no stream would take the call."""
        return self.cause is not None or self.code in BAD_KEY_CODES or self.code in EXPIRED_CODES

    @property
    def reason(self) -> str:
        """The reason in a few words, with the address where nobody answered: `no answer from ... (connection refused)`."""
        return self.text.partition(". ")[0] if self.code == UNANSWERED else self.code

    def explain(self, session: AwsSession, resource: str, doing: str) -> PenstockError:
        """Gives the one line for the user (see `penstock.io.aws.session.explain`)."""
        if self.cause is not None:
            return self.cause
        if self.code == UNANSWERED:
            return Unreachable(f"cannot {doing}: {self.text}")
        return explain_code(self.code, self.text, session, self.operation, resource, doing)


class KinesisClient(Protocol):
    """The calls both data planes offer. Safe from any thread. Every failure is a `CallFailed`."""

    def put_records(self, stream: str, entries: list[PutEntry]) -> PutRecordsReply:
        """Puts up to 500 records, 10 MiB; the reply has one result per entry, in order."""

    def get_records(self, iterator: str, limit: int = 10000, stream: str | None = None) -> GetRecordsReply:
        """Reads on from an iterator (5 minutes old at most): up to `limit` records, 10 MiB."""

    def get_shard_iterator(
        self,
        stream: str,
        shard_id: str,
        kind: str,
        *,
        sequence_number: str | None = None,
        timestamp: float | None = None,
    ) -> str:
        """Gives an iterator of a shard; `kind` is the API's ShardIteratorType, `timestamp` seconds since 1970."""

    def close(self) -> None:
        """Closes the connections."""


def stream_argument(stream: str) -> dict[str, str]:
    """Gives the request's field that names the stream: its ARN or its name."""
    return {"StreamARN": stream} if stream.startswith("arn:") else {"StreamName": stream}


def stream_arn(stream: str, region: str) -> str:
    """Gives the ARN of the stream for IAM policies. The account is `*` where the stream is given by name."""
    return stream if stream.startswith("arn:") else f"arn:aws:kinesis:{region}:*:stream/{stream}"


def stream_in_words(stream: str) -> str:
    """Gives the stream as messages name it."""
    return stream if stream.startswith("arn:") else f"stream {stream}"


def iterator_request(
    stream: str, shard_id: str, kind: str, sequence_number: str | None, timestamp: float | None
) -> dict[str, Any]:
    """Gives the request of a GetShardIterator."""
    request: dict[str, Any] = {**stream_argument(stream), "ShardId": shard_id, "ShardIteratorType": kind}
    if sequence_number is not None:
        request["StartingSequenceNumber"] = sequence_number
    if timestamp is not None:
        request["Timestamp"] = timestamp
    return request


def records_request(iterator: str, limit: int, stream: str | None) -> dict[str, Any]:
    """Gives the request of a GetRecords; only an ARN names the stream, because the iterator belongs to one already."""
    request: dict[str, Any] = {"ShardIterator": iterator, "Limit": limit}
    if stream and stream.startswith("arn:"):
        request["StreamARN"] = stream
    return request


def with_fresh_credentials(session: AwsSession, send: Callable[[Credentials], _Reply]) -> _Reply:
    """Sends with the session's credentials; where AWS calls them expired, once more with new ones."""
    credentials = session.credentials()
    try:
        return send(credentials)
    except CallFailed as failure:
        if failure.code not in EXPIRED_CODES:
            raise
    session.renew(credentials)
    return send(session.credentials())


def failure_behind(error: PenstockError, operation: str) -> CallFailed | None:
    """Gives the failed call that boto's exception behind `error` tells of; None where the service said nothing."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return None
    details = cause.response.get("Error", {})
    status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    text = without_values(str(details.get("Message", "")))
    # Another operation is one that gets credentials (AssumeRole).
    own = cause.operation_name == operation
    return CallFailed(operation, str(details.get("Code", "")), text, status, None if own else error)


def unanswered(operation: str, error: Exception, address: str) -> CallFailed:
    """Gives the failed call for an address where nobody answered; it says who and why."""
    found = no_answer(error, address)
    return CallFailed(operation, UNANSWERED, f"{found.words}. {found.cure}", None)


def without_values(text: str) -> str:
    """Gives the service's words, at most 300 characters, without the values that it quotes: they may be a secret."""
    shown, count = _VALUE.subn("a value at '", text)
    return (shown if count else _CUT_VALUE.sub("a value ...", text))[:_MAX_TEXT]


def not_signed(operation: str, error: Exception, session: AwsSession) -> CallFailed:
    """Gives the failed call for credentials that we did not get: for good (no keys, a refused role), or for the moment."""
    text = f"credentials: {error}"[:_MAX_TEXT]
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if status >= 500 or code in THROTTLED_CODES:
            return CallFailed(operation, code, text, status)
    elif isinstance(error, (BotocoreConnectionError, HTTPClientError, CredentialRetrievalError, BadReply)):
        return CallFailed(operation, "CredentialsUnavailable", text, None)
    cause = explain(error, session, operation, "", "get AWS credentials")
    # The source of a role may have expired: the caller renews it, as it renews the call's own credentials.
    expired = isinstance(error, ClientError) and code in EXPIRED_CODES
    return CallFailed(operation, code if expired else type(error).__name__, text, None, cause)


def not_promised(doing: str) -> PeerError:
    """Gives the error for a reply of the control plane that is not what the API promises. Another try may work."""
    return PeerError(f"cannot {doing}: the reply is not what the API promises.")


def bad_reply(*, operation: str, what: str) -> CallFailed:
    """Gives the failed call for a reply that breaks the API's promise.

    It never has the decoder's words, which may quote a payload.
    """
    return CallFailed(operation, "BadReply", what, None)
