"""The filter `csv` reads the columns of a line."""

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

from penstock.transforms.logstash.base import UNUSED_ECS, Filter, Option, Work
from penstock.transforms.logstash.values._references import Reference, reference_of
from penstock.transforms.logstash.values._times import canonical
from penstock.transforms.logstash.values.event import MISSING, LogEvent, Timestamp

__all__ = ["Csv"]

_NEWLINE = re.compile(r"\r\n|\n|\r")


class BadLine(ValueError):
    """A line that Ruby's CSV calls malformed."""


class Csv(Filter):
    """Reads the columns of a line of values between commas or other separators."""

    name = "csv"
    options = (
        Option("source", "string", "message", doc="the field with the line"),
        Option("target", "field_reference", doc="the field to store the columns under"),
        Option("columns", "array", doc="names of the columns, or references"),
        Option("separator", "string", ",", doc="what stands between columns, taken literally"),
        Option("quote_char", "string", '"', doc="the character around columns that hold a separator"),
        Option(
            "autogenerate_column_names",
            "boolean",
            True,
            doc="whether further columns are called column4 and so on",
        ),
        Option("autodetect_column_names", "boolean", False, doc="whether the first line names the columns"),
        Option("skip_header", "boolean", False, doc="whether a line equal to the columns is dropped"),
        Option("skip_empty_columns", "boolean", False, doc="whether empty columns are left out"),
        Option("skip_empty_rows", "boolean", False, doc="whether an empty line gets a tag of its own"),
        Option("convert", "hash", doc="column => integer, float, date, date_time or boolean"),
        UNUSED_ECS,
    )

    def compile(self) -> Work:
        """Resolves names and conversions once."""
        read_line = self._line_reader()
        source = self.reference(self["source"])
        columns = [str(name) for name in self["columns"]]
        detect, skip_header = self["autodetect_column_names"], self["skip_header"]
        skip_columns, skip_rows = self["skip_empty_columns"], self["skip_empty_rows"]
        plan = _Plan(columns, self["target"], self._conversions(), self["autogenerate_column_names"])

        def work(event: LogEvent) -> bool:
            text = source.get(event)
            if text is MISSING or text is None or text is False:
                return False
            try:
                values = read_line(text)
                if detect and not plan.columns:
                    plan.columns = list(values or ())
                    event.cancelled = True
                    return False
                if skip_header and plan.columns and values == plan.columns:
                    event.cancelled = True
                    return False
                if values is None and skip_rows:
                    event.tag("_csvskippedemptyfield")
                    return False
                if values is None:
                    raise BadLine
                for index, value in enumerate(values):
                    if skip_columns and not value:
                        continue
                    step = plan.step(index)
                    if step is not None:
                        field, convert = step
                        field.set(event, convert(value) if convert else value)
            except (ValueError, TypeError, AttributeError):
                event.tag("_csvparsefailure")
                return False
            return True

        return work

    def _line_reader(self) -> Callable[[Any], list[str | None] | None]:
        separator = str(self["separator"])
        quote = "\0" if self["quote_char"] == "\\x00" else str(self["quote_char"])
        usable = len(quote) == 1 and bool(separator)

        def read(text: Any) -> list[str | None] | None:
            if type(text) is not str or not usable:
                message = "no text, or no single character for quotes"
                raise BadLine(message)
            return read_line(text, separator, quote)

        return read

    def _conversions(self) -> dict[str, Callable[[Any], Any]]:
        known = {
            "integer": to_integer,
            "float": to_float,
            "boolean": to_boolean,
            "date": lambda value: to_time(value, self.context.zone, dates=True),
            "date_time": lambda value: to_time(value, datetime.UTC, dates=False),
        }
        found = {}
        for column, kind in self["convert"].items():
            if kind not in known:
                message = f"{column} can become {', '.join(known)}, not {kind}"
                raise self.refuse(message, "convert")
            found[str(column)] = known[kind]
        return found


class _Plan:
    """Where each column goes; the names may be found in the first line."""

    def __init__(
        self,
        columns: Sequence[str | None],
        target: str | None,
        conversions: dict[str, Callable[[Any], Any]],
        generate: bool,
    ) -> None:
        self.columns = list(columns)
        self._target = target if not target or target.startswith("[") else f"[{target}]"
        self._conversions = conversions
        self._generate = generate
        self._steps: dict[tuple[int, str], tuple[Reference, Callable[[Any], Any] | None]] = {}

    def step(self, index: int) -> tuple[Reference, Callable[[Any], Any] | None] | None:
        """Gives the field of a column, and its conversion; None where it has no name. Raises `FieldError`."""
        name = self.columns[index] if index < len(self.columns) else None
        if name is None:
            if not self._generate:
                return None
            name = f"column{index + 1}"
        found = self._steps.get((index, name))
        if found is None:
            inner = name if name.startswith("[") else f"[{name}]"
            field = reference_of(f"{self._target or ''}{inner}")
            found = self._steps[index, name] = (field, self._conversions.get(name))
        return found


