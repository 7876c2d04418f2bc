"""`LineSource` makes batches of lines; `StdinSource` reads those of the standard input, and a `FileFollower` those of files.

Both are live sources: a thread reads as long as there is room, and a line counts as done when its batch is acknowledged.
"""

import dataclasses
import functools
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from penstock.io.chain.chunk import Chunk
from penstock.io.chain.live_source import LiveSource
from penstock.io.errors import OptionError, PeerError
from penstock.io.files._line_cutter import LineCutter
from penstock.io.shares import SHARES
from penstock.transforms.batch import Event
from penstock.transforms.codecs.lines._multiline import Multiline

__all__ = ["BLOCK_BYTES", "FollowOptions", "LineOrigin", "LineSource", "StdinSource", "now_ms"]

_LOGGER = logging.getLogger(__name__)
BLOCK_BYTES = 256 << 10
_MAX_PENDING_EVENTS = 20_000
_MAX_PENDING_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class FollowOptions:
    """Which files are read, and how.

    Attributes:
        path: absolute paths and patterns; `**` stands for any folders.
        exclude: patterns of names that are left out.
        from_end: whether files that are there at the first start are read from their end.
        whole: whether files are read to their end, gzip too, and a last line needs no line end.
        positions: the file that keeps the positions; None: none is kept.
        multiline: how lines belong together; None: each is an event.
        as_message: whether a line becomes the `message` of a JSON object, with the file's path and the host's name.
        ecs: whether those names are of the Elastic Common Schema (`[log][file][path]`), or Logstash 7's (`path`).
    """

    path: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    from_end: bool = True
    whole: bool = False
    positions: str | None = None
    multiline: Multiline | None = None
    as_message: bool = True
    ecs: bool = True

    def __post_init__(self) -> None:
        for path in self.path:
            if not os.path.isabs(path):
                message = f"the path {path!r} of a file to read must be absolute."
                raise OptionError(message)


class LineOrigin(msgspec.Struct, gc=False, frozen=True):
    """Where lines came from: a file with a content, or the standard input of a process.

    Attributes:
        source: the input's name.
        path: the file, `-` for the standard input.
        name: what tells this content from all others for ever.
        arrived_ms: when the lines were read, in milliseconds since 1970.
    """

    source: str
    path: str
    name: bytes
    arrived_ms: int

    def position(self) -> bytes:
        """Gives bytes that name the content; an event's index is its offset in it."""
        return self.name

    def describe(self) -> dict[str, str | int]:
        """Gives the origin in words."""
        return {"source": self.source, "path": self.path}


class LineSource(LiveSource):
    """What both sources of lines share: bounds, and a line as an event.

    Args:
        key: the live source's key.
        as_message: as in `FollowOptions`, and so are the others.
    """

    def __init__(self, key: str, *, as_message: bool, ecs: bool) -> None:
        super().__init__(key, max_pending_events=_MAX_PENDING_EVENTS, max_pending_bytes=_MAX_PENDING_BYTES)
        SHARES.require_alone("read the same lines")
        self._as_message = as_message
        self._ecs = ecs
        self._host = socket.gethostname()

    def fields(self, path: str) -> bytes:
        """Gives the end of the JSON object of each line of a file."""
        fields: dict[str, Any] = {"host": {"name": self._host} if self._ecs else self._host}
        if path != "-":
            fields |= {"log": {"file": {"path": path}}} if self._ecs else {"path": path}
        return b"," + orjson.dumps(fields)[1:]

    def chunk(self, lines: list[tuple[int, bytes]], origin: LineOrigin, end: bytes, context: Any) -> Chunk:
        """Makes a chunk of lines with their offsets."""
        if self._as_message:
            events = [Event(_message(line, end), origin, at) for at, line in lines]
        else:
            events = [Event(line, origin, at) for at, line in lines if line.strip()]
        return Chunk(events, sum(len(event.data) for event in events), context, origin.arrived_ms)


def _message(line: bytes, end: bytes) -> bytes:
    try:
        text = orjson.dumps(line.decode())
    except UnicodeDecodeError:
        text = orjson.dumps(line.decode(errors="backslashreplace"))  # as Logstash does
    return b'{"message":%b%b' % (text, end)


class StdinSource(LineSource):
    """Reads the standard input to its end, and stops then.

    Args:
        multiline: as in `FollowOptions`, and so are the others.
        key: the live source's key.
        read: gives the next bytes, none at the end.
    """

    def __init__(
        self,
        multiline: Multiline | None,
        as_message: bool,
        ecs: bool,
        key: str,
        read: Callable[[int], bytes] | None = None,
    ) -> None:
        super().__init__(key, as_message=as_message, ecs=ecs)
        self._cutter = LineCutter(0, multiline)
        self._read = read or functools.partial(os.read, sys.stdin.fileno())
        self._name = b"stdin:" + uuid.uuid4().bytes
        self.ended = False
        threading.Thread(target=self._run, name=key, daemon=True).start()

    def _run(self) -> None:
        end = self.fields("-")
        try:
            while not self.stopping:
                block = self._read(BLOCK_BYTES)
                lines = self._cutter.feed(block) if block else self._cutter.finish()
                if lines:
                    origin = LineOrigin(self.key.partition(":")[2], "-", self._name, now_ms())
                    self.offer(self.chunk(lines, origin, end, None))
                if not block:
                    break
        except OSError as error:
            message = f"cannot read the standard input: {error.strerror}."
            self.fail(PeerError(message))
            return
        self.ended = True
        if not self.stopping:
            _LOGGER.info("the standard input has ended")
        self.stop()

    def describe(self) -> str:
        """Says what it does."""
        return "reading the standard input"

    @property
    def ready(self) -> bool:
        """Whether all was read."""
        return self.ended


def now_ms() -> int:
    """Gives the clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
