"""`blocks` decompresses a stream of bytes, by its content, in bounded blocks.

Problem. Names lie (a `.gz` that is no gzip, gzip without `.gz`), a small object may hold gigabytes of zeros, and an upload
may have been cut short. The bytes before the damage are good, and must be delivered.

Invariants.
- A block is at most `BLOCK` bytes, whatever the compressed bytes say.
- Several members, streams or frames one after another are one content (gzip -c a b, zstd, pbzip2, pixz do that).
- `Damaged` is raised only after every block before the damage has been yielded. (Bytes that only the checksum at
  a member's end tells to be wrong are among them: waiting for it would mean holding the whole content.)
- Zeros behind the last member are padding (tape and block tools write it); anything else there is damage.
"""

import bz2
import codecs
import itertools
import lzma
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from backports import zstd
from isal import igzip_lib

__all__ = [
    "BLOCK",
    "XZ_MEMORY",
    "Damaged",
    "Reader",
    "Unsupported",
    "blocks",
    "detect",
    "is_utf16",
    "text_of",
]

BLOCK = 1 << 20
"""The most bytes of a block: about one batch of events."""

XZ_MEMORY = 256 << 20
"""The memory that an xz stream may ask for: its own level -9 takes 65 MiB; without a bound 390 KB asked for 2.7 GB."""

_INPUT = 256 << 10
_TWICE_RATIO, _TWICE_FREE = 1000, 64 << 20
"""What is compressed twice may become so many times its size, or so many bytes: a bomb in a bomb has no end."""

_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF32 = b"\xff\xfe\x00\x00"

_MAGIC = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)


class Damaged(ValueError):
    """The bytes are cut short or corrupt; the text says how, and after how much. `kind` is the word for its dead letter."""

    kind = "DamagedObject"


class Unsupported(Damaged):
    """The bytes have a format that is not read here; the text says which, and what to do."""

    kind = "UnsupportedFormat"


class Reader(Protocol):
    """Gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Gives at most `size` bytes; none at the end."""


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def detect(head: bytes) -> str:
    """Gives the compression that content begins with: `gzip`, `zstd`, `bzip2`, `xz`, or `none`."""
    for magic, name in _MAGIC:
        if head.startswith(magic) and (name != "bzip2" or _is_bzip2(head)):
            return name
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # a skippable frame, as pzstd writes first
    return "none"


def _is_bzip2(head: bytes) -> bool:
    """A level, then a block's magic or the end of an empty stream: text may begin with BZh too."""
    return b"1" <= head[3:4] <= b"9" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")


def blocks(source: Reader, head: bytes, compression: str) -> Iterator[bytes]:
    """Gives the content of `head` and of the rest of `source`, decompressed.

    Args:
        source: the rest of the bytes.
        head: what was read of them already.
        compression: one of `detect`'s names.

    Raises:
        Damaged: cut short or corrupt.
    """
    reader = _Prefixed(head, source)
    if compression == "none":
        while block := reader.read(BLOCK):
            yield block
    else:
        yield from _members(reader, _FACTORIES[compression], compression)


def is_utf16(head: bytes) -> bool:
    """Whether text begins with the byte order mark of UTF-16."""
    return head[:2] in _UTF16 and not head.startswith(_UTF32)


def text_of(content: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Gives content, which is decompressed once, as text: decompressed again where it was compressed twice, UTF-16 as UTF-8.

    Args:
        content: its blocks.
        size: of the object.

    Raises:
        Damaged: as `blocks` does, or the bytes are no UTF-16, or become too many.
        Unsupported: it was compressed three times.
    """
    first = next(content, b"")
    content = itertools.chain([first], content)
    if (inner := detect(first)) != "none":
        content = _bounded(blocks(_Joined(content), b"", inner), size)
        first = next(content, b"")
        content = itertools.chain([first], content)
        if (again := detect(first)) != "none":
            message = f"the object was compressed three times, with {again} inside: decompress it once"
            raise Unsupported(message)
    return _as_utf8(content, _UTF16[first[:2]]) if is_utf16(first) else content


def _bounded(content: Iterator[bytes], size: int) -> Iterator[bytes]:
    left = max(_TWICE_FREE, _TWICE_RATIO * size)
    for block in content:
        left -= len(block)
        if left < 0:
            message = f"the object was compressed twice and becomes more than {_TWICE_RATIO} times its size"
            raise Damaged(message)
        yield block


def _as_utf8(content: Iterator[bytes], name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for block in content:
            if text := decoder.decode(block):
                yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        message = f"the byte order mark says {name}, the bytes do not: {error}"
        raise Damaged(message[:300]) from None


class _Joined:
    """Gives the bytes of blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b""

    def read(self, size: int, /) -> bytes:
        if not self._held:
            self._held = next(self._blocks, b"")
        data, self._held = self._held[:size], self._held[size:]
        return data


class _Prefixed:
    """Gives `head` first."""

    def __init__(self, head: bytes, source: Reader) -> None:
        self._head = head
        self._source = source

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._source.read(size)


_FACTORIES: dict[str, Callable[[], object]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "zstd": zstd.ZstdDecompressor,  # refuses windows beyond 128 MiB by itself
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY),
}
_ERRORS: Any = (OSError, EOFError, lzma.LZMAError, zstd.ZstdError, igzip_lib.error)


def _members(reader: Reader, factory: Callable[[], object], name: str) -> Iterator[bytes]:
    produced = members = 0
    pending = b""
    while True:
        while not pending and (pending := reader.read(_INPUT)) and members and not pending.strip(b"\0"):
            pending = b""  # padding
        if members:
            pending = pending.lstrip(b"\0")
        if not pending:
            return
        inner: _Decompressor = factory()  # type: ignore[assignment]
        ours = not members or detect(pending[:16]) == name
        while not inner.eof:
            damage = ""
            try:
                block = inner.decompress(pending, BLOCK)
            except _ERRORS as error:
                block, damage = b"", f"corrupt ({error})"
            pending = b""
            if block:
                produced += len(block)
                yield block
            elif not damage and not inner.eof and not (pending := reader.read(_INPUT)):
                damage = "cut short"
            if damage:
                if not ours:
                    damage = "followed by something else"
                message = f"{name} data is {damage}, after {produced} bytes of content"
                raise Damaged(message[:300])
        pending = inner.unused_data
        members += 1
