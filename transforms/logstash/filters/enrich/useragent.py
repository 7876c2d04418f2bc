"""The filter `useragent` tells browser, system and device from a User-Agent header."""

import functools
import re
from collections.abc import Callable
from typing import Any

import ua_parser
import ua_parser.loaders
import ua_parser.matchers
import ua_parser.regex

from penstock.transforms.logstash._errors import CannotSet
from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.values._references import parse_reference
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["Useragent"]

Tree = dict[str, Any]
"""Fields to set, as objects within objects."""

_Parse = Callable[[str], "ua_parser.Result"]


class Useragent(Filter):
    """Tells browser, system and device from a User-Agent header."""

    name = "useragent"
    may_cancel = False
    options = (
        Option(
            "source", "string", required=True, doc="the field with the header; of an array the first element"
        ),
        Option(
            "target",
            "field_reference",
            doc="the field to store under; by default user_agent (ECS) or the top",
        ),
        Option("prefix", "string", "", doc="what stands before each name (without ECS)"),
        Option(
            "regexes", "path", doc="a regexes.yaml of your own; by default the one of the package ua-parser"
        ),
        Option("lru_cache_size", "number", 100000, doc="how many headers are remembered"),
        ECS,
    )

    def compile(self) -> Work:
        """Loads the expressions once for all filters."""
        ecs = self.ecs
        if ecs and self["prefix"]:
            self.context.warn("useragent: prefix has no effect on the names of ECS")
        try:
            parse = _parser(self["regexes"])
        except Exception as error:
            message = f"cannot read {self['regexes']}: {error}"
            raise self.refuse(message, "regexes") from None
        source = self.reference(self["source"])
        target = self["target"] or ("user_agent" if ecs else None)
        path = parse_reference(target) if target else ()
        replaces = bool(target) and path == parse_reference(self["source"])
        prefix = ruby_text(self["prefix"])

        @functools.lru_cache(maxsize=max(1, int(self["lru_cache_size"])))
        def fields_of(header: str) -> Tree:
            result = parse(header)
            return (
                _within(path, _ecs(result)) | _metadata(result)
                if ecs
                else _within(path, _flat(result, prefix))
            )

        def work(event: LogEvent) -> bool:
            header = source.get(event)
            if type(header) is list:
                header = header[0] if header else None
            if header is MISSING or header is None or header == "":
                return False
            if replaces:
                source.remove(event)
            event.changed = True
            _merge(event.document, fields_of(header if type(header) is str else ruby_text(header)))
            return True

        return work


_MAC_VERSION = ua_parser.matchers.OSMatcher(r"(Mac OS X) Version (\d+)[_.](\d+)(?:[_.](\d+))?")
"""Outlook's `Mac OS X Version 10.14.4 (Build 18E226)`: Logstash reads the version, the package's rules the build."""


@functools.cache
def _parser(path: str | None) -> _Parse:
    """Makes the parser of a header, by the expressions of a file or of the package; loading takes half a second."""
    loaders = ua_parser.loaders
    matchers = loaders.load_builtins() if path is None else loaders.load_yaml(path)  # type: ignore[misc]
    if path is None:
        browsers, systems, devices = matchers
        matchers = browsers, [_MAC_VERSION, *systems], devices
    return ua_parser.Parser(ua_parser.regex.Resolver(matchers)).parse


def _merge(into: Tree, fields: Tree) -> None:
    """Sets the fields in an object. Raises `CannotSet` where a field that must hold others holds a text."""
    for key, value in fields.items():
        if type(value) is not dict:
            into[key] = value
            continue
        held = into.get(key, MISSING)
        if held is MISSING:
            held = into[key] = {}
        elif type(held) is not dict:
            message = f"{key} holds a value, so nothing can be set below it"
            raise CannotSet(message)
        _merge(held, value)


def _within(path: tuple[str, ...], fields: Tree) -> Tree:
    for key in reversed(path):
        fields = {key: fields}
    return fields


def _without_none(fields: Tree) -> Tree:
    return {key: value for key, value in fields.items() if value}


_FOURTH = re.compile(r"\.(\d+)(?=\s|\Z)", re.ASCII)


def _browser(result: "ua_parser.Result") -> Tree:
    """Name, version and its parts."""
    agent = result.user_agent
    if agent is None:
        return {"name": "Other"}
    parts = [agent.major or None, agent.minor or None, agent.patch or None, agent.patch_minor or None]
    if parts[2] and not parts[3]:
        # Logstash takes a fourth number from the text, where its expression has none.
        version = ".".join(filter(None, parts[:3]))
        at = result.string.find(version)
        if at >= 0 and (found := _FOURTH.match(result.string, at + len(version))):
            parts[3] = found[1]
    return _without_none(
        {
            "name": agent.family,
            "version": ".".join(filter(None, parts)),
            "major": parts[0],
            "minor": parts[1],
            "patch": parts[2],
        }
    )


def _system(result: "ua_parser.Result") -> Tree:
    system = result.os
    if system is None:
        return {"name": "Other", "full": "Other"}
    parts = list(filter(None, (system.major, system.minor, system.patch, system.patch_minor)))
    joint = "." if not parts or parts[0].isdigit() else " "
    version = joint.join(parts[:2]) + "".join(f".{part}" for part in parts[2:]) if parts else None
    full = f"{system.family} {version}" if version else system.family
    return _without_none(
        {
            "name": system.family, "version": version, "full": full, "major": system.major, "minor": system.minor,
            "patch": system.patch,
        }
    )  # fmt: skip


def _device(result: "ua_parser.Result") -> str:
    return str(result.device.family) if result.device is not None else "Other"


def _flat(result: "ua_parser.Result", prefix: str) -> Tree:
    system = _system(result)
    fields = _browser(result) | {"device": _device(result), "os": system["name"]}
    fields |= {f"os_{key}": value for key, value in system.items()}
    return {f"{prefix}{key}": value for key, value in fields.items()}


_PARTS = ("major", "minor", "patch")


def _ecs(result: "ua_parser.Result") -> Tree:
    browser, system = _browser(result), _system(result)
    fields: Tree = {key: value for key, value in browser.items() if key not in _PARTS}
    fields["device"] = {"name": _device(result)}
    fields["os"] = {key: value for key, value in system.items() if key not in _PARTS}
    return fields


def _metadata(result: "ua_parser.Result") -> Tree:
    """Gives the parts of versions, which ECS has no names for."""
    made: Tree = {}
    for name, fields in ((None, _browser(result)), ("os", _system(result))):
        parts = {key: fields[key] for key in _PARTS if key in fields}
        if parts:
            (made if name is None else made.setdefault(name, {}))["version"] = parts
    return {"@metadata": {"filter": {"user_agent": made}}} if made else {}
