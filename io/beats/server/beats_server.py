"""The Beats server: one listening socket a process, a thread for each client, one thread that acknowledges.

Problem. Beam's readers come and go; clients must not notice. A client that stalls must cost the others nothing,
and what `Acknowledge` reports must reach the client without a Beam thread ever waiting for a socket.

Plan. `BeatsServer` is the live source that readers borrow. Connection threads offer chunks (`_connection`).
`_acknowledged` only queues work for the acknowledging thread, which sends final and partial acknowledgements, and the
keep-alives in between; what is due, and in which order, is the connection's ledger to say.

On `stop` nothing more is accepted or read; what was offered is still written and acknowledged, and then each
connection is closed. `close` closes what is left, without acknowledging it: those clients send again.

Refused: asyncio and uvloop (10-30 % more CPU here than threads that block), one sender thread a client.
"""

import contextlib
import logging
import queue
import select
import socket
import threading
import time
from collections.abc import Callable

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.server._complaints import Complaints
from penstock.io.beats.server._statistics import Statistics
from penstock.io.beats.server.connection import Connection
from penstock.io.beats.server.memory import tame_malloc
from penstock.io.beats.server.sockets import listen
from penstock.io.beats.server.tls import ReloadingTls
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.chain.source_status import Peer
from penstock.io.errors import PenstockError

__all__ = ["BeatsServer"]

_LOGGER = logging.getLogger(__name__)

_TURNS = 4
"""Connections that parse at the same time: inflating leaves Python's lock, so a few cores can be used."""

_CLOSE_S = 3.0


