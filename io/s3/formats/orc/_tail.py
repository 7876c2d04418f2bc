"""`OrcTail` knows the stripes of an ORC file, and writes the end of a file that holds only one of them. Pure.

Problem. Arrow's scanner reads an ORC file from its first stripe, and a stripe that is damaged ends it.

Plan. The end of an ORC file (Protocol Buffers) lists the stripes by their offsets. So the same bytes with another end are a
file of one stripe, which the scanner reads in batches. Fields that this module doesn't know are copied as they are.

Source: https://orc.apache.org/specification/ORCv1/ (File Tail), and orc_proto.proto of Apache ORC.
"""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["OrcTail", "Stripe"]

_VARINT, _BYTES = 0, 2
_POSTSCRIPT, _FOOTER = 1, 2  # of FileTail, which Arrow gives inflated
_FOOTER_LENGTH, _COMPRESSION, _METADATA_LENGTH, _STATISTICS_LENGTH = 1, 2, 5, 7  # of PostScript
_STRIPES, _ROWS, _STATISTICS = 3, 6, 7  # of Footer
_OFFSET, _LENGTHS, _ROWS_OF_STRIPE = 1, (2, 3, 4), 5  # of StripeInformation
_CHUNK = 1 << 10
"""Bytes of the footer per chunk: no file has smaller blocks of compression."""


class Stripe(NamedTuple):
    """One stripe.

    Attributes:
        first: the number of its first row.
        rows: how many it has.
        information: its entry in the footer.
    """

    first: int
    rows: int
    information: bytes


class OrcTail:
    """The end of a file.

    Args:
        serialized: a FileTail, as `ORCReader.serialized_file_tail` gives it.

    Attributes:
        content_bytes: where the last stripe ends. (What the footer says of it differs from writer to writer.)
        stripes: its stripes, in order.

    Raises:
        ValueError: it is no such thing.
    """

    def __init__(self, serialized: bytes) -> None:
        parts = {number: value for number, value, _ in _fields(serialized)}
        postscript, footer = parts.get(_POSTSCRIPT), parts.get(_FOOTER)
        if not isinstance(postscript, bytes) or not isinstance(footer, bytes):
            message = "the ORC file has no footer"
            raise ValueError(message)
        self.content_bytes = 0
        self.stripes: list[Stripe] = []
        self._kept = b""
        first = 0
        for number, value, raw in _fields(footer):
            if number == _STRIPES and isinstance(value, bytes):
                told = {name: each for name, each, _ in _fields(value) if isinstance(each, int)}
                rows = told.get(_ROWS_OF_STRIPE, 0)
                self.stripes.append(Stripe(first, rows, value))
                first += rows
                end = told.get(_OFFSET, 0) + sum(told.get(name, 0) for name in _LENGTHS)
                self.content_bytes = max(self.content_bytes, end)
            elif number not in (_ROWS, _STATISTICS):
                self._kept += raw
        self._postscript = b""
        self._compressed = False
        for number, value, raw in _fields(postscript):
            if number == _COMPRESSION:
                self._compressed = value != 0
            if number not in (_FOOTER_LENGTH, _METADATA_LENGTH, _STATISTICS_LENGTH):
                self._postscript += raw

    def of_one(self, stripe: Stripe) -> bytes:
        """Gives the end of a file that holds this stripe only; it stands behind the first `content_bytes`."""
        footer = (
            self._kept + _field(_STRIPES, stripe.information) + _varint(_ROWS << 3) + _varint(stripe.rows)
        )
        if self._compressed:  # each chunk says that it isn't
            chunks = (footer[at : at + _CHUNK] for at in range(0, len(footer), _CHUNK))
            footer = b"".join((len(chunk) << 1 | 1).to_bytes(3, "little") + chunk for chunk in chunks)
        postscript = _varint(_FOOTER_LENGTH << 3) + _varint(len(footer)) + self._postscript
        return footer + postscript + bytes([len(postscript)])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes, bytes]]:
    """Gives number, value and bytes of each field. Raises `ValueError` for what is no message."""
    position = 0
    try:
        while position < len(message):
            begin = position
            key, position = _read_varint(message, position)
            value: int | bytes
            if key & 7 == _VARINT:
                value, position = _read_varint(message, position)
            elif key & 7 == _BYTES:
                size, position = _read_varint(message, position)
                value = message[position : position + size]
                position += size
            else:
                position += {1: 8, 5: 4}[key & 7]
                value = message[begin:position]
            yield key >> 3, value, message[begin:position]
    except (IndexError, KeyError):
        position = len(message) + 1
    if position > len(message):
        text = "the footer of the ORC file is cut short"
        raise ValueError(text)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
