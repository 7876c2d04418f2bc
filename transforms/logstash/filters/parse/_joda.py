"""`_joda` compiles a pattern in Joda's letters (`dd/MMM/yyyy:HH:mm:ss Z`) into a reader like joda-time's parser.

A number takes as many digits as its field may have, never fewer for the sake of what follows; only a year that stands
before another number stops at its letters. Names come in three spellings (as written, all small, all capital), short or
long. Fields are set from the largest to the smallest, so a day's name moves the date within its week.
"""

import calendar
import datetime
import functools
import re
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.transforms.logstash.filters.parse._date_names import DateNames

Fields = dict[str, Any]


class BadPattern(ValueError):
    """A pattern with a letter that has no meaning."""


class Format(NamedTuple):
    """A compiled pattern.

    Attributes:
        match: `fullmatch` of its regular expression.
        keys: the field of each group.
        readers: what makes a value of each group's text; None where the text is the number.
        has_year: whether the pattern holds `y` or `Y`.
    """

    match: Callable[[str], "re.Match[str] | None"]
    keys: tuple[str, ...]
    readers: tuple[Callable[[str], Any], ...]
    has_year: bool


_TOKEN = re.compile(r"([A-Za-z])\1*|((?:'(?:[^']|'')*(?:'|\Z)|[^A-Za-z'])+)")
_WIDTHS = {"d": 2, "h": 2, "H": 2, "k": 2, "K": 2, "m": 2, "s": 2, "w": 2, "D": 3, "e": 1, "M": 2}
_NUMERIC = frozenset("cCxyYdhHmsSeDFwWkK")
OFFSET = (
    r"(?>[Zz]|[+-](?:[01]\d|2[0-3])(?:(?![:\d])"
    r"|:[0-5]\d(?:(?!:)|:[0-5]\d(?:[.,]\d{1,3})?)"
    r"|[0-5]\d(?:(?!\d)|[0-5]\d(?:[.,]?\d{1,3})?)))"
)
"""An offset: what follows in its form belongs to it, or it is none."""
_SHORT_ZONES = {
    "UT": "UTC", "UTC": "UTC", "GMT": "UTC", "EST": "America/New_York", "EDT": "America/New_York",
    "CST": "America/Chicago", "CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
}  # fmt: skip


def compile_joda(pattern: str, names: DateNames) -> Format:
    """Compiles `pattern`.

    Raises:
        BadPattern: it holds a letter without meaning.
    """
    tokens = []
    place = 0
    while place < len(pattern):
        found = _TOKEN.match(pattern, place)
        if found is None:
            message = f"{pattern!r}: a quote is not closed"
            raise BadPattern(message)
        tokens.append((found[1], found[0]))
        place = found.end()
    expression, keys, readers = "", [], []
    for index, (letter, text) in enumerate(tokens):
        if letter is None:
            expression += _literal(text)
            continue
        following = tokens[index + 1] if index + 1 < len(tokens) else (None, "")
        part, key, reader = _part(letter, len(text), _is_numeric(*following), names, pattern)
        expression += f"({part})"
        keys.append(key)
        readers.append(reader)
    letters = {letter for letter, _ in tokens}
    match = re.compile(expression).fullmatch
    return Format(match, tuple(keys), tuple(readers), not letters.isdisjoint("yY"))


def _is_numeric(letter: str | None, text: str) -> bool:
    return letter is not None and (letter in _NUMERIC or (letter == "M" and len(text) <= 2))


def _literal(text: str) -> str:
    plain = re.sub(r"'((?:[^']|'')*)(?:'|\Z)", lambda found: found[1].replace("''", "'") or "'", text)
    return f"(?i:{re.escape(plain)})" if plain.lower() != plain.upper() else re.escape(plain)


def _part(
    letter: str, count: int, before_number: bool, names: DateNames, pattern: str
) -> tuple[str, str, Callable[[str], Any]]:
    """Gives the expression, the field's key and the reader of one run of letters."""
    if letter in "yYx":
        key = {"y": "year", "Y": "year_of_era", "x": "week_year"}[letter]
        if count == 2:
            if before_number:
                return r"[0-9]{2}", key, _TwoDigits
            return r"[+-]?[0-9]++", key, lambda text: _TwoDigits(text) if len(text) == 2 else int(text)
        most = count if before_number else 9
        return f"[+-]?[0-9]{{1,{most}}}+", key, int
    if letter == "M" and count >= 3:
        return _names(names.months), "month", names.months.__getitem__
    if letter == "E":
        return _names(names.days), "day_of_week", names.days.__getitem__
    if letter == "a":
        return _names(names.halves), "half", names.halves.__getitem__
    if letter == "G":
        return _names(names.eras), "era", names.eras.__getitem__
    if letter == "S":
        return f"[0-9]{{1,{count}}}+", "fraction", lambda text: int(text[:3].ljust(3, "0"))
    if letter == "C":
        return f"[0-9]{{1,{count}}}+", "century", int
    if letter == "z":
        return _names(_SHORT_ZONES), "zone", lambda text: zone_of(_SHORT_ZONES[text])
    if letter == "Z":
        if count > 2:
            return _zone_ids(), "zone", zone_of
        return OFFSET, "offset", read_offset
    if letter in _WIDTHS:
        return f"[0-9]{{1,{max(_WIDTHS[letter], count)}}}+", _KEYS[letter], int
    message = f"{pattern!r}: the letter {letter} means nothing in a date"
    raise BadPattern(message)


