"""`DecodeJson` and `DecodePlain` make events of payload bytes.

What a record may hold, and what becomes of it:
- one JSON object: one event, whose bytes stay as they came;
- an array of objects, or objects one a line: several events, each with its own bytes, told apart by `part`;
- an empty array, or nothing but white space between the lines: no event;
- anything else (`NaN`, bad UTF-8, lone surrogates, a byte order mark, a bare string or number, nesting beyond 1024
  levels, more than `max_bytes` or `max_parts`): a dead letter, a tagged event, or an error, by `on_error`;
- a key given twice: the last one counts here, and Elasticsearch refuses the document;
- integers beyond 64 bits: kept digit by digit, unless a transform changes the event (then they become floats).

An event that has an id already (a row of a Parquet or Avro file) is decoded: it passes as it is.

Id and time come from a scan of the bytes (`_scan.py`) where that is enough; only `keep_documents` builds every document.
"""

import codecs
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import msgspec
import orjson
from apache_beam.metrics import Metrics

from penstock.transforms import fields
from penstock.transforms.batch import DeadLetter, Document, Event, EventBatch
from penstock.transforms.document import document_of
from penstock.transforms.identity import document_id, position_id
from penstock.transforms.kernels._scan import scan
from penstock.transforms.time import timestamps

__all__ = ["DecodeJson", "DecodePlain", "JsonDecoder", "PlainDecoder"]

ON_ERROR = ("dead_letter", "tag", "raise")
FAILURE_TAG = "_jsonparsefailure"
"""The tag of Logstash's json codec and filter."""

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class DecodeJson(beam.PTransform):
    """Makes events out of records that hold JSON, with their document id and `@timestamp`.

    Args:
        keep_documents: whether events keep the decoded document; later steps that need one parse again if not.
        source: the field that holds the JSON text; default: the whole record.
        target: the field that takes the decoded JSON; default: the whole event.
        charset: the encoding of the bytes, by a Python codec name.
        on_error: what becomes of a record that cannot be decoded: `dead_letter`; `tag` (an event with the text
            in `message` and the tag `_jsonparsefailure`, as Logstash makes); `raise` (ends the job).
        max_bytes: larger records are errors.
        max_parts: so are records that hold more events.

    Delivery guarantee: every record ends up in events or dead letters; nothing is held back.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import DecodeJson
        >>> through(DecodeJson(), b'[{"a": 1}, {"a": 2}]', b"no JSON")
        [{'a': 1}, {'a': 2}, "decode: JSONDecodeError: invalid literal, expected 'null': line 1 column 1 (char 0)"]
    """

    def __init__(
        self,
        *,
        keep_documents: bool = True,
        source: str | None = None,
        target: str | None = None,
        charset: str = "utf-8",
        on_error: str = "dead_letter",
        max_bytes: int = 16 << 20,
        max_parts: int = 100_000,
    ) -> None:
        super().__init__()
        if on_error not in ON_ERROR:
            message = f"on_error {on_error!r} is none of {', '.join(ON_ERROR)}"
            raise ValueError(message)
        if max_bytes < 1 or max_parts < 1:
            message = "max_bytes and max_parts must be at least 1"
            raise ValueError(message)
        self._decoder = JsonDecoder(
            keep_documents=keep_documents,
            source=fields.parse_path(source) if source else None,
            target=fields.parse_path(target) if target else None,
            charset=codecs.lookup(charset).name,
            on_error=on_error,
            max_bytes=max_bytes,
            max_parts=max_parts,
        )

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        given, usual = msgspec.structs.asdict(self._decoder), msgspec.structs.asdict(JsonDecoder())
        paths = {name: ".".join(given[name]) for name in ("source", "target") if given[name]}
        return {name: value for name, value in given.items() if value != usual[name]} | paths

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "DecodeJson" >> beam.ParDo(_DecodeDoFn(self._decoder))


