"""`documents` begins and ends a document's way through filters: it reads tags and time, and makes texts of times."""

import datetime
from collections.abc import Callable
from typing import Any, Protocol

from penstock.transforms.batch import Origin
from penstock.transforms.kernels import native
from penstock.transforms.logstash.values._references import are_tags
from penstock.transforms.logstash.values._times import Timestamp, canonical
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["Clock", "event_of", "plain"]

_kernel = native.load(
    "penstock.transforms.logstash.fields._native_documents", lambda kernel: kernel.plain({}, Timestamp)
)
_is_usual: Callable[[dict[str, Any]], bool] | None = (
    _kernel.usual("tags", "@timestamp") if _kernel is not None else None
)


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
    if _is_usual is None or not _is_usual(document):
        _read_head(event, clock, origin)
    return event


def _read_head(event: LogEvent, clock: Clock, origin: Origin | None) -> None:
    document = event.document
    if "tags" in document and not are_tags(tags := document["tags"]):
        document["_tags"] = tags if type(tags) is list else [tags]
        document["tags"] = ["_tagsparsefailure"]
        event.changed = True
    time = document.get("@timestamp")
    if type(time) is str and _is_canonical(time):
        return
    if time is None:
        document["@timestamp"] = _arrival(clock, origin)
    elif type(time) is not Timestamp:
        found = canonical(time, clock.zone) if type(time) is str else None
        if found is None:
            _bad_time(event, time, clock, origin)
        else:
            document["@timestamp"] = str(found)


def _is_canonical(time: str) -> bool:
    """Whether it is a time in the form that Beats write; checked in C."""
    if len(time) != 24 or time[10] != "T" or time[19] != "." or time[23] != "Z":
        return False
    try:
        _from_iso(time)
    except ValueError:
        return False
    return True


_from_iso = datetime.datetime.fromisoformat


def _arrival(clock: Clock, origin: Origin | None) -> str:
    return str(clock.now() if origin is None else Timestamp.of_ms(origin.arrived_ms))


def _bad_time(event: LogEvent, time: Any, clock: Clock, origin: Origin | None) -> None:
    event.document["_@timestamp"] = time
    event.document["@timestamp"] = _arrival(clock, origin)
    event.tag("_timestampparsefailure")


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """Puts texts in the place of times, however deep they are. Returns the same document."""
    if _kernel is None:
        _make_plain(document)
    else:
        _kernel.plain(document, Timestamp)
    return document


def _make_plain(held: Any) -> None:
    for key, value in held.items() if type(held) is dict else enumerate(held):
        if type(value) is Timestamp:
            held[key] = str(value)
        elif type(value) is dict or type(value) is list:
            _make_plain(value)
