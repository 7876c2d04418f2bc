"""`replies` bounds what a peer may answer: one limit for every reply, its inflated size included (`--max_reply_bytes`)."""

import zlib
from collections.abc import Callable
from typing import Any

from penstock.io.options import option

__all__ = ["MAX_REPLY_BYTES", "ReplyTooLarge", "max_reply_bytes", "read_bounded", "too_large"]

MAX_REPLY_BYTES = 64 << 20
"""A reply of a thousand refused documents has about one MiB; the largest of Kinesis ten."""

_PIECE = 1 << 20
_INFLATED = ("gzip", "x-gzip", "deflate")


class ReplyTooLarge(ValueError):
    """The reply is larger than its limit, or is encoded in a way that nobody asked for. The text says which."""


def too_large(limit: int, words: str = "") -> ReplyTooLarge:
    """Makes the error of a reply that has more than `limit` bytes."""
    return ReplyTooLarge(f"the reply is larger than {limit} bytes (--max_reply_bytes){words}")


def max_reply_bytes() -> Any:
    """Declares the option, in the dataclass of each peer that answers."""
    return option(
        MAX_REPLY_BYTES,
        help="Most bytes of a peer's reply, after inflating. A larger reply counts as none, and the call is tried again.",
    )


def read_bounded(read: Callable[[int], bytes], limit: int, encoding: str | None = None) -> bytes:
    """Reads a reply's body to its end.

    Args:
        read: gives at most the number of bytes asked for, and none at the end.
        limit: bytes that the body may have, inflated.
        encoding: its content encoding.

    Raises:
        ReplyTooLarge: it is longer, or its encoding is not known.
        zlib.error: it is not what its encoding says.
    """
    kind = (encoding or "identity").strip().lower()
    if kind not in ("identity", *_INFLATED):
        message = f"the reply is encoded as {kind[:40]!r}, which was not asked for"
        raise ReplyTooLarge(message)
    inflate = None if kind == "identity" else zlib.decompressobj(wbits=47)
    pieces: list[bytes] = []
    size = 0
    while piece := read(min(_PIECE, limit + 1 - size)):
        if inflate is not None:
            piece = inflate.decompress(piece, limit + 1 - size)
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
        while inflate is not None and inflate.unconsumed_tail:
            piece = inflate.decompress(inflate.unconsumed_tail, limit + 1 - size)
            size += len(piece)
            if size > limit:
                raise too_large(limit, ", inflated")
            pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
