"""`transport` carries the thin client's requests: directly over kept connections, or through a proxy by urllib3.

Proxy and TLS settings are those that botocore would take for the same address.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies
from urllib3.connection import HTTPConnection

from penstock.io.aws.session import AwsSession
from penstock.io.errors import OptionError
from penstock.io.http.in_time import POOLS, TimedConnection, TimedTlsConnection, in_time
from penstock.io.http.kept_connections import KeptConnections, Reply
from penstock.io.http.replies import ReplyTooLarge, read_bounded

__all__ = ["Transport", "host_of", "open_transport"]


class Transport(Protocol):
    """Takes requests to one endpoint; safe from any thread."""

    def post(self, target: str, headers: Mapping[str, str], body: bytes | memoryview) -> Reply:
        """Sends one request and reads its reply.

        Raises:
            OSError, ValueError, urllib3.exceptions.HTTPError: there is no reply.
        """

    def close(self) -> None:
        """Closes the connections."""


def open_transport(url: str, session: AwsSession, max_connections: int) -> Transport:
    """Gives the transport that reaches an endpoint.

    Args:
        url: the endpoint.
        session: whose options hold time-outs and certificates.
        max_connections: the most connections that are kept open.
    """
    options = session.options
    connect_s, read_s = options.connect_timeout / 1000, options.request_timeout / 1000
    secure: dict[str, Any] = {}
    if url.startswith("https"):
        bundle = session.ca_bundle
        secure["ssl_context"] = create_urllib3_context(cert_reqs=None)
        secure["cert_reqs"] = "CERT_REQUIRED" if bundle else "CERT_NONE"
        if bundle:
            secure["ca_certs"] = bundle if isinstance(bundle, str) else get_cert_path(True)
    proxies = ProxyConfiguration(get_environ_proxies(url))
    proxy = proxies.proxy_url_for(url)
    if proxy:
        timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        return _ByProxy(
            url, proxy, proxies.proxy_headers_for(proxy), options.max_reply_bytes, read_s,
            maxsize=max_connections, timeout=timeout, **secure,
        )  # fmt: skip
    parts = urlsplit(url)
    host = parts.hostname or ""
    usual = 443 if secure else 80
    port = parts.port or usual

    def make() -> HTTPConnection:
        if secure:
            return TimedTlsConnection(host, port, timeout=connect_s, **secure)
        return TimedConnection(host, port, timeout=connect_s)

    return KeptConnections(host_of(url), make, read_s, max_connections, options.max_reply_bytes)


def host_of(url: str) -> str:
    """Gives the header Host for an address, without the usual port. The signature covers it."""
    parts = urlsplit(url)
    host, usual = parts.hostname or "", 443 if parts.scheme == "https" else 80
    named = f"[{host}]" if ":" in host else host
    return named if parts.port in (None, usual) else f"{named}:{parts.port}"


class _ByProxy:
    """Uses urllib3's pool, which can speak to proxies."""

    def __init__(
        self,
        url: str,
        proxy: str,
        proxy_headers: Mapping[str, str],
        max_reply_bytes: int,
        request_timeout_s: float,
        **arguments: Any,
    ) -> None:
        self._limit = max_reply_bytes
        self._request_timeout_s = request_timeout_s
        try:
            self._pool = urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **arguments)
        except urllib3.exceptions.HTTPError as error:
            message = "the proxy variables (HTTPS_PROXY, HTTP_PROXY) hold no proxy address that can be used."
            raise OptionError(message) from error
        self._pool.pool_classes_by_scheme = POOLS
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def post(self, target: str, headers: Mapping[str, str], body: bytes | memoryview) -> Reply:
        with in_time(self._request_timeout_s):
            return self._exchange(target, headers, body)

    def _exchange(self, target: str, headers: Mapping[str, str], body: bytes | memoryview) -> Reply:
        reply = self._pool.urlopen(
            "POST", self._origin + target, body=body, headers=dict(headers), retries=False, redirect=False,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        found = {name.lower().encode(): value.encode() for name, value in reply.headers.items()}
        try:
            data = read_bounded(
                lambda size: reply.read(size, decode_content=False),
                self._limit,
                reply.headers.get("content-encoding"),
            )
        except BaseException as error:
            reply.close()
            if isinstance(error, (ReplyTooLarge, zlib.error)):
                raise ValueError(str(error)) from error
            raise
        reply.release_conn()
        return Reply(reply.status, found, data)

    def close(self) -> None:
        self._pool.clear()
