"""`_data_events` reads events of version 1: pairs of strings, which become one JSON object.

A data frame doesn't announce its length, only its number of pairs. `DataScan` finds its end, and goes on where
it stopped when more bytes have come: a frame that arrives in pieces costs its length, not the square of it.
"""

import codecs

import orjson

from penstock.io.beats.wire import _frames as frames
from penstock.io.beats.wire._limits import Limits

__all__ = ["DataScan", "as_json"]

_UNPACK_LENGTH = frames.LENGTH.unpack_from
_STRING_BYTES = frames.LENGTH.size
_STRING_COST = 64  # the least bytes that a string costs here
_STEP = 1 << 16
_DECODED = "data event, as JSON,"


class DataScan:
    """Looks for the end of one data frame.

    Attributes:
        scanned: bytes known to belong to the frame; 0 when no frame is being scanned.
        need: bytes of the frame without which the scan can't go on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._strings = 0
        self.scanned = 0
        self.need = 0

    def complete(self, buffer: bytes | bytearray, start: int) -> bool:
        """Whether the frame that begins at `start` is all there; `scanned` is then its length.

        Raises:
            ProtocolError: the frame would be longer than `max_frame_bytes`.
        """
        available = len(buffer) - start
        if not self.scanned:
            self.need = frames.DATA_HEADER.size
            if available < self.need:
                return False
            self._strings = 2 * _UNPACK_LENGTH(buffer, start + 6)[0]
            self._limits.check_frame("data event", self._strings * _STRING_COST)
            self.scanned = frames.DATA_HEADER.size
        while self._strings:
            self.need = self.scanned + _STRING_BYTES
            if available >= self.need:
                self.need += _UNPACK_LENGTH(buffer, start + self.scanned)[0]
                self._limits.check_frame("data event", self.need)
            if available < self.need:
                return False
            self.scanned = self.need
            self._strings -= 1
        return True


def as_json(buffer: bytes, position: int, size: int, limits: Limits) -> bytes:
    """Gives a whole data frame's pairs as one JSON object. Of equal keys the last counts; bad UTF-8 is replaced.

    Args:
        buffer: holds the frame.
        position: where it begins.
        size: its length.
        limits: bound what the object becomes.

    Raises:
        ProtocolError: the object is longer than `max_frame_bytes` (an escaped letter takes six bytes).
    """
    if size > _STEP:
        return _as_json_in_steps(buffer, position, limits)
    _, _, pairs = frames.DATA_HEADER.unpack_from(buffer, position)
    position += frames.DATA_HEADER.size
    fields: dict[str, str] = {}
    for _ in range(pairs):
        start = position + 4
        middle = start + _UNPACK_LENGTH(buffer, position)[0]
        end = middle + 4 + _UNPACK_LENGTH(buffer, middle)[0]
        fields[buffer[start:middle].decode("utf-8", "replace")] = buffer[middle + 4 : end].decode(
            "utf-8", "replace"
        )
        position = end
    decoded = orjson.dumps(fields)
    limits.check_frame(_DECODED, len(decoded))
    return decoded


def _as_json_in_steps(buffer: bytes, position: int, limits: Limits) -> bytes:
    """Does the same for a long frame, and never holds a string of four bytes per letter, or much more than allowed."""
    _, _, pairs = frames.DATA_HEADER.unpack_from(buffer, position)
    position += frames.DATA_HEADER.size
    fields: dict[bytes, bytes] = {}
    total = 2
    for _ in range(pairs):
        start = position + 4
        middle = start + _UNPACK_LENGTH(buffer, position)[0]
        end = middle + 4 + _UNPACK_LENGTH(buffer, middle)[0]
        key = _string(buffer, start, middle, total, limits)
        value = fields[key] = _string(buffer, middle + 4, end, total + len(key), limits)
        total += len(key) + len(value) + 2
        position = end
    decoded = b"{%b}" % b",".join(b"%b:%b" % pair for pair in fields.items())
    limits.check_frame(_DECODED, len(decoded))
    return decoded


def _string(buffer: bytes, start: int, end: int, total: int, limits: Limits) -> bytes:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = []
    for at in range(start, max(end, start + 1), _STEP):
        after = min(at + _STEP, end)
        piece = orjson.dumps(decoder.decode(buffer[at:after], after == end))[1:-1]
        total += len(piece)
        limits.check_frame(_DECODED, total)
        pieces.append(piece)
    return b'"%b"' % b"".join(pieces)
