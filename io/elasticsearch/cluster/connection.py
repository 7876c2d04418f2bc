"""`node_class` makes the class that sends requests to one node: kept connections, one deadline, one bound on the reply.

It takes the place of elastic_transport's own node for five reasons:
- CPU: a bulk of a thousand documents cost 0.3 ms by urllib3, which is still there to connect, and for proxies.
- TLS: a pinned certificate is verified as `Trust` says, directly and through `--proxy` alike.
- Time: a request's time-out is a total. Each step gets what is left of it. So a server that sends one byte now and then
  can't hold a request for ever.
- Size: a reply is read up to `--max_reply_bytes`, counted after inflating.
- Signatures: a request to Amazon's service is signed as it is sent, with the host and the time that it then has.
"""

import functools
import http.client
import io
import ssl
import threading
import time
import zlib
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import urllib3
from elastic_transport import ApiResponseMeta, BaseNode, ConnectionTimeout, HttpHeaders, NodeConfig, TlsError
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import TransportApiResponse as Answer
from elastic_transport.client_utils import DEFAULT
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ReadTimeoutError
from urllib3.exceptions import SSLError as WrappedTlsError
from urllib3.util import parse_url

from penstock.io.elasticsearch.cluster.signing import Signer
from penstock.io.elasticsearch.cluster.trust import Trust, unverified
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.http.in_time import TimedConnection, TimedTlsConnection, in_time, pools_of
from penstock.io.http.kept_connections import KeptConnections
from penstock.io.http.replies import ReplyTooLarge, read_bounded

__all__ = ["node_class"]


class _TlsConnection(TimedTlsConnection):
    trust: ClassVar[Trust]

    def connect(self) -> None:
        if self.proxy_is_forwarding:  # its TLS is that of the proxy
            super().connect()
            return
        if self.trust.context is None:
            self.trust.learn(self._presented())
        if (context := self.trust.context) is not None:
            self._connect_with(context, None if context.check_hostname else False)

    def _presented(self) -> list[bytes]:
        """Gives the chain that the server presents, from a connection over which nothing is sent."""
        host, port, headers = self._tunnel_host, self._tunnel_port, dict(getattr(self, "_tunnel_headers", {}))
        scheme = getattr(self, "_tunnel_scheme", None) or "http"
        self._connect_with(unverified(), False)
        try:
            return _chain(self.sock)
        finally:
            self.close()  # this forgets the tunnel too
            if host is not None:
                self.set_tunnel(host, port, headers, scheme)

    def _connect_with(self, context: ssl.SSLContext, assert_hostname: Any) -> None:
        self.ssl_context, self.cert_reqs = context, context.verify_mode
        self.assert_hostname = assert_hostname
        super().connect()


def _chain(sock: Any) -> list[bytes]:
    """Gives the certificates that a peer has sent, in DER form."""
    if hasattr(sock, "get_unverified_chain"):  # Python 3.13
        return list(sock.get_unverified_chain())
    layer = getattr(sock, "_sslobj", None) or sock.sslobj._sslobj  # a socket, or TLS inside of TLS
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in layer.get_unverified_chain() or ()]


