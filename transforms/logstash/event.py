"""`LogEvent` is the event that filters work on: a decoded document, and whether it was changed or cancelled.

Filters reach its fields by references (`language/_references.py`), which note every change. A filter that works on
`event.document` itself must set `event.changed`.
"""

import datetime
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from penstock.transforms.batch import Origin
from penstock.transforms.logstash.language._references import MISSING, are_tags, reference_of
from penstock.transforms.logstash.language._times import Timestamp, canonical

__all__ = ["MISSING", "Clock", "LogEvent", "Timestamp", "deep_copy", "event_of"]


class LogEvent(msgspec.Struct, gc=False, eq=False):
    """One event on its way through a chain of filters.

    Attributes:
        document: its fields, `@metadata` among them when there is any.
        changed: whether the document was changed.
        cancelled: whether it was dropped; later filters don't see it.
        part: its part, where one event became several: `-0` for the first piece of a split, `-NAME` for a copy.
    """

    document: dict[str, Any]
    changed: bool = False
    cancelled: bool = False
    part: str = ""

    def get(self, reference: str) -> Any:
        """Gives a copy of a field's value; None where it is missing or null."""
        value = reference_of(reference).get(self)
        return None if value is MISSING else deep_copy(value)

    def set(self, reference: str, value: Any) -> None:
        """Sets a field.

        Args:
            reference: its name.
            value: what JSON can hold, or a `datetime` (without a zone: in UTC).

        Raises:
            FieldError: the name is wrong, or the field cannot take this value.
            TypeError: JSON cannot hold the value.
        """
        reference_of(reference).set(self, _checked(value))

    def remove(self, reference: str) -> Any:
        """Removes a field. Returns its value, or None."""
        value = reference_of(reference).remove(self)
        return None if value is MISSING else value

    def tag(self, tag: str) -> None:
        """Adds a tag, unless it is there. Filters add their failure tags so."""
        tags = self.document.get("tags")
        if tags is None:
            self.document["tags"] = [tag]
        elif type(tags) is list:
            if tag in tags:
                return
            tags.append(tag)
        elif tags == tag:
            return
        else:
            self.document["tags"] = [tags, tag]
        self.changed = True

    def add_tag(self, tag: str) -> None:
        """Adds a tag, even when it is there already, as the option `add_tag` does."""
        tags = self.document.get("tags")
        if type(tags) is list:
            tags.append(tag)
        else:
            self.document["tags"] = [tag] if tags is None else [tags, tag]
        self.changed = True

    def cancel(self) -> None:
        """Drops the event."""
        self.cancelled = True

    def clone(self, part: str) -> "LogEvent":
        """Gives a copy that shares nothing with this event. `part` tells it from its siblings."""
        return LogEvent(deep_copy(self.document), changed=True, part=f"{self.part}-{part}")


def deep_copy(value: Any) -> Any:
    """A copy of a JSON value that shares no object or array with it."""
    if type(value) is dict:
        return {key: deep_copy(inner) for key, inner in value.items()}
    if type(value) is list:
        return [deep_copy(inner) for inner in value]
    return value


def _checked(value: Any) -> Any:
    """A copy of a value that JSON can hold; a `datetime` as the time it is."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, datetime.datetime):
        moment = (
            value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
        )
        return Timestamp.of(int(moment.replace(microsecond=0).timestamp()), moment.microsecond * 1000)
    if isinstance(value, (list, tuple)):
        return [_checked(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _checked(each) for key, each in value.items()}
    message = f"a field cannot hold a {type(value).__name__}"
    raise TypeError(message)


class Clock(Protocol):
    """Gives the time of events that have none, and the zone of times that name none."""

    zone: datetime.tzinfo

    @property
    def now(self) -> Callable[[], Timestamp]:
        """The clock."""


def event_of(document: dict[str, Any], clock: Clock, origin: Origin | None = None) -> LogEvent:
    """Makes the event that Logstash makes of a decoded document. It may change the document.

    Args:
        document: as decoded from JSON.
        clock: the time now, and the zone where a time without an offset was read.
        origin: its arrival is the time of an event without a readable `@timestamp`; by default the clock's time is.
    """
    event = LogEvent(document)
    if "tags" in document and not are_tags(tags := document["tags"]):
        document["_tags"] = tags if type(tags) is list else [tags]
        document["tags"] = ["_tagsparsefailure"]
        event.changed = True
    time = document.get("@timestamp")
    if type(time) is str and len(time) == 24 and time[10] == "T" and time[19] == "." and time[23] == "Z":
        try:
            _from_iso(time)  # the form that Beats write, checked in C
        except ValueError:
            _bad_time(event, time, clock, origin)
    elif time is None:
        document["@timestamp"] = _arrival(clock, origin)
    elif type(time) is not Timestamp:
        found = canonical(time, clock.zone) if type(time) is str else None
        if found is None:
            _bad_time(event, time, clock, origin)
        else:
            document["@timestamp"] = str(found)
    return event


_from_iso = datetime.datetime.fromisoformat


def _arrival(clock: Clock, origin: Origin | None) -> str:
    return str(clock.now() if origin is None else Timestamp.of_ms(origin.arrived_ms))


def _bad_time(event: LogEvent, time: Any, clock: Clock, origin: Origin | None) -> None:
    event.document["_@timestamp"] = time
    event.document["@timestamp"] = _arrival(clock, origin)
    event.tag("_timestampparsefailure")
