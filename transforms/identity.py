"""`document_id` gives a document's id: the same each time that an event is sent, another for every other event.

Problem. A kill between a write and its acknowledgement makes the sender send again. The event then stands twice
in the stream, at two positions, and a Beat encodes a map again on each try, in another key order. So neither the
position nor the bytes show that it is the same event. But the place and the time of the Beat's reading do.

Rule, version 1 (the id's first character; it changes with the rule, because stored ids must stay what they are):
1. `@metadata._id`, when the Beat set one, as it is (at most 512 bytes, Elasticsearch's bound; else as below).
2. An event of a Beat with `log.offset`: a hash of `agent.ephemeral_id` (else `agent.id`, else the host's name),
   `log.file.path`, the offset and `@timestamp` (6.x: `source` and a top-level `offset`). The time is that of the
   reading: the same when a window is sent again, another when a truncated file reaches the same offset.
3. Any other event of a Beat: a hash of the decoded event with sorted keys (where it nests more than 254 levels deep, as 4).
4. Anything else: a hash of its position, because two equal records of another producer are two records.
   Without a position (a connection of something else than a Beat) there is no id: Elasticsearch makes one.

Form: `1`, six characters of time, 22 of a 128-bit BLAKE2b hash, base64url: 29 bytes. The time (that of reading,
in seconds; rule 4 has the hash of the record's position instead, and the index at the end) gives neighbouring events
a common prefix, as Elasticsearch's own ids have it: look-ups skip segments of other times. In small indices (100,000
events) `benchmarks/elasticsearch_write.py ids` showed no gain beyond its noise, and 11 bytes more per event on disk.

`_native_scan.c` makes the ids of the usual events (rules 2 and 4), byte for byte the same. A change here must be
made there too.

Refused: the position alone (a window sent again would stand in the index twice); the bytes (key order); a hash of
the whole event for rule 2 (twice the cost, and a processor's running number would make a replay look new).
"""

import datetime
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import blake2b

import orjson

from penstock.transforms.batch import Document, Event

__all__ = [
    "MAX_ID_BYTES",
    "SourceIds",
    "beat_line_id",
    "content_id",
    "document_id",
    "hash_of",
    "hashed_position_id",
    "hashed_position_ids",
    "is_from_beat",
    "position_id",
]

_SUFFIX = 9
MAX_ID_BYTES = 512
"""Elasticsearch refuses longer ids (`id is too long, must be no longer than 512 bytes`)."""

_URLSAFE = bytes.maketrans(b"+/", b"-_")
_VERSION = "1"

# Sorted, unlike base64's own order, so that ids of later events sort behind those of earlier ones.
_ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_SECONDS = {f"{second:02d}": _ALPHABET[second] for second in range(60)}
_MINUTES: dict[str, str] = {}
_MAX_MINUTES = 10_000
_FILES: dict[tuple[str, str], blake2b] = {}
_MAX_FILES = 10_000


def document_id(event: Event, document: Document) -> str | None:
    """Gives the id of `event`, decoded as `document` and not yet changed by any transform.

    Returns:
        At most 32 ASCII characters (rule 1: at most 512 bytes); None where nothing tells the event from its equals.
    """
    metadata = document.get("@metadata")
    if isinstance(metadata, dict):
        given = metadata.get("_id")
        if isinstance(given, str) and given and len(given.encode(errors="replace")) <= MAX_ID_BYTES:
            return given
    if not is_from_beat(document):
        return position_id(event)
    reader, path, offset, timestamp = _line(document)
    if reader and path and offset is not None and timestamp:
        found = beat_line_id(reader, path, offset, timestamp)
        if found is not None:
            return found
    try:
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # it nests deeper than orjson writes
        return position_id(event)
    return _VERSION + _time_prefix(timestamp) + _hash(b"event\0" + text)


def is_from_beat(document: Document) -> bool:
    """Whether a Beat (or Elastic Agent) made the event: it says so in `@metadata.beat`, `agent` or `beat` (6.x)."""
    metadata, agent = document.get("@metadata"), document.get("agent")
    if isinstance(metadata, dict) and isinstance(metadata.get("beat"), str):
        return True
    if isinstance(agent, dict) and isinstance(agent.get("ephemeral_id") or agent.get("id"), str):
        return True
    beat = document.get("beat")
    return isinstance(beat, dict) and isinstance(beat.get("hostname") or beat.get("name"), str)


def beat_line_id(reader: str, path: str, offset: int, timestamp: str) -> str | None:
    """Rule 2: the id of the line at `offset` of `path`, read by `reader` at `timestamp` (ISO 8601 text).

    The hash is that of `reader NUL path NUL offset SPACE timestamp`; its beginning is remembered for each file.
    None where reader or path hold a NUL, which no path can: one could not tell where they end.
    """
    known = _FILES.get((reader, path)) or _file(reader, path)
    if known is None:
        return None
    hasher = known.copy()
    hasher.update(f"{offset} {timestamp}".encode())
    # It does the work of `_time_prefix` and `_hash` with two calls less, because every event passes here.
    minute = _MINUTES.get(timestamp[:16]) or _minute(timestamp[:16])
    digest = b2a_base64(hasher.digest())[:22].translate(_URLSAFE).decode()
    return f"{_VERSION}{minute}{_SECONDS.get(timestamp[17:19], '-')}{digest}"