_KEYS = {
    "M": "month", "d": "day", "h": "hour_of_half_1", "K": "hour_of_half", "H": "hour", "k": "hour_1", "m": "minute",
    "s": "second", "w": "week", "D": "day_of_year", "e": "day_of_week",
}  # fmt: skip


class _TwoDigits(int):
    """A year of two digits: the century is for the clock to say."""


def _names(names: Mapping[str, Any]) -> str:
    return "(?>" + "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) + ")"


def _zone_ids() -> str:
    """Gives the expression for ZZZ: joda-time takes a slash among the next letters to be one of the zone's own name."""
    ids = zone_ids()
    within = dict.fromkeys(name for name in ids if "/" in name)
    return f"(?:{_names(within)}|(?![^/]{{0,10}}/){_names(dict.fromkeys(ids - within.keys()))})"


def read_offset(text: str) -> int:
    """Gives the milliseconds that an offset (`Z`, `+02`, `+0200`, `+02:00:30.5`) is ahead of UTC."""
    if text in "Zz":
        return 0
    digits = text[1:].replace(":", "").replace(",", "").replace(".", "")
    away = int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60 + int(digits[4:6] or 0)
    away = away * 1000 + int(digits[6:9].ljust(3, "0") if len(digits) > 6 else 0)
    return -away if text[0] == "-" else away


def zone_of(name: str) -> datetime.tzinfo:
    """Gives the zone with that name, or that offset. Raises `ValueError` where there is none."""
    if name[:1] in ("+", "-"):
        if re.fullmatch(OFFSET, name) is None:
            message = f"{name!r} is no offset"
            raise ValueError(message)
        return datetime.timezone(datetime.timedelta(milliseconds=read_offset(name)))
    if name in ("UTC", "UT", "Z"):
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        message = f"the time zone {name!r} is not known"
        raise ValueError(message) from None


@functools.cache
def zone_ids() -> frozenset[str]:
    """Gives the names of zones that the letters ZZZ read; to list them takes a while, and few patterns need it."""
    return frozenset(zoneinfo.available_timezones()) | {"UTC"}


def local_time(fields: Fields, now_year: int, default_year: int | None) -> tuple[int, int, int]:
    """Gives the local date (its ordinal), seconds of the day and milliseconds that the fields say.

    Args:
        fields: by the keys above, in the order of the text.
        now_year: for years of two digits.
        default_year: where a month or a day, but no year is given; None: 2000.

    Raises:
        ValueError: a field is out of range, or the day does not exist.
    """
    second = _in_range(fields.get("second", 0), 0, 59)
    minute = _in_range(fields.get("minute", 0), 0, 59)
    time = (_hour(fields) * 60 + minute) * 60 + second
    return _date(fields, now_year, default_year), time, fields.get("fraction", 0)


_RANGES = {
    "month": (1, 12), "day": (1, 31), "day_of_year": (1, 366), "day_of_week": (1, 7), "week": (1, 53), "hour": (0, 23),
    "hour_1": (1, 24), "hour_of_half": (0, 11), "hour_of_half_1": (1, 12), "minute": (0, 59), "second": (0, 59),
}  # fmt: skip


def gathered(keys: tuple[str, ...], values: list[Any]) -> Fields:
    """Gives the fields by their keys. Of a field that is there twice the last counts, but each must be in its range."""
    fields = dict(zip(keys, values, strict=True))
    if len(fields) != len(keys):
        for key, value in zip(keys, values, strict=True):
            if key in _RANGES:
                _in_range(value, *_RANGES[key])
    return fields


