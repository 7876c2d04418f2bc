"""`_date_formats` writes times in UTC by Joda's letters (`%{+YYYY.MM.dd}`) and by those of java.time (`%{{yyyy-MM-dd}}`).

Both are functions of a `Timestamp`, made once for each pattern. The two sets differ: Joda's `YYYY` is the year,
java.time's is the year of the week, with weeks as the United States count them.
"""

import datetime
import functools
import re
from collections.abc import Callable

from penstock.transforms.logstash.values._times import Timestamp

Render = Callable[[Timestamp], str]
_Part = Callable[[datetime.datetime, Timestamp], str]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TOKEN = re.compile(r"([A-Za-z])\1*|'(?:[^']|'')*'|[^A-Za-z']+")


class BadPattern(ValueError):
    """A pattern of a date that holds a letter without meaning, or a quote without its end."""


def _name(names: tuple[str, ...], full: bool) -> Callable[[int], str]:
    return lambda index: names[index] if full else names[index][:3]


def _number(value: Callable[[datetime.datetime], int], width: int) -> _Part:
    return lambda moment, time: f"{value(moment):0{width}d}"


def _year(value: Callable[[datetime.datetime], int], width: int) -> _Part:
    if width == 2:
        return lambda moment, time: f"{value(moment) % 100:02d}"
    return _number(value, width)


def _fraction(width: int, digits: int) -> _Part:
    return lambda moment, time: f"{time.nanoseconds:09d}"[:digits].ljust(width, "0")[:width]


def _text(text: str) -> _Part:
    return lambda moment, time: text


def _joda_part(letter: str, count: int) -> _Part:
    numbers: dict[str, Callable[[datetime.datetime], int]] = {
        "C": lambda t: t.year // 100,
        "w": lambda t: t.isocalendar().week,
        "e": lambda t: t.isoweekday(),
        "D": lambda t: t.timetuple().tm_yday,
        **_CLOCK,
    }
    if letter in numbers:
        return _number(numbers[letter], count)
    if letter in "yY":
        return _year(lambda t: t.year, count)
    if letter == "x":
        return _year(lambda t: t.isocalendar().year, count)
    if letter == "M":
        month = _name(MONTHS, count > 3)
        return (lambda t, _: month(t.month - 1)) if count > 2 else _number(lambda t: t.month, count)
    if letter == "E":
        day = _name(DAYS, count > 3)
        return lambda t, _: day(t.weekday())
    if letter == "S":
        return _fraction(count, 3)
    fixed = {"G": "AD", "z": "Coordinated Universal Time" if count > 3 else "UTC"}
    if letter == "Z":
        return _text("+0000" if count == 1 else ("+00:00" if count == 2 else "UTC"))
    if letter == "a":
        return lambda t, _: "AM" if t.hour < 12 else "PM"
    if letter in fixed:
        return _text(fixed[letter])
    message = f"the letter {letter} has no meaning in a date's pattern"
    raise BadPattern(message)


_CLOCK: dict[str, Callable[[datetime.datetime], int]] = {
    "d": lambda t: t.day,
    "H": lambda t: t.hour,
    "k": lambda t: t.hour or 24,
    "K": lambda t: t.hour % 12,
    "h": lambda t: t.hour % 12 or 12,
    "m": lambda t: t.minute,
    "s": lambda t: t.second,
}


def _us_week(moment: datetime.datetime) -> tuple[int, int]:
    """Year and number of the week that begins on a Sunday; the first holds January 1."""
    day = moment.date()
    sunday = day - datetime.timedelta(days=day.isoweekday() % 7)
    year = (sunday + datetime.timedelta(days=6)).year
    first = datetime.date(year, 1, 1)
    start = first - datetime.timedelta(days=first.isoweekday() % 7)
    return year, (sunday - start).days // 7 + 1


_JAVA_COUNTS = {
    letter: counts
    for letters, counts in (
        ("WF", (1,)), ("dhHkKmsw", (1, 2)), ("D", (1, 2, 3)), ("V", (2,)), ("z", (1, 2, 3, 4)), ("vO", (1, 4)),
        ("c", (1, 3, 4, 5)), ("MLEeQqGXxZ", (1, 2, 3, 4, 5)),
    )
    for letter in letters
}  # fmt: skip
"""How often java.time takes a letter, where not at will."""


