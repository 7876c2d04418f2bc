"""`worker` is the program of the process that reads Parquet, ORC and Avro: it gets tasks over a socket, and sends rows.

Strategy. The libraries that read these formats are written in C, and a file can bring them down: a schema nested deep enough
overflows the stack. So they run here, where a crash costs the object. This process has nothing to lose: no credentials,
no network, no file that it may write; the bytes of the object come from the reader, one stretch after another.

Bounds. Beyond what it takes to start, `MEMORY_BYTES` of address space: what needs more fails as one letter. Should memory
run out for all, the kernel ends this process before the reader. It writes a row's bytes only when the reader takes them.

Life. It ends when the reader closes the socket, and at once when the reader's process ends, even in the middle of C code:
the kernel then sends SIGIO for standard input, a pipe into which nobody writes.
"""

import contextlib
import fcntl
import gc
import mmap
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from penstock.io.s3.formats import _avro, _parquet
from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._rows import Columns, Rows, listed
from penstock.io.s3.formats._seekable import Seekable
from penstock.io.s3.formats.orc import _reading as _orc
from penstock.io.s3.tables._gathering import Gathering
from penstock.io.s3.tables._messages import (
    LENGTH,
    PART_BYTES,
    Done,
    Failed,
    FromWorker,
    Laid,
    Read,
    Table,
    Task,
    Wanted,
    arrays_of,
    parts_of,
    without,
)
from penstock.io.s3.tables.room import ROOM_BYTES, lay

__all__ = ["MEMORY_BYTES", "main"]

MEMORY_BYTES = 2 << 30
_READS = 1 << 20
_LOG_BYTES = 1 << 20
_FIRST_VICTIM = "1000"
_encoder = msgspec.msgpack.Encoder()
_read_task = msgspec.msgpack.Decoder(Task).decode
_read_wanted = msgspec.msgpack.Decoder(Wanted).decode


class _Channel:
    """The socket to the reader. Its end is the end of this process.

    Arrow reads ahead in threads of its own, so a question and its answer hold a lock, and a task that is over
    (`task` counts them) asks no more.
    """

    def __init__(self, number: int, room: int) -> None:
        self._socket = socket.socket(fileno=number)
        self._room = mmap.mmap(room, ROOM_BYTES)
        self._is_free = True
        self._buffer = bytearray(PART_BYTES)
        self._lock = threading.Lock()
        self.task = 0

    def send(self, message: FromWorker) -> None:
        """Sends a message."""
        with self._lock:
            self._send(message)

    def end(self, message: Done | Failed) -> None:
        """Sends the last message of a task."""
        with self._lock:
            self.task += 1
            self._send(message)

    def _send(self, message: FromWorker) -> None:
        _encoder.encode_into(message, self._buffer, LENGTH.size)
        LENGTH.pack_into(self._buffer, 0, len(self._buffer) - LENGTH.size)
        try:
            self._socket.sendall(self._buffer)
        except OSError:
            os._exit(0)

    def send_rows(self, rows: Rows | Columns) -> None:
        """Sends rows, those that fit through the room; it waits until the reader has taken what lies there."""
        arrays = arrays_of(rows)
        with self._lock:
            while arrays and not self._is_free:
                self._frame()
            lying = lay(self._room, list(arrays.values())) if arrays else None
            if lying is not None:
                self._is_free = False
                self._send(Laid(without(rows, arrays), lying, list(arrays)))
                return
        rows = listed(rows)
        parts = list(parts_of(rows)) if isinstance(rows, Rows) else [rows]
        for part in parts:
            (self.send_rows if len(parts) > 1 else self.send)(part)

    def receive(self) -> bytes:
        """Gives the next frame; only for whoever has asked for it."""
        while not (frame := self._frame()):
            pass
        return frame

    def _frame(self) -> bytes:
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size))
        if not size:
            self._is_free = True
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self._socket.recv(size, socket.MSG_WAITALL)
            except OSError:
                part = b""
            if not part:
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def wanted(self, table: Table) -> list[str] | None:
        """Gives the columns that are wanted of a table."""
        with self._lock:
            self._send(table)
            return _read_wanted(self.receive()).columns

    def bytes_of(self, task: int, offset: int, size: int) -> bytes:
        """Gives bytes of the task's object."""
        parts = []
        with self._lock:
            if task != self.task:
                message = "the task is over"
                raise OSError(message)
            self._send(Read(offset, size))
            while size > 0:
                parts.append(self.receive())
                size -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _File(Seekable):
    """The object as a file that can be sought in.

    Where all of it will be read, a small read asks for the next ones too: each would else be a request to S3.
    """

    def __init__(self, channel: _Channel, size: int, *, whole: bool = False) -> None:
        super().__init__(size)
        self._channel = channel
        self._task = channel.task
        self._ahead = _READS if whole else 0
        self._held = b""
        self._begin = 0

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._position)
        size = left if size < 0 else min(size, left)
        begin = self._position
        self._position += size
        at = begin - self._begin
        if at >= 0 and at + size <= len(self._held):
            return self._held[at : at + size]
        if size >= self._ahead:
            return self._channel.bytes_of(self._task, begin, size) if size else b""
        self._held = self._channel.bytes_of(self._task, begin, min(self._ahead, left))
        self._begin = begin
        return self._held[:size]