def read_line(text: str, separator: str, quote: str) -> list[str | None] | None:
    """Reads the columns of the first record; an empty one is None, and so is everything in a text without any.

    Raises:
        BadLine: Ruby's CSV refuses it: a quote within a column, text behind a closing quote, an open quote.
    """
    if not text:
        return None
    newline = _NEWLINE.search(text)
    end_of_row = newline[0] if newline else "\n"
    if quote not in text and "\r" not in text:
        line = text if newline is None else text[: newline.start()]
        return [value or None for value in line.split(separator)] if line else []
    return _Reader(text, separator, quote, end_of_row).row()


class _Reader:
    def __init__(self, text: str, separator: str, quote: str, end_of_row: str) -> None:
        self._text = text
        self._separator = separator
        self._quote = quote
        self._end = end_of_row
        self._place = 0

    def row(self) -> list[str | None]:
        text = self._text
        if text.startswith(self._end):
            return []
        values: list[str | None] = []
        while True:
            values.append(self._quoted() if text.startswith(self._quote, self._place) else self._unquoted())
            if self._place >= len(text) or text.startswith(self._end, self._place):
                return values
            if not text.startswith(self._separator, self._place):
                message = "text behind a closing quote"
                raise BadLine(message)
            self._place += len(self._separator)

    def _quoted(self) -> str:
        text, quote = self._text, self._quote
        place = self._place + 1
        parts = []
        while True:
            end = text.find(quote, place)
            if end < 0:
                message = "a quote is not closed"
                raise BadLine(message)
            parts.append(text[place:end])
            if not text.startswith(quote, end + 1):
                self._place = end + 1
                return quote.join(parts)
            place = end + 2

    def _unquoted(self) -> str | None:
        text, start = self._text, self._place
        ends = [
            place for place in (text.find(self._separator, start), text.find(self._end, start)) if place >= 0
        ]
        end = min(ends, default=len(text))
        value = text[start:end]
        if self._quote in value or "\r" in value or "\n" in value:
            message = "a quote or the end of a line within a column"
            raise BadLine(message)
        self._place = end
        return value or None


_INTEGER = re.compile(
    r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[bB]([01]+(?:_[01]+)*)|0[oO]?_?([0-7]+(?:_[0-7]+)*)"
    r"|(?:0[dD])?([1-9]\d*(?:_\d+)*|0))\s*",
    re.ASCII,
)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,200}")
_FLOAT = re.compile(r"\s*[+-]?(?:\d+(?:_\d+)*)?(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+(?:_\d+)*)?\s*", re.ASCII)


def to_integer(value: str | None) -> Any:
    """Ruby's `Integer()`; a text that is none stays."""
    found = _INTEGER.fullmatch(value) if value else None
    if found is None or len(found[0]) > 4000:
        return value
    for group, base in ((2, 16), (3, 2), (4, 8), (5, 10)):
        if found[group] is not None:
            return int(found[1] + found[group].replace("_", ""), base)
    return value


def to_float(value: str | None) -> Any:
    """Ruby's `Float()`; a text that is none stays."""
    if value is not None and _HEXADECIMAL.fullmatch(value):
        return float(int(value, 16))
    if value is None or _FLOAT.fullmatch(value) is None:
        return value
    try:
        return float(value)
    except ValueError:
        return value


def to_boolean(value: str | None) -> Any:
    """`true` and `false` in any case; another text comes back small and stripped. Raises for None."""
    if value is None:
        message = "no text"
        raise BadLine(message)
    text = value.strip().lower()
    return {"true": True, "false": False}.get(text, text)


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T\s](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:([+-]\d\d(?::?\d\d)?)|\s?(UTC|GMT|Z))?)?",
    re.ASCII,
)
_WORDS = re.compile(
    r"(?:\w+,?\s+)?(\w+)\s+(\d{1,2}),?\s+(?:(\d{1,2}):(\d{1,2}):(\d{1,2}),?\s+)?(\d{4})", re.ASCII
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def to_time(value: str | None, zone: datetime.tzinfo, *, dates: bool) -> Any:
    """Gives the time that a text names (a date: its midnight in `zone`); another text stays."""
    if value is None:
        return value
    text = ""
    if dates and _DATE.fullmatch(value):
        text = value
    elif not dates and (parts := _DATE_TIME.fullmatch(value)):
        text = f"{parts[1]}T{parts[2] or '00:00'}{parts[3] or 'Z'}"
    elif (
        (words := _WORDS.fullmatch(value)) and words[1][:3].lower() in _MONTHS and dates == (words[3] is None)
    ):
        month = _MONTHS.index(words[1][:3].lower()) + 1
        clock = f"{int(words[3] or 0):02}:{int(words[4] or 0):02}:{int(words[5] or 0):02}"
        text = f"{words[6]}-{month:02}-{int(words[2]):02}T{clock}"
    try:
        datetime.date.fromisoformat(text[:10])
    except ValueError:
        return value
    found = canonical(text, zone)
    return value if found is None else Timestamp(found)
