"""PutRecords and GetRecords on botocore's signer, a urllib3 pool, pybase64 and msgspec (see `client`)."""

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import orjson
import pybase64
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies

from penstock.io.aws import EXPIRED_CODES, AwsSession
from penstock.io.errors import OptionError
from penstock.io.kinesis._get_reply import decode_get_records
from penstock.io.kinesis.calls import (
    CallFailed,
    GetRecordsReply,
    PutEntry,
    PutRecordsReply,
    bad_reply,
    iterator_request,
    not_signed,
    stream_argument,
)

__all__ = ["ThinClient"]

_CONTENT_TYPE = "application/x-amz-json-1.1"
_MAX_TEXT = 300
_Reply = TypeVar("_Reply")


class ThinClient:
    """The data plane by hand: see `client`; the methods are those of `KinesisClient`.

    Args:
        session: whose credentials sign, whose options hold the limits.
        max_connections: kept open at most.
    """

    def __init__(self, session: AwsSession, max_connections: int) -> None:
        self._session = session
        client = session.client("kinesis")
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._region = client.meta.region_name
        self._pool = _pool(self._url, session, max_connections)
        # The manager costs 0.06 ms a call, so only a proxy for plain HTTP, which wants whole addresses, pays it.
        straight = self._pool.proxy is None or self._url.startswith("https")
        self._post = self._pool.connection_from_url(self._url).urlopen if straight else self._pool.urlopen
        self._target = urlsplit(self._url).path if straight else self._url
        self._put_reply = msgspec.json.Decoder(PutRecordsReply).decode
        self._get_reply = decode_get_records

    def put_records(self, stream: str, entries: list[PutEntry]) -> PutRecordsReply:
        """Puts records; one result each, in order."""
        parts: list[bytes] = [orjson.dumps(stream_argument(stream))[:-1], b',"Records":[']
        separator = b'{"Data":"'
        for data, partition_key, explicit_hash_key in entries:
            parts += (separator, pybase64.b64encode(data), b'","PartitionKey":', orjson.dumps(partition_key))
            if explicit_hash_key is not None:
                parts += (b',"ExplicitHashKey":"', explicit_hash_key.encode(), b'"')
            separator = b'},{"Data":"'
        parts.append(b"}]}")
        reply = self._call("PutRecords", b"".join(parts), self._put_reply)
        if len(reply.records) != len(entries):
            raise bad_reply(operation="PutRecords", what="the reply has another number of records")
        return reply

    def get_records(self, iterator: str, limit: int = 10000, stream: str | None = None) -> GetRecordsReply:
        """Reads on from an iterator."""
        request: dict[str, Any] = {"ShardIterator": iterator, "Limit": limit}
        if stream and stream.startswith("arn:"):
            request["StreamARN"] = stream
        return self._call("GetRecords", orjson.dumps(request), self._get_reply)

    def get_shard_iterator(
        self,
        stream: str,
        shard_id: str,
        kind: str,
        *,
        sequence_number: str | None = None,
        timestamp: float | None = None,
    ) -> str:
        """An iterator of a shard."""
        request = iterator_request(stream, shard_id, kind, sequence_number, timestamp)
        reply = self._call("GetShardIterator", orjson.dumps(request), orjson.loads)
        return str(reply["ShardIterator"])

    def _call(self, operation: str, body: bytes, decode: Callable[[bytes], _Reply]) -> _Reply:
        credentials = self._session.credentials()
        try:
            return self._send(operation, body, decode, credentials)
        except CallFailed as failure:
            if failure.code not in EXPIRED_CODES:
                raise
        self._session.renew(credentials)
        return self._send(operation, body, decode, self._session.credentials())

    def _send(
        self, operation: str, body: bytes, decode: Callable[[bytes], _Reply], credentials: Any
    ) -> _Reply:
        headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": _CONTENT_TYPE}
        request = AWSRequest("POST", self._url, data=body, headers=headers)
        try:
            # Frozen: keys and token of one moment, whatever another thread refreshes meanwhile.
            SigV4Auth(credentials.get_frozen_credentials(), "kinesis", self._region).add_auth(request)
        except (BotoCoreError, ClientError) as error:
            raise not_signed(operation, error, self._session) from error
        try:
            reply = self._post(
                "POST", self._target, body=body, headers=dict(request.headers), retries=False, redirect=False
            )
            data = reply.data
        except urllib3.exceptions.HTTPError as error:
            text = f"{type(error).__name__}: {error}"[:_MAX_TEXT]
            raise CallFailed(operation, "ConnectionError", text, None) from error
        if reply.status == 200:
            try:
                return decode(data)
            except (msgspec.MsgspecError, ValueError, KeyError) as error:
                # Not the error's own text: it may quote the payload.
                raise CallFailed(
                    operation, "BadReply", "the reply is not what the API promises", None
                ) from error
        code, text = _error_of(data, reply.headers.get("x-amzn-errortype", ""))
        raise CallFailed(operation, code or f"HTTP{reply.status}", text, reply.status)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()


def _pool(url: str, session: AwsSession, max_connections: int) -> urllib3.PoolManager:
    """A keep-alive pool with the proxy and TLS settings that botocore would use for the same address."""
    options = session.options
    arguments: dict[str, Any] = {
        "maxsize": max_connections,
        "timeout": urllib3.Timeout(
            connect=options.connect_timeout / 1000, read=options.request_timeout / 1000
        ),
    }
    if url.startswith("https"):
        bundle = session.ca_bundle
        arguments["ssl_context"] = create_urllib3_context(cert_reqs=None)
        arguments["cert_reqs"] = "CERT_REQUIRED" if bundle else "CERT_NONE"
        if bundle:
            arguments["ca_certs"] = bundle if isinstance(bundle, str) else get_cert_path(True)
    proxies = ProxyConfiguration(get_environ_proxies(url))
    proxy = proxies.proxy_url_for(url)
    if proxy:
        try:
            return urllib3.ProxyManager(proxy, proxy_headers=proxies.proxy_headers_for(proxy), **arguments)
        except urllib3.exceptions.HTTPError as error:
            message = "the proxy variables (HTTPS_PROXY, HTTP_PROXY) hold no proxy address that can be used."
            raise OptionError(message) from error
    return urllib3.PoolManager(**arguments)


def _error_of(body: bytes, header: str) -> tuple[str, str]:
    """Error code and text of a refusal: JSON as Kinesis sends it, or XML as some gateways do."""
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
    return code.split(":")[0].rpartition("#")[2], text[:_MAX_TEXT]
