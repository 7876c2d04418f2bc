"""`_parts` cuts a letter that is longer than its store takes into several lines, and joins them again. Pure.

A part holds what a person wants to see of the letter (when, who, why), and a piece of the letter's own line, in base64:
`letter` (a hash of that line), `number` from 0, `of`, `piece`. Parts may come back in any order, twice, and between
other letters.
"""

import base64
import hashlib

import orjson

__all__ = ["Joiner", "parts_of"]

_SHOWN = ("@timestamp", "stage", "error", "reason", "status", "attempts", "id", "origin")
_OVERHEAD = 8 << 10
"""An upper bound of the bytes of a part's shown fields and names."""

_MAX_HELD = 512 << 20


def parts_of(line: bytes, limit: int) -> list[bytes]:
    """Cuts a letter's line into lines of at most `limit` bytes, each with its newline."""
    if len(line) <= limit:
        return [line]
    shown = {name: value for name, value in orjson.loads(line).items() if name in _SHOWN}
    if len(orjson.dumps(shown)) > _OVERHEAD // 2:  # an origin with a very long name
        shown = {}
    size = max(3, (limit - _OVERHEAD) // 4 * 3)
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    name = hashlib.blake2b(line, digest_size=16).hexdigest()
    return [
        orjson.dumps(
            {
                **shown,
                "letter": name,
                "number": number,
                "of": len(pieces),
                "piece": base64.b64encode(piece).decode(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for number, piece in enumerate(pieces)
    ]


class Joiner:
    """Takes lines and gives letters' lines. Holds the parts of incomplete letters, within bounds."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, bytes]] = {}
        self._size = 0
        self.lost = 0
        """How many parts were given up, because too much was held."""

    def take(self, line: bytes) -> bytes | None:
        """Gives the line itself when it is no part, the whole letter with its last part, else None.

        Raises:
            ValueError: a part makes no sense.
        """
        if b'"piece":' not in line:
            return line
        found = orjson.loads(line)
        if not isinstance(found, dict) or "piece" not in found or "data" in found or "data_base64" in found:
            return line  # a letter whose text says "piece"
        try:
            name, number, of = str(found["letter"]), int(found["number"]), int(found["of"])
            piece = base64.b64decode(found["piece"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            message = f"not a part of a dead letter ({type(error).__name__})"
            raise ValueError(message) from error
        pieces = self._held.setdefault(name, {})
        self._size += len(piece) - len(pieces.get(number, b""))
        pieces[number] = piece
        if len(pieces) < of or any(each not in pieces for each in range(of)):
            self._drop_oldest()
            return None
        del self._held[name]
        self._size -= sum(map(len, pieces.values()))
        whole = b"".join(pieces[each] for each in range(of))
        if hashlib.blake2b(whole, digest_size=16).hexdigest() != name:
            message = "not a part of a dead letter (its parts don't fit together)"
            raise ValueError(message)
        return whole

    def _drop_oldest(self) -> None:
        while self._size > _MAX_HELD and len(self._held) > 1:
            pieces = self._held.pop(next(iter(self._held)))
            self._size -= sum(map(len, pieces.values()))
            self.lost += len(pieces)

    @property
    def left(self) -> int:
        """How many parts lack their other parts."""
        return self.lost + sum(map(len, self._held.values()))
