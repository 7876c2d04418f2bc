"""`PlainDecoder` puts a record's text into one field. It never changes bytes that are no text."""

import base64

import msgspec

from penstock.transforms.batch import DeadLetter, Document, Event
from penstock.transforms.codecs._hints import hint
from penstock.transforms.identity import position_id
from penstock.transforms.time import timestamps

__all__ = ["PlainDecoder", "as_message"]


class PlainDecoder(msgspec.Struct):
    """Does the work of `DecodePlain` on the events of a batch. Pure."""

    charset: str = "utf-8"
    base64_field: str | None = None

    def decode(self, events: list[Event]) -> tuple[list[Event], list[DeadLetter]]:
        """Gives the events with their text in `message`, and letters of those whose bytes are no text of the charset."""
        decoded: list[Event] = []
        letters: list[DeadLetter] = []
        for event in events:
            try:
                decoded.append(as_message(event, event.data.decode(self.charset)))
            except UnicodeDecodeError as error:
                if self.base64_field is not None:
                    text = base64.b64encode(event.data).decode()
                    decoded.append(as_message(event, text, field=self.base64_field))
                else:
                    reason = f"{str(error)[:300]}. --codec_base64_field keeps such bytes{hint(event.data)}"
                    letters.append(DeadLetter(event, type(error).__name__, reason, "decode"))
        return decoded, letters


def as_message(event: Event, text: str, tags: list[str] | None = None, field: str = "message") -> Event:
    """Makes `event` hold `text` in `field`, with the time of its arrival, and an id from its position."""
    timestamp = timestamps.to_text(timestamps.from_ms(event.origin.arrived_ms))
    document: Document = {"@timestamp": timestamp, field: text}
    if tags:
        document["tags"] = tags
    event.id = position_id(event)
    event.timestamp, event.document, event.changed = timestamp, document, True
    return event
