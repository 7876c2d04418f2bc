"""`Tally` shows what a backfill has done until now: every process of this machine writes its sums into a folder.

Runners show their counters only at the end, and not after a failure, but a person wants to see them meanwhile. Each
worker process writes its sums to a file of its own, at most twice per second, and the job's process adds them up. Where
the folder isn't there (a worker on another machine), only the runner's counters show progress.
"""

import dataclasses
import json
import os
import threading
import time
from pathlib import Path

__all__ = ["Counts", "Tally", "read_counts"]

_EVERY_S = 0.5


@dataclasses.dataclass
class Counts:
    """The sums of one process, or of all.

    Attributes:
        units: units of work that are finished.
        objects: those of them that are a whole object, or the last part of one.
        bytes: about the stored bytes of objects that are read.
        read: records read.
        delivered: events that the sink has taken (replays among them).
        refused: events in the dead letters.
        incomplete: objects that could not be read to their end.
    """

    units: int = 0
    objects: int = 0
    bytes: int = 0
    read: int = 0
    delivered: int = 0
    refused: int = 0
    incomplete: int = 0


class Tally:
    """The sums of this process.

    Args:
        folder: where the sums are written; empty for nowhere.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None
        self._lock = threading.Lock()
        self._counts = Counts()
        self._told = 0.0

    def add(self, **counts: int) -> None:
        """Adds to the sums, and writes them when it is time."""
        with self._lock:
            for name, count in counts.items():
                setattr(self._counts, name, getattr(self._counts, name) + count)
            if time.monotonic() - self._told >= _EVERY_S:
                self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self._folder is None:
            return
        try:
            if self._folder.is_dir():
                fresh = self._folder / f"{os.getpid()}.new"
                fresh.write_text(json.dumps(dataclasses.asdict(self._counts)))
                fresh.replace(self._folder / f"{os.getpid()}.json")
        except OSError:
            pass  # a display must not end the work

    def close(self) -> None:
        """Writes the sums a last time."""
        with self._lock:
            self._tell()


def read_counts(folder: Path) -> Counts:
    """Reads the sums of all processes."""
    total = Counts()
    for file in folder.glob("*.json"):
        try:
            for name, count in json.loads(file.read_text()).items():
                setattr(total, name, getattr(total, name) + count)
        except (OSError, ValueError):
            continue
    return total
