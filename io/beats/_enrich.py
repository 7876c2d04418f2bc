r"""`enriched` puts the client's address and TLS peer into an event, without parsing it where that can be avoided.

Fields have the names that Logstash's beats input gives them in its ECS mode, below `@metadata`. The port stays out:
an event that is sent again over a new connection must be the same event, or it would get another identity.

Plan. A Beat writes `"@metadata":{` near the beginning of each event. It is the event's own key when no backslash, an even
number of quotes, and only one `{` stand before it (`"\"@metadata":{` is another key, #19). If what follows is flat,
the fields are spliced in before its `}`. Without such a key they become one, behind the event's first `{`. In any other case
(a second such key, one that is no object, our own fields, letters written as escapes: a client may want to
pass for another) the event is parsed and written again, and our fields win. An event with half a surrogate pair
(`"\ud800"`) is an object.

Invariants.
- The result is what a full decode, an assignment and an encode would give.
- What is no JSON object is refused. Readers behind us take more than that (a byte order mark, gzip, arrays, several
  objects in a row, any depth), and would find in it what the client says of itself.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from penstock.io.beats.origin import BeatsClient
from penstock.transforms.document import Unwritable, json_of

__all__ = ["KINDS", "NotAnObject", "enriched", "fields_of"]

KINDS = ("source_metadata", "ssl_peer_metadata", "codec_metadata")
"""The kinds of metadata that may be asked for. There is no codec here, so `codec_metadata` adds nothing."""

_METADATA = b'"@metadata":{'
_MOST_DIGITS = 4000
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
_MEETING = re.compile(rb"}[ \t\r\n]*[{\[]")
"""Where one JSON value ends and another begins; or the inside of a string."""


class NotAnObject(ValueError):
    """The event is JSON, but not an object."""

    def __init__(self) -> None:
        super().__init__("JSON, but not an object")


def fields_of(client: BeatsClient, kinds: Sequence[str]) -> bytes:
    """Gives what is added to all events of a client: the members of a JSON object, without its braces; or nothing.

    Source: https://www.elastic.co/docs/reference/logstash/plugins/plugins-inputs-beats (Event enrichment).
    """
    beats: dict[str, Any] = {}
    fields: dict[str, Any] = {"input": {"beats": beats}}
    if "source_metadata" in kinds:
        beats["host"] = {"ip": client.address}
    if "ssl_peer_metadata" in kinds and client.tls_version:
        verified = client.tls_subject is not None
        fields["tls_peer"] = {"status": "verified" if verified else "unverified"}
        if verified:
            beats["tls"] = {
                "version_protocol": client.tls_version,
                "client": {"subject": client.tls_subject},
                "cipher": client.tls_cipher,
            }
    if not beats:
        del fields["input"]
    return orjson.dumps(fields)[1:-1] if fields else b""


def enriched(data: bytes, fields: bytes) -> bytes:
    """Gives an event with `fields` (see `fields_of`) in its `@metadata`.

    Bytes that no reader takes, but that begin and end like an object, may get the fields too. That makes them no worse.

    Raises:
        ValueError: it is no JSON object.
    """
    return _spliced(data, fields) or _rewritten(data, fields)


def _spliced(data: bytes, fields: bytes) -> bytes | None:
    if data[:1] != b"{" or data[-1:] != b"}" or _ESCAPED_LETTER.search(data) or _MEETING.search(data):
        return None
    key = data.find(_METADATA)
    if key < 0:
        if data[1:2] != b'"' or b"metadata" in data:
            return None
        return b"{%b%b},%b" % (_METADATA, fields, data[1:])
    begin = key + len(_METADATA)
    end = data.find(b"}", begin)
    members = data[begin:end]
    if (
        data.count(b"{", 0, key) != 1
        or data.count(b'"', 0, key) % 2
        or data.find(b"\\", 0, key) >= 0
        or end < 0
        or data.find(b'metadata"', begin) >= 0
        # An even number of quotes, none of them escaped: the brace isn't inside a string.
        or members.count(b'"') % 2
        or any(bad in members for bad in (b"{", b"\\", b'"input"', b'"tls_peer"'))
    ):
        return None
    comma = b"," if members.strip() else b""
    return b"%b%b%b%b" % (data[:end], comma, fields, data[end:])


def _rewritten(data: bytes, fields: bytes) -> bytes:
    encode: Callable[[Any], bytes] = json_of
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError as error:  # it refuses half a surrogate pair, which other readers take
        try:
            event = json.loads(data.decode(), parse_int=_integer)
        except (ValueError, RecursionError):
            raise error from None
        encode = _in_ascii
    if not isinstance(event, dict):
        raise NotAnObject
    before = event.get("@metadata")
    event["@metadata"] = {**(before if isinstance(before, dict) else {}), **orjson.loads(b"{%b}" % fields)}
    return encode(event)


def _in_ascii(event: Any) -> bytes:
    try:
        return json.dumps(event, separators=(",", ":")).encode()
    except RecursionError as error:
        raise Unwritable(str(error)) from None


def _integer(digits: str) -> int | float:
    """Reads an integer. Python refuses more digits, and then nothing else in the event would be looked at."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
