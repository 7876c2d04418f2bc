"""`nodes` turns options into the nodes that elastic_transport connects to: addresses and headers. It opens nothing."""

import base64
from urllib.parse import urlsplit

from elastic_transport import NodeConfig
from elastic_transport.client_utils import parse_cloud_id

from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import OptionError

__all__ = ["headers", "nodes"]


def headers(options: ElasticsearchOptions) -> dict[str, str]:
    """Gives the headers of every request, also of the client's own ones: credentials, and the user's headers."""
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
    """Gives the nodes to connect to. Raises `OptionError` for a wrong cloud id."""
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
        configs.append(
            NodeConfig(
                parts.scheme,
                parts.hostname or "",
                parts.port or 9200,
                parts.path,
                headers=headers(options),
                connections_per_node=connections,
                request_timeout=options.timeout,
            )
        )
    return configs
