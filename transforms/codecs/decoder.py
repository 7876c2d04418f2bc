"""`CodecDecoder` makes events of records by a codec, and passes on events that were decoded already.

A codec cuts a record's text into parts, and each part becomes one event whose bytes are the JSON that is stored. So
whatever comes later (a bulk, a dead letter, a replay) handles JSON, and only what no codec could read keeps its bytes.

Invariants.
- Ids: the source's own name where it has one (CloudWatch Logs), else the record's position and the part's number: the
  same on replay, from the archive, and from the dead letters. A letter's part goes on counting where it was.
- A part that can't be read is one letter, with the bytes of that part; the other parts go on.
- What carries an id was decoded before it was refused: it is JSON, whatever the codec.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import orjson
from apache_beam.metrics import Metrics

from penstock.transforms.batch import DeadLetter, Document, Event
from penstock.transforms.codecs._cloudwatch_logs import CloudWatchLogs, looks_like
from penstock.transforms.codecs._hints import hint
from penstock.transforms.codecs._inflate import inflate
from penstock.transforms.codecs._json_values import NotJson, cut, cut_exactly, text_of
from penstock.transforms.codecs.json_objects import JsonDecoder
from penstock.transforms.codecs.lines._columns import ColumnReader
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.codecs.lines._separated import FieldError, LineFormat, LineReader
from penstock.transforms.identity import hash_of, hashed_position_id
from penstock.transforms.time import timestamps

__all__ = ["CloudWatchParts", "CodecDecoder", "ColumnParts", "LineParts", "Part", "TextParts"]

_MAX_HEADERS = 1000


class Part(NamedTuple):
    """What a codec makes of a part of a record: an event's JSON, or why there is none.

    Attributes:
        number: which part of the record, from 0.
        data: the JSON; of a failure, the part's own bytes.
        id: the source's own name for it, already hashed; None: the position decides.
        timestamp: `@timestamp`; None where the JSON has none.
        error: why there is no event.
    """

    number: int
    data: bytes
    id: str | None = None
    timestamp: str | None = None
    error: ValueError | None = None


class Parts(Protocol):
    """A codec: cuts the text of a record into parts."""

    def parts(self, text: bytes, event: Event) -> Iterator[Part]:
        """Gives the parts; raises `ValueError` where the record as a whole can't be read."""


class CodecDecoder:
    """Decodes the events of batches.

    Args:
        codec: cuts records into parts.
        keep_documents: whether events keep the decoded document.
        max_bytes: a record's bytes, inflated, at most.
        max_ratio: how many times its size a record above 1 MiB may inflate to.
    """

    def __init__(
        self, codec: Parts, *, keep_documents: bool = True, max_bytes: int = 16 << 20, max_ratio: int = 200
    ) -> None:
        self._codec = codec
        self._keep_documents = keep_documents
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._json = JsonDecoder(keep_documents=keep_documents)

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events of these records, in order, and the letters of what could not be read."""
        decoded: list[Event] = []
        letters: list[DeadLetter] = []
        for event in events:
            if (name := event.id) is not None:
                again, refused = self._json.decode([event])
                for each in again:
                    each.id = name
                decoded += again
                letters += refused
                continue
            position: str | None = None
            try:
                text = inflate(event.data, self._max_bytes, self._max_ratio)
                if isinstance(self._codec, CloudWatchParts):
                    made_here, refused = self._codec.decode(text, event, keep=self._keep_documents)
                    decoded += made_here
                    letters += [self._letter(event, part) for part in refused]
                    continue
                for number, data, name, timestamp, error in self._codec.parts(text, event):
                    if error is not None:
                        letters.append(self._letter(event, Part(number, data, error=error)))
                        continue
                    made = Event(data, event.origin, event.index, event.part + number, name, timestamp)
                    if name is None:
                        position = position or _hashed(event)
                        made.id = hashed_position_id(position, made) if position else None
                    if self._keep_documents:
                        made.document = orjson.loads(data)
                    decoded.append(made)
            except ValueError as error:
                letters.append(self._letter(event, Part(0, event.data, error=error)))
        return decoded, letters

    def _letter(self, event: Event, part: Part) -> DeadLetter:
        where = Event(part.data, event.origin, event.index, event.part + part.number)
        reason = f"{str(part.error)[:300]}{hint(part.data)}"
        return DeadLetter(where, type(part.error).__name__, reason, "decode")


class CloudWatchParts:
    """Records of CloudWatch Logs subscriptions, one or several in a record of ours; counts control messages.

    Args:
        message_json: see `CloudWatchLogs`.
    """

    def __init__(self, *, message_json: bool = False) -> None:
        self._reader = CloudWatchLogs(message_json=message_json)
        self._control_messages = Metrics.counter("decode", "control_messages")

    def decode(self, text: bytes, event: Event, *, keep: bool) -> tuple[list[Event], list[Part]]:
        """Gives one event per log event, and a part for each record that is none."""
        events: list[Event] = []
        refused: list[Part] = []
        text = text_of(text)
        try:
            self._read(text, event, events)  # the usual: one record
        except NotJson:
            for value in self._values(text):
                number = len(events) + len(refused)
                try:
                    self._read(value, event, events, number)
                except NotJson as error:
                    refused.append(Part(number, value, error=error))
        if keep:
            for made in events:
                made.document = orjson.loads(made.data)
        return events, refused

    def _read(self, value: bytes, event: Event, events: list[Event], number: int = 0) -> None:
        found = self._reader.events(value, event, event.part + number)
        if found is None:
            self._control_messages.inc()
        else:
            events += found

    def _values(self, text: bytes) -> list[bytes]:
        """The records in a text; a message may hold what looks like the end of one and the beginning of the next."""
        try:
            return list(cut_exactly(text))
        except NotJson:
            return cut(text) or [text]


class AutoDecoder:
    """JSON in any row, where objects of CloudWatch Logs are told by what only they have; nothing else is guessed.

    An object is a subscription's when it has `messageType` (one of the two), `logGroup`, `logStream` and the list
    `logEvents`, all at its top level. Whatever else is JSON stays what it is.

    Args:
        keep_documents: whether events keep the decoded document.
    """

    def __init__(self, *, keep_documents: bool = True) -> None:
        self._json = JsonDecoder(keep_documents=keep_documents)
        self._cloudwatch = CodecDecoder(CloudWatchParts(), keep_documents=keep_documents)

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events of these records, in order, and the letters of what could not be read."""
        decoded, letters = self._json.decode(events)
        found: list[Event] = []
        for event in decoded:
            if looks_like(event.data):
                event.id = None
                parts, refused = self._cloudwatch.decode([event])
                found += parts
                letters += refused
            else:
                found.append(event)
        return found, letters