class DecodePlain(beam.PTransform):
    """Puts each record's text into `message`, and the time of its arrival into `@timestamp`.

    Args:
        charset: the encoding of the bytes, by a Python codec name; what doesn't fit it becomes U+FFFD.

    The id comes from the record's position, whatever the text is.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms import DecodePlain
        >>> through(DecodePlain(), b"any text")
        [{'@timestamp': '1970-01-01T00:00:00.000Z', 'message': 'any text'}]
    """

    def __init__(self, *, charset: str = "utf-8") -> None:
        super().__init__()
        self._decoder = PlainDecoder(codecs.lookup(charset).name)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"charset": self._decoder.charset}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "DecodePlain" >> beam.ParDo(_DecodeDoFn(self._decoder))


class _DecodeDoFn(beam.DoFn):
    def __init__(self, decoder: "JsonDecoder | PlainDecoder") -> None:
        self._decoder = decoder
        self._failures = Metrics.counter("decode", "failures")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        text = [event for event in batch.events if event.id is None]
        if not text and batch.events:
            yield batch
            return
        passed = len(text) < len(batch.events)
        rows = [event for event in batch.events if event.id is not None] if passed else []
        events, letters = self._decoder.decode(text)
        if rows:
            events = rows + events
        if letters:
            self._failures.inc(len(letters))
        yield batch.with_events(events, letters)


class PlainDecoder(msgspec.Struct):
    """What `DecodePlain` does to the events of a batch; pure."""

    charset: str = "utf-8"

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """The events with their text in `message`; there are never letters."""
        for event in events:
            _as_message(event, self.charset)
        return events, []


def _as_message(event: Event, charset: str, tags: list[str] | None = None) -> Event:
    timestamp = timestamps.to_text(timestamps.from_ms(event.origin.arrived_ms))
    document: Document = {"@timestamp": timestamp, "message": event.data.decode(charset, "replace")}
    if tags:
        document["tags"] = tags
    event.id = position_id(event)
    event.timestamp, event.document, event.changed = timestamp, document, True
    return event


