"""`Container` takes an Avro object container file apart: its header, and its decompressed blocks.

Problem. fastavro inflates whatever a block holds and believes every number in it: 600 KB became 1.9 GB, a file of 116 bytes
that claims 50 million rows 5.4 GB, and a deeply nested schema a crash. So the frame of the file is read here, where all is
bounded before memory is taken for it; fastavro sees only blocks that have passed (`Feed`).

Invariants.
- The header is at most `HEADER_LIMIT`, its schema nests at most `SCHEMA_DEPTH` brackets deep.
- A block is at most `BLOCK_LIMIT` bytes, stored and inflated; it has at most as many rows as inflated bytes.
- A block whose compression is corrupt costs itself; a broken frame (no sync marker) ends the file.

Source: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

import bz2
import dataclasses
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import lz4.block
from backports import zstd

from penstock.io.s3.formats._compression import XZ_MEMORY, Damaged, Reader
from penstock.io.s3.formats._recognise import AVRO

__all__ = ["SYNC_BYTES", "Block", "Container", "Feed", "Header", "read_header"]

SYNC_BYTES = 16
HEADER_LIMIT = 16 << 20
BLOCK_LIMIT = 128 << 20
SCHEMA_DEPTH = 200
"""Brackets; fastavro recurses in C for each, and real schemas stay below 50."""
_ROWS_WITHOUT_BYTES = 1 << 16
"""The most rows of a block without bytes (a schema of nulls)."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The beginning of a file.

    Attributes:
        metadata: the file's metadata.
        sync: the marker behind each block.
        size: bytes.
    """

    metadata: dict[str, bytes]
    sync: bytes
    size: int

    @property
    def schema(self) -> Any:
        """The schema, or None where it is no JSON (fastavro says why)."""
        try:
            return json.loads(self.metadata.get("avro.schema", b""))
        except ValueError:
            return None

    @property
    def codec(self) -> str:
        """The name of the blocks' compression."""
        return self.metadata.get("avro.codec", b"null").decode(errors="replace")

    def uncompressed(self) -> bytes:
        """Gives the same header for blocks without compression."""
        pairs = self.metadata | {"avro.codec": b"null"}
        text = b"".join(_sized(key.encode()) + _sized(value) for key, value in pairs.items())
        return AVRO + _varint(len(pairs)) + text + b"\0" + self.sync


@dataclasses.dataclass(frozen=True)
class Block:
    """A block without compression.

    Attributes:
        offset: where it begins in the file.
        rows: how many it holds.
        data: the rows' bytes; empty where there is damage.
        damage: why the rows can't be read; empty when they can.
    """

    offset: int
    rows: int
    data: bytes
    damage: str = ""


