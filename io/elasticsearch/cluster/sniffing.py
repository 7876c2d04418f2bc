"""`Sniffer` finds the cluster's other nodes and adds them to the pool (`--sniffing`).

It asks one node per `--sniffing_delay`, before a request is sent. A node that does not answer, or answers nonsense,
costs only this one question: the request goes to the known nodes, and the next question comes after the
next delay. A found node has the TLS, credentials and path of the node that named it. Nodes whose only role is
`master` take no bulks, and are left out.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from elastic_transport import NodeConfig, Transport, TransportError

from penstock.io.options import is_host

__all__ = ["Sniffer"]

_LOGGER = logging.getLogger(__name__)
_TARGET = "/_nodes/_all/http"
_TIMEOUT_S = 5.0
_MAX_NODES = 1000


class Sniffer:
    """Looks for nodes now and then; safe from any thread.

    Args:
        transport: asks, and holds the pool of nodes.
        delay_s: seconds between two questions; each time with 20 % jitter.
        timeout_s: seconds until a question is given up; never more than 5.
        clock: gives seconds.
    """

    def __init__(
        self,
        transport: Transport,
        delay_s: float,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._delay_s = delay_s
        self._timeout_s = min(timeout_s, _TIMEOUT_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._due_at = clock()

    def look(self) -> None:
        """Asks for the nodes if that is due. Other threads do not wait meanwhile."""
        if self._clock() < self._due_at or not self._lock.acquire(blocking=False):
            return
        try:
            self._due_at = self._clock() + self._delay_s * random.uniform(0.8, 1.2)
            pool = self._transport.node_pool
            for config in self._ask():
                if len(pool) < _MAX_NODES:
                    pool.add(config)
        except TransportError as error:
            _LOGGER.debug("the cluster's nodes can't be asked for: %s", error)
        finally:
            self._lock.release()

    def _ask(self) -> Iterator[NodeConfig]:
        meta, body = self._transport.perform_request(
            "GET", _TARGET, headers={"accept": "application/json"}, request_timeout=self._timeout_s
        )
        if meta.status == 200:
            for host, port in found_nodes(body):
                yield meta.node.replace(host=host, port=port)


def found_nodes(body: bytes) -> list[tuple[str, int]]:
    """Gives host and port of each node that takes bulks, from a reply to `_nodes/_all/http`. Leaves out nonsense."""
    try:
        nodes = orjson.loads(body)["nodes"].values()
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []
    found = []
    for node in nodes:
        place = _place(node) if isinstance(node, dict) and node.get("roles") != ["master"] else None
        if place is not None:
            found.append(place)
    return found


def _place(node: dict[str, Any]) -> tuple[str, int] | None:
    """Reads the address that a node publishes: `10.0.0.2:9200`, `[::1]:9200`, or `name/10.0.0.2:9200`."""
    http = node.get("http")
    address = http.get("publish_address") if isinstance(http, dict) else None
    if not isinstance(address, str):
        return None
    name, slash, numbers = address.rpartition("/")
    host, _, port = (numbers if slash else address).rpartition(":")
    host = (name or host).strip("[]")
    if not port.isdecimal() or not 0 < int(port) < 65536 or not is_host(host):
        return None
    return host, int(port)