class _PooledNode(BaseNode):
    """A node, and the connections to it that are kept."""

    _CLIENT_META_HTTP_CLIENT = ("ur", "2")
    options: ClassVar[ElasticsearchOptions]
    connections: ClassVar[dict[str, type[HTTPConnection]]]
    proxy_context: ClassVar[ssl.SSLContext | None]
    signer: ClassVar[Signer | None]

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._origin = f"{config.scheme}://{host}:{config.port}"
        usual = {"http": 80, "https": 443}[config.scheme]
        self._host_header = host if config.port == usual else f"{host}:{config.port}"
        if self.options.proxy:
            self._pool = self._through_proxy(self.options.proxy)
        else:
            make = functools.partial(self.connections[config.scheme], host, config.port)
            limit = self.options.max_reply_bytes
            self._kept = KeptConnections(self._host_header, make, None, config.connections_per_node, limit)
            self._under_way = threading.Semaphore(config.connections_per_node)

    def _through_proxy(self, proxy: str) -> urllib3.ProxyManager:
        parts = urlsplit(proxy)
        credentials = None
        if parts.username:
            name_and_password = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            credentials = urllib3.make_headers(proxy_basic_auth=name_and_password)
        manager = urllib3.ProxyManager(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            proxy_headers=credentials,
            proxy_ssl_context=self.proxy_context,
            maxsize=self.config.connections_per_node,
            block=True,
        )
        manager.pool_classes_by_scheme = pools_of(*self.connections.values())
        return manager

    def perform_request(  # type: ignore[override]
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: Any = DEFAULT,
    ) -> Answer:
        """Sends one request. Gives its status, headers and body."""
        seconds = self.options.timeout if request_timeout is DEFAULT else request_timeout
        started = time.monotonic()
        try:
            with in_time(seconds, moves=False):
                status, found, data = self._exchange(
                    method, self.path_prefix + target, body, headers, seconds
                )
        except (HTTPError, OSError, http.client.HTTPException, ReplyTooLarge, zlib.error) as error:
            raise _translated(error) from error
        duration = time.monotonic() - started
        meta = ApiResponseMeta(
            node=self.config, duration=duration, http_version="1.1", status=status, headers=found
        )
        return Answer(meta, data)

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: HttpHeaders | None, seconds: float
    ) -> tuple[int, HttpHeaders, bytes]:
        sent = self._headers.copy()
        sent.update(headers or {})
        target = _as_sent(self._origin, target)
        if self.signer is not None:
            sent.setdefault("host", self._host_header)
            self.signer.sign(method, self._origin, target, sent, body or None)
        # It is spelt like the proxy manager's own `Accept: */*`, which would be sent beside ours.
        spelt = {name.title(): value for name, value in sent.items()}
        if self.options.proxy:
            return self._by_proxy(method, target, spelt, body, seconds)
        return self._directly(method, target, spelt, body or b"")

    def _directly(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, HttpHeaders, bytes]:
        try:
            with self._under_way:
                reply = self._kept.request(method, target, headers, body)
        except ssl.SSLError:  # some of them are ValueErrors too
            raise
        except ValueError as error:  # what answered doesn't speak HTTP, or its reply is too large
            raise NoConnection(str(error), errors=(error,)) from error
        found = HttpHeaders(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers.items()}
        )
        data, encoding = reply.body, found.get("content-encoding")
        if encoding is not None:
            data = read_bounded(io.BytesIO(data).read, self.options.max_reply_bytes, encoding)
        return reply.status, found, data

    def _by_proxy(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, HttpHeaders, bytes]:
        response = self._pool.urlopen(
            method,
            self._origin + target,
            body=body or None,
            headers=headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(total=seconds),
        )
        try:
            limit, encoding = self.options.max_reply_bytes, response.headers.get("content-encoding")
            data = read_bounded(lambda size: response.read(size, decode_content=False), limit, encoding)
        except BaseException:
            response.close()  # the rest of the reply is of no use, and neither is its connection
            response.release_conn()  # its place in the pool is: the pool makes whoever finds none wait
            raise
        response.release_conn()
        return response.status, HttpHeaders(response.headers), data

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear() if self.options.proxy else self._kept.close()


@functools.lru_cache(maxsize=64)  # the bulks' is always the same
def _as_sent(origin: str, target: str) -> str:
    """Gives path and query as urllib3 sends them: what may not stand there is encoded."""
    return str(parse_url(origin + target).request_uri)


def _translated(error: Exception) -> Exception:
    """Turns a failure into one of elastic_transport's errors."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (TimeoutError, ReadTimeoutError)):
            return ConnectionTimeout("timed out", errors=(error,))
        if isinstance(cause, (ssl.SSLError, WrappedTlsError)):
            return TlsError(str(error), errors=(error,))
        cause = cause.__cause__ or cause.__context__
    return NoConnection(str(error), errors=(error,))


def node_class(options: ElasticsearchOptions, signer: Signer | None = None) -> type[BaseNode]:
    """Makes the class of the nodes of one cluster: those of the options, and those that are found later."""
    trust = Trust(options)
    if options.ssl_verification_mode == "none":
        urllib3.disable_warnings(InsecureRequestWarning)
    connection = type("Connection", (_TlsConnection,), {"trust": trust})
    return type(
        "Node",
        (_PooledNode,),
        {
            "options": options,
            "signer": signer,
            "connections": {"http": TimedConnection, "https": connection},
            "proxy_context": trust.for_proxy() if (options.proxy or "").startswith("https:") else None,
        },
    )
