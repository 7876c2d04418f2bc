"""`FileStore` keeps letters in a file of JSON lines, and rotates it: `file:///path`.

A letter is one write to a file opened for appending, and on disk (fsync) before the batch goes on, so the lines of
several processes don't mix. Beyond `ROTATE_BYTES` the file is renamed (`path.20261122T132838.181...`), a new one begun;
another process notices at its next letter that its file has another name now. No file is ever deleted here.
"""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from penstock.io.dead_letters._letters import encode
from penstock.io.errors import DeliveryError, OptionError
from penstock.transforms.batch import DeadLetter

__all__ = ["ROTATE_BYTES", "FileStore"]

ROTATE_BYTES = 128 << 20
"""A file that an editor still opens."""

_MAX_LINE_BYTES = 64 << 20


class FileStore:
    """One append-only file.

    Args:
        path: where it is; missing folders are made.
        rotate_bytes: a file that has grown beyond it is renamed.
    """

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.where = str(path)
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as error:
            message = f"--dead_letters: cannot write {path}: {error.strerror}."
            raise OptionError(message) from error

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good. Raises `DeliveryError` when it can't."""
        lines = b"".join([encode(letter) for letter in letters])
        with self._lock:
            try:
                self._follow()
                view = memoryview(lines)
                while view:
                    view = view[os.write(self._file, view) :]
                os.fsync(self._file)
            except OSError as error:
                message = (
                    f"cannot store {len(letters)} refused events in {self._path}: {error.strerror}. "
                    "They are not acknowledged and come again; make room, or name another --dead_letters."
                )
                raise DeliveryError(message) from error

    def _follow(self) -> None:
        """Rotates a full file, and opens the new one when somebody else has rotated or removed ours."""
        ours = os.fstat(self._file)
        try:
            current = os.stat(self._path)
        except FileNotFoundError:
            current = None
        if current is not None and (current.st_dev, current.st_ino) == (ours.st_dev, ours.st_ino):
            if ours.st_size < self._rotate_bytes:
                return
            now = time.time_ns()
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9))
            # The name is nobody else's: a rename onto a file that another process has just made would lose it.
            target = f"{self._path}.{stamp}.{now % 10**9:09d}-{uuid.uuid4().hex[:8]}"
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.rename(self._path, target)
        fresh = self._open()
        os.close(self._file)
        self._file = fresh

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def read(self) -> Iterator[bytes]:
        """All lines, those of rotated files first; a line that is cut off or absurdly long raises `ValueError` later."""
        older = sorted(self._path.parent.glob(f"{self._path.name}.*"))
        for path in (*older, self._path):
            with path.open("rb") as file:
                while line := file.readline(_MAX_LINE_BYTES):
                    yield line
