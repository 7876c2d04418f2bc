"""`Positions` keeps how far each file is read, in one file of JSON that is replaced as a whole.

A file is known by its device and inode, so a renamed one is the same; and by its first bytes, so an inode that is used
again is another one. `generation` tells the contents that one inode had one after another. It is stored before any line of
them is handed out, since document ids are made from it.
"""

import dataclasses
import hashlib
import json
import logging
import os
import threading
from pathlib import Path

from penstock.io.errors import StateError
from penstock.io.rarely import Rarely

__all__ = ["HEAD_BYTES", "Known", "Positions", "head_of"]

_LOGGER = logging.getLogger(__name__)
_VERSION = 1
HEAD_BYTES = 256
MAX_FILES = 100_000
"""Files that are remembered; of more, those that were seen last."""


@dataclasses.dataclass
class Known:
    """How far a file is done.

    Attributes:
        generation: a number that no other content of the inode has.
        done: the offset up to which every line is written.
        head: the hash of the file's first bytes, and how many bytes those were.
    """

    generation: int
    done: int = 0
    head: tuple[int, str] = (0, "")


def head_of(data: bytes) -> tuple[int, str]:
    """Gives the hash of a file's first bytes, with their number."""
    data = data[:HEAD_BYTES]
    return len(data), hashlib.blake2b(data, digest_size=8).hexdigest()


class Positions:
    """The positions of all files that a source follows.

    Args:
        path: the file that keeps them; None: none is kept.

    Raises:
        StateError: the file is there, and is not one of ours.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._rarely = Rarely()
        self.files: dict[str, Known] = {}
        if self._path is not None and self._path.exists():
            try:
                stored = json.loads(self._path.read_bytes())
                if stored["v"] != _VERSION:
                    raise ValueError
                for name, (generation, done, size, digest) in stored["files"].items():
                    self.files[name] = Known(int(generation), int(done), (int(size), str(digest)))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                message = (
                    f"cannot read the positions in {self._path}: it is no file of ours, or of a later release. "
                    "Move it away to begin anew, or name another one."
                )
                raise StateError(message) from None

    def save(self) -> bool:
        """Stores all positions. Returns False where it could not; that is logged."""
        if self._path is None:
            return True
        with self._lock:
            while len(self.files) > MAX_FILES:
                del self.files[next(iter(self.files))]
            files = {name: [each.generation, each.done, *each.head] for name, each in self.files.items()}
            fresh = self._path.with_name(self._path.name + ".new")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with fresh.open("wb") as file:
                    file.write(json.dumps({"v": _VERSION, "files": files}).encode())
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._path)
            except OSError as error:
                if self._rarely.due():
                    _LOGGER.warning(
                        "cannot store the positions in %s: %s; after a restart more lines come again",
                        self._path, error.strerror,
                    )  # fmt: skip
                return False
            return True