def _java_part(letter: str, count: int) -> _Part:
    if count not in _JAVA_COUNTS.get(letter, (count,)):
        message = f"{letter * count} has too many letters, or too few"
        raise BadPattern(message)
    numbers: dict[str, Callable[[datetime.datetime], int]] = {
        "D": lambda t: t.timetuple().tm_yday,
        "w": lambda t: _us_week(t)[1],
        "W": lambda t: (t.day - 1 + t.replace(day=1).isoweekday() % 7) // 7 + 1,
        "F": lambda t: (t.day - 1) % 7 + 1,
        "A": lambda t: (t.hour * 3600 + t.minute * 60 + t.second) * 1000 + t.microsecond // 1000,
        **_CLOCK,
    }
    if letter in numbers:
        return _number(numbers[letter], count)
    if letter in "uyY":
        year: Callable[[datetime.datetime], int] = (
            (lambda t: _us_week(t)[0]) if letter == "Y" else (lambda t: t.year)
        )
        return _year(year, count)
    if letter in "ML":
        return _java_name(MONTHS, count, lambda t: t.month - 1, lambda t: t.month)
    if letter in "Eec":
        return _java_name(
            DAYS,
            max(count, 3) if letter == "E" else count,
            lambda t: t.weekday(),
            lambda t: t.isoweekday() % 7 + 1,
        )
    if letter in "Qq":
        return _quarter(count)
    if letter == "S":
        return _fraction(count, 9)
    if letter in "nN":
        return (lambda t, time: f"{time.nanoseconds:0{count}d}") if letter == "n" else _nano_of_day(count)
    if letter == "a" and count == 1:
        return lambda t, _: "AM" if t.hour < 12 else "PM"
    if letter == "G":
        return _text("Anno Domini" if count == 4 else ("A" if count == 5 else "AD"))
    if letter in "VzvOXxZ":
        return _text(_utc(letter, count))
    message = f"the letter {letter} has no meaning in a date's pattern"
    raise BadPattern(message)


def _java_name(
    names: tuple[str, ...],
    count: int,
    index: Callable[[datetime.datetime], int],
    number: Callable[[datetime.datetime], int],
) -> _Part:
    if count < 3:
        return _number(number, count)
    if count == 5:
        return lambda t, _: names[index(t)][0]
    name = _name(names, count == 4)
    return lambda t, _: name(index(t))


def _quarter(count: int) -> _Part:
    if count == 5:
        return lambda t, _: f"{(t.month + 2) // 3}"
    if count < 3:
        return _number(lambda t: (t.month + 2) // 3, count)
    if count == 3:
        return lambda t, _: f"Q{(t.month + 2) // 3}"
    names = ("1st", "2nd", "3rd", "4th")
    return lambda t, _: f"{names[(t.month - 1) // 3]} quarter"


def _nano_of_day(count: int) -> _Part:
    return lambda t, time: (
        f"{(t.hour * 3600 + t.minute * 60 + t.second) * 1_000_000_000 + time.nanoseconds:0{count}d}"
    )


def _utc(letter: str, count: int) -> str:
    if letter in "Vzv":
        return "Z"
    if letter == "O":
        return "GMT"
    if letter == "X":
        return "Z"
    if letter == "x":
        return {1: "+00", 2: "+0000", 3: "+00:00", 4: "+0000"}.get(count, "+00:00")
    return "+0000" if count < 4 else ("GMT" if count == 4 else "Z")


def _java_literal(text: str) -> str:
    """What stands between letters: brackets around an optional part write nothing. Raises `BadPattern`."""
    if any(sign in text for sign in "#{}"):
        message = f"{text!r} must stand in quotes in a date's pattern"
        raise BadPattern(message)
    return text.replace("[", "").replace("]", "")


def _compiled(pattern: str, part: Callable[[str, int], _Part], literal: Callable[[str], str] = str) -> Render:
    parts: list[_Part] = []
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            message = f"{pattern!r} has a quote without its end"
            raise BadPattern(message)
        token = found[0]
        at = found.end()
        if token[0] == "'":
            parts.append(_text(token[1:-1].replace("''", "'") or "'"))
        elif found[1]:
            parts.append(part(token[0], len(token)))
        else:
            parts.append(_text(literal(token)))

    def render(time: Timestamp) -> str:
        moment = time.moment
        return "".join([each(moment, time) for each in parts])

    if re.search("[aAhHkKmsSnN]", pattern):
        return render
    remembered: dict[str, str] = {}

    def render_day(time: Timestamp) -> str:
        day = time[:10]
        found = remembered.get(day)
        if found is None:
            if len(remembered) > 1000:
                remembered.clear()
            found = remembered[day] = render(time)
        return found

    return render_day


@functools.lru_cache(1000)
def joda_format(pattern: str) -> Render:
    """Gives the function that writes a time by Joda's letters. Raises `BadPattern`."""
    if pattern.count("'") % 2:  # a quote without its end reaches to the pattern's
        pattern += "'"
    return _compiled(pattern, _joda_part)


@functools.lru_cache(1000)
def java_format(pattern: str) -> Render:
    """Gives the function that writes a time by java.time's letters. Raises `BadPattern`."""
    return _compiled(pattern, _java_part, _java_literal)
