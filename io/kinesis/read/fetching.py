"""`FetchPool` reads any number of shards on a bounded number of threads, each shard when it is due.

Plan. The pool has a heap of (due time, task). A free thread takes the task that is due longest, runs it once (one
read of one shard) and puts it back with the time of its next run. So a busy shard waits behind every other that is
due, a slow one occupies one thread at most, and 200 idle shards cost their reads and nothing else. One waiting thread (the
leader) sleeps until the next task is due; the others sleep until they are woken.

Refused: one thread per shard (200 shards, 200 stacks, and no bound on what is in flight).
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

__all__ = ["FetchPool"]

_LOGGER = logging.getLogger(__name__)

Task = Callable[[], float | None]
"""A function that runs once, and returns the seconds until its next run, or None when it is finished."""


class FetchPool:
    """Runs tasks on up to `threads` threads, which start when there is work for them."""

    def __init__(
        self,
        threads: int,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = threads
        self._failed = failed
        self._clock = clock
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Task]] = []
        self._tasks = 0
        self._led = False
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def add(self, task: Task) -> None:
        """Runs a task as soon as a thread is free, and again when it says."""
        with self._changed:
            if self._stopped:
                return
            self._tasks += 1
            self._push(self._clock(), task)
            if len(self._threads) < min(self._limit, self._tasks):
                thread = threading.Thread(target=self._work, name="kinesis-fetch", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _push(self, due: float, task: Task) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), task))
        if self._heap[0][2] is task:
            self._changed.notify_all()

    def _next(self) -> Task | None:
        with self._changed:
            while not self._stopped:
                wait = None if not self._heap else self._heap[0][0] - self._clock()
                if wait is not None and wait <= 0:
                    task = heapq.heappop(self._heap)[2]
                    self._changed.notify()
                    return task
                if self._led:
                    self._changed.wait()
                    continue
                self._led = True
                try:
                    self._changed.wait(wait)
                finally:
                    self._led = False
            return None

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                delay = task()
            except BaseException as error:
                # It is a defect of ours. The job must end: no shard may stand still in silence.
                _LOGGER.exception("reading a shard failed")
                self._failed(error)
                delay = None
            with self._changed:
                if delay is None:
                    self._tasks -= 1
                else:
                    self._push(self._clock() + delay, task)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Starts nothing more, and waits at most `timeout_s` seconds in all for tasks that run."""
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._changed.notify_all()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