def _file(reader: str, path: str) -> blake2b | None:
    if "\0" in reader or "\0" in path:
        return None
    hasher = blake2b(f"{reader}\0{path}\0".encode(), digest_size=16)
    if len(_FILES) >= _MAX_FILES:
        _FILES.clear()
    _FILES[reader, path] = hasher
    return hasher


def position_id(event: Event) -> str | None:
    """Rule 4: gives the id of the event's position; None where its origin has no position."""
    position = event.origin.position()
    return None if position is None else hashed_position_id(_hash(position), event)


class SourceIds:
    """Makes ids of events that their source has named already, as CloudWatch Logs does.

    Args:
        kind: the kind of source, so that names of two sources never clash.
        names: the part in front of the names of all these events (an account, a log group).

    Attributes:
        hashed_first: the bytes hashed before an event's name, for `_native_cloudwatch.c`, which makes the usual ids.
    """

    def __init__(self, kind: str, names: tuple[str, ...]) -> None:
        # Lengths come before the names, so two lists of names never give the same text.
        text = "".join(f"{len(name)}:{name}" for name in (kind, *names))
        self.hashed_first = b"source\0" + text.encode(errors="surrogatepass")
        self._hasher = blake2b(self.hashed_first, digest_size=16)

    def id_of(self, name: str, timestamp: str) -> str:
        """Gives the id of the event called `name`. Its time gives the prefix that all ids have."""
        hasher = self._hasher.copy()
        hasher.update(name.encode(errors="surrogatepass"))
        digest = b2a_base64(hasher.digest())[:22].translate(_URLSAFE).decode()
        return f"{_VERSION}{_time_prefix(timestamp)}{digest}"


def content_id(content: bytes, timestamp: str | None) -> str:
    """Gives the id of this content. The time written in it gives the prefix that all ids have."""
    return _VERSION + _time_prefix(timestamp) + _hash(b"content\0" + content)


def hash_of(position: bytes) -> str:
    """Gives the part of a rule 4 id that all events of one position share."""
    return _hash(position)


def hashed_position_id(position: str, event: Event) -> str:
    """Rule 4 with the position already hashed (`hash_of`)."""
    return _named(position, f"{event.index:x}_{event.part:x}" if event.part else f"{event.index:x}")


def hashed_position_ids(position: str, numbers: Sequence[int]) -> list[str]:
    """Gives the same for many events of ascending numbers, each the only one of its payload."""
    if numbers and numbers[-1] >> 4 * _SUFFIX:
        return [_named(position, f"{number:x}") for number in numbers]
    start = _VERSION + position
    return [f"{start}{number:x}" for number in numbers]


def _named(position: str, suffix: str) -> str:
    if len(suffix) > _SUFFIX:
        return _VERSION + position[:6] + _hash(f"{position}{suffix}".encode())
    return f"{_VERSION}{position}{suffix}"


def _line(document: Document) -> tuple[str | None, str | None, int | None, str | None]:
    agent, log, host = document.get("agent"), document.get("log"), document.get("host")
    reader = path = offset = None
    if isinstance(agent, dict):
        reader = agent.get("ephemeral_id") or agent.get("id")
    if not reader and isinstance(host, dict):
        reader = host.get("name") or host.get("hostname")
    beat = document.get("beat")
    if not reader and isinstance(beat, dict):
        reader = beat.get("hostname") or beat.get("name")
    if isinstance(log, dict):
        offset = log.get("offset")
        file = log.get("file")
        if isinstance(file, dict):
            path = file.get("path")
    if offset is None and path is None:
        path, offset = document.get("source"), document.get("offset")
    timestamp = document.get("@timestamp")
    return (
        reader if isinstance(reader, str) else None,
        path if isinstance(path, str) else None,
        offset if isinstance(offset, int) and not isinstance(offset, bool) else None,
        timestamp if isinstance(timestamp, str) else None,
    )


def _hash(data: bytes) -> str:
    return b2a_base64(blake2b(data, digest_size=16).digest())[:22].translate(_URLSAFE).decode()


def _time_prefix(timestamp: str | None) -> str:
    """Gives six characters that rise with the time in `timestamp`, whatever its zone; constant ones without a time."""
    if timestamp is None:
        return "------"
    minute = _MINUTES.get(timestamp[:16]) or _minute(timestamp[:16])
    return minute + _SECONDS.get(timestamp[17:19], "-")


def _minute(text: str) -> str:
    """Gives five characters for `2026-11-22T13:28`, and remembers them."""
    try:
        number = int(datetime.datetime.fromisoformat(text + "+00:00").timestamp()) // 60 & 0x3FFFFFFF
    except ValueError:
        number = 0
    minute = "".join([_ALPHABET[number >> shift & 63] for shift in (24, 18, 12, 6, 0)])
    if len(_MINUTES) >= _MAX_MINUTES:
        _MINUTES.clear()
    _MINUTES[text] = minute
    return minute
