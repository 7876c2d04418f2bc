"""`_separated` reads a line of text whose fields stand one after another: one engine for AWS' text formats. Pure.

A `LineFormat` is a declaration: which fields, of which type, in which order, and how they are separated. `LineReader`
compiles it once. What the engine knows of the formats' habits:
- `-` alone (and nothing at all) means that there is no value: the field is left out;
- a field in double quotes may hold the separator, and, as user agents do, double quotes too;
- `[06/Feb/2026:00:00:38 +0000]` is one field, though it holds a space;
- fields missing at the end are left out; fields that a service has added at the end since are kept in `more`;
- a header names the fields: of AWS' own (`#Fields:`, the first line of a VPC flow log object) or given by the user.

A field that isn't of its type is kept as the text that it is, under its name with `_text` behind it, so that one odd
value costs neither the line nor the index's mapping.
"""

import dataclasses
import datetime
import functools
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from penstock.transforms.time import timestamps

__all__ = ["KINDS", "FieldError", "LineFormat", "LineReader", "name_of"]

_QUOTED = re.compile(r'"(.*?)"(?=[ \t]|$)|\[([^\]]*)\](?=[ \t]|$)|([^ \t]+)')
_NAME = re.compile(r"[^A-Za-z0-9]+")
_EDGE = (" ", "")


class FieldError(ValueError):
    """A line that isn't of its format at all; the text says why."""


@dataclasses.dataclass(frozen=True)
class LineFormat:
    """What the lines of one kind hold.

    Attributes:
        name: the codec's name; the fields stand under `aws.NAME`, so that no name of theirs meets one of ECS.
        fields: (name as documented, kind) in order; kinds are those of `KINDS`.
        separator: `space`, `quoted` (spaces, and fields in quotes or brackets), or `tab`.
        time: from the fields read to `@timestamp`; None where the line has no time.
        header: how lines announce their fields: `directive` (`#Fields: a b c`), `first` (a first line of names), or none.
        required: how many fields a line has at least to be of this format.
        aliases: a user's or header's name -> the documented one.
        source: the page that documents the format.
    """

    name: str
    fields: tuple[tuple[str, str], ...]
    separator: str
    time: Callable[[dict[str, Any]], str | None]
    source: str
    header: str = ""
    required: int = 1


def name_of(documented: str) -> str:
    """Gives a field's name in an event: `cs(User-Agent)` becomes `cs_user_agent`, `client:port` `client_port`."""
    return _NAME.sub("_", documented).strip("_").lower()


# Addresses, seconds and status codes repeat: what was read once is remembered, a bounded number of them.
_remembered = functools.lru_cache(8192)


def _endpoint(text: str) -> Any:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(text)
    return {"ip": host.strip("[]"), "port": int(port)}


def _request(text: str) -> Any:
    method, _, rest = text.partition(" ")
    url, _, version = rest.rpartition(" ")
    if not url:
        raise ValueError(text)
    return {"method": method, "url": url, "version": version}


@_remembered
def _ip(text: str) -> str:
    ipaddress.ip_address(text)
    return text


@_remembered
def _bracket_time(text: str) -> str:
    return timestamps.to_text(datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z"))


KINDS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": float,
    "endpoint": _endpoint,
    "request": _request,
    "ip": _ip,
    "unquoted": unquote,
    "time": _bracket_time,
    "list": lambda text: text.split(","),
}
"""How a kind of field reads its text; each raises `ValueError` for text that isn't of the kind."""


def _split_spaces(line: str) -> list[str]:
    return line.split()


def _split_tabs(line: str) -> list[str]:
    return line.split("\t")


class LineReader:
    """Reads lines of one format.

    Args:
        form: the declaration.
        columns: the fields' names, where they differ from the declared order (a user's own format, a header).

    Raises:
        FieldError: a column given twice.
    """

    def __init__(self, form: LineFormat, columns: Sequence[str] = ()) -> None:
        self.form = form
        kinds = {name_of(name): kind for name, kind in form.fields}
        names = [name_of(name) for name in (columns or [name for name, _ in form.fields])]
        if len(set(names)) < len(names):
            message = f"a field is named twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}"
            raise FieldError(message)
        self._names = names
        self._typed = [(name, KINDS[kinds[name]]) for name in names if kinds.get(name, "text") != "text"]
        self._required = 1 if columns else form.required
        self._split = _SPLITS[form.separator]

    def read(self, line: str) -> dict[str, Any]:
        """Gives the fields of a line, typed, without those that have no value.

        Raises:
            FieldError: the line has fewer fields than the format requires, or its time is none.
        """
        values = self._split(line)
        if len(values) < self._required:
            message = f"{len(values)} fields, where {self.form.name} has at least {self._required}"
            raise FieldError(message)
        found: dict[str, Any] = {
            name: value for name, value in zip(self._names, values, strict=False) if value != "-" and value
        }
        for name, convert in self._typed:
            if name in found:
                try:
                    found[name] = convert(found[name])
                except ValueError:
                    found[f"{name}_text"] = found.pop(name)
        if len(values) > len(self._names):
            found["more"] = values[len(self._names) :]
        return found


def _split_quoted(line: str) -> list[str]:
    """Spaces outside of quotes and brackets. Quotes in pairs with spaces around them are the usual, and cost one split."""
    values: list[str] = []
    rest = line
    opened = line.find(" [")
    closed = line.find("]", opened)
    if 0 <= opened < line.find('"') and line[closed + 1 : closed + 2] == " ":
        values = [*line[:opened].split(), line[opened + 2 : closed]]
        rest = line[closed + 2 :]
    pieces = rest.split('"')
    last = len(pieces) - 1
    for number, piece in enumerate(pieces):
        if number & 1:
            values.append(piece)
        elif (not number or piece[:1] in _EDGE) and (number == last or piece[-1:] in _EDGE):
            values += piece.split()
        else:
            break  # a quote inside a quoted field
    else:
        if not last & 1:
            return values
    return [quoted or bracketed or bare for quoted, bracketed, bare in _QUOTED.findall(line)]


_SPLITS: dict[str, Callable[[str], list[str]]] = {
    "space": _split_spaces,
    "tab": _split_tabs,
    "quoted": _split_quoted,
}
