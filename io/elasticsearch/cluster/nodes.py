"""`nodes` turns options into what elastic_transport connects with: addresses, TLS, credentials, proxy. It opens nothing."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from elastic_transport import NodeConfig, Urllib3HttpNode
from elastic_transport.client_utils import parse_cloud_id

from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import OptionError

__all__ = ["headers", "node_class", "nodes"]


def headers(options: ElasticsearchOptions) -> dict[str, str]:
    """What every request carries, the client's own too: credentials, and the user's headers."""
    made = {"user-agent": "penstock"}
    if options.api_key:
        key = options.api_key
        made["authorization"] = f"ApiKey {base64.b64encode(key.encode()).decode() if ':' in key else key}"
    elif options.user:
        made["authorization"] = (
            "Basic " + base64.b64encode(f"{options.user}:{options.password}".encode()).decode()
        )
    return made | {name.lower(): value.strip() for name, value in options.custom_headers.items()}


def nodes(options: ElasticsearchOptions, connections: int) -> list[NodeConfig]:
    """Where to connect to, and how. Raises `OptionError` for a cloud id that isn't one."""
    urls = options.urls
    if options.cloud_id:
        try:
            address = parse_cloud_id(options.cloud_id).es_address
        except ValueError:
            address = None
        if address is None:
            message = "--cloud_id is not a cloud id: copy it whole from the deployment's page."
            raise OptionError(message)
        urls = [f"https://{address[0]}:{address[1]}"]
    configs = []
    for url in urls:
        parts = urlsplit(url)
        tls: dict[str, Any] = {}
        if parts.scheme == "https":
            tls = {
                "verify_certs": options.ssl_verification_mode != "none",
                "ssl_show_warn": False,
                "ca_certs": options.ssl_certificate_authorities,
                "client_cert": options.ssl_certificate,
                "client_key": options.ssl_key,
            }
            if options.ca_trusted_fingerprint:
                tls["ssl_assert_fingerprint"] = options.ca_trusted_fingerprint
            elif options.ssl_verification_mode == "certificate":
                tls["ssl_assert_hostname"] = False
        configs.append(
            NodeConfig(
                parts.scheme,
                parts.hostname or "",
                parts.port or 9200,
                parts.path,
                headers=headers(options),
                connections_per_node=connections,
                request_timeout=options.timeout,
                **tls,
            )
        )
    return configs


class _ThroughProxy:
    """In the place of a node's connection pool: the same requests by way of an HTTP proxy."""

    def __init__(self, manager: urllib3.ProxyManager, origin: str) -> None:
        self._manager = manager
        self._origin = origin

    def urlopen(self, method: str, target: str, headers: Mapping[str, str], **given: Any) -> Any:
        # Spelt like the manager's own `Accept: */*`, which would go out beside ours.
        spelt = {name.title(): value for name, value in headers.items()}
        return self._manager.urlopen(method, self._origin + target, redirect=False, headers=spelt, **given)

    def close(self) -> None:
        self._manager.clear()


def node_class(options: ElasticsearchOptions) -> type[Urllib3HttpNode]:
    """The class that makes connections: elastic_transport's own, or one that goes through `--proxy`."""
    if not options.proxy:
        return Urllib3HttpNode
    parts = urlsplit(options.proxy)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    credentials = None
    if parts.username:
        name_and_password = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = urllib3.make_headers(proxy_basic_auth=name_and_password)

    class ProxiedNode(Urllib3HttpNode):
        """A node behind a proxy, which the transport's own node knows nothing of."""

        def __init__(self, config: NodeConfig) -> None:
            super().__init__(config)
            pool = self.pool
            tls = {}
            if isinstance(pool, urllib3.HTTPSConnectionPool):
                names = (
                    "cert_reqs",
                    "ca_certs",
                    "cert_file",
                    "key_file",
                    "assert_hostname",
                    "assert_fingerprint",
                )
                tls = {name: getattr(pool, name) for name in names} | {
                    "ssl_context": pool.conn_kw.get("ssl_context")
                }
            manager = urllib3.ProxyManager(
                address,
                proxy_headers=credentials,
                timeout=urllib3.Timeout(total=config.request_timeout),
                maxsize=config.connections_per_node,
                block=True,
                **tls,
            )
            pool.close()
            through: Any = _ThroughProxy(manager, f"{config.scheme}://{config.host}:{config.port}")
            self.pool = through

    return ProxiedNode
