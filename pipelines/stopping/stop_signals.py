"""`StopSignals` gathers the signals that ask for a stop, for a loop that waits for them; `handled` gives them a handler."""

import contextlib
import select
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from penstock.pipelines.stopping.early_stop import STOP_SIGNALS, disarm

__all__ = ["StopSignals", "handled"]


@contextlib.contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[tuple[int, ...]]:
    """Gives Ctrl-C, SIGTERM and SIGHUP this handler within the block; yields their numbers.

    A signal that is ignored (SIGHUP under `nohup`) stays ignored. Enter and leave it in the main thread.
    """
    given = (signal.SIGINT, *STOP_SIGNALS)
    numbers = tuple(number for number in given if signal.getsignal(number) is not signal.SIG_IGN)
    previous = {number: signal.signal(number, handler) for number in numbers}
    disarm()
    try:
        yield numbers
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class StopSignals:
    """Ctrl-C, SIGTERM and SIGHUP as numbers that any thread may wait for. Start and end it in the main thread."""

    def __init__(self) -> None:
        # Sockets and no pipe: another thread may still wait when we end, and they are closed when nobody needs them.
        self._here, self._there = socket.socketpair()
        self._there.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._here, select.POLLIN)
        self._numbers: tuple[int, ...] = ()
        self._ends = contextlib.ExitStack()

    def start(self) -> None:
        """Takes over the signals."""
        before = signal.set_wakeup_fd(self._there.fileno(), warn_on_full_buffer=False)
        self._ends.callback(signal.set_wakeup_fd, before)
        # There must be a handler, else the signal's default would end us.
        self._numbers = self._ends.enter_context(handled(lambda number, frame: None))

    def wait(self, milliseconds: int) -> list[int]:
        """Gives the signals that have come, as soon as there is one; none if none comes in time."""
        if not self._poll.poll(milliseconds):
            return []
        return [number for number in self._here.recv(64) if number in self._numbers]

    def end(self) -> None:
        """Gives the signals back as they were before."""
        self._ends.close()
