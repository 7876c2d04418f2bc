"""`_metadata` leaves a Beat's `@metadata` out of what is stored, as Logstash does, without serialising the event again.

Pure.

Beats write `{"@timestamp":"...","@metadata":{...},`: the same bytes at the same place in every event of one version.
Place and bytes are learnt once, and cut out of the later events. Ids and references were made from the whole
event before.

Invariant. Only a key of the top level is cut. There is only one `{` before it, the event's, and the cut begins with
a comma, after which a quote can only open a key. All other events go the slow way, which takes the top level apart
and leaves every other value's bytes as they are.
"""

import msgspec

__all__ = ["KEY", "MetadataCutter"]

KEY = "@metadata"
_KEY = b'"@metadata"'
_BRACE = ord("{")
_MAX_LEARNT = 4
_MAX_LEARNT_BYTES = 1024

_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_quote = msgspec.json.Encoder().encode


class MetadataCutter:
    """Cuts `@metadata` out of an event's bytes when it is called, and remembers what that of the Beats looks like."""

    def __init__(self) -> None:
        self.learnt: list[tuple[int, int, bytes]] = []
        """Begin, end, and the bytes between: the newest first. Always this list, for those who cut by themselves."""

    def __call__(self, data: bytes) -> bytes:
        """Gives the same JSON object without its `@metadata`. Bytes that are no JSON object stay as they are."""
        for start, end, learnt in self.learnt:
            if data.startswith(learnt, start) and _BRACE not in data[1:start]:
                return data[:start] + data[end:]
        return self._slowly(data) if _KEY in data else data

    def _slowly(self, data: bytes) -> bytes:
        try:
            fields = _top_level(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return data
        found = fields.pop(KEY, None)
        if found is None:
            return data
        learnt = b",%b:%b" % (_KEY, bytes(found))
        start = data.find(learnt)
        end = start + len(learnt)
        if start > 0 and _BRACE not in data[1:start] and data[end : end + 1] in b",}":
            # The end of an object is clear; the bytes of another value may be the beginning of a longer one.
            if data[end - 1 : end] == b"}" and len(learnt) <= _MAX_LEARNT_BYTES:
                self.learnt[:] = [(start, end, learnt), *self.learnt[: _MAX_LEARNT - 1]]
            return data[:start] + data[end:]
        return b"{%b}" % b",".join([b"%b:%b" % (_quote(key), bytes(value)) for key, value in fields.items()])
