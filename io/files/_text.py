"""`_text` writes an event as text, as the codecs of Logstash's outputs do: JSON, a line by a format, or for people. Pure.

- `json_lines` and `json` pass an event's own bytes where nothing changed it. `@metadata` is left out, as in Logstash.
- `dots` is a dot for each event.
- `rubydebug` is the picture of an event that Logstash prints, line for line.
"""

import time
from collections.abc import Callable
from typing import Any

import orjson

from penstock.transforms.batch import Document, Event
from penstock.transforms.document import document_of, payload_of
from penstock.transforms.logstash.values._sprintf import compile_template
from penstock.transforms.logstash.values.event import LogEvent, Timestamp
from penstock.transforms.time import timestamps

TextFunction = Callable[[Event], bytes]
"""Gives an event as text. Raises `ValueError` or `TypeError` for an event that can't be written."""

CODECS = ("json", "json_lines", "line", "plain", "rubydebug", "dots")
USUAL_FORMAT = "%{@timestamp} %{host} %{message}"
_METADATA = "@metadata"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}
_ESCAPES |= {chr(code): f"\\x{code:02X}" for code in range(32) if chr(code) not in _ESCAPES} | {
    "\x7f": "\\x7F"
}
_QUOTED = str.maketrans(_ESCAPES)


def text_function(
    codec: str, line_format: str | None = None, delimiter: str = "\n", metadata: bool = False
) -> TextFunction:
    """Makes the function that writes an event.

    Args:
        codec: one of `CODECS`.
        line_format: of `line` and `plain`: a text with `%{field}`; None: time, host and message.
        delimiter: what stands behind each event of `line`, `json_lines` and `rubydebug`.
        metadata: of `rubydebug`: whether `@metadata` is shown.
    """
    if codec not in CODECS:
        message = f"codec {codec!r} is none of {', '.join(CODECS)}"
        raise ValueError(message)
    end = b"" if codec in ("json", "plain") else delimiter.encode()
    if codec in ("json", "json_lines"):
        return lambda event: json_of(event) + end
    if codec == "dots":
        return lambda event: b"."
    if codec == "rubydebug":
        return lambda event: rubydebug(_document(event, metadata)).encode(errors="replace") + end
    template = compile_template(USUAL_FORMAT if line_format is None else line_format, _now)
    return lambda event: template.render(LogEvent(_document(event, True))).encode(errors="replace") + end


def json_of(event: Event) -> bytes:
    """Gives an event as one line of JSON without `@metadata`: its own bytes where nothing changed it."""
    if not event.changed and b'"@metadata"' not in event.data and event.data[:1] == b"{":
        return payload_of(event)
    return orjson.dumps(_document(event, False), option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def _document(event: Event, metadata: bool) -> Document:
    """Gives an event's document with a time, which is never the event's own dict."""
    document = dict(document_of(event))
    if "@timestamp" not in document:
        arrived = timestamps.to_text(timestamps.from_ms(event.origin.arrived_ms))
        document["@timestamp"] = event.timestamp or arrived
    if not metadata:
        document.pop(_METADATA, None)
    return document


def _now() -> str:
    return str(Timestamp.of_ms(time.time_ns() // 1_000_000))


def rubydebug(document: Document) -> str:
    """Gives the picture of a document, without a line end."""
    return _value(document, 0, "")


def _value(value: Any, indent: int, name: str) -> str:
    if isinstance(value, dict):
        return _hash(value, indent + 4)
    if isinstance(value, list):
        return _array(value, indent + 4)
    if isinstance(value, str):
        if type(value) is Timestamp or (name == "@timestamp" and indent == 4):
            return str(value)
        return f'"{value.translate(_QUOTED)}"'
    return "nil" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _hash(value: dict[Any, Any], indent: int) -> str:
    if not value:
        return "{}"
    names = [f'"{str(name).translate(_QUOTED)}"' for name in value]
    width = max(map(len, names)) + indent
    lines = [
        f"{name:>{width}} => {_value(inner, indent, str(key))}"
        for name, (key, inner) in zip(names, value.items(), strict=True)
    ]
    return "{\n" + ",\n".join(lines) + "\n" + " " * (indent - 4) + "}"


def _array(value: list[Any], indent: int) -> str:
    if not value:
        return "[]"
    width = len(str(len(value) - 1))
    lines = [f"{' ' * indent}[{n:>{width}}] {_value(inner, indent, '')}" for n, inner in enumerate(value)]
    return "[\n" + ",\n".join(lines) + "\n" + " " * (indent - 4) + "]"
