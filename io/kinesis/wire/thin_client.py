"""`ThinClient` makes PutRecords and GetRecords by hand, with pybase64, msgspec and kept connections (see `client`).

A PutRecords of a whole batch is a megabyte of text. Its memory is used again for the next request: to get and give back
that much each time cost more CPU than the base64 in it.
"""

import datetime
import itertools
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import orjson
import pybase64
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import normalize_url_path

from penstock.io.aws.sense import promised
from penstock.io.aws.session import AwsSession
from penstock.io.http.replies import ReplyTooLarge
from penstock.io.kinesis.wire._get_reply import decode_get_records
from penstock.io.kinesis.wire._signature import Keys, Signer
from penstock.io.kinesis.wire.calls import (
    REPLY_TOO_LARGE,
    CallFailed,
    GetRecordsReply,
    PutEntry,
    PutRecordsReply,
    bad_reply,
    iterator_request,
    not_signed,
    records_request,
    stream_argument,
    unanswered,
    with_fresh_credentials,
    without_values,
)
from penstock.io.kinesis.wire.transport import host_of, open_transport

__all__ = ["ThinClient"]

_CONTENT_TYPE = "application/x-amz-json-1.1"
_LARGE = 256 << 10
"""Bytes from which a request's memory is kept for the next one."""
_MAX_KEPT = 4
"""How many pieces of that memory are kept."""
_MOST_KEPT = 8 << 20
"""The most bytes of a piece: a usual PutRecords in base64. The memory of a larger one (up to 14 MB) is given back."""


class _IteratorReply(msgspec.Struct, rename="pascal"):
    shard_iterator: str


_iterator_reply = msgspec.json.Decoder(_IteratorReply).decode
_NEXT = b'},{"Data":"'
_Decoded = TypeVar("_Decoded")


class ThinClient:
    """Calls the data plane by hand: see `client`. The methods are those of `KinesisClient`.

    Args:
        session: whose credentials sign, whose options hold the limits.
        max_connections: the most connections that are kept open.
    """

    def __init__(self, session: AwsSession, max_connections: int) -> None:
        self._session = session
        client = session.client("kinesis")
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        parts = urlsplit(self._url)
        self._target = parts.path
        self._signer = Signer(
            host_of(self._url),
            quote(normalize_url_path(parts.path), safe="/~"),
            client.meta.region_name,
            "kinesis",
            _CONTENT_TYPE,
        )
        self._transport = open_transport(self._url, session, max_connections)
        self._buffers: list[bytearray] = []
        self._put_reply = msgspec.json.Decoder(PutRecordsReply).decode
        self._get_reply = decode_get_records

    def put_records(self, stream: str, entries: list[PutEntry]) -> PutRecordsReply:
        """Puts records. The reply has one result per record, in order."""
        body, buffer = self._body(stream, entries)
        try:
            reply = self._call("PutRecords", body, self._put_reply)
        finally:
            if buffer is not None and len(buffer) <= _MOST_KEPT and len(self._buffers) < _MAX_KEPT:
                self._buffers.append(buffer)
        if len(reply.records) != len(entries):
            raise bad_reply(operation="PutRecords", what="the reply has another number of records")
        return reply

    def _body(self, stream: str, entries: list[PutEntry]) -> tuple[bytes | memoryview, bytearray | None]:
        """Makes the request's body. Also gives the memory it lies in, when that is worth keeping."""
        tails = []
        for _, partition_key, hash_key in entries:
            explicit = b"" if hash_key is None else b',"ExplicitHashKey":"%b"' % hash_key.encode()
            tails.append(b'","PartitionKey":%b%b%b' % (orjson.dumps(partition_key), explicit, _NEXT))
        tails[-1] = tails[-1].removesuffix(_NEXT) + b"}]}"
        head = orjson.dumps(stream_argument(stream))[:-1] + b',"Records":[{"Data":"'
        size = len(head) + sum(map(len, tails)) + sum([4 * ((len(entry.data) + 2) // 3) for entry in entries])
        pairs = ((pybase64.b64encode(entry.data), tail) for entry, tail in zip(entries, tails, strict=True))
        pieces = itertools.chain((head,), itertools.chain.from_iterable(pairs))
        if size < _LARGE:
            return b"".join(pieces), None
        buffer = self._buffer(size)
        body = memoryview(buffer)[:size]
        at = 0
        for piece in pieces:
            end = at + len(piece)
            body[at:end] = piece
            at = end
        return body, buffer

    def _buffer(self, size: int) -> bytearray:
        while self._buffers:
            try:
                buffer = self._buffers.pop()
            except IndexError:  # another thread was faster
                break
            if len(buffer) >= size:
                return buffer
        return bytearray(-(-size // _LARGE) * _LARGE)

    def get_records(self, iterator: str, limit: int = 10000, stream: str | None = None) -> GetRecordsReply:
        """Reads on from an iterator."""
        request = orjson.dumps(records_request(iterator, limit, stream))
        return self._call("GetRecords", request, self._get_reply)

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
        return self._call("GetShardIterator", orjson.dumps(request), _iterator_reply).shard_iterator

    def _call(
        self, operation: str, body: bytes | memoryview, decode: Callable[[bytes], _Decoded]
    ) -> _Decoded:
        return with_fresh_credentials(
            self._session, lambda credentials: self._send(operation, body, decode, credentials)
        )

    def _send(
        self, operation: str, body: bytes | memoryview, decode: Callable[[bytes], _Decoded], credentials: Any
    ) -> _Decoded:
        try:
            # Frozen: keys and token of one moment, whatever another thread refreshes meanwhile.
            with promised():
                frozen = credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise not_signed(operation, error, self._session) from error
        keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
        now = datetime.datetime.now(datetime.UTC)
        headers = self._signer.headers(keys, f"Kinesis_20131202.{operation}", body, now)
        try:
            reply = self._transport.post(self._target, headers, body)
        except ReplyTooLarge as error:
            raise CallFailed(operation, REPLY_TOO_LARGE, str(error), None) from error
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise unanswered(operation, error, self._url.rstrip("/")) from error
        if reply.status == 200:
            try:
                return decode(reply.body)
            except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError) as error:
                # Not the error's own text: it may quote the payload.
                raise CallFailed(
                    operation, "BadReply", "the reply is not what the API promises", None
                ) from error
        code, text = _error_of(reply.body, reply.headers.get(b"x-amzn-errortype", b"").decode("latin-1"))
        raise CallFailed(operation, code or f"HTTP{reply.status}", text, reply.status)

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()


def _error_of(body: bytes, header: str) -> tuple[str, str]:
    """Gives the error code and the text of a refusal: JSON as Kinesis sends it, or XML as some gateways do."""
    code, text = header, ""
    try:
        found = orjson.loads(body)
        code = str(found.get("__type") or found.get("code") or code)
        text = str(found.get("message") or found.get("Message") or "")
    except (orjson.JSONDecodeError, AttributeError):
        for name in (b"Code", b"Message"):
            match = re.search(rb"<%s>([^<]{1,1000})</%s>" % (name, name), body[:10000])
            if match and name == b"Code":
                code = match[1].decode(errors="replace")
            elif match:
                text = match[1].decode(errors="replace")
    return code.split(":")[0].rpartition("#")[2], without_values(text)
