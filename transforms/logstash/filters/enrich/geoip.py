"""The filter `geoip` adds the place or the network operator of an address, from a MaxMind database."""

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

import maxminddb

from penstock.transforms.logstash._errors import FieldError
from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.values._references import Path, parse_reference, reference_of
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent, deep_copy

__all__ = ["Geoip"]

Record = dict[str, Any]


def _value(*path: str) -> Callable[[Record], Any]:
    def find(record: Record) -> Any:
        value: Any = record
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return find


def _subdivision(key: str) -> Callable[[Record], Any]:
    def find(record: Record) -> Any:
        divisions = record.get("subdivisions") or []
        division = divisions[-1] if isinstance(divisions, list) and divisions else {}
        return (division.get("names") or {}).get("en") if key == "name" else division.get(key)

    return find


def _region_iso(record: Record) -> Any:
    country, region = _value("country", "iso_code")(record), _subdivision("iso_code")(record)
    return f"{country}-{region}" if country and region else None


def _location(record: Record) -> Any:
    latitude, longitude = _value("location", "latitude")(record), _value("location", "longitude")(record)
    return None if latitude is None or longitude is None else {"lat": latitude, "lon": longitude}


_FIELDS: dict[str, tuple[str, str | None, Callable[[Record], Any]]] = {
    "autonomous_system_number": ("asn", "[as][number]", _value("autonomous_system_number")),
    "autonomous_system_organization": (
        "as_org",
        "[as][organization][name]",
        _value("autonomous_system_organization"),
    ),
    "city_name": ("city_name", "[geo][city_name]", _value("city", "names", "en")),
    "country_name": ("country_name", "[geo][country_name]", _value("country", "names", "en")),
    "continent_code": ("continent_code", "[geo][continent_code]", _value("continent", "code")),
    "continent_name": ("continent_name", "[geo][continent_name]", _value("continent", "names", "en")),
    "country_code2": ("country_code2", "[geo][country_iso_code]", _value("country", "iso_code")),
    "country_code3": ("country_code3", None, _value("country", "iso_code")),
    "domain": ("domain", "[domain]", _value("domain")),
    "ip": ("ip", "[ip]", _value("ip")),
    "isp": ("isp", "[mmdb][isp]", _value("isp")),
    "postal_code": ("postal_code", "[geo][postal_code]", _value("postal", "code")),
    "dma_code": ("dma_code", "[mmdb][dma_code]", _value("location", "metro_code")),
    "region_name": ("region_name", "[geo][region_name]", _subdivision("name")),
    "region_code": ("region_code", None, _subdivision("iso_code")),
    "region_iso_code": ("region_iso_code", "[geo][region_iso_code]", _region_iso),
    "timezone": ("timezone", "[geo][timezone]", _value("location", "time_zone")),
    "location": ("location", "[geo][location]", _location),
    "latitude": ("latitude", None, _value("location", "latitude")),
    "longitude": ("longitude", None, _value("location", "longitude")),
    "organization": ("organization", "[mmdb][organization]", _value("organization")),
    "network": ("network", "[mmdb][network]", _value("network")),
    "anonymous": ("anonymous", "[mmdb][anonymous]", _value("is_anonymous")),
    "anonymous_vpn": ("anonymous_vpn", "[mmdb][anonymous_vpn]", _value("is_anonymous_vpn")),
    "hosting_provider": ("hosting_provider", "[mmdb][hosting_provider]", _value("is_hosting_provider")),
    "public_proxy": ("public_proxy", "[mmdb][public_proxy]", _value("is_public_proxy")),
    "residential_proxy": ("residential_proxy", "[mmdb][residential_proxy]", _value("is_residential_proxy")),
    "tor_exit_node": ("tor_exit_node", "[mmdb][tor_exit_node]", _value("is_tor_exit_node")),
}
"""Each field with its name without ECS, its name in ECS, and where a database has it."""

_CITY = (
    "ip", "city_name", "continent_code", "continent_name", "country_name", "country_code2", "country_code3",
    "postal_code", "dma_code", "region_name", "region_code", "region_iso_code", "timezone", "location", "latitude",
    "longitude",
)  # fmt: skip
_DEFAULTS = {
    "City": _CITY,
    "Country": ("ip", "country_code2", "country_name", "continent_name"),
    "ASN": ("ip", "autonomous_system_number", "autonomous_system_organization"),
    "ISP": ("ip", "autonomous_system_number", "autonomous_system_organization", "isp", "organization"),
    "Domain": ("domain",),
    "Anonymous-IP": (
        "hosting_provider", "tor_exit_node", "anonymous_vpn", "anonymous", "public_proxy", "residential_proxy",
    ),
}  # fmt: skip


