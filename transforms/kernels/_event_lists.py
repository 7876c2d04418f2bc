"""`_event_lists` makes the events of many payloads, and finds those of a batch that have no id or no time.

Most steps touch a batch, not its events. What must touch each event costs 20 to 150 ns in a loop of Python's, and a fifth
of that in the kernel (`_native_event_lists.c`).
"""

from typing import Any

from penstock.transforms.batch import Event, Origin
from penstock.transforms.kernels import native

__all__ = ["events_of", "without_id", "without_time"]


def _probe(kernel: Any) -> None:
    made = kernel.make_events(Event(b"", None, 0, 1), [b"a"], 5)  # type: ignore[arg-type]
    if made != [Event(b"a", None, 5, 1)] or kernel.lacking(made, Event, "id") != made:  # type: ignore[arg-type]
        message = "it makes other events than msgspec"
        raise TypeError(message)


_kernel = native.load("penstock.transforms.kernels._native_event_lists", _probe)


def events_of(payloads: list[bytes], origin: Origin, first: int = 0) -> list[Event]:
    """Gives an event per payload; its index is the payload's place, counted from `first`."""
    if _kernel is None or len(payloads) < 2:
        return [Event(payload, origin, index) for index, payload in enumerate(payloads, first)]
    events: list[Event] = _kernel.make_events(Event(b"", origin, 0), payloads, first)
    return events


def without_id(events: list[Event]) -> list[Event]:
    """Gives the events that have no id, in order; the same list where none has one."""
    return _lacking(events, "id")


def without_time(events: list[Event]) -> list[Event]:
    """Gives the events that have no `timestamp`, in order; the same list where none has one."""
    return _lacking(events, "timestamp")


def _lacking(events: list[Event], field: str) -> list[Event]:
    if _kernel is None:
        found = [event for event in events if getattr(event, field) is None]
        return events if len(found) == len(events) else found
    lacking: list[Event] = _kernel.lacking(events, Event, field)
    return lacking
