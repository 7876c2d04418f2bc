"""`_inflate` decompresses a record's bytes, by their content, within bounds. Pure.

Problem. A record of 1 MiB may become gigabytes, may be compressed twice (CloudWatch Logs through Firehose), and may
only look compressed: the text `x^2` begins like zlib.

Invariants.
- The content is never longer than `max_bytes`, nor more than `max_ratio` times the record. Both are checked while
  inflating, so a bomb costs at most `max_bytes` of memory.
- Bytes that begin like zlib but are not zlib are handed back as they came. gzip and zstd begin with bytes that no UTF-8 text
  can hold, so there a failure is damage.
- Several gzip members or zstd frames one after another are one content.
"""

from collections.abc import Callable
from typing import Any

from backports import zstd
from isal import isal_zlib

__all__ = ["MAX_LAYERS", "CannotInflate", "inflate"]

MAX_LAYERS = 3
"""How often a record may be compressed: CloudWatch Logs through Firehose, compressed there too, is two."""

_FREE_RATIO_BYTES = 1 << 20
"""Below this size any ratio is good: a short text of one letter inflates a thousandfold and harms nobody."""

_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")

_FIRST_BYTES = frozenset({_GZIP[:1], _ZSTD[:1], _ZLIB[0][:1]})

_ERRORS: Any = (isal_zlib.error, zstd.ZstdError)


class CannotInflate(ValueError):
    """Compressed bytes that are damaged, or that become too large; the text says which and how much."""


def inflate(data: bytes, max_bytes: int, max_ratio: int) -> bytes:
    """Gives the content of `data`: the same object where it isn't compressed.

    Args:
        data: a record's bytes.
        max_bytes: the most bytes of the content, per layer.
        max_ratio: how many times the size of `data` the content may have, when it is larger than 1 MiB.

    Raises:
        CannotInflate: the bytes are damaged, go beyond a bound, or are compressed more than three times.
    """
    if data[:1] not in _FIRST_BYTES:
        return data
    limit = min(max_bytes, max(_FREE_RATIO_BYTES, max_ratio * len(data)))
    content = data
    for _ in range(MAX_LAYERS):
        if content.startswith(_GZIP):
            content = _members(content, "gzip", lambda: isal_zlib.decompressobj(31), _GZIP, limit)
        elif content.startswith(_ZSTD):
            content = _members(content, "zstd", zstd.ZstdDecompressor, _ZSTD, limit)
        elif content.startswith(_ZLIB):
            try:
                content = _members(content, "zlib", isal_zlib.decompressobj, None, limit)
            except _TooLarge:
                raise
            except CannotInflate:
                return content
        else:
            return content
    if content.startswith((_GZIP, _ZSTD)):
        message = f"the record is compressed more than {MAX_LAYERS} times"
        raise CannotInflate(message)
    return content


class _TooLarge(CannotInflate):
    pass


def _members(data: bytes, kind: str, make: Callable[[], Any], magic: bytes | None, limit: int) -> bytes:
    """Inflates all members of one layer. `magic` begins a further one; None: there is only one."""
    out: list[bytes] = []
    size, rest = 0, data
    while True:
        member = make()
        try:
            piece = member.decompress(rest, limit - size + 1)
        except _ERRORS as error:
            message = f"the record is damaged {kind} data: {error}"
            raise CannotInflate(message) from None
        out.append(piece)
        size += len(piece)
        if size > limit:
            message = f"{len(data)} bytes of {kind} data become more than the limit of {limit} bytes"
            raise _TooLarge(message)
        if not member.eof:
            message = f"the record is {kind} data that was cut short after {size} inflated bytes"
            raise CannotInflate(message)
        rest = member.unused_data
        if not rest.strip(b"\0"):
            return out[0] if len(out) == 1 else b"".join(out)
        if magic is None or not rest.startswith(magic):
            message = f"{len(rest)} bytes of something else follow the {kind} data"
            raise CannotInflate(message)
