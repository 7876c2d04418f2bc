"""`_times` holds Logstash's `Timestamp`: a text in ISO 8601, with nanoseconds, that is known to be a time.

It is a `str`, so JSON is written from it at once. Whoever asks for a text must ask `type(value) is str`: a time
is none to `gsub`, `=~` or `==`.
"""

import datetime
import functools
import re
import zoneinfo

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY_SECONDS = 86400
_DAYS_TO_EPOCH = datetime.date(1970, 1, 1).toordinal()
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{0,9}))?)?)?"
    r"(?:(?:UTC|GMT|UT)?([+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)|(?!Z$)([A-Z][A-Z0-9~/._+-]+)|Z)??"
    r"(Z|[+-][0-9]{2}(?:[0-9]{2}(?:[0-9]{2})?)?)?",
    re.IGNORECASE | re.ASCII,
)
_MOST_SECONDS_AWAY = 18 * 3600


class Timestamp(str):
    """A point in time, as its canonical text (`2026-11-22T13:28:38.181Z`; 6 or 9 digits where needed)."""

    __slots__ = ()

    @classmethod
    def of(cls, seconds: int, nanoseconds: int = 0) -> "Timestamp":
        """Gives the time `seconds` after 1970 in UTC, and nanoseconds (0 to 999,999,999)."""
        days, second = divmod(seconds, _DAY_SECONDS)
        day = datetime.date.fromordinal(days + _DAYS_TO_EPOCH)
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        return cls(
            f"{day.year:04}-{day.month:02}-{day.day:02}T{hour:02}:{minute:02}:{second:02}.{_fraction(nanoseconds)}Z"
        )

    @classmethod
    def of_ms(cls, milliseconds: int) -> "Timestamp":
        """Gives the time that many milliseconds after 1970. Raises `ValueError` outside the years 1 to 9999."""
        return cls.of(milliseconds // 1000, milliseconds % 1000 * 1_000_000)

    @property
    def moment(self) -> datetime.datetime:
        """The time in UTC, to microseconds."""
        return datetime.datetime.fromisoformat(self[:26] + "+00:00" if len(self) > 27 else self)

    @property
    def seconds(self) -> int:
        """Whole seconds since 1970."""
        return int((self.moment.replace(microsecond=0) - _EPOCH).total_seconds())

    @property
    def nanoseconds(self) -> int:
        """The nanoseconds behind the whole second."""
        return int(self[20:-1].ljust(9, "0"))


def _fraction(nanoseconds: int) -> str:
    if nanoseconds % 1_000_000 == 0:
        return f"{nanoseconds // 1_000_000:03}"
    return f"{nanoseconds // 1000:06}" if nanoseconds % 1000 == 0 else f"{nanoseconds:09}"


def canonical(text: str, zone: datetime.tzinfo = datetime.UTC) -> "Timestamp | None":
    """Gives the time that a document's `@timestamp` names, or None where Logstash reads none in it.

    Args:
        text: ISO 8601 with `T`, as Java reads it: an offset `Z`, `+02`, `+0200` or `+02:00`, or a zone's name; a date
            alone is midnight, 24:00 the next one, and February 30 the last of that month.
        zone: where a time without an offset was read.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset, name, last = found.groups()
    try:
        first = datetime.date(int(year), int(month), 1)
        longest = ((first + datetime.timedelta(31)).replace(day=1) - first).days
        clock = (
            datetime.time()
            if hour == "24"
            else datetime.time(int(hour or 0), int(minute or 0), int(second or 0))
        )
        if not 1 <= int(day) <= 31 or (hour == "24" and int(f"{minute}{second or 0}{fraction or 0}")):
            return None
        at = datetime.datetime.combine(first.replace(day=min(int(day), longest)), clock)
        at = at.replace(tzinfo=_zone_of(last or offset or name) or zone) + datetime.timedelta(hour == "24")
        return Timestamp.of(int((at - _EPOCH).total_seconds()), int((fraction or "0").ljust(9, "0")))
    except (ValueError, OverflowError, zoneinfo.ZoneInfoNotFoundError):
        return None


@functools.cache
def _zone_names() -> dict[str, str]:
    """Gives the zones that Java knows, by their names in small letters."""
    return {name.lower(): name for name in zoneinfo.available_timezones() - {"EST", "MST", "HST", "ROC"}}


def _zone_of(written: str | None) -> datetime.tzinfo | None:
    """Gives the zone of an offset or a name. Raises `ValueError`."""
    if written is None:
        return None
    if written.upper() in ("Z", "UT"):
        return datetime.UTC
    if written[0] not in "+-":
        return zoneinfo.ZoneInfo(_zone_names().get(written.lower(), ""))
    digits = written[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = (int(digits[at : at + 2]) for at in (0, 2, 4))
    away = hours * 3600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or away > _MOST_SECONDS_AWAY:
        message = f"{written} is no offset"
        raise ValueError(message)
    return datetime.timezone(datetime.timedelta(seconds=away if written[0] == "+" else -away))
