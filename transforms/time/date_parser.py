"""`date_parser` reads times in the letters of Logstash's date filter (Joda's): `dd/MMM/yyyy:HH:mm:ss Z`.

The filter `date` has a parser of its own (`logstash/filters/parse/_joda.py`). They differ on purpose: that one does what
Logstash does (milliseconds, and the year that its clock shows), this one keeps microseconds and takes the year next to
the event's arrival, so that a replay gives the same time.

Source: https://www.elastic.co/docs/reference/logstash/plugins/plugins-filters-date
"""

import datetime
import re
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.time import timestamps

__all__ = ["compile_parsers"]

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_TOKEN = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+)")
_GROUPS = {
    "y": ("year", r"\d{4}"), "Y": ("year", r"\d{4}"), "M": ("month", r"\d{1,2}"), "d": ("day", r"\d{1,2}"),
    "H": ("hour", r"\d{1,2}"), "h": ("hour", r"\d{1,2}"), "m": ("minute", r"\d{1,2}"), "s": ("second", r"\d{1,2}"),
    "S": ("fraction", r"\d{1,9}"), "a": ("half", r"[AaPp][Mm]"), "E": ("weekday", r"[A-Za-z]{3,9}"),
    "Z": ("zone", r"Z|[+-]\d\d:?\d\d"), "z": ("zone", r"Z|UTC|GMT|[+-]\d\d:?\d\d"),
}  # fmt: skip

Parser = Callable[[Any, int], datetime.datetime]


def compile_parsers(formats: Sequence[str], timezone: str) -> Parser:
    """Makes a function of a value and of the event's arrival (ms since 1970) that tries `formats` in order.

    Raises:
        ValueError: a format or the time zone is unknown. The function raises it for a value that fits no format.
    """
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        message = f"time zone {timezone!r} is not known"
        raise ValueError(message) from None
    parsers = [_parser(name, zone) for name in formats]
    if not parsers:
        message = "no date format"
        raise ValueError(message)

    def parse(value: Any, arrived_ms: int) -> datetime.datetime:
        for each in parsers:
            try:
                return each(value, arrived_ms)
            except (ValueError, TypeError, OverflowError):
                continue
        message = f"the time fits none of {', '.join(formats)}"
        raise ValueError(message)

    return parse


def _parser(name: str, zone: datetime.tzinfo) -> Parser:
    if name == "ISO8601":
        return lambda value, arrived_ms: _iso(value, zone)
    if name == "UNIX":
        return lambda value, arrived_ms: timestamps.from_ms(float(value) * 1000)
    if name == "UNIX_MS":
        return lambda value, arrived_ms: timestamps.from_ms(float(value))
    return _pattern(name, zone)


def _iso(value: Any, zone: datetime.tzinfo) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(datetime.UTC)


def _pattern(pattern: str, zone: datetime.tzinfo) -> Parser:
    expression, end = "", 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        quoted, run, letter, other = match.groups()
        if run:
            expression += _group(pattern, run, letter)
        else:
            text = other or (quoted.replace("''", "'") or "'")
            expression += re.sub(r"(?:\\ )+", r"\\s+", re.escape(text))  # `Nov  2` has two spaces in syslog
    if end != len(pattern) or not expression:
        message = f"date pattern {pattern!r} cannot be read"
        raise ValueError(message)
    compiled = re.compile(expression)

    def parse(value: Any, arrived_ms: int) -> datetime.datetime:
        match = compiled.fullmatch(value)
        if match is None:
            message = "the time doesn't fit the pattern"
            raise ValueError(message)
        return _moment(match.groupdict(), zone, arrived_ms)

    return parse


def _group(pattern: str, run: str, letter: str) -> str:
    if letter not in _GROUPS:
        message = f"date pattern {pattern!r} has {run!r}, which is not known"
        raise ValueError(message)
    name, expression = _GROUPS[letter]
    if letter == "M" and len(run) > 2:
        name, expression = "name", r"[A-Za-z]{3,9}"
    elif letter in "yY" and len(run) == 2:
        name, expression = "short", r"\d\d"
    return f"(?P<{name}>{expression})"


def _moment(found: dict[str, str | None], zone: datetime.tzinfo, arrived_ms: int) -> datetime.datetime:
    month = int(found.get("month") or 1)
    if found.get("name"):
        month = _MONTHS.get(str(found["name"])[:3].lower(), 0)
    hour = int(found.get("hour") or 0)
    if found.get("half"):
        hour = hour % 12 + (12 if str(found["half"]).lower() == "pm" else 0)
    if found.get("zone"):
        zone = _offset(str(found["zone"]))
    fraction = str(found.get("fraction") or "").ljust(6, "0")[:6]
    arrived = timestamps.from_ms(arrived_ms)
    if found.get("year"):
        years = [int(str(found["year"]))]
    elif found.get("short"):
        years = [2000 + int(str(found["short"]))]
    else:
        years = [arrived.year - 1, arrived.year, arrived.year + 1]
    rest = (int(found.get("minute") or 0), int(found.get("second") or 0), int(fraction))
    moments = []
    for year in years:
        try:
            moments.append(
                datetime.datetime(year, month, int(found.get("day") or 1), hour, *rest, tzinfo=zone)
            )
        except ValueError:
            if len(years) == 1:  # 29 February is a day of only one of three years
                raise
    return min(moments, key=lambda moment: abs(moment - arrived)).astimezone(datetime.UTC)


def _offset(text: str) -> datetime.tzinfo:
    if not text.startswith(("+", "-")):
        return datetime.UTC
    digits = text[1:].replace(":", "")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return datetime.timezone(-offset if text[0] == "-" else offset)
