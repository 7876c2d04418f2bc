"""`Stamper` gives each decoded event its `@timestamp`: from a field of its own, else the time when it arrived.

Problem. Logstash gives each event one, data streams refuse an event without it, and many AWS services write none. The
event must get the same time on each replay, and its bytes must stay as they came.

Plan. An event that has an `@timestamp` keeps it. Any other gets that of its origin: the arrival in Kinesis, the
modification of the object in S3, else the moment when it was read; a dead letter keeps it. The time is set beside the
bytes (`Event.stamped`), and is put in front of the other fields when the event is written: nothing is serialised again.
With `--timestamp_field` the time of that field takes the place of both.
"""

from typing import Any

import orjson

from penstock.transforms import fields
from penstock.transforms.batch import Document, Event
from penstock.transforms.kernels._event_lists import without_time
from penstock.transforms.time import timestamps
from penstock.transforms.time.date_parser import compile_parsers

__all__ = ["FAILURE_TAG", "Stamper"]

KEY = "@timestamp"
_KEY = b'"@timestamp"'
_ESCAPE = b"\\u"
FAILURE_TAG = "_dateparsefailure"
"""The tag of Logstash's date filter, for an event whose `--timestamp_field` can't be read."""


class Stamper:
    """Sets the time of events that have none. Call it with decoded events; it changes them.

    Args:
        field: `FIELD` or `FIELD:FORMAT`, the field whose time counts; formats as of Logstash's date filter:
            `ISO8601` (the default), `UNIX`, `UNIX_MS`, or a pattern such as `dd/MMM/yyyy:HH:mm:ss Z`.

    Raises:
        ValueError: there is no such format.
    """

    def __init__(self, field: str | None = None) -> None:
        self.field = field
        name, _, pattern = (field or "").partition(":")
        self._path = fields.parse_path(name) if field else None
        self._parse = compile_parsers([pattern or "ISO8601"], "UTC")
        self._last_ms, self._last_text = -1, ""

    def __reduce__(self) -> tuple[type["Stamper"], tuple[str | None]]:
        return Stamper, (self.field,)

    def __call__(self, events: list[Event]) -> None:
        """Sets the time of each event that needs one."""
        if self._path is not None:
            for event in events:
                self._by_field(event, self._path)
            return
        for event in without_time(events):
            self._by_arrival(event)

    def _by_arrival(self, event: Event) -> None:
        document = event.document
        if document is None and (_KEY in event.data or _ESCAPE in event.data):
            document = _parsed(event)
        if document is not None and document.get(KEY) is not None:
            return  # something that only Elasticsearch can judge
        text = self._arrival(event)
        if text is not None:
            _set(event, document, text)

    def _by_field(self, event: Event, path: fields.Path) -> None:
        document = event.document if event.document is not None else _parsed(event)
        if document is None:
            return
        value = fields.get(document, path, None)
        if value is None or value == "":
            if event.timestamp is None:
                self._by_arrival(event)
            return
        try:
            text = timestamps.to_text(self._parse(value, event.origin.arrived_ms))
        except (ValueError, OverflowError):
            tags = document.get("tags")
            others = tags if isinstance(tags, list) else [] if tags is None else [tags]
            event.document, event.changed = {**document, "tags": [*others, FAILURE_TAG]}, True
            if event.timestamp is None:
                self._by_arrival(event)
            return
        if text != event.timestamp:
            _set(event, document, text)

    def _arrival(self, event: Event) -> str | None:
        arrived_ms = event.origin.arrived_ms
        if arrived_ms != self._last_ms:
            try:
                self._last_text = timestamps.to_text(timestamps.from_ms(arrived_ms))
            except ValueError:
                return None
            self._last_ms = arrived_ms
        return self._last_text


def _parsed(event: Event) -> Document | None:
    try:
        document: Any = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _set(event: Event, document: Document | None, text: str) -> None:
    """Sets the time beside the bytes; where the document holds that key already, or is changed anyway, in the document."""
    event.timestamp = text
    if document is not None and (event.changed or KEY in document):
        event.document, event.changed = {**document, KEY: text}, True
        return
    event.stamped = True
    if event.document is not None:
        event.document[KEY] = text
