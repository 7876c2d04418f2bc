"""`Complaints` writes a log line for each client that is disconnected for a reason, but never a flood of them."""

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Complaints"]

_LOGGER = logging.getLogger(__name__)


class Complaints:
    """Logs at most `per_period` warnings in `period_s` seconds, and then the number of the others. Thread-safe."""

    def __init__(
        self, per_period: int = 100, period_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_period = per_period
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._count = 0

    def log(self, client: object, reason: object) -> None:
        """Says that `client` is disconnected, and why."""
        with self._lock:
            now = self._clock()
            left_out = 0
            if now >= self._until:
                left_out = max(0, self._count - self._per_period)
                self._until, self._count = now + self._period_s, 0
            self._count += 1
            if self._count > self._per_period:
                return
        if left_out:
            _LOGGER.warning("%d more clients were disconnected for reasons like these", left_out)
        # Only the text: a handler that keeps its records would keep an error with its traceback, and the bytes in it.
        _LOGGER.warning("%s is disconnected: %s", str(client), str(reason))
