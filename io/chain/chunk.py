"""`Chunk` is the smallest thing that a live source hands out and gets acknowledged."""

import itertools
import time
from typing import Any

from penstock.transforms.batch import EVENT_BYTES, Event

__all__ = ["Chunk"]

# Tokens are unique in a process, so a late acknowledgement can never meet another source's chunk.
_TOKENS = itertools.count(1)


class Chunk:
    """The smallest thing that is acknowledged: events of one window, or of one stretch of a shard.

    Args:
        events: in order; may be empty (a position that moves on without an event).
        size: their payload's bytes.
        context: what the source needs to acknowledge it; never leaves the process.
        arrived_ms: when the first of them arrived; now by default.
        origin_bytes: what the events' origins take in memory, where these events alone hold them.

    Attributes:
        memory: bytes that all this takes in memory, about, for the bound on what is pending.
    """

    __slots__ = ("arrived_ms", "context", "events", "memory", "size", "token")

    def __init__(
        self,
        events: list[Event],
        size: int,
        context: Any,
        arrived_ms: int | None = None,
        origin_bytes: int = 0,
    ) -> None:
        self.token = next(_TOKENS)
        self.events = events
        self.size = size
        self.memory = size + EVENT_BYTES * len(events) + origin_bytes
        self.context = context
        self.arrived_ms = int(time.time() * 1000) if arrived_ms is None else arrived_ms
