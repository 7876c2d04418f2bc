"""The filter `cidr` tells whether an address lies in a network."""

import contextlib
import ipaddress
import os
import time
from collections.abc import Callable

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Cidr"]

Network = tuple[int, int, int]
"""The version, the first and the last address."""

_KEPT = 4096


class Cidr(Filter):
    """Succeeds, and so adds tags and fields, when an address lies in one of several networks."""

    name = "cidr"
    options = (
        Option("address", "array", doc="the addresses; may hold %{field}"),
        Option("address_field", "field_reference", doc="a field with an address, or an array of them"),
        Option("network", "array", doc="the networks; commas within tell several apart; may hold %{field}"),
        Option("network_path", "path", doc="a file of networks"),
        Option("refresh_interval", "number", 600, doc="after how many seconds the file is looked at again"),
        Option("separator", "string", "\n", doc="what stands between the networks of the file"),
    )

    def compile(self) -> Work:
        """Reads networks that no event changes once."""
        if self["network"] and self["network_path"]:
            message = "cannot be given beside network_path"
            raise self.refuse(message, "network")
        if self["address"] and self["address_field"]:
            message = "cannot be given beside address_field"
            raise self.refuse(message, "address")
        networks_of = self._networks()
        templates = [self.template(str(each)) for each in self["address"]]
        field = self.reference(self["address_field"]) if self["address_field"] else None
        known: dict[str, Network | None] = {}

        def range_of(text: str) -> Network | None:
            if text not in known:
                if len(known) >= _KEPT:
                    known.clear()
                known[text] = network_of(text)
            return known[text]

        def work(event: LogEvent) -> bool:
            if field is not None:
                value = field.get(event)
                values = (
                    value if type(value) is list else [] if value is MISSING or value is None else [value]
                )
                addresses = [range_of(ruby_text(each)) for each in values]
            else:
                addresses = [range_of(template.render(event)) for template in templates]
            networks = networks_of(event)
            return any(_within(address, networks) for address in addresses if address is not None)

        return work

    def _networks(self) -> Callable[[LogEvent], list[Network]]:
        if self["network_path"]:
            path = self["network_path"]
            file = _NetworkFile(path, str(self["separator"]), float(self["refresh_interval"]))
            try:
                file.read()
            except (OSError, UnicodeDecodeError) as error:
                message = f"cannot read {path}: {error}"
                raise self.refuse(message, "network_path") from None
            return file.networks
        texts = [str(each) for each in self["network"]]
        if not any("%{" in text for text in texts):
            fixed = _networks_in(texts)
            return lambda event: fixed
        templates = [self.template(text) for text in texts]
        return lambda event: _networks_in([template.render(event) for template in templates])


def _within(address: Network, networks: list[Network]) -> bool:
    version, first, last = address
    return any(kind == version and low <= first and last <= high for kind, low, high in networks)


def _networks_in(texts: list[str]) -> list[Network]:
    found = [network_of(part.strip()) for text in texts for part in text.split(",")]
    return [each for each in found if each is not None]


def network_of(text: str) -> Network | None:
    """Gives the network that a text names (an address is a network of one), or None where it names none."""
    address, slash, bits = text.partition("/")
    try:
        network = ipaddress.ip_network(f"{address.partition('%')[0]}{slash}{bits}", strict=False)
    except ValueError:
        return None
    return network.version, int(network.network_address), int(network.broadcast_address)


class _NetworkFile:
    """The networks of a file, read again when it has changed."""

    def __init__(self, path: str, separator: str, interval_s: float) -> None:
        self._path = path
        self._separator = separator
        self._interval_s = interval_s
        self._changed = 0.0
        self._looked = float("-inf")
        self._networks: list[Network] = []

    def networks(self, event: LogEvent) -> list[Network]:
        """Gives the networks, looked up again after the interval."""
        now = time.monotonic()
        if now - self._looked > self._interval_s:
            self._looked = now
            with contextlib.suppress(OSError, UnicodeDecodeError):  # the old ones stay
                self.read()
        return self._networks

    def read(self) -> None:
        """Reads the file, if it has changed. Raises `OSError` or `UnicodeDecodeError`."""
        changed = os.stat(self._path).st_mtime
        if changed != self._changed:
            with open(self._path, encoding="utf-8") as file:
                self._networks = _networks_in(file.read().split(self._separator))
            self._changed = changed
