"""`JsonDecoder` makes events of records that hold JSON; pure.

`penstock.transforms.decode`, which makes a step of it, lists what a record may hold.
Id and time come from a scan of the bytes (`_scan.py`) where that is enough; only `keep_documents` builds every document.
"""

import contextlib
from collections.abc import Iterable, Iterator

import msgspec
import orjson

from penstock.transforms import fields
from penstock.transforms.batch import DeadLetter, Document, Event
from penstock.transforms.codecs._hints import hint
from penstock.transforms.codecs._inflate import inflate
from penstock.transforms.codecs._json_values import NotJson, cut, cut_exactly, elements, text_of
from penstock.transforms.codecs.plain import as_message
from penstock.transforms.document import document_of, json_of
from penstock.transforms.identity import document_id
from penstock.transforms.kernels._scan import scan
from penstock.transforms.time import timestamps

__all__ = ["FAILURE_TAG", "JsonDecoder", "NotAnObject", "RecordTooLarge", "copy_outer", "parse_field"]

FAILURE_TAG = "_jsonparsefailure"
"""The tag of Logstash's json codec and filter."""

MAX_RATIO = 200
"""How many times its size a compressed record above 1 MiB may inflate to."""


class JsonDecoder(msgspec.Struct):
    """Does the work of `DecodeJson` on the events of a batch. Pure. Its attributes are `DecodeJson`'s arguments."""

    keep_documents: bool = True
    source: fields.Path | None = None
    target: fields.Path | None = None
    charset: str = "utf-8"
    on_error: str = "dead_letter"
    max_bytes: int = 16 << 20
    max_parts: int = 100_000
    expand: fields.Path | None = None
    expand_copy: tuple[fields.Path, ...] = ()

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the decoded events, in order, and the letters of those that could not be decoded.

        Raises:
            ValueError: the first failure, with `on_error="raise"`.
        """
        decoded: list[Event] = []
        letters: list[DeadLetter] = []

        def decode_fully(event: Event) -> None:
            if plain and (several := self._several(event)):
                decoded.extend(several)
                return
            for part in self._parts(event):
                outcome = self._one(part)
                if isinstance(outcome, DeadLetter):
                    letters.append(outcome)
                else:
                    decoded.append(outcome)

        plain = not (self.source or self.target or self.expand) and self.charset == "utf-8"
        if not plain:
            for event in events:
                decode_fully(event)
            return decoded, letters
        left = scan(events, self.max_bytes)
        if self.keep_documents:
            left = _keep_documents(events, left)
        if not left:
            return events, letters
        start = 0
        for position in left:
            decoded += events[start:position]
            decode_fully(events[position])
            start = position + 1
        decoded += events[start:]
        return decoded, letters

    def _several(self, event: Event) -> list[Event]:
        """Gives the events of a record with several objects, if a scan is enough; else none, and the slow way decides."""
        try:
            text = text_of(inflate(event.data, self.max_bytes, MAX_RATIO))
            pieces = elements(text) if text.lstrip()[:1] == b"[" else cut(text)
        except ValueError:
            return []
        if len(pieces) < 2 or len(pieces) > self.max_parts or len(event.data) > self.max_bytes:
            return []
        origin, index, first = event.origin, event.index, event.part
        found = [Event(piece, origin, index, first + number) for number, piece in enumerate(pieces)]
        left = scan(found, self.max_bytes)
        if self.keep_documents and not left:
            left = _keep_documents(found, left)
        return [] if left else found

    def _one(self, part: "_Parsed | _Failure") -> Event | DeadLetter:
        """Makes an event of a part, or a letter. Raises with `on_error="raise"`."""
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
            return as_message(event, event.data.decode(self.charset, "replace"), [FAILURE_TAG])
        return DeadLetter(event, type(error).__name__, str(error)[:300] + hint(event.data), "decode")

    def _parts(self, event: Event) -> "Iterator[_Parsed | _Failure]":
        """Gives the parts of one record: one per event, and a failure for each part that is no event."""
        try:
            if len(event.data) > self.max_bytes:
                message = f"{len(event.data)} bytes, max_bytes is {self.max_bytes}"
                raise RecordTooLarge(message)
            text = inflate(event.data, self.max_bytes, MAX_RATIO)
            text = text_of(text) if self.charset == "utf-8" else text.decode(self.charset).encode()
            parts = self._values(event, text)
            if self.expand is not None:
                parts = self._expanded(event, parts)
        except ValueError as error:
            yield _Failure(event, error.with_traceback(None))  # otherwise its frames would be kept with it
            return
        yield from parts

    def _values(self, event: Event, text: bytes) -> "list[_Parsed | _Failure]":
        """Gives the objects of one record. Raises `ValueError` for anything else."""
        pieces = cut(text)
        if len(pieces) == 1 or not text:
            whole = orjson.loads(text)
            if isinstance(whole, dict):
                same = text is event.data
                return [_Parsed(event if same else Event(text, event.origin, event.index, event.part), whole)]
            if not isinstance(whole, list):
                message = f"a JSON {type(whole).__name__}, where an object or an array of objects belongs"
                raise NotAnObject(message)
            return self._each(event, elements(text))
        found = self._each(event, _without_arrays(pieces))
        if any(isinstance(part, _Failure) for part in found):
            # The cut was a guess: an array is one value; a bad line of newline-delimited JSON costs itself alone.
            if text.lstrip()[:1] == b"[":
                with contextlib.suppress(NotJson):
                    return self._each(event, elements(text))
            try:
                return self._each(event, _without_arrays(cut_exactly(text)))
            except NotJson:
                lines = _lines(text)
                if lines is None:
                    raise
                return self._each(event, lines)
        return found

    def _each(self, event: Event, pieces: list[bytes]) -> "list[_Parsed | _Failure]":
        """Gives each piece as a part of the record, numbered from the event's own part on."""
        self._check_count(len(pieces))
        return [
            _parse(Event(piece, event.origin, event.index, event.part + number))
            for number, piece in enumerate(pieces)
        ]

    def _check_count(self, count: int) -> None:
        if count > self.max_parts:
            message = f"{count} events in one record, max_parts is {self.max_parts}"
            raise RecordTooLarge(message)

    def _expanded(self, event: Event, parts: "list[_Parsed | _Failure]") -> "list[_Parsed | _Failure]":
        """Gives one part per element of the list that `expand` names. An object without that list stays as it is."""
        found: list[_Parsed | _Failure] = []
        path = self.expand or ()
        for part in parts:
            rows = fields.get(part.document, path, None) if isinstance(part, _Parsed) else None
            if not isinstance(part, _Parsed) or not isinstance(rows, list):
                part.event.part = event.part + len(found)
                found.append(part)
                continue
            self._check_count(len(found) + len(rows))
            outer = [(copied, fields.get(part.document, copied)) for copied in self.expand_copy]
            for row in rows:
                place = Event(b"", event.origin, event.index, event.part + len(found))
                if isinstance(row, dict):
                    try:
                        copy_outer(row, outer)
                        found.append(_Parsed(place, row))
                    except NotAnObject as error:
                        found.append(_Failure(place, error.with_traceback(None)))
                else:
                    message = f"an element of {'.'.join(path)} is no object"
                    found.append(_Failure(place, NotAnObject(message)))
                place.data = b"%b" % json_of(row)  # a copy: what orjson gives keeps its kilobyte
        return found

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
    """Parses the scanned events. Gives the positions left: those of `left`, and events that only the scan took for JSON."""
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
    """The JSON is no object."""


