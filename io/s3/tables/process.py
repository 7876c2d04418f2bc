"""`Worker` is a process that reads Parquet, ORC and Avro; `Workers` keeps those that wait for their next object.

Invariants.
- A worker serves one task at a time. It goes back to the others only after `Done` or `Failed`; whatever else ends a task
  (a failed read, a stop, an abandoned generator) ends the worker.
- A worker that says nothing for `PATIENCE_S` while it is its turn is killed.
- A frame is bounded; what is no message is a death.
- No worker outlives this process, however that ends (`worker` says how).

A fresh interpreter and not a fork: this process has threads. It takes 0.4 CPU-seconds, once for each reading thread.
"""

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from penstock.io.errors import PenstockError
from penstock.io.s3.formats._rows import Choose, Columns, Rows
from penstock.io.s3.tables._messages import (
    LENGTH,
    MESSAGE_LIMIT,
    PART_BYTES,
    Done,
    Failed,
    FromWorker,
    Laid,
    Plain,
    Read,
    Table,
    Task,
    Wanted,
    put_back,
)
from penstock.io.s3.tables.room import ROOM_BYTES, new_room, taken

__all__ = ["Died", "Stopped", "Worker", "Workers"]

COMMAND = ("-m", "penstock.io.s3.tables.worker")
START_S = 300.0
PATIENCE_S = 300.0
_LOOK_S = 0.5
_KEPT_BYTES = 2 * PART_BYTES
_REAP_S = 10.0
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONHOME", "TMPDIR")
"""No credentials among them."""

_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""Glibc keeps what it frees: each message's memory would else come from the kernel anew (0.1 CPU-s per million rows)."""

_decode = msgspec.msgpack.Decoder(FromWorker).decode
_encoder = msgspec.msgpack.Encoder()

Source = Callable[[int, int], Iterator[bytes]]
"""Bytes of the object, from an offset and a size, in stretches."""


class Died(Exception):
    """The process is no more; the text says how it ended."""


class Stopped(Exception):
    """The job stops."""


class Worker:
    """One process.

    Args:
        stopping: set when the job stops.

    Raises:
        PenstockError: it can't be started.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._buffer = bytearray(1 << 20)
        self._patience_s = START_S
        self._heard = time.monotonic()
        ours, theirs = socket.socketpair()
        ours.settimeout(_LOOK_S)
        self._socket = ours
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _MALLOC
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        with theirs, new_room() as room:
            self._room = mmap.mmap(room.fileno(), ROOM_BYTES)
            self._process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-P", *COMMAND, str(theirs.fileno()), str(room.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                env=environment,
                pass_fds=(theirs.fileno(), room.fileno()),
                start_new_session=True,
            )
        try:
            self._receive()
            self._patience_s = PATIENCE_S
        except Died as died:
            message = (
                f"cannot start the process that reads Parquet, ORC and Avro: {died}.{self._last_words()}"
            )
            raise PenstockError(message) from None
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def run(
        self, task: Task, source: Source, choose: Choose, stopping: threading.Event
    ) -> Iterator[Rows | Columns | Done | Failed]:
        """Gives what comes of the task; the last one is `Done` or `Failed`.

        Raises:
            Died: the process ended.
            Stopped: the job stops.
        """
        self._stopping = stopping
        self._send(_encoder.encode(task))
        while True:
            message = self._receive()
            if isinstance(message, Read):
                for part in source(message.offset, message.size):
                    self._send(part)
            elif isinstance(message, Table):
                chosen = choose(message.names, message.marks)
                self._send(_encoder.encode(Wanted(None if chosen is None else list(chosen))))
            else:
                yield message
                if isinstance(message, (Done, Failed)):
                    return

    def _send(self, data: bytes) -> None:
        for view in (memoryview(LENGTH.pack(len(data))), memoryview(data)):
            self._heard = time.monotonic()
            while view:
                try:
                    view = view[self._socket.send(view) :]
                except TimeoutError:
                    self._look()
                except OSError:
                    raise self._death() from None

    def _receive(self) -> Plain:
        self._heard = time.monotonic()
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size))
        if size > MESSAGE_LIMIT:
            reason = f"it sent a message of {size} bytes"
            raise Died(reason)
        try:
            message: FromWorker = _decode(self._exactly(size))
            if isinstance(message, Laid):
                values = taken(self._room, message.lying)
                self._send(b"")
                return put_back(message, values)
        except (msgspec.MsgspecError, ValueError) as error:
            reason = f"it sent what is no message ({str(error)[:200]})"
            raise Died(reason) from None
        return message

    def _exactly(self, size: int) -> memoryview:
        buffer = self._buffer if size <= len(self._buffer) else bytearray(size)
        if size <= _KEPT_BYTES:
            self._buffer = buffer
        view = left = memoryview(buffer)[:size]
        while left:
            try:
                got = self._socket.recv_into(left)
            except TimeoutError:
                self._look()
                continue
            except OSError:
                got = 0
            if not got:
                raise self._death()
            left = left[got:]
        return view

    def _look(self) -> None:
        """Between two looks at a socket on which nothing happens."""
        if self._stopping.is_set():
            raise Stopped
        if time.monotonic() - self._heard > self._patience_s:
            message = f"it said nothing for {self._patience_s:.0f} s"
            raise Died(message)

    def _death(self) -> Died:
        try:
            code = self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            return Died("it closed its socket")
        if code >= 0:
            return Died(f"it ended with exit code {code}")
        with contextlib.suppress(ValueError):
            return Died(f"it ended by {signal.Signals(-code).name}")
        return Died(f"it ended by signal {-code}")

    def _last_words(self) -> str:
        self._process.kill()
        self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        self.kill()
        return f" Its last words: {said[-1][:300]}" if said else ""

    def end(self) -> None:
        """Ends the process; safe beside a thread that reads from it."""
        self._process.kill()

    def kill(self) -> None:
        """Ends the process, and lets go of what belongs to it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        with contextlib.suppress(BufferError):  # a thread reads there, and lets go
            self._room.close()
        self._log.close()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Workers:
    """The workers of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False

    def take(self, stopping: threading.Event) -> Worker:
        """Gives a worker that waits, or a new one.

        Raises:
            PenstockError: it can't be started.
            Stopped: the job stops.
        """
        while True:
            with self._lock:
                if self._closed:
                    raise Stopped
                worker = self._idle.pop() if self._idle else None
                if worker is not None:
                    self._busy.add(worker)
            if worker is None:
                break
            if worker.is_alive:
                return worker
            self.drop(worker)
        worker = Worker(stopping)
        with self._lock:
            self._busy.add(worker)
        return worker

    def give(self, worker: Worker) -> None:
        """Takes back a worker whose task is done."""
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker)
                return
        worker.kill()

    def drop(self, worker: Worker) -> None:
        """Forgets a worker that is not to be used again."""
        with self._lock:
            self._busy.discard(worker)
        worker.kill()

    def close(self) -> None:
        """Ends all of them; who reads from one is `Stopped`."""
        with self._lock:
            self._closed = True
            idle, busy = self._idle, list(self._busy)
            self._idle = []
        for worker in idle:
            worker.kill()
        for worker in busy:  # the thread that reads from it sees its end
            worker.end()
