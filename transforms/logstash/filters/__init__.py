"""`filters` holds the filters: a table names each one's file, so that only those in use are loaded."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.transforms.logstash.base import Filter

__all__ = ["FILTERS", "filter_class"]

FILTERS = {
    "geoip": "enrich.geoip:Geoip",
    "translate": "enrich.translate:Translate",
    "useragent": "enrich.useragent:Useragent",
    "csv": "parse.csv:Csv",
    "json": "parse.json:Json",
    "cidr": "enrich.cidr:Cidr",
    "fingerprint": "enrich.fingerprint:Fingerprint",
    "syslog_pri": "enrich.syslog_pri:SyslogPri",
    "urldecode": "enrich.urldecode:Urldecode",
    "date": "parse.date:Date",
    "dissect": "parse.dissect:Dissect",
    "grok": "parse.grok:Grok",
    "kv": "parse.kv:Kv",
    "drop": "structure.drop:Drop",
    "bytes": "structure.bytes:Bytes",
    "clone": "structure.clone:Clone",
    "de_dot": "structure.de_dot:DeDot",
    "mutate": "mutate.mutate:Mutate",
    "prune": "structure.prune:Prune",
    "python": "structure.python:Python",
    "split": "structure.split:Split",
    "throttle": "structure.throttle:Throttle",
    "truncate": "structure.truncate:Truncate",
    "uuid": "structure.uuid:Uuid",
}


def filter_class(name: str) -> "type[Filter] | None":
    """Gives the class of the filter called `name`, or None where we have none."""
    place = FILTERS.get(name)
    if place is None:
        return None
    module, _, kind = place.partition(":")
    found: Any = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    return found  # type: ignore[no-any-return]