def copy_outer(row: Document, outer: Iterable[tuple[fields.Path, object]]) -> None:
    """Copies outer fields into an element of a list, where it has none of that name.

    Raises:
        NotAnObject: a value of the element stands where an object would have to be.
    """
    for path, value in outer:
        if value is not fields.MISSING and fields.get(row, path) is fields.MISSING:
            try:
                fields.put(row, path, value)
            except ValueError as error:
                raise NotAnObject(str(error)) from None


class RecordTooLarge(ValueError):
    """A record is beyond `max_bytes` or `max_parts`."""


def parse_field(document: Document, source: fields.Path, target: fields.Path | None) -> Document:
    """Gives `document` with the JSON text at `source` decoded into `target`; without a target, laid over the top level.

    Raises:
        ValueError: there is no text at `source`, it isn't JSON, or it is no object for the top level.
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
        return _Failure(event, error.with_traceback(None))


def _without_arrays(values: Iterable[bytes]) -> list[bytes]:
    """Gives the values, and the elements of those that are arrays. What is no JSON stays, and is a letter later."""
    found: list[bytes] = []
    for value in values:
        if value.startswith(b"["):
            with contextlib.suppress(NotJson):
                found += elements(value)
                continue
        found.append(value)
    return found


def _lines(text: bytes) -> list[bytes] | None:
    """Gives the lines of newline-delimited JSON that aren't blank; None when `text` isn't that."""
    lines = [line for line in text.split(b"\n") if line and not line.isspace()]
    if not lines:
        return [] if text else None
    try:
        first = orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return None
    return lines if isinstance(first, dict) and len(lines) > 1 else None