class _ByOrigin:
    """What the header of each object said, for the newest objects; lines of one object come in order."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes | None, Any] = OrderedDict()

    def get(self, event: Event) -> Any:
        return self._known.get(event.origin.position())

    def put(self, event: Event, reader: Any) -> None:
        self._known[event.origin.position()] = reader
        if len(self._known) > _MAX_HEADERS:
            self._known.popitem(last=False)


class LineParts:
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

    def parts(self, text: bytes, event: Event) -> Iterator[Part]:
        """Gives one part per line that is no header and not empty."""
        reader = self._headers.get(event) or self._usual
        for number, line in enumerate(text.splitlines()):
            try:
                words = line.decode()
                if not words or words.isspace():
                    continue
                header = self._header(words)
                if header is not None:
                    if header and not self._given:
                        reader = LineReader(self._form, header)
                        self._headers.put(event, reader)
                    continue
                found = reader.read(words)
                timestamp = self._form.time(found) or _arrival(event)
            except ValueError as error:
                yield Part(number, line, error=error)
                continue
            document = {"@timestamp": timestamp, "aws": {self._form.name: found}}
            yield Part(number, orjson.dumps(document), None, timestamp)

    def _header(self, line: str) -> list[str] | None:
        """The names that a header line gives, none for another line without data; None for a line of data."""
        if self._form.header == "directive" and line.startswith("#"):
            return line.removeprefix("#Fields:").split() if line.startswith("#Fields:") else []
        first = self._form.fields[0][0]
        if self._form.header == "first" and not line[:1].isdigit() and first in line.split():
            return line.split()
        return None


class ColumnParts:
    """CSV or TSV: columns named by the user, or by the first line of each object.

    A stream has no first line: there, whoever builds the chain asks for names.
    """

    def __init__(self, columns: list[str], separator: str) -> None:
        self._separator = separator
        self._given = ColumnReader(columns, separator) if columns else None
        self._headers = _ByOrigin()

    def parts(self, text: bytes, event: Event) -> Iterator[Part]:
        """Gives one part per line with data."""
        lines = text.splitlines()
        reader: ColumnReader | None = self._given or self._headers.get(event)
        for number, line in enumerate(lines):
            try:
                words = line.decode("utf-8-sig" if not number else "utf-8")
                if not words.strip():
                    continue
                if reader is None:
                    if event.index or number:
                        message = (
                            "nothing names the columns of this line: give --codec_fields name,name:int,..."
                        )
                        raise FieldError(message)
                    reader = ColumnReader(ColumnReader([], self._separator).values(words), self._separator)
                    self._headers.put(event, reader)
                    continue
                found = reader.read(words)
            except ValueError as error:
                yield Part(number, line, error=error)
                continue
            timestamp = timestamps.of_value(found.get("@timestamp")) or _arrival(event)
            yield Part(number, orjson.dumps({"@timestamp": timestamp, **found}), None, timestamp)


class TextParts:
    """Lines, or what belongs together of them, as `message`."""

    def __init__(self, multiline: Multiline | None) -> None:
        self._join: Callable[[list[str]], Iterator[tuple[int, str]]] = (
            multiline.join if multiline else enumerate
        )

    def parts(self, text: bytes, event: Event) -> Iterator[Part]:
        """Gives one part per event of the record; a record that isn't UTF-8 is refused whole."""
        for number, message in self._join(text.decode().splitlines()):
            if message:
                document: Document = {"@timestamp": _arrival(event), "message": message}
                yield Part(number, orjson.dumps(document), None, document["@timestamp"])


def _hashed(event: Event) -> str | None:
    """The hash of where a record stood, which all its parts share."""
    position = event.origin.position()
    return None if position is None else hash_of(position)


def _arrival(event: Event) -> str:
    return timestamps.to_text(timestamps.from_ms(event.origin.arrived_ms))
