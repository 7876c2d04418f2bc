"""`Rarely` lets a message through at most once per period, per kind, and counts what it held back.

A loop that fails would fill the log with one line. The owner of such a loop asks `due(kind)` before it logs. A new kind
is due at once, so a second fault is never hidden behind the minute of the first one. The number of kinds that are
remembered is bounded: a kind may hold a name that a stranger chose.
"""

import threading
import time
from collections.abc import Callable, Hashable

__all__ = ["Rarely"]

_MAX_KINDS = 1000


class Rarely:
    """Says when a message is due again. Thread-safe.

    Args:
        every_s: seconds between two messages of one kind.
        clock: gives seconds; tests move it by hand.
    """

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def due(self, kind: Hashable = None) -> bool:
        """Tells whether a message of this kind may be said now; if so, the period of this kind begins."""
        return self.held_back(kind) is not None

    def held_back(self, kind: Hashable = None) -> int | None:
        """Gives how many messages of this kind were held back since the last one, or None while it is not due."""
        now = self._clock()
        with self._lock:
            said_at, count = self._kinds.pop(kind, (now - self._every_s, 0))
            if now - said_at < self._every_s:
                self._kinds[kind] = (said_at, count + 1)
                return None
            self._kinds[kind] = (now, 0)
            if len(self._kinds) > _MAX_KINDS:
                del self._kinds[next(iter(self._kinds))]
            return count
