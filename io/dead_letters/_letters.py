"""`_letters` writes a letter as one JSON line, which holds all that is needed to send the event again. Pure.

Fields: `@timestamp` (when it was refused), `stage`, `error`, `reason`, `status`, `attempts`, `id`, `origin` (words for
people, with `index` and `part`), `position` and `arrived_ms` (so that the event sent again gets the id and the
date it would have had), `output` where one of several outputs refused it, `filters` where filters took part (a replay
must run them on the bytes again), `document` where another step changed the event (the JSON that was refused), and the
original bytes: `data`, or `data_base64` where they aren't UTF-8, or would be longer as text. `lines_of` keeps to a
store's limit: see `_parts`.
"""

import base64
import contextlib
import dataclasses
import hashlib
import time

import orjson

from penstock.io.dead_letters._parts import parts_of
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.document import payload_of
from penstock.transforms.time import timestamps

__all__ = ["ReplayedOrigin", "decode", "encode", "has_event", "letter_id", "lines_of"]

_SMALL = 64 << 10


def encode(letter: DeadLetter, now: float | None = None) -> bytes:
    """One letter as a JSON line with its newline; `now` is in seconds since 1970."""
    event = letter.event
    position = event.origin.position()
    moment = time.gmtime(time.time() if now is None else now)
    line: dict[str, object] = {
        "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "status": letter.status,
        "attempts": letter.attempts,
        "id": event.id,
        "origin": {**event.origin.describe(), "index": event.index, "part": event.part},
        "position": None if position is None else base64.b64encode(position).decode(),
        "arrived_ms": event.origin.arrived_ms,
    }
    if letter.output is not None:
        line["output"] = letter.output
    if event.filters is not None:
        line["filters"] = event.filters
    elif event.changed:
        with contextlib.suppress(TypeError):  # it was refused because it can't be JSON
            line["document"] = payload_of(event).decode()
    try:
        line["data"] = event.data.decode()
        encoded = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        if len(encoded) <= 2 * len(event.data) + _SMALL:
            return encoded
        del line["data"]  # control characters take six bytes each
    except UnicodeDecodeError:
        pass
    line["data_base64"] = base64.b64encode(event.data).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def lines_of(letter: DeadLetter, limit: int) -> list[bytes]:
    """Gives one letter as lines of at most `limit` bytes, newlines included: one line, or its parts."""
    return parts_of(encode(letter), limit)


def has_event(letter: DeadLetter) -> bool:
    """Whether a letter holds an event that can be sent again.

    A part of an S3 object that could not be read (a damaged object, a row, a line that is too long) is no whole event: it
    has to be read again from S3. An element that became no event is there only as a person would look at it.
    """
    return letter.stage not in ("s3", "elements")


@dataclasses.dataclass(frozen=True)
class ReplayedOrigin:
    """The origin of an event that comes back from a letter: the first origin, as the letter tells it."""

    first: bytes | None
    arrived_ms: int
    words: tuple[tuple[str, str | int], ...]

    def position(self) -> bytes | None:
        """Gives the position that the event had first."""
        return self.first

    def describe(self) -> dict[str, str | int]:
        """Gives the first origin in words."""
        return dict(self.words)


def decode(line: bytes) -> DeadLetter:
    """Reads the letter that `encode` wrote.

    Raises:
        ValueError: the line is no letter.
    """
    try:
        found = orjson.loads(line)
        origin = dict(found["origin"])
        index, part = int(origin.pop("index")), int(origin.pop("part"))
        position = found.get("position")
        where = ReplayedOrigin(
            None if position is None else base64.b64decode(position, validate=True),
            int(found["arrived_ms"]),
            tuple(origin.items()),
        )
        data = (
            found["data"].encode()
            if "data" in found
            else base64.b64decode(found["data_base64"], validate=True)
        )
        event = Event(data, where, index, part, found.get("id"), filters=found.get("filters"))
        if found.get("document") is not None:
            document = orjson.loads(found["document"])
            event.document, event.changed = dict(document), True
            event.timestamp = timestamps.of_value(document.get("@timestamp"))
        return DeadLetter(
            event, str(found["error"]), str(found["reason"]), str(found["stage"]), found.get("status"),
            int(found["attempts"]), kept=True, output=found.get("output"),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"not a dead letter ({type(error).__name__})"
        raise ValueError(message) from error


def letter_id(letter: DeadLetter) -> str:
    """Gives an id that is equal when the same step refuses the same event again. So a store with ids keeps it once."""
    event = letter.event
    where = event.origin.position() or orjson.dumps(event.origin.describe(), option=orjson.OPT_SORT_KEYS)
    stage = letter.stage if letter.output is None else f"{letter.stage}\0{letter.output}"
    text = b"%b\0%d\0%d\0%b\0%b" % (where, event.index, event.part, stage.encode(), event.data)
    return hashlib.blake2b(text, digest_size=16).hexdigest()
