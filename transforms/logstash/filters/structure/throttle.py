"""The filter `throttle` counts events by key and time, and succeeds for those before or behind a count.

Its counters live in one process: with several workers each one counts what it sees.
"""

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.filters.patterns._expand import to_integer
from penstock.transforms.logstash.values.event import LogEvent, Timestamp

__all__ = ["Throttle"]


class _Counters:
    """The counts of one key, by the start of their slot."""

    __slots__ = ("first", "slots")

    def __init__(self, first: int) -> None:
        self.first = first
        self.slots: dict[int, int] = {}


class Throttle(Filter):
    """Succeeds for events before a count or behind one, by key and period: give it `add_tag`, and drop the tagged."""

    name = "throttle"
    options = (
        Option("key", "string", required=True, doc="what is counted apart, with references"),
        Option("before_count", "number", -1, doc="events with a lower count succeed; -1: none"),
        Option("after_count", "number", -1, doc="events with a higher count succeed; -1: none"),
        Option("period", "string", "60", doc="seconds of event time in a slot, with references"),
        Option("max_age", "number", 3600, doc="seconds after which a slot is forgotten"),
        Option("max_counters", "number", 100_000, doc="how many slots are kept, for all keys"),
    )

    def compile(self) -> Work:  # noqa: D102
        key_of, period_of = self.template(self["key"]), self.template(self["period"])
        before, after = self["before_count"], self["after_count"]
        max_age, max_counters = self["max_age"], self["max_counters"]
        now = self.context.now
        keys: dict[str, _Counters] = {}
        held = 0

        def work(event: LogEvent) -> bool:
            nonlocal held
            key = key_of.render(event)
            period = _seconds(period_of.render(event))
            time = event.document.get("@timestamp")
            second = (Timestamp(time) if isinstance(time, str) else now()).seconds
            counters = keys.get(key)
            if counters is None:
                counters = keys[key] = _Counters(second)
            slot = second - (second - counters.first) % period
            slots = counters.slots
            if slot not in slots:
                held += 1
            count = slots[slot] = slots.get(slot, 0) + 1
            if len(slots) > 1:
                oldest = max(slots) - max_age
                for each in [each for each in slots if each < oldest]:
                    del slots[each]
                    held -= 1
            while held > max_counters and len(keys) > 1:  # the keys that came first go first
                held -= len(keys.pop(next(iter(keys))).slots)
            return bool((before >= 0 and count < before) or (after != -1 and count > after))

        return work


def _seconds(text: str) -> int:
    """Gives a period's seconds: the number that a text begins with, or 60."""
    return to_integer(text) or 60
