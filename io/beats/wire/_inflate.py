"""`inflate` inflates compressed frames, and never holds more than the limits allow.

A frame of 100 KB can inflate to 100 MB. So inflating goes in steps, and the limits are looked at between them:
what the frame has become so far, and how many times its own length that is. The ratio counts only beyond
`RATIO_FREE_BYTES`: a small frame of very repetitive events is legitimate, and harmless.

`isal` inflates three times as fast as zlib (0.15 against 0.42 CPU-s per million events of 350 bytes); with a
`max_length` it holds that much and no more (measured: 16 MB asked for, 18 MB of peak).
"""

import sys

from isal import isal_zlib

from penstock.io.errors import ProtocolError

__all__ = ["RATIO_FREE_BYTES", "inflate"]

RATIO_FREE_BYTES = 8 << 20
"""Bytes that every frame may become, whatever its ratio."""

_FIRST_STEP = 1 << 20  # most windows end within it, so they need one call and no join
_LARGEST_STEP = 8 << 20


def inflate(
    data: bytes | memoryview, max_bytes: int, max_ratio: int, room: int = sys.maxsize
) -> bytes | None:
    """Gives what the zlib stream `data` holds; None when that is more than there is room for.

    Args:
        data: one whole zlib stream, nothing behind it.
        max_bytes: the most it may become (option `max_inflated_bytes`).
        max_ratio: the most times its own length it may become, beyond `RATIO_FREE_BYTES`.
        room: bytes that there is room for; at most one more is held.

    Raises:
        ProtocolError: the stream would pass a limit, is damaged, or something follows it. At most one step
            (8 MiB) beyond the limit is inflated before.
    """
    allowed = min(max_bytes, max(RATIO_FREE_BYTES, max_ratio * len(data)))
    most = min(allowed, room)
    stream = isal_zlib.decompressobj()
    pieces: list[bytes] = []
    total, step, rest = 0, _FIRST_STEP, data
    try:
        while True:
            # One byte more than allowed tells "exactly the limit" from "more than it".
            piece = stream.decompress(rest, min(step, most - total + 1))
            total += len(piece)
            if total > most:
                if most < allowed:
                    return None
                raise _too_large(len(data), allowed, max_bytes, max_ratio)
            pieces.append(piece)
            if stream.eof:
                break
            rest = stream.unconsumed_tail
            if not rest and not piece:
                message = f"compressed frame of {len(data)} bytes ends in the middle of its stream."
                raise ProtocolError(message)
            step = min(step * 2, _LARGEST_STEP)
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls the class an instance
        message = f"compressed frame of {len(data)} bytes is damaged: {error}."
        raise ProtocolError(message) from error
    if stream.unused_data:
        message = f"compressed frame of {len(data)} bytes goes on behind the end of its stream."
        raise ProtocolError(message)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(length: int, allowed: int, max_bytes: int, max_ratio: int) -> ProtocolError:
    if allowed == max_bytes:
        limit, option = f"{max_bytes} bytes", "--max_inflated_bytes"
    else:
        limit, option = f"{max_ratio} times its length", "--max_inflate_ratio"
    return ProtocolError(
        f"compressed frame of {length} bytes inflates to more than {limit}. "
        f"Raise {option} only if you trust this sender."
    )
