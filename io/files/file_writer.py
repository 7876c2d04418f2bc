"""`FileWriter` appends a batch's events to files, whose names events may choose, and has them on disk when it returns.

Invariants.
- A file is on disk (fsync) before the batch goes on. What was written of a write that failed is cut off again.
- A full disk holds everything up until there is room: it is tried again, and nothing is lost.
- A name made of an event's fields stays in the folder that the path begins with; other events are refused.
- At most `MAX_OPEN` files are open. One that somebody has renamed or removed is opened anew.
"""

import collections
import errno
import gzip
import logging
import os
import threading
from pathlib import Path

from penstock.io.backoff import delays
from penstock.io.errors import OptionError, PeerError, StopTimeout
from penstock.io.files._text import TextFunction
from penstock.io.rarely import Rarely
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.reference import compile_reference

__all__ = ["MAX_OPEN", "STAGE", "FileWriter"]

_LOGGER = logging.getLogger(__name__)
STAGE = "file"
MAX_OPEN = 64
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)


class FileWriter:
    """Writes events to files of this machine; shared by all DoFn instances of a process.

    Args:
        path: the file; `%{field}` and `%{+date}` allowed.
        text: gives an event as text.
        compress: whether files are written as gzip.
        append: whether what a file holds at the start stays.
        stopping: set when the job is to stop.

    Raises:
        OptionError: the path can't be read, or its first folder can't be written.
    """

    def __init__(
        self, path: str, text: TextFunction, *, compress: bool, append: bool, stopping: threading.Event
    ) -> None:
        self._name = compile_reference(path)
        self._text = text
        self._compress = compress
        self._append = append
        self._stopping = stopping
        self._lock = threading.Lock()
        self._rarely = Rarely()
        self._open: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._begun: set[str] = set()
        self._folder = os.path.realpath(os.path.dirname(path.partition("%{")[0]) or ".")

    def write(self, events: list[Event]) -> list[DeadLetter]:
        """Writes events, and returns letters of those that can't be written."""
        texts: dict[str, list[bytes]] = {}
        of: dict[str, list[Event]] = {}
        letters: list[DeadLetter] = []
        for event in events:
            try:
                name, text = self._place(event), self._text(event)
            except (ValueError, TypeError) as error:
                letters.append(DeadLetter(event, type(error).__name__, str(error)[:300], STAGE))
                continue
            texts.setdefault(name, []).append(text)
            of.setdefault(name, []).append(event)
        with self._lock:
            for name, lines in texts.items():
                body = b"".join(lines)
                if self._compress:
                    body = gzip.compress(body, 6)
                try:
                    self._patiently(name, body)
                except OSError as error:
                    if self._name.constant is not None:
                        message = f"cannot write {name}: {error.strerror}."
                        raise OptionError(message) from error
                    reason = f"cannot write {name}: {error.strerror}"[:300]
                    letters += [DeadLetter(each, type(error).__name__, reason, STAGE) for each in of[name]]
        return letters

    def _place(self, event: Event) -> str:
        """Gives the file of an event. Raises `ValueError` for one outside of the path's folder."""
        if self._name.constant is not None:
            return self._name.constant
        name = os.path.realpath(self._name(event))
        if os.path.commonpath((self._folder, name)) != self._folder or "\0" in name:
            message = f"the path that the event's fields make is outside of {self._folder}"
            raise ValueError(message)
        return name

    def _patiently(self, name: str, body: bytes) -> None:
        """Tries until there is room, or the job stops. Raises `OSError` for what time does not mend."""
        waits = delays(0.5, 30.0)
        while True:
            try:
                self._store(name, body)
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                if self._rarely.due():
                    _LOGGER.warning("cannot write %s: %s; trying again", name, error.strerror)
                if self._stopping.wait(next(waits)):
                    message = f"{name} could not be written before the stop ({error.strerror}); its events come again."
                    raise StopTimeout(message) from error

    def _store(self, name: str, body: bytes) -> None:
        file = self._file(name)
        size = os.fstat(file).st_size
        try:
            if size and not self._compress and body.endswith(b"\n") and os.pread(file, 1, size - 1) != b"\n":
                body = b"\n" + body  # behind the half line of a process that was killed
            view = memoryview(body)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise

    def _file(self, name: str) -> int:
        file = self._open.get(name)
        if file is not None:
            self._open.move_to_end(name)
            ours = os.fstat(file)
            try:
                there = os.stat(name)
            except FileNotFoundError:
                there = None
            if there is not None and (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                return file
            os.close(self._open.pop(name))
        while len(self._open) >= MAX_OPEN:
            os.close(self._open.popitem(last=False)[1])
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        fresh = not self._append and name not in self._begun
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if fresh else 0)
        file = self._open[name] = os.open(name, flags, 0o640)
        if not self._append:
            self._begun.add(name)
        folder = os.open(os.path.dirname(name) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:  # a file system without it
            pass
        finally:
            os.close(folder)
        return file

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            failed = ""
            for name, file in self._open.items():
                try:
                    os.close(file)
                except OSError as error:
                    failed = failed or f"cannot close {name}: {error.strerror}."
            self._open.clear()
        if failed:
            raise PeerError(failed)