class Geoip(Filter):
    """Adds the place, or the network operator, of an address, from your own database file."""

    name = "geoip"
    options = (
        Option(
            "source", "string", required=True, doc="the field with the address; of an array the first element"
        ),
        Option(
            "target",
            "field_reference",
            doc="the field to store under; by default geoip, or with ECS the source's",
        ),
        Option("database", "path", doc="a MaxMind database (.mmdb); none is shipped"),
        Option(
            "default_database_type", "choice", "City", choices=("City", "ASN"), doc="accepted, without effect"
        ),
        Option("fields", "array", doc="which fields to set; by default what the kind of database has"),
        Option("cache_size", "number", 1000, doc="how many addresses are remembered"),
        Option(
            "tag_on_failure",
            "array",
            ["_geoip_lookup_failure"],
            doc="tags of an event whose address isn't found",
        ),
        ECS,
    )

    def compile(self) -> Work:
        """Opens the database once."""
        ecs = self.ecs
        if self["database"] is None:
            message = (
                "the option database is missing: Logstash brings a file of MaxMind's, and here none is shipped; give "
                'database => "/path/GeoLite2-City.mmdb"'
            )
            raise self.refuse(message)
        try:
            reader = maxminddb.open_database(self["database"], maxminddb.MODE_AUTO)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            message = f"cannot read {self['database']}: {error}"
            raise self.refuse(message, "database") from None
        target = self._target(ecs=ecs)
        plan = self._plan(reader.metadata().database_type, ecs=ecs)
        needs_place = any(key in reader.metadata().database_type for key in ("City", "Enterprise"))
        find = _finder(reader, plan, max(1, int(self["cache_size"])), needs_place=needs_place)
        source = self.reference(self["source"])
        base = self.reference(target)
        prefix = target if target.startswith("[") else f"[{target}]"
        tags = [str(tag) for tag in self["tag_on_failure"]]

        def work(event: LogEvent) -> bool:
            value = source.get(event)
            if type(value) is list:
                value = value[0] if value else None
            try:
                found = None if value is MISSING or value is None else find(ruby_text(value).strip())
                if found:
                    for path, inner in found:
                        reference_of(prefix + path).set(event, deep_copy(inner))
                    return True
                if base.get(event) is MISSING:
                    base.set(event, {})
            except FieldError:
                pass
            for tag in tags:
                event.tag(tag)
            return False

        return work

    def _target(self, *, ecs: bool) -> str:
        if self["target"] is not None:
            return str(self["target"])
        if not ecs:
            return "geoip"
        path: Path = parse_reference(self["source"])
        if len(path) < 2 or path[-1] != "ip":
            message = "must be given, as source does not end in [ip]"
            raise self.refuse(message, "target")
        return "".join(f"[{key}]" for key in path[:-1])

    def _plan(self, kind: str, *, ecs: bool) -> list[tuple[str, Callable[[Record], Any]]]:
        """Says where each field goes, and where it comes from."""
        names = [str(name).lower() for name in self["fields"]]
        for name in names:
            if name not in _FIELDS:
                message = f"no field is called {name}; there are {', '.join(sorted(_FIELDS))}"
                raise self.refuse(message, "fields")
        if not names:
            names = list(next((fields for part, fields in _DEFAULTS.items() if part in kind), _CITY))
        plan = []
        for name in names:
            flat, nested, find = _FIELDS[name]
            if not ecs:
                plan.append((f"[{flat}]", find))
            elif nested is not None:
                plan.append((nested, find))
            elif name in ("latitude", "longitude") and "location" not in names:
                plan.append((f"[geo][location][{name[:3]}]", find))
        return plan


def _finder(
    reader: Any, plan: list[tuple[str, Callable[[Record], Any]]], kept: int, *, needs_place: bool
) -> Callable[[str], tuple[tuple[str, Any], ...]]:
    """Makes the function that finds the fields of an address, as pairs; none where the database does not know it."""

    @functools.lru_cache(maxsize=kept)
    def find(text: str) -> tuple[tuple[str, Any], ...]:
        try:
            address = ipaddress.ip_address(text)  # a name of a host is not looked up in the DNS
            record, bits = reader.get_with_prefix_len(address)
        except ValueError:
            return ()
        if not isinstance(record, dict) or (needs_place and _location(record) is None):
            return ()
        network = ipaddress.ip_network((address, bits), strict=False)
        record = {**record, "ip": str(address), "network": str(network)}
        found = ((path, value(record)) for path, value in plan)
        return tuple((path, value) for path, value in found if value is not None)

    return find
