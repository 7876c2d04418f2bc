"""`_statistics` counts what the server does, and hands the counts to Beam.

Beam drops what a thread of ours counts: metrics belong to the bundle that is being processed. So the server counts
here, and a step of the chain (`_prepare`) takes the differences along with each batch.
"""

import threading
from typing import NamedTuple

__all__ = ["Statistics", "Taken"]

_LATENCIES = 10_000


class Taken(NamedTuple):
    """The counts since the last time.

    Attributes:
        counts: by name.
        latencies_ms: from taking a stretch in to sending its acknowledgement, milliseconds each.
    """

    counts: dict[str, int]
    latencies_ms: list[int]


class Statistics:
    """Counters of one server. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._latencies_ms: list[int] = []

    def add(self, **counts: int) -> None:
        """Adds to counters, by name."""
        with self._lock:
            for name, value in counts.items():
                self._counts[name] = self._counts.get(name, 0) + value

    def acknowledged(self, latency_s: float) -> None:
        """Counts a stretch that was acknowledged that long after it was taken in."""
        with self._lock:
            if len(self._latencies_ms) < _LATENCIES:
                self._latencies_ms.append(round(latency_s * 1000))

    def take(self) -> Taken:
        """Gives what was counted since the last call; each count is given once."""
        with self._lock:
            taken = Taken(self._counts, self._latencies_ms)
            self._counts, self._latencies_ms = {}, []
        return taken