def _in_range(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        message = f"{value} is not between {least} and {most}"
        raise ValueError(message)
    return value


def _hour(fields: Fields) -> int:
    """Gives the hour: the half day, then an hour of the day, then one of the half day, each over what was there."""
    hour = 12 * int(fields.get("half", 0))
    for key, value in fields.items():
        if key == "hour":
            hour = _in_range(value, 0, 23)
        elif key == "hour_1":
            hour = _in_range(value, 1, 24) % 24
    for key, value in fields.items():
        if key == "hour_of_half":
            hour = hour // 12 * 12 + _in_range(value, 0, 11)
        elif key == "hour_of_half_1":
            hour = hour // 12 * 12 + _in_range(value, 1, 12) % 12
    return hour


_EPOCH = datetime.date(1970, 1, 1).toordinal()


def _date(fields: Fields, now_year: int, default_year: int | None) -> int:
    """Gives the date's ordinal: every field is set from the largest to the smallest, with the smaller ones at their least.

    Then once more, each with the smaller ones as they are: that matters where a week crosses a year.
    """
    ordered = sorted((key for key in fields if key in _SETTERS), key=_ORDER.__getitem__)
    if not ordered:
        return _EPOCH
    values = dict(fields)
    if _ORDER[ordered[0]] >= _ORDER["month"]:
        ordered.insert(0, "year")
        values["year"] = 2000 if default_year is None else default_year
    for key in ("year", "year_of_era", "week_year"):
        if isinstance(values.get(key), _TwoDigits):
            values[key] = _century(values[key], now_year)
    if "year_of_era" in values:
        _in_range(values["year_of_era"], 1, 9999)
        if fields.get("era") == 0:
            values["year_of_era"] = 1 - values["year_of_era"]
    at = datetime.date(1970, 1, 1)
    for key in ordered:
        at = _FLOORS[key](_SETTERS[key](at, values[key]))
    for key in ordered:
        at = _SETTERS[key](at, values[key])
    if _TIMES.isdisjoint(fields):  # the smallest of all fields
        at = _FLOORS[ordered[-1]](at)
    return at.toordinal()


def _set_year(at: datetime.date, year: int) -> datetime.date:
    if at.month == 2 and at.day == 29 and not calendar.isleap(year):
        at = at.replace(day=28)
    return at.replace(year=year)


def _set_week_year(at: datetime.date, year: int) -> datetime.date:
    _, week, day = at.isocalendar()
    last = datetime.date(year, 12, 28).isocalendar().week
    return datetime.date.fromisocalendar(year, min(week, last), day)


def _set_month(at: datetime.date, month: int) -> datetime.date:
    _in_range(month, 1, 12)
    return at.replace(month=month, day=min(at.day, calendar.monthrange(at.year, month)[1]))


def _set_day_of_year(at: datetime.date, day: int) -> datetime.date:
    _in_range(day, 1, 366 if calendar.isleap(at.year) else 365)
    return at.replace(month=1, day=1) + datetime.timedelta(days=day - 1)


def _set_day_of_week(at: datetime.date, day: int) -> datetime.date:
    return at + datetime.timedelta(days=_in_range(day, 1, 7) - at.isoweekday())


_SETTERS: dict[str, Callable[[datetime.date, int], datetime.date]] = {
    "century": lambda at, century: _set_year(at, century * 100 + at.year % 100),
    "year": _set_year,
    "year_of_era": _set_year,
    "week_year": _set_week_year,
    "month": _set_month,
    "week": lambda at, week: datetime.date.fromisocalendar(at.isocalendar().year, week, at.isoweekday()),
    "day_of_year": _set_day_of_year,
    "day": lambda at, day: at.replace(day=day),
    "day_of_week": _set_day_of_week,
}
_TIMES = frozenset(
    ("half", "hour", "hour_1", "hour_of_half", "hour_of_half_1", "minute", "second", "fraction")
)
_ORDER = {
    "century": 0, "year": 1, "year_of_era": 1, "week_year": 1, "month": 2, "week": 3, "day_of_year": 4, "day": 5,
    "day_of_week": 6,
}  # fmt: skip
_FLOORS: dict[str, Callable[[datetime.date], datetime.date]] = {
    "century": lambda at: datetime.date(at.year - at.year % 100, 1, 1),
    "year": lambda at: at.replace(month=1, day=1),
    "year_of_era": lambda at: at.replace(month=1, day=1),
    "week_year": lambda at: datetime.date.fromisocalendar(at.isocalendar().year, 1, 1),
    "month": lambda at: at.replace(day=1),
    "week": lambda at: at - datetime.timedelta(days=at.isoweekday() - 1),
    "day_of_year": lambda at: at,
    "day": lambda at: at,
    "day_of_week": lambda at: at,
}


def _century(year: int, now_year: int) -> int:
    """Gives the year of two digits within the hundred years from `now_year` - 80 on."""
    least = now_year - 80
    return least + (year - least) % 100
