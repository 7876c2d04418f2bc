"""`LineCodec`, `ColumnCodec` and `TextCodec` make events of records that hold lines.

A line's number within its record is the number of its part, whether the line holds an event or not: so ids and letters
stay the same, whatever else the record holds.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, AnyStr

import orjson

from penstock.transforms.batch import Document, Event, Origin
from penstock.transforms.codecs.lines._columns import ColumnReader
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.codecs.lines._separated import FieldError, LineFormat, LineReader
from penstock.transforms.codecs.lines.codec import Refused
from penstock.transforms.time import timestamps

__all__ = ["ColumnCodec", "LineCodec", "TextCodec"]

_MAX_HEADERS = 1000
_BOM = b"\xef\xbb\xbf"

_Decoded = tuple[list[Event], list[Refused]]


class _ByOrigin:
    """Keeps the header of each of the newest objects. Lines of one object come in order."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes | None, Any] = OrderedDict()
        self._last: tuple[Origin | None, Any] = (None, None)

    def get(self, event: Event) -> Any:
        origin, reader = self._last
        if event.origin is not origin:
            reader = self._known.get(event.origin.position())
            self._last = event.origin, reader
        return reader

    def put(self, event: Event, reader: Any) -> None:
        self._known[event.origin.position()] = reader
        self._last = event.origin, reader
        if len(self._known) > _MAX_HEADERS:
            self._known.popitem(last=False)


class LineCodec:
    """Lines of one of AWS' text formats.

    Args:
        form: the format's declaration.
        columns: the fields in the order of the user's own format; they go before a header.
    """

    def __init__(self, form: LineFormat, columns: list[str]) -> None:
        self._form = form
        self._given = bool(columns)
        self._usual = LineReader(form, columns)
        self._headers = _ByOrigin()

    def decode(self, text: bytes, place: Event) -> _Decoded:
        """Gives one event per line that is no header and not empty."""
        reader = self._headers.get(place) or self._usual
        found: list[Event] = []
        refused: list[Refused] = []
        origin, index, first = place.origin, place.index, place.part
        for number, line in enumerate(_lines_of(text)):
            may_be_header = self._may_be_header(line)
            if not may_be_header and (made := reader.document(line)) is not None:
                found.append(Event(made[0], origin, index, first + number, None, made[1]))
                continue
            try:
                words = line.decode()
                if not words or words.isspace():
                    continue
                header = self._header(words) if may_be_header else None
                if header is not None:
                    if header and not self._given:
                        reader = LineReader(self._form, header)
                        self._headers.put(place, reader)
                    continue
                fields = reader.read(words)
                timestamp = self._form.time(fields) or _arrival(place)
            except ValueError as error:
                refused.append(Refused.by(error, number, line))
                continue
            found.append(_event(place, number, timestamp, {"aws": {self._form.name: fields}}))
        return found, refused

    def _may_be_header(self, line: bytes) -> bool:
        if self._form.header == "directive":
            return line.startswith(b"#")
        return bool(self._form.header) and not line[:1].isdigit()

    def _header(self, line: str) -> list[str] | None:
        """Gives the names that a header line gives, none for another line without data; None for a line of data."""
        if self._form.header == "directive" and line.startswith("#"):
            return line.removeprefix("#Fields:").split() if line.startswith("#Fields:") else []
        first = self._form.fields[0][0]
        if self._form.header == "first" and not line[:1].isdigit() and first in line.split():
            return line.split()
        return None


class ColumnCodec:
    """CSV or TSV: columns named by the user, or by the first line of each object.

    A stream has no first line, so there the columns must be named.
    """

    def __init__(self, columns: list[str], separator: str) -> None:
        self._separator = separator
        self._given = ColumnReader(columns, separator) if columns else None
        self._headers = _ByOrigin()

    def decode(self, text: bytes, place: Event) -> _Decoded:
        """Gives one event per line with data."""
        reader: ColumnReader | None = self._given or self._headers.get(place)
        arrived = _arrival(place)
        found: list[Event] = []
        refused: list[Refused] = []
        for number, line in enumerate(_lines_of(text)):
            try:
                words = (line if number else line.removeprefix(_BOM)).decode()
                if not words.strip():
                    continue
                if reader is None:
                    if place.index or number:
                        message = (
                            "nothing names the columns of this line: give --codec_fields name,name:int,..."
                        )
                        raise FieldError(message)
                    reader = ColumnReader(ColumnReader([], self._separator).values(words), self._separator)
                    self._headers.put(place, reader)
                    continue
                values = reader.read(words)
            except ValueError as error:
                refused.append(Refused.by(error, number, line))
                continue
            told = timestamps.of_value(values.pop("@timestamp")) if "@timestamp" in values else None
            found.append(_event(place, number, told or arrived, values))
        return found, refused


class TextCodec:
    """Puts each line, or lines that belong together, into `message`.

    Args:
        multiline: which lines belong together; None: each is an event.
    """

    def __init__(self, multiline: Multiline | None) -> None:
        self.multiline = multiline
        self._join: Callable[[list[str]], Iterator[tuple[int, str]]] = (
            multiline.join if multiline else enumerate
        )

    def decode(self, text: bytes, place: Event) -> _Decoded:
        """Gives the events of the record; one that isn't UTF-8 is refused whole."""
        arrived = _arrival(place)
        return [
            _event(place, number, arrived, {"message": message})
            for number, message in self._join(_lines_of(text.decode()))
            if message
        ], []


def _lines_of(text: AnyStr) -> list[AnyStr]:
    """Gives the lines as the reader of an object cuts them: other characters that may end a line (a form feed) are text."""
    line_end, carriage_return = ("\n", "\r") if isinstance(text, str) else (b"\n", b"\r")
    lines = text.split(line_end) if line_end in text else [text]
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(carriage_return) for line in lines] if carriage_return in text else lines


def _event(place: Event, number: int, timestamp: str, document: Document) -> Event:
    """Gives the event of a line. Its bytes are a copy: what orjson gives keeps the kilobyte that it was written into."""
    rest = b"," + orjson.dumps(document)[1:] if document else b"}"
    data = b'{"@timestamp":%b%b' % (orjson.dumps(timestamp), rest)
    return Event(data, place.origin, place.index, place.part + number, None, timestamp)


def _arrival(event: Event) -> str:
    return _time_text(event.origin.arrived_ms)


@functools.lru_cache(1024)
def _time_text(milliseconds: int) -> str:
    return timestamps.to_text(timestamps.from_ms(milliseconds))
