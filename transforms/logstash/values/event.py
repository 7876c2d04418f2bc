"""`LogEvent` is the event that filters work on: a decoded document, and whether it was changed or cancelled.

Filters reach its fields by references (`_references.py`), which note every change. A filter that works on
`event.document` itself must set `event.changed`.
"""

import datetime
from typing import Any

import msgspec

from penstock.transforms.logstash.values._references import MISSING, reference_of
from penstock.transforms.logstash.values._times import Timestamp

__all__ = ["MISSING", "LogEvent", "Timestamp", "deep_copy"]


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
    """Gives a copy of a JSON value that shares no object or array with it."""
    if type(value) is dict:
        return {key: deep_copy(inner) for key, inner in value.items()}
    if type(value) is list:
        return [deep_copy(inner) for inner in value]
    return value


def _checked(value: Any) -> Any:
    """Gives a copy of a value that JSON can hold; a `datetime` as the time it is."""
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
