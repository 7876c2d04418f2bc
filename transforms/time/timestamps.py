"""`timestamps` holds event time as text: what `@timestamp` may look like, and dates made from it.

Elasticsearch's default date format is `strict_date_optional_time||epoch_millis`: ISO 8601 with a zone (UTC
where none is given), or milliseconds since 1970. Dates in index names are those of UTC, as Logstash's are.
"""

import datetime
import re
from collections.abc import Callable
from typing import Any

__all__ = ["compile_format", "from_ms", "of_value", "parse", "to_text"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FRACTION = re.compile(r"([.,]\d{6})\d+")


def parse(text: str) -> datetime.datetime:
    """Reads an ISO 8601 time, with any number of decimals, into UTC. Without a zone it counts as UTC.

    Raises:
        ValueError: the text is no such time.
    """
    if len(text) > 64:
        message = "a time of more than 64 characters"
        raise ValueError(message)
    found = datetime.datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    if found.tzinfo is None:
        return found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC)


def from_ms(milliseconds: float) -> datetime.datetime:
    """Turns milliseconds since 1970 into a time in UTC. Raises `ValueError` outside the years 1 to 9999."""
    try:
        return _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    except OverflowError:
        message = f"{milliseconds} milliseconds since 1970 is no date"
        raise ValueError(message) from None


def to_text(moment: datetime.datetime) -> str:
    """Writes a time as Beats do: `2026-11-22T13:28:38.181Z`, in UTC, milliseconds."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_PARTS: dict[str, Callable[[datetime.datetime, int], str]] = {
    "y": lambda t, n: f"{t.year % 100:02d}" if n == 2 else f"{t.year:0{n}d}",
    "x": lambda t, n: f"{t.isocalendar().year % 100:02d}" if n == 2 else f"{t.isocalendar().year:0{n}d}",
    "w": lambda t, n: f"{t.isocalendar().week:0{n}d}",
    "e": lambda t, n: f"{t.isoweekday():0{n}d}",
    "E": lambda t, n: f"{t:%A}" if n > 3 else f"{t:%a}",
    "M": lambda t, n: f"{t.month:0{n}d}" if n < 3 else (f"{t:%B}" if n > 3 else f"{t:%b}"),
    "d": lambda t, n: f"{t.day:0{n}d}",
    "D": lambda t, n: f"{t.timetuple().tm_yday:0{n}d}",
    "H": lambda t, n: f"{t.hour:0{n}d}",
    "m": lambda t, n: f"{t.minute:0{n}d}",
    "s": lambda t, n: f"{t.second:0{n}d}",
    "S": lambda t, n: f"{t.microsecond:06d}"[:n].ljust(n, "0"),
    "Z": lambda t, n: "+0000" if n == 1 else "+00:00",
}
_PARTS["Y"] = _PARTS["u"] = _PARTS["y"]
_TOKEN = re.compile(
    r"'(?P<quoted>(?:[^']|'')*)'|(?P<run>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<other>[^A-Za-z']+)"
)


def compile_format(pattern: str) -> Callable[[datetime.datetime], str]:
    """Compiles a date pattern in Joda's and Java's letters, as used in `%{+YYYY.MM.dd}`, into a function of a time.

    Letters: `Y y u` year, `x` week year, `w` ISO week, `e E` day of the week, `M` month, `d` day, `D` day of
    the year, `H m s S` time, `Z` zone; text in single quotes stands for itself; `%s` alone is seconds since 1970.

    Raises:
        ValueError: a letter that isn't known, or an unpaired quote.

    Source: https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html
    """
    if pattern == "%s":
        return lambda moment: str(int(moment.timestamp()))
    makers: list[Callable[[datetime.datetime], str]] = []
    end = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        if match["run"]:
            letter, count = match["letter"], len(match["run"])
            if letter not in _PARTS or count > 9:
                message = f"date pattern {pattern!r} has {match['run']!r}, which is not known"
                raise ValueError(message)
            makers.append(_part(letter, count))
        else:
            text = match["other"] if match["other"] else (match["quoted"].replace("''", "'") or "'")
            makers.append(_literal(text))
    if end != len(pattern) or not pattern:
        message = f"date pattern {pattern!r} cannot be read"
        raise ValueError(message)
    return lambda moment: "".join([make(moment) for make in makers])


def _part(letter: str, count: int) -> Callable[[datetime.datetime], str]:
    maker = _PARTS[letter]
    return lambda moment: maker(moment, count)


def _literal(text: str) -> Callable[[datetime.datetime], str]:
    return lambda moment: text


def of_value(value: Any) -> str | None:
    """Gives a document's `@timestamp` as text: ISO as it is, a number as milliseconds since 1970; else None."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return to_text(from_ms(value))
        except ValueError:
            return None
    return None
