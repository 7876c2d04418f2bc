"""`live_objects` holds one live object per peer in this process; Beam's readers and DoFns only borrow it.

Live sources are read (`penstock.io.chain.live_source`); clients and pools of the sinks are shared. Whoever asks first
makes an object; it is closed with the process, or at the end of the job.
"""

import atexit
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from penstock.io.chain.live_source import READ_HERE, Chunk, LiveReceipt, LiveSource
from penstock.io.errors import PenstockError

__all__ = ["LIVE", "Chunk", "LiveReceipt", "LiveSource", "Registry", "stop_when_idle"]

_LOGGER = logging.getLogger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


class Registry:
    """The registry holds the live objects of this process, and knows whether the process is stopping.

    Args:
        sources: where live sources are kept by key; default: in a dict of its own.
    """

    def __init__(self, sources: dict[str, LiveSource] | None = None) -> None:
        self._lock = threading.RLock()
        self._sources = {} if sources is None else sources
        self._shared: dict[str, _Closable] = {}
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        """The first failure of a sink or source, kept because runners pass on only its text."""

    def get(self, key: str, factory: Callable[[], LiveSource]) -> LiveSource:
        """Gives the source of that key, made (and bound or connected) by the first caller."""
        with self._lock:
            source = self._sources.get(key)
            if source is None:
                source = self._sources[key] = factory()
                if self.stopping.is_set():
                    source.stop()
            return source

    def find(self, key: str) -> LiveSource | None:
        """The source of that key, or None in a process that doesn't read it."""
        with self._lock:
            return self._sources.get(key)

    @property
    def sources(self) -> list[LiveSource]:
        """All live sources of this process."""
        with self._lock:
            return list(self._sources.values())

    def share(self, key: str, factory: Callable[[], Any]) -> Any:
        """Gives the client or pool that all DoFn instances of this process share. It is closed with the process."""
        with self._lock:
            if key not in self._shared:
                self._shared[key] = factory()
            return self._shared[key]

    def fail(self, failure: BaseException) -> None:
        """Keeps the first failure; the job ends with its text."""
        with self._lock:
            if self.failure is None:
                self.failure = failure

    def stop(self) -> None:
        """Starts a clean stop: sources let nothing more in. Safe in a signal handler's thread."""
        self.stopping.set()
        for source in self.sources:
            source.stop()

    def give_up(self) -> int:
        """Makes sources forget what they have queued, because a stop lasts too long.

        Returns:
            How many events were forgotten.
        """
        return sum(source.give_up() for source in self.sources)

    def close_ended(self) -> None:
        """Closes what an earlier pipeline of this process left when it ended of itself. Its stop must not stop the next."""
        sources = self.sources
        if (
            sources
            and self.stopping.is_set()
            and all(source.drained and source.settled for source in sources)
        ):
            self.close()

    def close(self) -> None:
        """Closes and forgets everything. Then the registry can be used again."""
        with self._lock:
            sources, shared = list(self._sources.values()), list(self._shared.values())
            self._sources.clear()
            self._shared.clear()
        for each in (*sources, *shared):
            try:
                each.close()
            except PenstockError as error:
                _LOGGER.warning("%s", error)
            except Exception:
                _LOGGER.exception("closing %s failed", each)
        self.stopping.clear()
        self.failure = None


LIVE = Registry(READ_HERE)
"""The registry of this process."""
# A program that ends of itself leaves its last checkpoints written; after a kill they are as old as their interval.
atexit.register(LIVE.close)


def stop_when_idle(seconds: float) -> None:
    """Stops every source of this process, once nothing has happened at any of them for that long."""
    sources = LIVE.sources
    if sources and not LIVE.stopping.is_set() and all(source.idle_for(seconds) for source in sources):
        _LOGGER.info("stopping: idle for %g s", seconds)
        LIVE.stop()
