"""`telling` lets a worker process tell its parent how it stands, and holds which worker this process is.

A worker of an endless job has one `Parent`; a job of one process has none. The messages go over a pipe of this pair of
processes alone, one way: what the parent says comes by the worker's standard input.
"""

import contextlib
import dataclasses
import json
import os
import threading
from multiprocessing.connection import Connection
from typing import NamedTuple

from penstock.io.chain.live_objects import LIVE
from penstock.pipelines.status.seen import Seen
from penstock.pipelines.workers.lifeline import GO, STOP, listen, nobody_reads_our_log

__all__ = ["Ended", "Message", "Parent", "Prepared", "Ready", "Settings", "find_parent"]

_ORPHAN_S = 10.0
"""Seconds in which a worker whose parent is gone still writes and acknowledges what it has read."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a worker is told at its start.

    Attributes:
        number: which worker it is, from 1.
        processes: how many share the job.
        descriptor: the file descriptor of its way to the parent.
        prepares: whether it tries and prepares the peers, for all.
        looks_every_s: how often it tells what it sees, in seconds.
    """

    number: int
    processes: int
    descriptor: int
    prepares: bool
    looks_every_s: float

    def written(self) -> str:
        """Gives them as one argument of a command line."""
        return json.dumps(dataclasses.asdict(self))


class Prepared(NamedTuple):
    """The peers are tried and prepared: the other workers may begin."""


class Ready(NamedTuple):
    """A source is connected; `text` says what it does."""

    text: str


class Ended(NamedTuple):
    """The worker ends: exit code, why (empty after a clean stop), and how many events it left unacknowledged."""

    code: int
    text: str
    left: int


Message = Prepared | Ready | Ended | Seen

_FOUND: list["Parent"] = []


def find_parent() -> "Parent | None":
    """Gives the parent of this process; None where it is no worker."""
    return _FOUND[0] if _FOUND else None


class Parent:
    """The parent of this worker process. There is one at most: making it makes this process a worker.

    Args:
        number: which worker this is.
        connection: the way to the parent.
        prepares: whether this worker tries and prepares the peers, for all of them.
        looks_every_s: how often it tells what it sees, in seconds.
    """

    def __init__(
        self, number: int, connection: Connection, *, prepares: bool, looks_every_s: float = 1.0
    ) -> None:
        self.number = number
        self.prepares = prepares
        self.looks_every_s = looks_every_s
        self._connection = connection
        self._telling = threading.Lock()
        self._turn = threading.Lock()
        self._go = threading.Event()
        self._runs = False
        _FOUND[:] = [self]

    def listen(self) -> None:
        """Begins to listen to the parent, in a thread of its own."""
        listen({GO: self._go.set, STOP: self._stop}, self._orphaned)

    def tell(self, message: Message) -> None:
        """Sends a message. A parent that is gone hears nothing."""
        with self._telling, contextlib.suppress(OSError):
            self._connection.send(message)

    def wait_for_turn(self) -> None:
        """Returns once the peers are prepared."""
        self._go.wait()

    def begin(self) -> None:
        """Takes note that the job runs from now on. A stop that came earlier has ended the process."""
        with self._turn:
            self._runs = True

    def _orphaned(self) -> None:
        nobody_reads_our_log()
        threading.Timer(_ORPHAN_S, os._exit, (1,)).start()
        self._stop()

    def _stop(self) -> None:
        with self._turn:
            if not self._runs:
                self.tell(Ended(0, "", 0))
                os._exit(0)  # nothing was read
        LIVE.stop()
