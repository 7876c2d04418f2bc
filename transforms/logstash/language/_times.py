"""`_times` holds Logstash's `Timestamp`: a text in ISO 8601, with nanoseconds, that is known to be a time.

It is a `str`, so JSON is written from it at once. Whoever asks for a text must ask `type(value) is str`: a time
is none to `gsub`, `=~` or `==`.
"""

import datetime
import re

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY_SECONDS = 86400
_DAYS_TO_EPOCH = datetime.date(1970, 1, 1).toordinal()
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


class Timestamp(str):
    """A point in time, as its canonical text (`2026-11-22T13:28:38.181Z`; 6 or 9 digits where needed)."""

    __slots__ = ()

    @classmethod
    def of(cls, seconds: int, nanoseconds: int = 0) -> "Timestamp":
        """The time `seconds` after 1970 in UTC, and nanoseconds (0 to 999,999,999)."""
        days, second = divmod(seconds, _DAY_SECONDS)
        day = datetime.date.fromordinal(days + _DAYS_TO_EPOCH)
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        return cls(
            f"{day.year:04}-{day.month:02}-{day.day:02}T{hour:02}:{minute:02}:{second:02}.{_fraction(nanoseconds)}Z"
        )

    @classmethod
    def of_ms(cls, milliseconds: int) -> "Timestamp":
        """The time that many milliseconds after 1970. Raises `ValueError` outside the years 1 to 9999."""
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
    """The time that a document's `@timestamp` names, or None where Logstash reads none in it.

    Args:
        text: ISO 8601 with `T`; an offset `Z`, `+0200` or `+02:00`; a date alone is midnight.
        zone: where a time without an offset was read.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        at = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone
        )
        if offset is not None and offset != "Z":
            digits = offset[1:].replace(":", "")
            away = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            at = at.replace(tzinfo=datetime.timezone(away if offset[0] == "+" else -away))
        elif offset == "Z":
            at = at.replace(tzinfo=datetime.UTC)
        seconds = int((at - _EPOCH).total_seconds())
        return Timestamp.of(seconds, int((fraction or "0").ljust(9, "0")))
    except (ValueError, OverflowError):
        return None
