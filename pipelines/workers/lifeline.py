"""`lifeline` is how a parent talks to its worker process: words of one byte on the worker's standard input.

When the standard input ends, the parent is gone, perhaps by kill -9. So no worker is left behind, and no port is opened.
"""

import os
import threading
from collections.abc import Callable, Mapping

__all__ = ["GO", "STOP", "listen", "nobody_reads_our_log"]

GO, STOP = b"g", b"s"


def listen(heard: Mapping[bytes, Callable[[], None]], orphaned: Callable[[], None]) -> None:
    """Begins to listen to the parent, in a thread of its own.

    Args:
        heard: what is called for which word.
        orphaned: what is called once the parent is gone.
    """
    threading.Thread(target=_listen, args=(heard, orphaned), name="penstock-lifeline", daemon=True).start()


def _listen(heard: Mapping[bytes, Callable[[], None]], orphaned: Callable[[], None]) -> None:
    while word := os.read(0, 1):
        if word in heard:
            heard[word]()
    orphaned()


def nobody_reads_our_log() -> None:
    """Throws away what this process says on stderr from now on: a pipe that nobody reads would raise errors."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
