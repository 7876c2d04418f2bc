"""`ReadAhead` fetches the next small objects while one is read, so that the process does not wait for each request.

A process reads its units one after another; a million objects of 10 KB at 30 ms each would take eight hours of waiting. So
some units are taken ahead, and a few threads fetch the bytes of small ones. An error of a fetch is handled when the
unit's turn comes: the first read gets the error, the next one asks S3 itself.

Memory: `_AHEAD_BYTES`, and the object that is read.
"""

import concurrent.futures
import io
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from penstock.io.s3.origin import S3Object, WorkUnit
from penstock.io.s3.streams import Store

__all__ = ["AHEAD_OBJECTS", "ReadAhead"]

AHEAD_OBJECTS = 8
"""GETs under way at the same time in each process: the number of connections that the client keeps."""
_AHEAD_BYTES = 32 << 20
_SMALL_BYTES = 4 << 20
"""Bytes. A larger object is read as a stream: the wait for its request counts little."""

Fetched = tuple[bytes, str | None]


class ReadAhead:
    """Fetches ahead for the units of this process.

    Args:
        store_of: gives the store of a bucket.
    """

    def __init__(self, store_of: Callable[[str], Store]) -> None:
        self._store_of = store_of
        self._pool = concurrent.futures.ThreadPoolExecutor(AHEAD_OBJECTS, "s3-read-ahead")
        self._fetches: dict[S3Object, concurrent.futures.Future[Fetched]] = {}

    def units(self, take: Callable[[], WorkUnit | None]) -> Iterator[WorkUnit]:
        """Gives the units of `take` until it gives None. Some are taken ahead of their turn."""
        waiting: deque[WorkUnit] = deque()
        held = 0
        more = True
        while more or waiting:
            while (
                more and len(waiting) < AHEAD_OBJECTS and (held < _AHEAD_BYTES - _SMALL_BYTES or not waiting)
            ):
                unit = take()
                more = unit is not None
                if unit is not None:
                    waiting.append(unit)
                    held += self._fetch(unit)
            if waiting:
                unit = waiting.popleft()
                size = unit.object.size if unit.object in self._fetches else 0
                yield unit
                held -= size

    def _fetch(self, unit: WorkUnit) -> int:
        """Begins to fetch a small object. Gives the bytes that it will take."""
        found = unit.object
        if not found.bucket or unit.of > 1 or not 0 < found.size <= _SMALL_BYTES or found in self._fetches:
            return 0
        self._fetches[found] = self._pool.submit(_all_of, self._store_of(found.bucket), found)
        return found.size

    def store_of(self, found: S3Object) -> Store:
        """Gives the store to read an object from: its fetched bytes, or its own store."""
        store = self._store_of(found.bucket)
        fetch = self._fetches.pop(found, None)
        return store if fetch is None else _FetchedStore(store, fetch)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _all_of(store: Store, found: S3Object) -> Fetched:
    body, version = store.get(found, 0, None)
    try:
        parts = []
        while part := body.read(1 << 20):
            parts.append(part)
    finally:
        body.close()
    return b"".join(parts), version


class _FetchedStore:
    """A store that has one object already."""

    def __init__(self, store: Store, fetch: "concurrent.futures.Future[Fetched]") -> None:
        self._store = store
        self._fetch: concurrent.futures.Future[Fetched] | None = fetch
        self._fetched: Fetched | None = None

    @property
    def stopping(self) -> threading.Event:
        return self._store.stopping

    def get(self, found: S3Object, start: int, end: int | None) -> tuple[Any, str | None]:
        if self._fetch is not None:
            fetch, self._fetch = self._fetch, None
            self._fetched = fetch.result()
        if self._fetched is None or (end is None and len(self._fetched[0]) < found.size):
            return self._store.get(found, start, end)
        data, version = self._fetched
        return io.BytesIO(data[start:end]), version
