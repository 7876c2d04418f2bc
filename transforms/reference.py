"""`reference` compiles `%{field}`, `%{[a][b]}` and `%{+YYYY.MM.dd}` into a function of an event, with Logstash's meaning.

- A reference without fields needs no document, so an index name by date costs no parse.
- A date is that of the event's `@timestamp` in UTC. Where that is missing, or can't be read, it is that of the
  origin's arrival, so that the same event always gets the same date.
- The date of a time `2026-11-22T...Z` is its first ten characters, without a look at the rest. Beats write this
  form, and the result can be remembered for a day's events.
- A missing field raises `MissingField`. Logstash would leave `%{field}` in the text, but nobody wants an index
  called `logs-%{service}`. The event goes to the dead letters.
"""

import datetime
import re
from collections.abc import Callable

from penstock.transforms.batch import Document, Event
from penstock.transforms.document import document_of, json_of
from penstock.transforms.fields import MISSING, get, parse_path
from penstock.transforms.time import timestamps

__all__ = ["MissingField", "Reference", "compile_reference"]

_REFERENCE = re.compile(r"%\{([^{}]*)\}")
_SMALLER_THAN_A_DAY = re.compile(r"[HmsSZ]")
_MAX_REMEMBERED = 1024


class MissingField(ValueError):
    """An event lacks a field that a reference names (or holds null, or an object, there)."""


class Reference:
    """A compiled reference: call it with an event to get its text.

    Attributes:
        text: the reference as the user wrote it.
        constant: the result, where it is the same for every event; else None.
        needs_document: whether a call reads the decoded event.
        by_day: whether the result is the same for all events of a day (in the form `2026-11-22T...Z`).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._segments = _segments(text)
        self.needs_document = any(isinstance(segment, _Field) for segment in self._segments)
        literal = all(isinstance(segment, str) for segment in self._segments)
        self.constant = "".join(map(str, self._segments)) if literal else None
        self.by_day = not self.needs_document and not _SMALLER_THAN_A_DAY.search(
            "".join(segment.pattern for segment in self._segments if isinstance(segment, _Date))
        )
        self._remembered: dict[str, str] = {}

    def __reduce__(self) -> tuple[type["Reference"], tuple[str]]:
        return Reference, (self.text,)

    def __repr__(self) -> str:
        return f"Reference({self.text!r})"

    def __call__(self, event: Event, document: Document | None = None) -> str:
        """Gives the text for `event`. `document` saves the parse where the caller has it.

        Raises:
            MissingField: a field isn't there.
            ValueError: the document is needed, and the event is no JSON object.
        """
        if self.constant is not None:
            return self.constant
        timestamp = event.timestamp
        if self.by_day and timestamp is not None and timestamp[10:11] == "T" and timestamp[-1] == "Z":
            return self._remembered.get(timestamp[:10]) or self._remember(event, timestamp[:10])
        if self.needs_document and document is None:
            document = document_of(event)
        return self._render(event, document)

    def remembers(self, timestamp: str) -> bool:
        """Whether the result for that `@timestamp` is known, because it is that of its day."""
        return timestamp[10:11] == "T" and timestamp[-1] == "Z" and timestamp[:10] in self._remembered

    def _remember(self, event: Event, day: str) -> str:
        found = self._render(event, None)
        try:
            timestamps.parse(day)
        except ValueError:
            return found  # its date is that of its arrival, which other such events don't share
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[day] = found
        return found

    def _render(self, event: Event, document: Document | None) -> str:
        moment: datetime.datetime | None = None
        parts = []
        for segment in self._segments:
            if isinstance(segment, str):
                parts.append(segment)
            elif isinstance(segment, _Field):
                parts.append(segment.of(document or {}))
            else:
                if moment is None:
                    moment = time_of(event)
                parts.append(segment.render(moment))
        return "".join(parts)


def compile_reference(text: str) -> Reference:
    """Compiles the reference `text`.

    Raises:
        ValueError: a field or date pattern in it cannot be read; the text says which.
    """
    return Reference(text)


def time_of(event: Event) -> datetime.datetime:
    """Gives the event's time in UTC: its `@timestamp`; where that is missing or unreadable, its arrival."""
    text = event.timestamp
    if text:
        try:
            if text[10:11] == "T" and text[-1] == "Z":
                day = timestamps.parse(text[:10])
                try:
                    return timestamps.parse(text)
                except ValueError:
                    return day
            return timestamps.parse(text)
        except ValueError:
            pass
    return timestamps.from_ms(event.origin.arrived_ms)


class _Field:
    def __init__(self, text: str) -> None:
        self._text = text
        self._path = parse_path(text)

    def of(self, document: Document) -> str:
        value = get(document, self._path)
        if value is MISSING or value is None or isinstance(value, dict) or value == "":
            message = f"%{{{self._text}}}: the event has no such field"
            raise MissingField(message)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return ",".join([item if isinstance(item, str) else json_of(item).decode() for item in value])
        return json_of(value).decode()


class _Date:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.render: Callable[[datetime.datetime], str] = timestamps.compile_format(pattern)


def _segments(text: str) -> list[str | _Field | _Date]:
    segments: list[str | _Field | _Date] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        if match.start() > end:
            segments.append(text[end : match.start()])
        inside = match[1]
        try:
            segments.append(_Date(inside[1:]) if inside.startswith("+") else _Field(inside))
        except ValueError as error:
            message = f"{match[0]} in {text!r}: {error}"
            raise ValueError(message) from None
        end = match.end()
    if end < len(text):
        segments.append(text[end:])
    if any(isinstance(segment, str) and "%{" in segment for segment in segments):
        message = f"{text!r} has a %{{ without its }}"
        raise ValueError(message)
    return segments
