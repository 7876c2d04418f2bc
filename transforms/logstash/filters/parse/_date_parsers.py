"""`_date_parsers` makes a function of each format of the filter `date`: it turns a value into a moment in UTC.

ISO8601 is joda-time's `dateTimeParser` with four forms that have a blank for the T. UNIX and UNIX_MS take numbers and
texts of numbers. TAI64N takes 24 hexadecimal digits. Anything else is a pattern in Joda's letters (`_joda.py`).

The usual patterns, and ISO 8601 as machines write it, have a short way through `datetime`'s own code.
"""

import calendar
import datetime
import re
from collections.abc import Callable
from typing import Any

from penstock.transforms.logstash.filters.parse._date_names import DateNames
from penstock.transforms.logstash.filters.parse._joda import (
    OFFSET,
    Format,
    compile_joda,
    gathered,
    local_time,
    read_offset,
)
from penstock.transforms.logstash.values.event import Timestamp

Now = Callable[[], Timestamp]
Parser = Callable[[Any, datetime.tzinfo], datetime.datetime]
"""Reads a value, into a moment in UTC without zone; the zone is for texts without one. Raises `ValueError`."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_MAX_UNIX = 2**31 - 1
_SAFE_SECONDS = 50 * 365 * 86400
_KEPT = 8192


class BrokenFormat(RuntimeError):
    """A value on which Logstash itself would stop: the event becomes a dead letter."""


def _refuse(value: Any) -> ValueError:
    return ValueError(f"no time of this format: {value!r:.100}")


def _moment(milliseconds: int) -> datetime.datetime:
    """Gives the moment that many milliseconds after 1970. Raises `OverflowError` where no year has it."""
    return _NAIVE_EPOCH + datetime.timedelta(milliseconds=milliseconds)


# --- zones --------------------------------------------------------------------------------------------------------

_offsets: dict[tuple[datetime.tzinfo, int], int | None] = {}


def to_utc(seconds: int, zone: datetime.tzinfo) -> int:
    """Gives the seconds since 1970 in UTC of a local time given as if it were UTC.

    The first of a doubled hour (summer time) is meant. Raises `ValueError` in a gap.
    """
    if zone is datetime.UTC:
        return seconds
    key = (zone, seconds // 900)
    if (offset := _offsets.get(key)) is not None:
        return seconds - offset
    offset = _offset(seconds, zone)
    if seconds > -_SAFE_SECONDS:  # since 1920 zones change at quarters of hours
        if len(_offsets) >= _KEPT:
            _offsets.clear()
        _offsets[key] = offset
    return seconds - offset


def _offset(seconds: int, zone: datetime.tzinfo) -> int:
    local = _EPOCH.replace(tzinfo=None) + datetime.timedelta(seconds=seconds)
    aware = local.replace(tzinfo=zone)
    back = aware.astimezone(datetime.UTC).astimezone(zone).replace(tzinfo=None)
    if back != local:
        message = f"{local} does not exist in {zone}"
        raise ValueError(message)
    away = aware.utcoffset()
    return int(away.total_seconds()) if away is not None else 0


# --- the formats ----------------------------------------------------------------------------------------------------


def parser_of(name: str, names: DateNames, now: Now, now_zone: datetime.tzinfo) -> Parser:
    """Gives the parser of one format.

    Raises:
        BadPattern: a letter of it has no meaning.
    """
    if name == "ISO8601":
        return parse_iso8601
    if name == "UNIX":
        return parse_unix
    if name == "UNIX_MS":
        return parse_unix_ms
    if name == "TAI64N":
        return parse_tai64n
    return joda_parser(name, names, now, now_zone)


_MACHINES = re.compile(
    r"\d{4}-\d\d-\d\dT[01]\d:\d\d:\d\d(?:\.\d{3}(?:\d{3})?)?(?:Z|[+-][01]\d:?[0-5]\d)", re.ASCII
)
_ISO = re.compile(
    rf"""(?:(?P<year>[+-]?\d{{1,9}})
      (?:-[Ww](?P<week>\d\d?)(?:-(?P<weekday>\d))?(?=[Tt]|\Z)
        |-(?P<month>\d\d?)(?:-(?P<day>\d\d?))?(?=[Tt]|\Z)
        |-(?P<yearday>\d{{1,3}}))?)?
    (?:[Tt](?:(?P<hour>\d\d?)
        (?:[.,](?P<hours>\d+)|:(?P<minute>\d\d?)(?:[.,](?P<minutes>\d+)|:(?P<second>\d\d?)(?:[.,](?P<seconds>\d+))?)?)?
      )?(?P<offset>{OFFSET})?)?""",
    re.VERBOSE | re.ASCII,
)
_CASUAL = re.compile(
    rf"([+-]?\d{{1,9}})-(\d\d?)-(\d\d?) (\d\d?):(\d\d?):(\d\d?)[.,](\d{{1,3}})({OFFSET})?", re.ASCII
)


def parse_iso8601(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
    """Reads ISO 8601."""
    if type(value) is not str:
        raise _refuse(value)
    if _MACHINES.fullmatch(value):
        moment = datetime.datetime.fromisoformat(value)
        away = moment.utcoffset()
        return moment.replace(tzinfo=None) - away if away else moment.replace(tzinfo=None)
    found = _ISO.fullmatch(value)
    if found is None or not value or (found["year"] is None and found["hour"] is None):
        return _parse_casual(value, zone)
    date = {
        key: int(text)
        for key, text in (
            ("month", found["month"]), ("day", found["day"]), ("day_of_year", found["yearday"]),
            ("week", found["week"]), ("day_of_week", found["weekday"]),
        )
        if text is not None
    }  # fmt: skip
    if found["year"] is not None:
        date["week_year" if found["week"] else "year"] = int(found["year"])
    for key in ("hour", "minute", "second"):
        if found[key] is not None:
            date[key] = int(found[key])
    day, time, _ = local_time(date, 2000, None)
    milliseconds = 0
    for group, unit in (("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1000)):
        if digits := found[group]:
            milliseconds = int(digits[:18]) * unit // 10 ** min(len(digits), 18)
    return _instant(day, time, milliseconds, found["offset"], zone)


def _parse_casual(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    found = _CASUAL.fullmatch(text)
    if found is None:
        raise _refuse(text)
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fields = {"year": year, "month": month, "day": day, "hour": hour, "minute": minute, "second": second}
    ordinal, time, _ = local_time(fields, 2000, None)
    return _instant(ordinal, time, int(found[7].ljust(3, "0")), found[8], zone)


def _instant(
    day: int, time: int, milliseconds: int, offset: str | None, zone: datetime.tzinfo
) -> datetime.datetime:
    seconds = (day - _EPOCH_DAY) * 86400 + time
    if offset is not None:
        return _moment(seconds * 1000 + milliseconds - read_offset(offset))
    return _moment(to_utc(seconds + milliseconds // 1000, zone) * 1000 + milliseconds % 1000)


_UNIX = re.compile(r"([+-]?\d+)(?:\.(\d+))?", re.ASCII)


def parse_unix(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
    """Reads seconds since 1970."""
    if type(value) is str and (found := _UNIX.fullmatch(value)):
        seconds = int(found[1][:30])
        milliseconds = seconds * 1000 + (int(found[2][:3].ljust(3, "0")) if found[2] else 0)
    elif type(value) is int:
        seconds, milliseconds = value, value * 1000
    elif type(value) is float and value == value and abs(value) != float("inf"):
        seconds, milliseconds = int(value), int(value * 1000)
        if value > _MAX_UNIX:
            raise _refuse(value)
    else:
        raise _refuse(value)
    if seconds > _MAX_UNIX:
        raise _refuse(value)
    return _moment(milliseconds)


_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def parse_unix_ms(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
    """Reads milliseconds since 1970."""
    if type(value) is str and _INTEGER.fullmatch(value):
        return _moment(int(value))
    if type(value) is int or (type(value) is float and value == value and abs(value) != float("inf")):
        return _moment(int(value))
    raise _refuse(value)


_TAI = re.compile(r"@?([0-9A-Fa-f]{16})([0-9A-Fa-f]{8})")


def parse_tai64n(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
    """Reads a TAI64N label. Raises `BrokenFormat` for a shorter text."""
    if type(value) is not str:
        raise _refuse(value)
    found = _TAI.match(value)
    if found is None:
        message = f"no TAI64N label: {value!r:.100}"
        raise BrokenFormat(message)
    return _moment((int(found[1], 16) - 2**62 - 10) * 1000 + int(found[2], 16) // 1_000_000)


# --- patterns -------------------------------------------------------------------------------------------------------


def joda_parser(pattern: str, names: DateNames, now: Now, now_zone: datetime.tzinfo) -> Parser:
    """Gives the parser of a pattern in Joda's letters. Raises `BadPattern`."""
    form = compile_joda(pattern, names)
    match, keys, readers = form.match, form.keys, form.readers
    clock = _Clock(now, now_zone)
    if _is_quick(form):
        return _quick_parser(form, clock)
    needs_clock = not form.has_year or "yy" in pattern.lower() or "xx" in pattern

    def parse(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
        if type(value) is not str or (found := match(value)) is None:
            raise _refuse(value)
        fields = gathered(keys, [read(text) for read, text in zip(readers, found.groups(), strict=True)])
        year, month = clock.read() if needs_clock else (2000, 1)
        day, time, milliseconds = local_time(fields, year, None if form.has_year else year)
        seconds = (day - _EPOCH_DAY) * 86400 + time
        if (offset := fields.get("offset")) is not None:
            instant = seconds * 1000 + milliseconds - offset
        else:
            instant = to_utc(seconds, fields.get("zone", zone)) * 1000 + milliseconds
        return _moment(instant if form.has_year else _in_its_year(instant, zone, year, month))

    return parse


_QUICK = frozenset(("year", "month", "day", "hour", "minute", "second", "fraction", "offset"))
_STARTS = {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}


def _is_quick(form: Format) -> bool:
    if not _QUICK.issuperset(form.keys) or len(set(form.keys)) < len(form.keys):
        return False
    if not form.has_year:
        return "offset" not in form.keys
    return "year" in form.keys and form.readers[form.keys.index("year")] is int


def _quick_parser(form: Format, clock: "_Clock") -> Parser:
    """Gives the parser of a pattern that only holds a year of four digits or none, month, day, time and offset."""
    match, readers = form.match, form.readers
    places = {key: at for at, key in enumerate(form.keys)}
    plan = [
        (places.get(key), readers[places[key]] if key in places else int, first)
        for key, first in _STARTS.items()
    ]
    year_at, fraction_at, offset_at = places.get("year"), places.get("fraction"), places.get("offset")
    fraction_of = readers[fraction_at] if fraction_at is not None else int
    offsets: dict[str, datetime.timedelta] = {}

    def parse(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
        if type(value) is not str or (found := match(value)) is None:
            raise _refuse(value)
        groups = found.groups()
        month, day, hour, minute, second = [
            first if at is None else read(groups[at]) for at, read, first in plan
        ]
        if year_at is not None:
            year = int(groups[year_at])
        else:
            year, month_now = clock.read()
            datetime.date(year, month, day)  # a February 29 is looked for in the year that the clock shows
            if month == 12 and month_now == 1:
                year -= 1
            elif month == 1 and month_now == 12:
                year += 1
        microseconds = 0 if fraction_at is None else fraction_of(groups[fraction_at]) * 1000
        moment = datetime.datetime(year, month, day, hour, minute, second, microseconds)  # noqa: DTZ001 - made UTC
        if offset_at is not None:
            text = groups[offset_at]
            away = offsets.get(text)
            if away is None:
                if len(offsets) >= _KEPT:
                    offsets.clear()
                away = offsets[text] = datetime.timedelta(milliseconds=read_offset(text))
            return moment - away
        if zone is datetime.UTC:
            return moment
        local = (moment.toordinal() - _EPOCH_DAY) * 86400 + (hour * 60 + minute) * 60 + second
        return moment - datetime.timedelta(seconds=local - to_utc(local, zone))

    return parse


def _in_its_year(instant: int, zone: datetime.tzinfo, year: int, month: int) -> int:
    """Gives the time, in the year that a text without one means: in January December is last year's, and the reverse."""
    seconds, milliseconds = divmod(instant, 1000)
    shown = (_EPOCH + datetime.timedelta(seconds=seconds)).astimezone(zone)
    if shown.month == 12 and month == 1:
        year -= 1
    elif shown.month == 1 and month == 12:
        year += 1
    if shown.year == year:
        return instant
    day = min(shown.day, calendar.monthrange(year, shown.month)[1])
    local = shown.replace(year=year, day=day, tzinfo=datetime.UTC)
    return to_utc(int((local - _EPOCH).total_seconds()), zone) * 1000 + milliseconds


class _Clock:
    """The year and the month that the clock shows, worked out once for a quarter of an hour."""

    def __init__(self, now: Now, zone: datetime.tzinfo) -> None:
        self._now = now
        self._zone = zone
        self._key = ""
        self._shown = (0, 0)

    def read(self) -> tuple[int, int]:
        """Gives the year and the month now."""
        now = self._now()
        key = now[:15]
        if key != self._key:
            moment = now.moment.astimezone(self._zone)
            self._key, self._shown = key, (moment.year, moment.month)
        return self._shown