class _Stream:
    """The object from an offset on, asked for ahead."""

    def __init__(self, channel: _Channel, size: int, offset: int) -> None:
        self._channel = channel
        self._task = channel.task
        self._size = size
        self._next = offset
        self._held = memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._held:
            ask = min(_READS, self._size - self._next)
            if ask <= 0:
                return b""
            self._held = memoryview(self._channel.bytes_of(self._task, self._next, ask))
            self._next += ask
        data = bytes(self._held[:size])
        self._held = self._held[size:]
        return data


def _done(task: Task, channel: _Channel) -> Iterator[Rows | Columns | Done]:
    def choose(names: Any, marks: dict[str, str]) -> list[str] | None:
        return channel.wanted(Table(list(names), marks))

    file = _File(
        channel, task.size, whole=task.form == "parquet" and task.what == "rows" and not task.columns
    )
    if task.what == "count":
        yield Done([[(_orc if task.form == "orc" else _parquet).count_rows(file)]])
    elif task.what == "plan":
        yield Done([list(group) for group in _parquet.plan_row_groups(file, task.split_bytes)])
    else:
        arguments = (task.start, task.end, task.columns, task.position, choose)
        if task.form == "parquet":
            yield from _parquet.read_row_groups(file, *arguments)
        elif task.form == "orc":
            yield from _orc.read_orc(file, *arguments[2:])
        else:
            yield from _avro.read_blocks(lambda at: _Stream(channel, task.size, at), *arguments)


def _serve(channel: _Channel, work: Callable[[Task, _Channel], Iterator[Rows | Columns | Done]]) -> None:
    """Serves one task."""
    task = _read_task(channel.receive())
    end: Done | Failed = Done()
    held = Gathering(channel.send_rows)
    try:
        try:
            for message in work(task, channel):
                if isinstance(message, Done):
                    end = message
                else:
                    held.add(message)
        finally:
            held.flush()
    except Damaged as error:
        end = Failed(error.kind, str(error))
    except MemoryError:
        end = Failed("UnreadableObject", f"it takes more than {MEMORY_BYTES >> 20} MiB of memory")
    except Exception as error:  # whatever a library makes of these bytes
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        end = Failed("UnreadableObject", words.encode(errors="replace").decode())
    channel.end(end)


def _end_with_the_reader() -> None:
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:  # it has ended already
        os._exit(0)


def _bound() -> None:
    with contextlib.suppress(OSError, ValueError):  # where there is no /proc
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _lower(resource.RLIMIT_AS, used + MEMORY_BYTES)
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(_FIRST_VICTIM)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, _LOG_BYTES)


def _lower(which: int, limit: int) -> None:
    _, hard = resource.getrlimit(which)
    most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(which, (most, most))


def main() -> None:
    """Serves tasks until the reader goes."""
    channel = _Channel(int(sys.argv[1]), int(sys.argv[2]))
    _end_with_the_reader()
    _bound()
    gc.freeze()
    channel.send(Done())
    while True:
        _serve(channel, _done)


if __name__ == "__main__":
    main()
