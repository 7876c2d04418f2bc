"""`Throttle` keeps a rate. Its bucket of tokens may go below zero, so that a batch larger than the bucket passes too."""

import threading
import time
from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """Lets at most `rate` events per second pass on average, in bursts of one second's events or one batch.

    Args:
        rate: events per second.
        wait: waits that many seconds. Returns True when the job stops, so that nobody needs to wait.
        clock: monotonic seconds.
    """

    def __init__(
        self, rate: float, wait: Callable[[float], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, count: int) -> None:
        """Returns when `count` more events may pass."""
        with self._lock:
            now = self._clock()
            begin = max(self._free_at, now - 1.0)
            self._free_at = begin + count / self._rate
            pause = begin - now
        if pause > 0:
            self._wait(pause)

    def close(self) -> None:
        """Does nothing: nothing is held."""
