"""`_cloudwatch_logs` makes events of the records of a CloudWatch Logs subscription. Pure.

A record is (once it is inflated) one JSON object that holds many log events of one log stream:
`{"messageType": "DATA_MESSAGE", "owner": ..., "logGroup": ..., "logStream": ..., "subscriptionFilters": [...],
"logEvents": [{"id": ..., "timestamp": ms, "message": ...}]}`. Through Firehose, several of them stand one after another.

| in the record | in the event (ECS, and the names of Elastic's own integration) |
|---|---|
| `timestamp` | `@timestamp` |
| `message` | `message`; with `message_json`, an object in it is laid over the event |
| `id` | `event.id`, and the identity: the same event sent twice is stored once |
| `owner` | `cloud.account.id`, beside `cloud.provider: aws` |
| `logGroup`, `logStream`, `subscriptionFilters` | `aws.cloudwatch.log_group`, `log_stream`, `subscription_filters` |
| `extractedFields` | `aws.cloudwatch.extracted_fields` |

The event's bytes are written once, as the JSON that is stored. A message is copied as it is, and the part that all events
of a record share is one piece of text. The kernel (`_native_cloudwatch.c`) makes the usual events, with their ids.
A CONTROL_MESSAGE (a test by CloudWatch) holds no event, and is counted.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

import contextlib
from typing import Any

import msgspec
import orjson

from penstock.transforms.batch import Event
from penstock.transforms.codecs._json_values import NotJson
from penstock.transforms.document import Unwritable, json_of
from penstock.transforms.identity import SourceIds
from penstock.transforms.kernels import native
from penstock.transforms.time import timestamps

__all__ = ["LISTS", "CloudWatchLogs", "looks_like"]

DATA, CONTROL = "DATA_MESSAGE", "CONTROL_MESSAGE"
LISTS = ("logEvents", "subscriptionFilters")
"""The lists of a record."""


_NOTHING = msgspec.Raw()
_BEFORE_TIME, _BEFORE_MESSAGE, _BEFORE_ID = b'{"@timestamp":"', b'","message":', b',"event":{"id":"'
_MESSAGE_AT = len(_BEFORE_TIME) + len("2026-11-22T13:28:38.181Z") + len(_BEFORE_MESSAGE)
_QUOTE = ord('"')
_MOST_AROUND = 64 << 10


class _LogEvent(msgspec.Struct, gc=False):
    timestamp: int
    message: msgspec.Raw  # a JSON string, which goes into the event as it is
    id: str
    extracted: msgspec.Raw = msgspec.field(name="extractedFields", default=_NOTHING)


class _Record(msgspec.Struct, gc=False, rename="camel"):
    message_type: str
    owner: str = ""
    log_group: str = ""
    log_stream: str = ""
    subscription_filters: list[str] = []
    log_events: list[_LogEvent] = []


class _LooseRecord(_Record):
    """A record whose log events are read one by one."""

    log_events: list[msgspec.Raw] = []  # type: ignore[assignment]


class _Told(msgspec.Struct, gc=False, rename="camel"):
    """The fields that only a subscription's record has; none may be missing."""

    message_type: str
    log_group: str
    log_stream: str
    log_events: msgspec.Raw


_tell = msgspec.json.Decoder(_Told).decode
_read = msgspec.json.Decoder(_Record).decode
_read_loosely = msgspec.json.Decoder(_LooseRecord).decode
_read_log_event = msgspec.json.Decoder(_LogEvent).decode
_read_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

Refusal = tuple[int, bytes, str]
"""A log event that can't be read: its number, a record that holds only it, and why."""


