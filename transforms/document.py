"""`document_of` reads an event's content, `payload_of` passes it on, `json_of` writes a part of it.

Documents are parsed late and dropped early: a job that only moves events never holds one. A step that changes a
document makes a new event by `with_document`. So an event that is handed out again after a failed bundle is
still as it came.
"""

from typing import Any

import orjson

from penstock.transforms.batch import Document, Event
from penstock.transforms.time import timestamps

__all__ = ["Unwritable", "document_of", "json_of", "payload_of", "with_document", "with_metadata"]


class Unwritable(ValueError):
    """A value can be read, and not be written as JSON: orjson reads 1,024 levels and writes 254."""


def json_of(value: Any) -> bytes:
    """Writes a part of a document as JSON.

    Raises:
        Unwritable: it nests too deep, or holds what JSON can't.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        message = f"it cannot be written as JSON again: {error}"
        raise Unwritable(message) from None


def document_of(event: Event) -> Document:
    """Gives the decoded event. Where no decoder kept it, it is parsed from its bytes, and not kept.

    Raises:
        ValueError: the bytes are no JSON object.
    """
    if event.document is not None:
        return event.document
    document = orjson.loads(event.data)
    if not isinstance(document, dict):
        message = "the event is no JSON object"
        raise ValueError(message)
    if event.stamped:
        document["@timestamp"] = event.timestamp
    return document


def payload_of(event: Event) -> bytes:
    """Gives one line of JSON, without its newline: the event's own bytes unless a transform changed it.

    A raw newline can only be between the tokens of valid JSON, where a space means the same.

    Raises:
        TypeError: a changed document holds a value that JSON can't (orjson.JSONEncodeError).
    """
    if event.changed:
        try:
            return orjson.dumps(event.document, option=orjson.OPT_UTC_Z)
        except orjson.JSONEncodeError:  # keys that are no texts; to allow them would cost 0.4 us per event
            return orjson.dumps(event.document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    data = event.data
    if event.stamped:
        start = data.index(b"{") + 1
        comma = b"" if data[start : start + 1] != b'"' and data[start:].lstrip()[:1] == b"}" else b","
        stamp = b'"@timestamp":"%b"%b' % ((event.timestamp or "").encode(), comma)
        data = b"".join((data[:start], stamp, data[start:]))
    return data.replace(b"\n", b" ") if b"\n" in data else data


def with_document(event: Event, document: Document) -> Event:
    """Gives the event with a changed document and that document's time. Bytes, origin, id and filters stay."""
    timestamp = timestamps.of_value(document.get("@timestamp"))
    return Event(
        event.data, event.origin, event.index, event.part, event.id, timestamp, document,
        changed=True, filters=event.filters,
    )  # fmt: skip


def with_metadata(event: Event, properties: Document) -> Event:
    """Gives the event with these properties in `[@metadata]`, beside what is there already. Nothing of it is stored."""
    document = document_of(event)
    metadata = document.get("@metadata")
    inner = {**metadata, **properties} if isinstance(metadata, dict) else properties
    return with_document(event, {**document, "@metadata": inner})
