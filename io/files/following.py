"""`FileFollower` reads files as they grow, follows them through rotation, and stores how far they are done.

- A file is its device and inode. A renamed one is read to its end; the new one of its name is another file.
- A file that became shorter, or begins with other bytes, has a new content: it is read from its beginning.
- `MAX_OPEN` files are open at most; one is closed when it was read to its end and others want to be open.
"""

import collections
import errno
import fnmatch
import glob
import gzip
import io
import logging
import os
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from penstock.io.chain.chunk import Chunk
from penstock.io.errors import PeerError
from penstock.io.files._line_cutter import LineCutter
from penstock.io.files.line_source import BLOCK_BYTES, FollowOptions, LineOrigin, LineSource, now_ms
from penstock.io.files.positions import HEAD_BYTES, Known, Positions, head_of
from penstock.io.rarely import Rarely

__all__ = ["FileFollower"]

_LOGGER = logging.getLogger(__name__)
MAX_OPEN = 256
_LOOK_S = 1.0
"""Seconds between two looks for files, and between two writes of the positions."""
_IDLE_S = 0.25
_FLUSH_S = 1.0
"""Seconds after which lines that wait for one that might belong to them are an event."""


class _Mark:
    """A chunk's place in its file; `acknowledged` in order, they move what is done."""

    __slots__ = ("acknowledged", "done", "file")

    def __init__(self, file: "_Followed", done: int) -> None:
        self.file = file
        self.done = done
        self.acknowledged = False


class _Followed:
    """A file that is followed."""

    def __init__(self, path: str, identity: str, known: Known) -> None:
        self.path = path
        self.identity = identity
        self.known = known
        self.file: BinaryIO | None = None
        self.offset = known.done
        self.cutter: LineCutter | None = None
        self.seen: tuple[int, int] | None = None
        """Size and time of change when it was last read to its end."""
        self.grown_at = 0.0
        self.marks: collections.deque[_Mark] = collections.deque()
        self.end = b""

    def close(self) -> None:
        if self.file is not None:
            packed = getattr(self.file, "fileobj", None)  # gzip leaves it open
            self.file.close()
            if packed is not None:
                packed.close()
            self.file = None


