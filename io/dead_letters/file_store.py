"""`FileStore` keeps letters in a file of JSON lines, and rotates it: `file:///path`.

Letters are appended under a lock on the file, and are on disk (fsync) before the batch goes on, so several processes may
share it. A full disk, or a kill, leaves half a line; the next letter begins a line of its own. Beyond
`ROTATE_BYTES` the file is renamed (`path.20261122T132838.181...`) and a new one begun. Another process notices at its next
letter that its file has another name now. No file is ever deleted here. Files that another program has compressed by gzip
are read too.
"""

import contextlib
import fcntl
import glob
import gzip
import io
import logging
import os
import stat
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from penstock.io.dead_letters._letters import lines_of
from penstock.io.errors import DeliveryError, OptionError, PeerError
from penstock.transforms.batch import DeadLetter

__all__ = ["ROTATE_BYTES", "FileStore", "lines_in"]

_LOGGER = logging.getLogger(__name__)

ROTATE_BYTES = 128 << 20
"""Bytes of a file that an editor can still open."""

MAX_LETTER_BYTES = 16 << 20
"""Bytes. A longer letter is kept in parts."""

_MAX_LINE_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"


class FileStore:
    """One append-only file.

    Args:
        path: the file's path; missing folders are made.
        rotate_bytes: a file that has grown beyond it is renamed.
    """

    gathers = False

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.where = str(path)
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._file: int | None = None

    def append(self, letters: list[DeadLetter]) -> None:
        """Stores letters for good.

        Raises:
            OptionError: the file can't be opened.
            DeliveryError: the file can't be written.
        """
        lines = b"".join([line for letter in letters for line in lines_of(letter, MAX_LETTER_BYTES)])
        with self._lock:
            try:
                file = self._open_current()
            except OSError as error:
                message = f"--dead_letters: cannot write {self._path}: {error.strerror}."
                raise OptionError(message) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    self._write(file, lines)
                finally:
                    fcntl.flock(file, fcntl.LOCK_UN)
            except OSError as error:
                message = (
                    f"cannot store {len(letters)} refused events in {self._path}: {error.strerror}. "
                    "They are not acknowledged and come again; make room, or name another --dead_letters."
                )
                raise DeliveryError(message) from error

    def _write(self, file: int, lines: bytes) -> None:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # behind the half line of a write that failed
        view = memoryview(lines)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)

    def _open_current(self) -> int:
        """Opens the file of that name: a new one when ours is full, or when somebody else has rotated or removed it."""
        if self._file is not None:
            if not self._is_old(self._file):
                return self._file
            os.close(self._file)
            self._file = None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o640)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(0, "it is no regular file")
        self._file = file
        folder = os.open(self._path.parent, os.O_RDONLY)
        with contextlib.suppress(OSError):  # a file system without it
            os.fsync(folder)
        os.close(folder)
        return file

    def _is_old(self, file: int) -> bool:
        ours = os.fstat(file)
        try:
            current = os.stat(self._path)
        except FileNotFoundError:
            return True
        if (current.st_dev, current.st_ino) != (ours.st_dev, ours.st_ino):
            return True
        if ours.st_size < self._rotate_bytes:
            return False
        now = time.time_ns()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9))
        # The name must be unique: a rename onto a file that another process has just made would lose that file.
        target = f"{self._path}.{stamp}.{now % 10**9:09d}-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            os.rename(self._path, target)
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self) -> Iterator[bytes]:
        """Gives all lines, those of rotated files first.

        A line that is cut off, or far too long, is no letter for its reader.
        """
        older = sorted(self._path.parent.glob(f"{glob.escape(self._path.name)}.*"))
        for path in (*older, *([self._path] if self._path.exists() else ())):
            try:
                with path.open("rb") as file:
                    yield from lines_in(file, str(path))
            except OSError as error:
                message = f"cannot read the dead letters in {path}: {error}"
                raise PeerError(message) from error


def lines_in(file: io.BufferedReader, where: str) -> Iterator[bytes]:
    """Gives the lines of a file of letters, compressed by gzip or not.

    Damaged gzip is logged, and gives a last line that is no letter. So a replay goes on, and counts it as wrong.
    """
    lines: IO[bytes] = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file  # type: ignore[assignment]
    try:
        while line := lines.readline(_MAX_LINE_BYTES):
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        _LOGGER.warning("%s is damaged (%s); the letters behind that place are lost", where, error)
        yield b"damaged\n"
