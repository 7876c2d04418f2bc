"""`_separated` reads a line of text whose fields stand one after another: one engine for AWS' text formats. Pure.

A `LineFormat` is a declaration: which fields, of which type, in which order, and how they are separated. `LineReader`
compiles it once. What the engine knows of the formats' habits:
- `-` alone (and nothing at all) means that there is no value: the field is left out;
- a field in double quotes may hold the separator, and, as user agents do, double quotes too;
- `[06/Feb/2026:00:00:38 +0000]` is one field, though it holds a space;
- fields missing at the end are left out; fields that a service has added at the end since are kept in `more`;
- a header names the fields: of AWS' own (`#Fields:`, the first line of a VPC flow log object) or given by the user.

The kernel (`_native_lines.c`) writes the usual line as JSON at once, without an object for a field; what it doesn't
know, the reader here decides. Both say the same.

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

import orjson

from penstock.transforms.kernels import native
from penstock.transforms.time import timestamps

__all__ = ["KINDS", "FieldError", "LineFormat", "LineReader", "name_of"]

_QUOTED = re.compile(r'"(.*?)"(?=[ \t]|$)|\[([^\]]*)\](?=[ \t]|$)|([^ \t]+)')
_NAME = re.compile(r"[^A-Za-z0-9]+")
_EDGE = (" ", "")
_ODD_VALUES = 2
"""So many values may be odd, whatever the others are; beyond it, a line whose values are mostly odd is of another format."""


class FieldError(ValueError):
    """The line isn't of its format at all; the text says why."""


@dataclasses.dataclass(frozen=True)
class LineFormat:
    """Declares the lines of one format.

    Attributes:
        name: the codec's name; the fields stand under `aws.NAME`, so that no name of theirs meets one of ECS.
        fields: (name as documented, kind) in order; kinds are those of `KINDS`.
        separator: `space`, `quoted` (spaces, and fields in quotes or brackets), or `tab`.
        clock: how the line tells its time (a key of `_CLOCKS`), and in which fields.
        header: how lines announce their fields: `directive` (`#Fields: a b c`), `first` (a first line of names), or none.
        required: how many fields a line has at least to be of this format.
        aliases: a user's or header's name -> the documented one.
        source: the page that documents the format.
    """

    name: str
    fields: tuple[tuple[str, str], ...]
    separator: str
    clock: tuple[str, ...]
    source: str
    header: str = ""
    required: int = 1

    def time(self, found: dict[str, Any]) -> str | None:
        """Gives `@timestamp` from the fields of a line; None where it has none. Raises `ValueError` for what is no time."""
        kind, *names = self.clock
        for name in names:
            if (text := found.get(f"{name}_text")) is not None:  # the line is of another format
                message = f"{name} {text[:40]!r} is no time"
                raise FieldError(message)
        texts = [found.get(name) for name in names]
        return None if None in texts else _CLOCKS[kind](*texts)


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


def _iso(text: str) -> str:
    if (
        text[19:20] == "." and text[-1] == "Z" and len(text) > 23
    ):  # the usual case: this second was read already
        return f"{_iso_second(text[:19])}{text[19:23]}Z"
    return timestamps.to_text(timestamps.parse(text))


@_remembered
def _iso_second(text: str) -> str:
    return timestamps.to_text(timestamps.parse(text))[:19]


@_remembered
def _epoch(seconds: float) -> str:
    return timestamps.to_text(timestamps.from_ms(seconds * 1000))


_CLOCKS: dict[str, Callable[..., str]] = {
    "iso": _iso,
    "epoch": _epoch,
    "date and time": lambda date, time: _iso(f"{date}T{time}Z"),
    "bracket": lambda read_already: read_already,
}

KINDS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": float,
    "ip": _ip,
    "endpoint": _endpoint,
    "request": _request,
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
        self._known = self._for_kernel(kinds) if _kernel is not None else None

    def _for_kernel(self, kinds: dict[str, str]) -> tuple[Any, ...] | None:
        """Gives the arguments behind the line of the kernel's `read_line`; None where the columns hold no time."""
        form = self.form
        if any(name not in self._names for name in form.clock[1:]):
            return None
        order = tuple(
            (orjson.dumps(name) + b":", _KIND_NUMBERS.index(kinds.get(name, "text"))) for name in self._names
        )
        head = b'{"@timestamp":"%b","aws":{"%b":{' % (b" " * 24, form.name.encode())
        first, *second = map(self._names.index, form.clock[1:])
        clock = (list(_CLOCKS).index(form.clock[0]), first, *(second or [-1]))
        return order, list(_SPLITS).index(form.separator), self._required, head, clock

    def document(self, line: bytes) -> tuple[bytes, str] | None:
        """Gives the JSON and the time of the usual line; None where `read` must decide."""
        return _kernel.read_line(line, *self._known) if _kernel is not None and self._known else None

    def read(self, line: str) -> dict[str, Any]:
        """Gives the fields of a line, typed, without those that have no value.

        Raises:
            FieldError: the line has fewer fields than the format requires, or most are not of their types.
        """
        values = self._split(line)
        if len(values) < self._required:
            message = f"{len(values)} fields, where {self.form.name} has at least {self._required}"
            raise FieldError(message)
        found: dict[str, Any] = {
            name: value for name, value in zip(self._names, values, strict=False) if value != "-" and value
        }
        right = wrong = 0
        for name, convert in self._typed:
            if name in found:
                try:
                    found[name] = convert(found[name])
                    right += 1
                except ValueError:
                    found[f"{name}_text"] = found.pop(name)
                    wrong += 1
        if wrong > max(_ODD_VALUES, right):
            message = (
                f"{wrong} of its {wrong + right} typed fields are not of the types that {self.form.name} has"
            )
            raise FieldError(message)
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
    "quoted": _split_quoted,
    "tab": _split_tabs,
}

# The kernel counts kinds, separators and clocks in these orders.
_KIND_NUMBERS = tuple(KINDS)
_kernel = native.load(
    "penstock.transforms.codecs.lines._native_lines",
    lambda kernel: kernel.read_line(b"", (), 0, 0, bytes(64), (0, 0, -1)),
)