class FileFollower(LineSource):
    """Follows the files of a pattern.

    Args:
        key: the live source's key.
        options: which files, and how.
    """

    def __init__(self, key: str, options: FollowOptions) -> None:
        super().__init__(key, as_message=options.as_message, ecs=options.ecs)
        self._options = options
        self._positions = Positions(options.positions)
        self._fresh = not self._positions.files
        self._files: dict[str, _Followed] = {}
        self._marks_lock = threading.Lock()
        self._dirty = self._looked = False
        self._at_end = False
        self._unread: dict[str, str] = {}
        self._rarely = Rarely()
        self._wakeup = threading.Event()
        self._thread = threading.Thread(target=self._run, name=key, daemon=True)
        self._thread.start()

    # -- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        looked_at = saved_at = float("-inf")
        try:
            while not self.stopping:
                now = time.monotonic()
                if now - looked_at >= _LOOK_S:
                    self._look()
                    looked_at = now
                moved = False
                for followed in list(self._files.values()):
                    moved = (not self.stopping and self._read(followed)) or moved
                self._at_end = not moved
                if self._dirty and now - saved_at >= _LOOK_S:
                    self._save()
                    saved_at = now
                if not moved:
                    self._wakeup.wait(_IDLE_S)
        except Exception as error:
            _LOGGER.debug("the failure in full", exc_info=error)
            message = (
                f"cannot go on reading {', '.join(self._options.path)}: {type(error).__name__}: {error}."
            )
            self.fail(PeerError(message))

    def _look(self) -> None:
        """Finds files that are new, renamed or gone."""
        found: dict[str, str] = {}
        for path in self._paths():
            try:
                status = os.stat(path)
            except OSError as error:
                self._complain(path, error)
                continue
            if os.path.isfile(path):
                found.setdefault(_identity(status), path)
        for identity, followed in list(self._files.items()):
            if identity in found:
                followed.path = found[identity]
            elif followed.file is None or self._is_read(followed):
                followed.close()
                with self._marks_lock:
                    settled = not followed.marks
                if settled:
                    del self._files[identity]  # its position stays: between two looks it may only be renamed
        new = False
        for identity, path in found.items():
            if identity not in self._files:
                new = self._begin(identity, path) or new
        if new:
            self._positions.save()  # before a line of them is handed out
        self._looked = True

    def _paths(self) -> Iterator[str]:
        for pattern in self._options.path:
            for path in sorted(glob.iglob(pattern, recursive=True)):
                name = os.path.basename(path)
                if not any(fnmatch.fnmatchcase(name, each) for each in self._options.exclude):
                    yield path

    def _begin(self, identity: str, path: str) -> bool:
        """Follows a file. Returns whether it has a position that is not stored yet."""
        known = self._positions.files.get(identity)
        fresh = self._fresh and not self._looked
        try:
            with _opened(path, identity) as file:
                size = os.fstat(file.fileno()).st_size
                packed = _is_packed(path, self._options)
                if known is not None and (
                    (size < known.done and not packed) or not _begins_alike(file, known)
                ):
                    known, fresh = None, False
        except OSError as error:
            self._complain(path, error)
            return False
        is_new = known is None
        if known is None:
            known = Known(time.time_ns())
            if fresh and self._options.from_end and not self._options.whole:
                known.done = size
            self._positions.files[identity] = known
        followed = self._files[identity] = _Followed(path, identity, known)
        followed.end = self.fields(path)
        return is_new

    # -- reading ---------------------------------------------------------------------------------------

    def _read(self, followed: _Followed) -> bool:
        """Reads a block of a file, where there is one. Returns whether there was."""
        try:
            return self._read_block(followed)
        except (OSError, EOFError, zlib.error) as error:
            followed.close()
            self._complain(followed.path, error)
            try:
                followed.seen = _state(os.stat(followed.path))
            except OSError:
                followed.seen = None
            return False

    def _read_block(self, followed: _Followed) -> bool:
        status = os.fstat(followed.file.fileno()) if followed.file is not None else os.stat(followed.path)
        if followed.seen == _state(status):
            return self._flush(followed)
        file = followed.file or self._open(followed)
        if not _is_packed(followed.path, self._options) and (
            status.st_size < followed.offset or not _begins_alike(file, followed.known)
        ):
            self._begin_anew(followed)
            file.seek(0)
        if followed.cutter is None:
            file.seek(followed.offset)
            followed.cutter = LineCutter(followed.offset, self._options.multiline)
        block = file.read(BLOCK_BYTES)
        if not block:
            followed.seen = _state(status)
            followed.grown_at = time.monotonic()
            lines = followed.cutter.finish() if self._options.whole else []
        else:
            followed.seen = None
            if followed.known.head[0] < HEAD_BYTES and not _is_packed(followed.path, self._options):
                file.seek(0)
                followed.known.head = head_of(file.read(HEAD_BYTES))
                file.seek(followed.offset + len(block))
            followed.offset += len(block)
            lines = followed.cutter.feed(block)
        return self._hand_out(followed, lines) or bool(block)

    def _flush(self, followed: _Followed) -> bool:
        """Gives lines that wait for others, when none has come for a while."""
        cutter = followed.cutter
        if (
            cutter is None
            or self._options.multiline is None
            or time.monotonic() - followed.grown_at < _FLUSH_S
        ):
            return False
        return self._hand_out(followed, cutter.flush())

    def _hand_out(self, followed: _Followed, lines: list[tuple[int, bytes]]) -> bool:
        if not lines or followed.cutter is None:
            return False
        mark = _Mark(followed, followed.cutter.done)
        name = f"file:{followed.identity}:{followed.known.generation}".encode()
        origin = LineOrigin(self.key.partition(":")[2], followed.path, name, now_ms())
        with self._marks_lock:
            followed.marks.append(mark)
        if not self.offer(self.chunk(lines, origin, followed.end, mark)):
            with self._marks_lock:
                followed.marks.remove(mark)
        return True

    def _begin_anew(self, followed: _Followed) -> None:
        _LOGGER.info("%s has a new content; it is read from its beginning", followed.path)
        with self._marks_lock:
            followed.marks.clear()
            followed.known = self._positions.files[followed.identity] = Known(time.time_ns())
        followed.offset, followed.cutter = 0, None
        self._positions.save()

    def _open(self, followed: _Followed) -> BinaryIO:
        opened = [each for each in self._files.values() if each.file is not None]
        if len(opened) >= MAX_OPEN:
            next((each for each in opened if each.seen is not None), opened[0]).close()
        self._go_back(followed)
        file = _opened(followed.path, followed.identity)
        if _is_packed(followed.path, self._options):
            file = cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
        followed.file = file
        self._unread.pop(followed.path, None)
        return file

    def _go_back(self, followed: _Followed) -> None:
        """Goes back behind the last line that was handed out."""
        followed.cutter = None
        with self._marks_lock:
            followed.offset = followed.marks[-1].done if followed.marks else followed.known.done

    def _is_read(self, followed: _Followed) -> bool:
        try:
            return followed.file is None or followed.seen == _state(os.fstat(followed.file.fileno()))
        except OSError:
            return True

    def _complain(self, path: str, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError):
            return  # it was renamed or removed; the next look tells
        why = getattr(error, "strerror", None) or str(error)
        self._unread[path] = f"{path}: {why}"
        while len(self._unread) > 100:
            del self._unread[next(iter(self._unread))]
        if self._rarely.due(path):
            _LOGGER.warning("cannot read %s: %s; trying again", path, why)

    # -- positions -------------------------------------------------------------------------------------

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        with self._marks_lock:
            for chunk in chunks:
                chunk.context.acknowledged = True
            for followed in {id(chunk.context.file): chunk.context.file for chunk in chunks}.values():
                marks = followed.marks
                while marks and marks[0].acknowledged:
                    followed.known.done = marks.popleft().done
        self._dirty = True

    def _save(self) -> None:
        self._dirty = False
        if not self._positions.save():
            self._dirty = True

    def stop(self) -> None:
        """Lets nothing more in."""
        super().stop()
        self._wakeup.set()

    def close(self) -> None:
        """Stores the positions and closes the files."""
        self.stop()
        self._thread.join(5.0)
        self._save()
        for followed in self._files.values():
            followed.close()

    # -- how it stands ---------------------------------------------------------------------------------

    def describe(self) -> str:
        """Says what it does."""
        return f"reading {', '.join(self._options.path)}"

    @property
    def connected(self) -> bool:
        """Whether it has looked for files."""
        return self._looked

    @property
    def ready(self) -> bool:
        """Whether every file is read to its end."""
        return self._looked and self._at_end

    def unread(self) -> list[str]:
        """Gives a line for each file that can't be read."""
        return list(self._unread.values())


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _is_packed(path: str, options: FollowOptions) -> bool:
    return options.whole and path.endswith((".gz", ".gzip"))


def _opened(path: str, identity: str) -> BinaryIO:
    """Opens a file. Raises `FileNotFoundError` where another one has its name by now."""
    file = cast(BinaryIO, io.FileIO(path, "rb"))
    if _identity(os.fstat(file.fileno())) != identity:
        file.close()
        raise FileNotFoundError(errno.ENOENT, "renamed")
    return file


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _begins_alike(file: Any, known: Known) -> bool:
    size, _ = known.head
    return size == 0 or head_of(os.pread(file.fileno(), size, 0)) == known.head