class _Exact:
    """Reads exactly as many bytes as asked for, and counts them."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream
        self.position = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            parts = [data]
            while (left := size - sum(map(len, parts))) and (more := self._stream.read(left)):
                parts.append(more)
            data = b"".join(parts)
        self.position += len(data)
        if len(data) < size:
            message = f"the Avro file is cut short at byte {self.position}"
            raise Damaged(message)
        return data

    def number(self) -> int:
        """Reads a zigzag varint."""
        value = shift = 0
        while True:
            (byte,) = self.read(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                message = f"the Avro file holds no number at byte {self.position}"
                raise Damaged(message)

    def sized(self, limit: int) -> bytes:
        """Reads bytes that stand behind their length."""
        size = self.number()
        if not 0 <= size <= limit:
            message = f"the Avro file claims {size} bytes at byte {self.position}, at most {limit} are read"
            raise Damaged(message)
        return self.read(size)


def read_header(stream: Reader) -> Header:
    """Reads the header at the beginning of `stream`.

    Raises:
        Damaged: there is no header, or it is beyond the bounds.
    """
    exact = _Exact(stream)
    if exact.read(len(AVRO)) != AVRO:
        message = "the Avro file has no header"
        raise Damaged(message)
    metadata: dict[str, bytes] = {}
    while count := exact.number():
        if count < 0:
            exact.number()  # bytes of these pairs
        for _ in range(abs(count)):
            key = exact.sized(HEADER_LIMIT - exact.position).decode(errors="replace")
            metadata[key] = exact.sized(HEADER_LIMIT - exact.position)
            if exact.position >= HEADER_LIMIT:
                break
    depth = _depth(metadata.get("avro.schema", b""))
    if depth > SCHEMA_DEPTH:
        message = f"the schema of the Avro file nests {depth} brackets deep, at most {SCHEMA_DEPTH} are read"
        raise Damaged(message)
    return Header(metadata, exact.read(SYNC_BYTES), exact.position)


def _depth(schema: bytes) -> int:
    """Tells how deep brackets nest; those in strings count too, which only makes the bound narrower."""
    depth = deepest = 0
    for byte in schema:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


class Container:
    """Gives the blocks of a stream that begins behind the header, or behind a sync marker.

    Args:
        header: the file's header.
        stream: the rest of the file.
        offset: where the stream begins in the file.
    """

    def __init__(self, header: Header, stream: Reader, offset: int) -> None:
        codec = header.codec
        if codec not in _INFLATE:
            message = f"the Avro file is compressed with {codec[:40]}; null, {', '.join(_INFLATE)} are read"
            raise Damaged(message)
        self._inflate = _INFLATE[codec]
        self._sync = header.sync
        self._stream = stream
        self._offset = offset

    def blocks(self, end: int | None) -> Iterator[Block]:
        """Gives the blocks that begin before `end`, or all, in order.

        Raises:
            Damaged: the frame is broken.
        """
        exact = _Exact(self._stream)
        while end is None or self._offset + exact.position < end:
            offset = self._offset + exact.position
            try:
                rows = exact.number()
            except Damaged:
                if self._offset + exact.position == offset:
                    return
                raise
            data = exact.sized(BLOCK_LIMIT)
            if exact.read(SYNC_BYTES) != self._sync:
                message = f"the Avro file is corrupt: no sync marker at byte {self._offset + exact.position - SYNC_BYTES}"
                raise Damaged(message)
            yield self._block(offset, rows, data)

    def _block(self, offset: int, rows: int, data: bytes) -> Block:
        try:
            inflated = self._inflate(data)
        except Exception as error:  # five libraries, each with its own
            return Block(offset, 0, b"", f"its compression is corrupt ({' '.join(str(error).split())[:150]})")
        if not 0 <= rows <= max(len(inflated), _ROWS_WITHOUT_BYTES):
            return Block(offset, 0, b"", f"it claims {rows} rows in {len(inflated)} bytes")
        return Block(offset, rows, inflated)


class Feed:
    """Acts as a file without compression for fastavro: it has the header, then each block that is put in."""

    def __init__(self, header: Header) -> None:
        self._file = io.BytesIO(header.uncompressed())
        self._sync = header.sync

    def put(self, block: Block) -> None:
        """Puts in the next block."""
        self._file = io.BytesIO(_varint(block.rows) + _sized(block.data) + self._sync)

    def read(self, size: int = -1, /) -> bytes:
        """Reads as a file does."""
        return self._file.read(size)

    def tell(self) -> int:
        """Gives the position, which fastavro notes for each block."""
        return 0


def _varint(value: int) -> bytes:
    """Gives a number that is not negative, in zigzag."""
    value <<= 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(made) + bytes((value,))


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _bounded(make: Callable[[], Any], data: bytes) -> bytes:
    inner = make()
    made: bytes = inner.decompress(data, BLOCK_LIMIT)
    if len(made) >= BLOCK_LIMIT:
        raise _too_large()
    if not inner.eof:
        message = "cut short"
        raise ValueError(message)
    return made


def _claimed(size: int) -> int:
    if size > BLOCK_LIMIT:
        raise _too_large()
    return size


def _too_large() -> ValueError:
    return ValueError(f"more than {BLOCK_LIMIT} bytes inflated")


def _snappy(data: bytes) -> bytes:
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    _claimed(size)
    made = bytes(cramjam.snappy.decompress_raw(data[:-4]))
    if zlib.crc32(made) != int.from_bytes(data[-4:], "big"):
        message = "its checksum is another one"
        raise ValueError(message)
    return made


def _lz4(data: bytes) -> bytes:
    _claimed(int.from_bytes(data[:4], "little"))
    return lz4.block.decompress(data)  # type: ignore[no-any-return]


_INFLATE: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: _bounded(lambda: zlib.decompressobj(-15), data),
    "snappy": _snappy,
    "zstandard": lambda data: _bounded(zstd.ZstdDecompressor, data),
    "bzip2": lambda data: _bounded(bz2.BZ2Decompressor, data),
    "xz": lambda data: _bounded(lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), data),
    "lz4": _lz4,
}
