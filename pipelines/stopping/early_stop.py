"""`early_stop` ends a job that is told to stop before it reads: with one line and exit code 0, not by the signal.

To import Beam and to try peers takes seconds, in which a service manager may send a stop. From the run on, signals
belong to `lifecycle.Watch`, which calls `disarm`. This module imports nothing, so that it works before Beam is imported.
"""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

__all__ = ["STOPPED_EARLY", "STOP_SIGNALS", "StoppedEarly", "disarm", "early_stop"]

STOPPED_EARLY = "stopped before it ran; nothing was read."
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""The signals that ask for a stop besides Ctrl-C. A closed terminal sends SIGHUP; under `nohup` it stays ignored."""

_armed: list[bool] = []


class StoppedEarly(BaseException):
    """A signal came before the job ran. A handler of `Exception` does not catch it."""


@contextlib.contextmanager
def early_stop() -> Iterator[None]:
    """Makes a stop within the block raise `StoppedEarly` in the main thread, until `disarm` is called."""

    def stop(number: int, frame: Any) -> None:
        if _armed:
            raise StoppedEarly

    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, stop) for number in numbers}
    _armed.append(True)
    try:
        yield
    finally:
        disarm()
        for number, handler in previous.items():
            signal.signal(number, handler)


def disarm() -> None:
    """Makes signals raise nothing from now on, because the job runs or has run."""
    _armed.clear()