def looks_like(text: bytes) -> bool:
    """Tells whether a JSON object is a subscription's record, by the fields at its top level."""
    if b'"logEvents"' not in text or b'"messageType"' not in text:
        return False
    try:
        told = _tell(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return told.message_type in (DATA, CONTROL) and bytes(told.log_events).startswith(b"[")


_kernel = native.load(
    "penstock.transforms.codecs._native_cloudwatch",
    lambda kernel: kernel.make_events([], _LogEvent, _NOTHING, Event, None, 0, 0, b"", b""),
)


class CloudWatchLogs:
    """Reads records of a subscription.

    Args:
        message_json: whether a message that is a JSON object is decoded. Its fields come to the event's top level; where
            both have a field, the event's own stays. `message` is then removed, unless the object has one.
    """

    def __init__(self, *, message_json: bool = False) -> None:
        self._message_json = message_json

    def events(self, text: bytes, place: Event, first: int) -> tuple[list[Event], list[Refusal]] | None:
        """Gives the events of one record, at `place`, their parts numbered from `first`; None for a control message.

        A log event that can't be read is refused as a record that holds only it: once it can be read, it has the id that it
        would have had.

        Raises:
            NotJson: the text is no record of a subscription.
        """
        try:
            record = _read(text)
            if not text.isascii():
                text.decode()
            return None if self._is_control(record) else (self._made(record, place, first), [])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, NotJson):
            return self._one_by_one(text, place, first)

    def _is_control(self, record: _Record) -> bool:
        if record.message_type not in (DATA, CONTROL):
            message = (
                f"a CloudWatch Logs record of messageType {record.message_type[:40]!r}, which is not known"
            )
            raise NotJson(message)
        return record.message_type == CONTROL

    def _made(self, record: _Record, place: Event, first: int) -> list[Event]:
        shared = self._shared(record)
        names = SourceIds("cloudwatch", (record.owner, record.log_group, record.log_stream))
        if _kernel is not None and not self._message_json:
            made: list[Event] | None = _kernel.make_events(
                record.log_events,
                _LogEvent,
                _NOTHING,
                Event,
                place.origin,
                place.index,
                first,
                names.hashed_first,
                shared,
            )
            if made is not None:
                return made
        return self._events_in_python(record.log_events, place, first, names, shared)

    def _one_by_one(self, text: bytes, place: Event, first: int) -> tuple[list[Event], list[Refusal]] | None:
        """Does the same for a record of which not all can be read."""
        try:
            record = _read_loosely(text)
            outer = _read_fields(text)
            around = _encode({**outer, "logEvents": []}).decode()
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            message = f"no record of a CloudWatch Logs subscription: {error}"
            raise NotJson(message) from None
        if len(around) > _MOST_AROUND:
            message = f"a log event can't be read, and the record is refused with it: {len(around)} characters around it"
            raise NotJson(message)
        if self._is_control(record):
            return None
        found: list[Event] = []
        refused: list[Refusal] = []
        shared = self._shared(record)
        names = SourceIds("cloudwatch", (record.owner, record.log_group, record.log_stream))
        for number, raw in enumerate(record.log_events):
            try:
                bytes(raw).decode()
                found += self._events_in_python([_read_log_event(raw)], place, first + number, names, shared)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, NotJson) as error:
                alone = _encode({**outer, "logEvents": [raw]})
                refused.append((number, alone, f"log event {number} of the record: {error}"))
        return found, refused

    def _events_in_python(
        self, log_events: list[_LogEvent], place: Event, first: int, names: SourceIds, shared: bytes
    ) -> list[Event]:
        id_of, origin, index = names.id_of, place.origin, place.index
        found: list[Event] = []
        second, begin = -1, ""
        for number, event in enumerate(log_events, first):
            at, milliseconds = divmod(event.timestamp, 1000)
            if at != second:
                second, begin = at, _second(at)
            timestamp = f"{begin}{milliseconds:03d}Z"
            name = event.id
            if self._message_json or event.extracted is not _NOTHING:
                data = self._document(event, timestamp, shared)
            else:
                written = name.encode() if name.isalnum() and name.isascii() else orjson.dumps(name)[1:-1]
                data = b"".join((
                    _BEFORE_TIME, timestamp.encode(), _BEFORE_MESSAGE, event.message, _BEFORE_ID, written, shared,
                ))  # fmt: skip
                if data[_MESSAGE_AT] != _QUOTE:
                    message = "a CloudWatch Logs event whose message is no text"
                    raise NotJson(message)
            found.append(Event(data, origin, index, number, id_of(name, timestamp), timestamp))
        return found

    def _shared(self, record: _Record) -> bytes:
        """Gives the end of the JSON that all events of a record share."""
        document: dict[str, Any] = {
            "aws": {
                "cloudwatch": {
                    "log_group": record.log_group,
                    "log_stream": record.log_stream,
                    "subscription_filters": record.subscription_filters,
                }
            },
            "cloud": {"provider": "aws", "account": {"id": record.owner}},
        }
        return b'"},' + orjson.dumps(document)[1:]

    def _document(self, event: _LogEvent, timestamp: str, shared: bytes) -> bytes:
        """Makes the JSON of an event that has more than text."""
        text = orjson.loads(bytes(event.message))
        inner = None
        if self._message_json and isinstance(text, str) and text.lstrip().startswith("{"):
            with contextlib.suppress(orjson.JSONDecodeError):  # a text that begins with a brace stays a text
                inner = orjson.loads(text)
        document: dict[str, Any] = orjson.loads(b"{" + shared[3:])
        if inner is None:
            document["message"] = text
        if event.extracted is not _NOTHING:
            document["aws"]["cloudwatch"]["extracted_fields"] = orjson.loads(bytes(event.extracted))
        document["event"] = {"id": event.id}
        # A copy, because the result of orjson keeps the kilobyte that it was written into.
        try:
            return b"%b" % json_of({**(inner or {}), **document, "@timestamp": timestamp})
        except Unwritable as error:
            raise NotJson(str(error)) from None


def _second(seconds: int) -> str:
    """Writes a second since 1970 as text, up to the point before the milliseconds."""
    try:
        return timestamps.to_text(timestamps.from_ms(seconds * 1000))[:-4]
    except ValueError as error:
        message = f"a CloudWatch Logs event with a timestamp that is no time: {error}"
        raise NotJson(message) from None
