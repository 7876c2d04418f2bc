"""`early_stop` ends a job that is told to stop before it reads: with one line and exit code 0, and not by the signal.

Importing Beam and trying peers takes seconds, in which a service manager may change its mind. From the run on, signals
belong to `lifecycle.Watch`, which calls `disarm`. This module imports nothing, so that it is there before Beam is.
"""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

__all__ = ["STOPPED_EARLY", "STOP_SIGNALS", "StoppedEarly", "disarm", "early_stop"]

STOPPED_EARLY = "stopped before it ran; nothing was read."
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What asks for a stop besides Ctrl-C. A terminal that is closed sends SIGHUP; `nohup` has it ignored, and so it stays."""

_armed: list[bool] = []


class StoppedEarly(BaseException):
    """A signal came before the job ran. It passes by whatever catches an `Exception`."""


@contextlib.contextmanager
def early_stop() -> Iterator[None]:
    """Within the block a stop raises `StoppedEarly` in the main thread, until `disarm` is called."""

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
    """The job runs, or has run: from now on a signal raises nothing."""
    _armed.clear()
