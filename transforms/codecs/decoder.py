"""`CodecDecoder` makes events of records by a codec, and passes on events that were decoded already.

A codec cuts a record's text into events whose bytes are the JSON that is stored. So all later steps (a bulk, a
dead letter, a replay) handle JSON. Only parts that the codec can't read keep their bytes.

Invariants.
- Ids: the source's own name where it has one (CloudWatch Logs), else the record's position and the part's number: the
  same on replay, from the archive, and from the dead letters. A letter's part goes on counting where it was.
- A part that can't be read is one letter, with the bytes of that part; the other parts go on.
- An event with an id was decoded before it was refused, so it is JSON, whatever the codec.
"""

from typing import Protocol

import orjson

from penstock.transforms.batch import DeadLetter, Event, Origin
from penstock.transforms.codecs._cloudwatch_logs import CloudWatchLogs, looks_like
from penstock.transforms.codecs._hints import hint
from penstock.transforms.codecs._inflate import inflate
from penstock.transforms.codecs._json_values import NotJson, cut, cut_exactly, text_of
from penstock.transforms.codecs.json_objects import JsonDecoder
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.codecs.lines.codec import Codec, Refused
from penstock.transforms.identity import hash_of, hashed_position_id

__all__ = ["AutoDecoder", "CloudWatchCodec", "CodecDecoder", "Decoder", "multiline_of"]


class Decoder(Protocol):
    """Makes events of records."""

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events, in order, and the letters of parts that could not be decoded."""


class CodecDecoder:
    """Decodes the events of batches.

    Args:
        codec: cuts records into events.
        name: of the codec; a letter doesn't advise what was tried.
        keep_documents: whether events keep the decoded document.
        max_bytes: the most bytes of a record, inflated.
        max_ratio: how many times its size a record above 1 MiB may inflate to.
    """

    def __init__(
        self,
        codec: Codec,
        name: str,
        *,
        keep_documents: bool = True,
        max_bytes: int = 16 << 20,
        max_ratio: int = 200,
    ) -> None:
        self.codec = codec
        self._name = name
        self._keep_documents = keep_documents
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._json = JsonDecoder(keep_documents=keep_documents)

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events of these records, in order, and the letters of what could not be read."""
        decoded: list[Event] = []
        letters: list[DeadLetter] = []
        origin: Origin | None = None
        position: str | None = None
        for event in events:
            if (name := event.id) is not None:
                again, failed = self._json.decode([event])
                for each in again:
                    each.id = name
                decoded += again
                letters += failed
                continue
            try:
                text = inflate(event.data, self._max_bytes, self._max_ratio)
                found, refused = self.codec.decode(text, event)
            except ValueError as error:
                letters.append(self._letter(event, Refused.by(error, 0, event.data)))
                continue
            letters += [self._letter(event, part) for part in refused]
            if found and found[0].id is None:
                if event.origin is not origin:
                    origin = event.origin
                    place = origin.position()
                    position = None if place is None else hash_of(place)
                if position is not None:
                    for made in found:
                        made.id = hashed_position_id(position, made)
            if self._keep_documents:
                for made in found:
                    made.document = orjson.loads(made.data)
            decoded += found
        return decoded, letters

    def _letter(self, event: Event, part: Refused) -> DeadLetter:
        where = Event(part.data, event.origin, event.index, event.part + part.number)
        reason = f"{part.reason[:300]}{hint(part.data, self._name)}"
        return DeadLetter(where, part.error, reason, "decode")


def multiline_of(decoder: object) -> Multiline | None:
    """Gives the rule by which a decoder joins lines, for whoever reads the lines of an object one by one."""
    codec = decoder.codec if isinstance(decoder, CodecDecoder) else None
    return getattr(codec, "multiline", None)


class CloudWatchCodec:
    """Records of CloudWatch Logs subscriptions, one or several in a record of ours; counts control messages.

    Args:
        message_json: see `CloudWatchLogs`.
    """

    def __init__(self, *, message_json: bool = False) -> None:
        self._reader = CloudWatchLogs(message_json=message_json)
        from apache_beam.metrics import Metrics  # with Beam, which the declarations of codecs don't need

        self._control_messages = Metrics.counter("decode", "control_messages")

    def decode(self, text: bytes, place: Event) -> tuple[list[Event], list[Refused]]:
        """Gives one event per log event. Any other record is refused."""
        events: list[Event] = []
        refused: list[Refused] = []
        text = text_of(text)
        try:
            self._read(text, place, 0, events, refused)  # the usual: one record
        except NotJson:
            number = 0
            for value in self._values(text):
                try:
                    number += self._read(value, place, number, events, refused)
                except NotJson as error:
                    refused.append(Refused.by(error, number, value))
                    number += 1
        return events, refused

    def _read(
        self, value: bytes, place: Event, number: int, events: list[Event], refused: list[Refused]
    ) -> int:
        """Reads one record, whose parts count from `number` on; gives how many it has."""
        made = self._reader.events(value, place, place.part + number)
        if made is None:
            self._control_messages.inc()
            return 0
        found, unreadable = made
        events += found
        kind = NotJson.__name__
        refused += [Refused(number + each, data, kind, reason) for each, data, reason in unreadable]
        return len(found) + len(unreadable)

    def _values(self, text: bytes) -> list[bytes]:
        """Gives the records in a text. A message may look like the end of one record and the beginning of the next."""
        try:
            return list(cut_exactly(text))
        except NotJson:
            return cut(text) or [text]


class AutoDecoder:
    """Decodes JSON values one after another, and recognises objects of CloudWatch Logs. It guesses nothing else.

    An object is a subscription's when it has `messageType` (one of the two), `logGroup`, `logStream` and the list
    `logEvents`, all at its top level. All other JSON is read as `json` reads it.

    Args:
        json: reads the JSON; its `expand` is no list of a subscription's.
        message_json: see `CloudWatchLogs`.
        keep_documents: whether events keep the decoded document.
    """

    def __init__(self, json: JsonDecoder, *, message_json: bool = False, keep_documents: bool = True) -> None:
        self.json = json
        self._cloudwatch = CodecDecoder(
            CloudWatchCodec(message_json=message_json), "cloudwatch_logs", keep_documents=keep_documents
        )

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events of these records, in order, and the letters of what could not be read."""
        decoded, letters = self.json.decode(events)
        found, refused = self.recognise(decoded)
        return found, letters + refused

    def recognise(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives these events, which are decoded, with the events of CloudWatch Logs in place of its records."""
        found: list[Event] = []
        letters: list[DeadLetter] = []
        for event in events:
            if looks_like(event.data):
                event.id = None
                parts, refused = self._cloudwatch.decode([event])
                found += parts
                letters += refused
            else:
                found.append(event)
        return found, letters
