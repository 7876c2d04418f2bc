"""Leaves a Beat's `@metadata` out of what is stored, as Logstash does, without serialising the event anew. Pure.

Beats write `"@metadata":{...},` near the front, the same bytes in every event of one version. Those bytes are learnt
once and cut out of the later events; ids and references have been made from the whole event before.

Invariant: what is cut is the top level's own key. Before it stands one `{` only, the event's, and then a comma or
that brace; anything else goes the slow way, which takes the top level apart and leaves every other value's bytes
as they are.
"""

import msgspec

__all__ = ["KEY", "MetadataCutter"]

KEY = "@metadata"
_FIND = b'"@metadata":'
_MAX_LEARNT = 16

_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_quote = msgspec.json.Encoder().encode


class MetadataCutter:
    """Call it with an event's bytes; it remembers what the `@metadata` of the Beats look like."""

    def __init__(self) -> None:
        self._learnt: tuple[bytes, ...] = ()

    def __call__(self, data: bytes) -> bytes:
        """The same JSON object without its `@metadata`; bytes that are no JSON object stay as they are."""
        at = data.find(_FIND)
        if at < 0:
            return data if b'"@metadata"' not in data else self._slowly(data, -1)
        if data[at - 1] in b"{," and data.count(b"{", 0, at) == 1:
            for learnt in self._learnt:
                if data.startswith(learnt, at):
                    return data[:at] + data[at + len(learnt) :]
            return self._slowly(data, at)
        return self._slowly(data, -1)

    def _slowly(self, data: bytes, at: int) -> bytes:
        """`at`: where the key stands, when that is known to be the top level's; else -1."""
        try:
            fields = _top_level(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return data
        found = fields.pop(KEY, None)
        if found is None:
            return data
        learnt = b"".join((_FIND, found, b","))
        if at >= 0 and len(learnt) < 1024 and data.startswith(learnt, at):
            self._learnt = (learnt, *self._learnt[: _MAX_LEARNT - 1])
            return data[:at] + data[at + len(learnt) :]
        return b"{%b}" % b",".join([b"%b:%b" % (_quote(key), bytes(value)) for key, value in fields.items()])