class BeatsServer(LiveSource):
    """Listens for Beats, and is the live source of what they send.

    Args:
        key: its name in the registry.
        options: where to listen, and the limits.
        clock: seconds that only grow.

    Attributes:
        options: as given.
        limits: what the protocol core checks.
        address: host and port that it listens on (the real port where 0 was asked for).
        turns: a connection holds one of these while it parses and offers.
        statistics: what it counts.
        complaints: where it logs why it disconnected clients.
        tls: the TLS contexts; None without TLS.
        alarm: becomes readable when the server stops.
    """

    def __init__(
        self, key: str, options: BeatsOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            key,
            max_pending_events=options.max_pending_records,
            max_pending_bytes=options.max_pending_bytes,
            max_batch_events=2048,
            linger_s=options.record_max_buffered_time / 1000,
        )
        self.options = options
        self.limits = options.limits()
        self.clock = clock
        self.turns = threading.Semaphore(_TURNS)
        self.statistics = Statistics()
        self.complaints = Complaints()
        self.alarm, self._bell = socket.socketpair()
        self._connections: dict[Connection, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        self._reserved = 0
        self._work: queue.SimpleQueue[list[Chunk] | str] = queue.SimpleQueue()
        tame_malloc()
        files = options.tls_files()
        self.tls = None if files is None else ReloadingTls(files)
        self._listener = listen(options.host, options.port, share=options.share_port)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._next_tick = clock()
        self._threads = [
            threading.Thread(target=self._accept, name=f"{key} accept", daemon=True),
            threading.Thread(target=self._send, name=f"{key} acknowledge", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        _LOGGER.info("listening for Beats on %s:%d", *self.address)

    # -- clients ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        waiting.register(self.alarm, select.POLLIN)
        while not self.stopping:
            try:
                waiting.poll()
                sock, address = self._listener.accept()
            except BlockingIOError:  # the alarm, or a client that has gone again
                continue
            except OSError as error:
                _LOGGER.warning("cannot accept a client: %s", error.strerror or error)
                time.sleep(0.2)  # out of file descriptors: without a pause this would spin
                continue
            self._welcome(sock, BeatsClient(str(address[0]), int(address[1])))
        self._listener.close()

    def _welcome(self, sock: socket.socket, client: BeatsClient) -> None:
        count = self.connection_count
        if count >= self.options.max_connections or self.stopping:
            if not self.stopping:
                self.complaints.log(
                    client, f"{count} clients are connected, as many as --max_connections allows."
                )
            self.statistics.add(closed_refused=1)
            sock.close()
            return
        try:
            connection = Connection(self, sock, client)
        except OSError:  # gone already
            sock.close()
            return
        thread = threading.Thread(target=self._serve, args=(connection,), name=f"beats {client}", daemon=True)
        with self._connections_lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:
            _LOGGER.warning("%s is refused: this machine allows no more threads.", client)
            self._forget(connection)
            sock.close()

    def _serve(self, connection: Connection) -> None:
        self.statistics.add(connections=1)
        reason = "defect"
        try:
            reason = connection.run()
        except Exception:
            _LOGGER.exception("serving %s failed: this is a defect of penstock", connection.client)
        finally:
            self.statistics.add(**{f"closed_{reason}": 1})
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._connections_lock:
            self._connections.pop(connection, None)

    def _all_connections(self) -> list[Connection]:
        with self._connections_lock:
            return list(self._connections)

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        with self._connections_lock:
            return len(self._connections)

    @property
    def full(self) -> bool:
        """Whether as much is pending as may be."""
        return self.pending_events >= self.max_pending_events or self.pending_bytes >= self.max_pending_bytes

    def wait_for_room(self, give_up: Callable[[], bool]) -> None:
        """Waits until more may be offered; a stop or `give_up()` ends it too."""
        if not self.full:
            return
        with self._changed:
            while self.full and not self.stopping and not give_up():
                self._changed.wait(1.0)

    def reserve(self, connection: Connection, held: int, wanted: int) -> bool:
        """A connection now holds `wanted` bytes of incomplete frames, not `held`; False: that is too much."""
        with self._connections_lock:
            if wanted > held and self._reserved + wanted - held > self.options.max_pending_bytes:
                return False
            self._reserved += wanted - held
            return True

    # -- acknowledgements ------------------------------------------------------------------------------

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        self._work.put(chunks)

    def _send(self) -> None:
        """The acknowledging thread."""
        try:
            while self._send_next():
                pass
        except Exception as error:
            _LOGGER.exception("acknowledging failed: this is a defect of penstock")
            self.fail(
                PenstockError(f"{self.key}: acknowledging failed ({type(error).__name__}); see the log.")
            )

    def _send_next(self) -> bool:
        """Does one piece of work, and the keep-alives when it is time; False at the end."""
        work: list[Chunk] | str | None
        try:
            work = self._work.get(timeout=max(0.0, self._next_tick - self.clock()))
        except queue.Empty:
            work = None
        if isinstance(work, str):
            with contextlib.suppress(OSError):
                self._bell.send(b"!")
            return work != "close"
        if work is not None:
            self._settle(work)
        if (now := self.clock()) >= self._next_tick:
            interval = self.options.keepalive_interval
            self._next_tick = now + interval / 4
            sent = sum(each.keep_alive(now, interval) for each in self._all_connections())
            if sent:
                self.statistics.add(keepalives=sent)
        return True

    def _settle(self, chunks: list[Chunk]) -> None:
        touched: dict[Connection, None] = {}
        now = self.clock()
        for chunk in chunks:
            connection, due = chunk.context
            due.done = True
            connection.acknowledged_events += len(chunk.events)
            touched[connection] = None
            self.statistics.acknowledged(now - due.offered_at)
        for connection in touched:
            connection.acknowledge()

    # -- the end ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether clients can connect."""
        return not self.stopping

    def describe(self) -> str:
        """What it does, in words."""
        host, port = self.address
        return f"listening for Beats on {host}:{port}"

    def peers(self) -> list[Peer]:
        """The clients that are connected."""
        return [connection.status() for connection in self._all_connections()]

    @property
    def ready(self) -> bool:
        """Whether no client is in the middle of a window."""
        return all(connection.settled for connection in self._all_connections())

    def stop(self) -> None:
        """Accepts and reads nothing more. Returns at once; safe in a signal handler."""
        super().stop()
        self._work.put("stop")

    def close(self) -> None:
        """Sends the acknowledgements that are due, and closes everything; 3 seconds at most."""
        super().stop()
        self._work.put("close")
        until = time.monotonic() + _CLOSE_S
        self._threads[1].join(_CLOSE_S)
        with self._connections_lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.abandon(unless_settled=True)
        for thread in (self._threads[0], *connections.values()):
            thread.join(max(0.0, until - time.monotonic()))
        for connection in connections:
            connection.abandon()
        self._bell.close()  # the alarm's other end stays: a thread that is late may still wait for it
