"""The filter `date` reads a time out of a field and makes it the event's time."""

import datetime
from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.base import Filter, Option, Work
from penstock.transforms.logstash.filters.parse._date_names import ENGLISH, date_names
from penstock.transforms.logstash.filters.parse._date_parsers import Parser, parser_of
from penstock.transforms.logstash.filters.parse._joda import BadPattern, zone_of
from penstock.transforms.logstash.values.event import MISSING, LogEvent, Timestamp

__all__ = ["Date"]

_KEPT = 4096


class Date(Filter):
    """Reads a time out of a field, by the first of several formats that fits."""

    name = "date"
    may_cancel = False
    options = (
        Option(
            "match",
            "array",
            doc="the field, then one or more formats: ISO8601, UNIX, UNIX_MS, TAI64N, patterns",
        ),
        Option("target", "field_reference", "@timestamp", doc="the field that gets the time"),
        Option("timezone", "string", doc="the zone of times that name none; may hold %{field}"),
        Option("locale", "string", doc="the language of names of months and days"),
        Option(
            "tag_on_failure", "array", ["_dateparsefailure"], doc="tags of an event whose time fits no format"
        ),
    )

    def compile(self) -> Work:
        """Compiles every format once."""
        match = [str(each) for each in self["match"]]
        if len(match) < 2:
            message = "takes a field, then at least one format"
            raise self.refuse(message, "match")
        parsers = self._parsers(match[1:])
        field = self.reference(match[0])
        target = self.reference(self["target"] or "@timestamp")
        tags = [str(tag) for tag in self["tag_on_failure"]]
        zone_now = self._zone()
        read = _reader(parsers, by_clock=not all(name in _CLOCKLESS or "yyyy" in name for name in match[1:]))

        def work(event: LogEvent) -> bool:
            value = field.get(event)
            if value is MISSING or value is None:
                return False
            try:
                time = read(value, zone_now(event) if callable(zone_now) else zone_now)
            except (ValueError, OverflowError):
                for tag in tags:
                    event.tag(tag)
                return False
            target.set(event, time)
            return True

        return work

    def _parsers(self, formats: list[str]) -> list[Parser]:
        locale = str(self["locale"] or "en")
        names = date_names(locale)
        if names is None:
            self.context.warn(f"date: the names of the locale {locale} are not known; English ones are read")
            names = ENGLISH
        try:
            return [parser_of(each, names, self.context.now, self.context.zone) for each in formats]
        except BadPattern as error:
            raise self.refuse(str(error), "match") from None

    def _zone(self) -> datetime.tzinfo | Callable[[LogEvent], datetime.tzinfo]:
        """Gives the zone, or a function of an event that tells it."""
        name = self["timezone"]
        if name is None:
            return self.context.zone
        if "%{" not in str(name):
            try:
                return zone_of(str(name))
            except ValueError as error:
                raise self.refuse(str(error), "timezone") from None
        template = self.template(name)
        known: dict[str, datetime.tzinfo] = {}

        def zone(event: LogEvent) -> datetime.tzinfo:
            found = template.render(event)
            if found not in known:
                if len(known) >= _KEPT:
                    known.clear()
                known[found] = zone_of(found)
            return known[found]

        return zone


_CLOCKLESS = ("ISO8601", "UNIX", "UNIX_MS", "TAI64N")


def _reader(parsers: list[Parser], *, by_clock: bool) -> Callable[[Any, datetime.tzinfo], Timestamp]:
    """Gives the function that reads a value by the first parser that can.

    It remembers the last texts, as lines of logs share their seconds.
    """
    kept: dict[tuple[str, datetime.tzinfo], Timestamp] = {}

    def read(value: Any, zone: datetime.tzinfo) -> Timestamp:
        remembers = type(value) is str and not by_clock
        if remembers and (time := kept.get((value, zone))) is not None:
            return time
        for parse in parsers:
            try:
                time = Timestamp(parse(value, zone).isoformat(timespec="milliseconds") + "Z")
            except (ValueError, OverflowError):
                continue
            if remembers:
                if len(kept) >= _KEPT:
                    kept.clear()
                kept[value, zone] = time
            return time
        message = "no format fits"
        raise ValueError(message)

    return read
