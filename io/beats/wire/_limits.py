"""`_limits` holds what a client may ask of us, and makes the error when it asks for more."""

import dataclasses

from penstock.io.errors import ProtocolError

__all__ = ["Limits"]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of us; each is the option of the same name.

    Attributes:
        max_window_size: events in a window.
        max_frame_bytes: bytes of one frame's payload, as announced; of a compressed one, before inflating.
        max_inflated_bytes: bytes that one compressed frame, with all it holds, may become.
        max_inflate_ratio: how many times its length it may become (beyond 8 MiB).
        max_nesting: how deep compressed frames may be nested.
        stretch_events: a stretch has at most this many events.
        stretch_bytes: a stretch ends with the event that reaches this many bytes, each event's header of 10 counted.
    """

    max_window_size: int = 100_000
    max_frame_bytes: int = 16 << 20
    max_inflated_bytes: int = 64 << 20
    max_inflate_ratio: int = 100
    max_nesting: int = 2
    stretch_events: int = 2048
    stretch_bytes: int = 4 << 20

    def check_window(self, size: int) -> None:
        """Raises `ProtocolError` when a window is announced with more events than allowed."""
        if size > self.max_window_size:
            message = (
                f"window of {size} events, limit is {self.max_window_size}. "
                "Raise --max_window_size only if you trust this sender."
            )
            raise ProtocolError(message)

    def check_nesting(self, depth: int) -> None:
        """Raises `ProtocolError` when a compressed frame lies deeper than allowed."""
        if depth > self.max_nesting:
            message = (
                f"compressed frames are nested more than {self.max_nesting} deep. "
                "Raise --max_nesting only if you trust this sender."
            )
            raise ProtocolError(message)

    def check_decoded(self, left: int) -> None:
        """Raises `ProtocolError` when the version 1 events of a compressed frame have become too much JSON."""
        if left < 0:
            message = (
                f"compressed frame becomes more than {self.max_inflated_bytes} bytes, as JSON. "
                "Raise --max_inflated_bytes only if you trust this sender."
            )
            raise ProtocolError(message)

    def check_frame(self, what: str, length: int) -> None:
        """Raises `ProtocolError` when a frame's announced length is more than allowed."""
        if length > self.max_frame_bytes:
            message = (
                f"{what} announces {length} bytes, limit is {self.max_frame_bytes}. "
                "Raise --max_frame_bytes only if you trust this sender."
            )
            raise ProtocolError(message)