class JsonDecoder(msgspec.Struct):
    """What `DecodeJson` does to the events of a batch; pure. Its attributes are `DecodeJson`'s arguments."""

    keep_documents: bool = True
    source: fields.Path | None = None
    target: fields.Path | None = None
    charset: str = "utf-8"
    on_error: str = "dead_letter"
    max_bytes: int = 16 << 20
    max_parts: int = 100_000

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """The decoded events, in order, and the letters of those that could not be decoded.

        Raises:
            ValueError: the first failure, with `on_error="raise"`.
        """
        decoded: list[Event] = []
        letters: list[DeadLetter] = []

        def decode_fully(event: Event) -> None:
            for part in self._parts(event):
                outcome = self._one(part)
                if isinstance(outcome, DeadLetter):
                    letters.append(outcome)
                else:
                    decoded.append(outcome)

        if self.source or self.target or self.charset != "utf-8":
            for event in events:
                decode_fully(event)
            return decoded, letters
        left = scan(events, self.max_bytes)
        if self.keep_documents:
            left = _keep_documents(events, left)
        start = 0
        for position in left:
            decoded += events[start:position]
            decode_fully(events[position])
            start = position + 1
        decoded += events[start:]
        return decoded, letters

    def _one(self, part: "_Parsed | _Failure") -> Event | DeadLetter:
        """The event that a part becomes, or the letter; raises with `on_error="raise"`."""
        if isinstance(part, _Parsed):
            try:
                return self._decoded(part.event, part.document)
            except ValueError as error:
                return self._failed(part.event, error)
        return self._failed(part.event, part.error)

    def _failed(self, event: Event, error: ValueError) -> Event | DeadLetter:
        if self.on_error == "raise":
            raise error
        if self.on_error == "tag":
            return _as_message(event, self.charset, [FAILURE_TAG])
        return DeadLetter(event, type(error).__name__, str(error)[:300], "decode")

    def _parts(self, event: Event) -> "Iterator[_Parsed | _Failure]":
        """What one record holds: as many parts as it has events, and one failure for what is none."""
        try:
            if len(event.data) > self.max_bytes:
                message = f"{len(event.data)} bytes, max_bytes is {self.max_bytes}"
                raise RecordTooLarge(message)
            text = event.data if self.charset == "utf-8" else event.data.decode(self.charset).encode()
            try:
                whole = orjson.loads(text)
            except orjson.JSONDecodeError:
                lines = _lines(text)
                if lines is None:
                    raise
            else:
                if isinstance(whole, dict):
                    yield _Parsed(event, whole)
                    return
                if not isinstance(whole, list):
                    message = f"a JSON {type(whole).__name__}, where an object or an array of objects belongs"
                    raise NotAnObject(message)
                lines = [bytes(element) for element in _elements(text)]
            if len(lines) > self.max_parts:
                message = f"{len(lines)} events in one record, max_parts is {self.max_parts}"
                raise RecordTooLarge(message)
        except ValueError as error:
            yield _Failure(event, error)
            return
        for part, line in enumerate(lines):
            yield _parse(Event(line, event.origin, event.index, part))

    def _decoded(self, event: Event, document: Document) -> Event:
        event.id = document_id(event, document)
        event.changed = False
        if self.source is not None or self.target is not None or self.charset != "utf-8":
            document = self._moved(event, document)
            event.changed = True
        event.timestamp = timestamps.of_value(document.get("@timestamp"))
        event.document = document if self.keep_documents or event.changed else None
        return event

    def _moved(self, event: Event, document: Document) -> Document:
        if self.source is not None:
            return parse_field(document, self.source, self.target)
        if self.target is not None:
            outer: Document = {"@timestamp": timestamps.to_text(timestamps.from_ms(event.origin.arrived_ms))}
            fields.put(outer, self.target, document)
            return outer
        return document


def _keep_documents(events: list[Event], left: list[int]) -> list[int]:
    """Parses what the scan has found; the positions left now: those of `left`, and what only the scan took for JSON."""
    skipped = set(left)
    for position, event in enumerate(events):
        if position in skipped:
            continue
        try:
            event.document = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            event.id = event.timestamp = None
            skipped.add(position)
    return sorted(skipped) if len(skipped) > len(left) else left


class NotAnObject(ValueError):
    """JSON, but no object."""


class RecordTooLarge(ValueError):
    """A record beyond `max_bytes` or `max_parts`."""


def parse_field(document: Document, source: fields.Path, target: fields.Path | None) -> Document:
    """`document` with the JSON text at `source` decoded into `target`, or laid over its top level without one.

    Raises:
        ValueError: no text at `source`, text that isn't JSON, or no object for the top level.
    """
    text = fields.get(document, source, None)
    if not isinstance(text, str):
        message = f"no text in {'.'.join(source)}"
        raise ValueError(message)
    value = orjson.loads(text)
    if target is not None:
        fields.put(document, target, value)
        return document
    if not isinstance(value, dict):
        message = f"{'.'.join(source)} holds no JSON object"
        raise NotAnObject(message)
    return {**document, **value}


class _Parsed(msgspec.Struct, gc=False):
    event: Event
    document: Document


class _Failure(msgspec.Struct, gc=False):
    event: Event
    error: ValueError


def _parse(event: Event) -> _Parsed | _Failure:
    try:
        return _Parsed(event, document_of(event))
    except ValueError as error:
        return _Failure(event, error)


def _lines(text: bytes) -> list[bytes] | None:
    """The lines of newline-delimited JSON that aren't blank, or None when `text` isn't that."""
    lines = [line for line in text.split(b"\n") if line and not line.isspace()]
    if not lines:
        return [] if text else None
    try:
        first = orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return None
    return lines if isinstance(first, dict) and len(lines) > 1 else None
