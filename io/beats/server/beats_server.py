"""`BeatsServer` serves Beats: one listening socket per process, a thread per client, one thread that acknowledges.

Problem. Beam's readers come and go; clients must not notice. A client that stalls must cost the others nothing,
and what `Acknowledge` reports must reach the client without a Beam thread ever waiting for a socket.

Plan. `BeatsServer` is the live source that readers borrow. Connections offer chunks, through the server's intake.
`_acknowledged` only queues work for the acknowledging thread, which sends final and partial acknowledgements, and the
keep-alives in between. The ledger of a connection decides what is due, and in which order.

On `stop` nothing more is accepted or read; what was offered is still written and acknowledged, and then each
connection is closed. `close` closes what is left, without acknowledging it: those clients send again.

Refused: asyncio and uvloop (10-30 % more CPU here than threads that block); one sender thread per client.
"""

import contextlib
import functools
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.server._statistics import Statistics
from penstock.io.beats.server.accepting import accept_clients, most_connections
from penstock.io.beats.server.complaints import Complaints
from penstock.io.beats.server.connection import Connection, Shared
from penstock.io.beats.server.intake import Intake
from penstock.io.beats.server.memory import Trimmer, tame_malloc
from penstock.io.beats.transport.sockets import listen
from penstock.io.beats.transport.tls import ReloadingTls
from penstock.io.chain.live_objects import Chunk, LiveSource
from penstock.io.chain.source_status import Peer
from penstock.io.errors import PenstockError
from penstock.io.meters import METERS
from penstock.io.shares import SHARES

__all__ = ["BeatsServer"]

_LOGGER = logging.getLogger(__name__)

_CLOSE_S = 3.0
_CLIENT_BYTES = 32 << 10
"""About the bytes that a client costs besides what it sends."""
_CLOSED = METERS.counter(
    "penstock_beats_closed_total", "Connections of Beats that have ended, by why.", "source", "reason"
)


class BeatsServer(LiveSource):
    """Listens for Beats, and is the live source of what they send.

    Args:
        key: its name in the registry.
        options: where to listen, and the limits.
        clock: seconds that only grow.

    Attributes:
        options: as given; where several processes share the job, with this one's part of the bounds.
        address: host and port that it listens on (the real port where 0 was asked for).
        statistics: the server's counters.
    """

    def __init__(
        self, key: str, options: BeatsOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        options = options.part(SHARES)
        super().__init__(
            key,
            max_pending_events=options.max_pending_records,
            max_pending_bytes=options.max_pending_bytes,
            max_batch_events=2048,
            linger_s=options.record_max_buffered_time / 1000,
        )
        self.options = options
        self.statistics = Statistics()
        self._clock = clock
        alarm, self._bell = socket.socketpair()
        files = options.tls_files()
        self._intake = Intake(self, options, clock)
        self._shared = Shared(
            options,
            options.limits(),
            self._intake,
            self.statistics,
            Complaints(),
            None if files is None else ReloadingTls(files),
            alarm,
            clock,
        )
        self._connections: dict[Connection, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        self._work: queue.SimpleQueue[list[Chunk] | str] = queue.SimpleQueue()
        tame_malloc()
        self._most_connections = most_connections(options.max_connections)
        listener = listen(options.host, options.port, share=options.share_port)
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._trimmer = Trimmer()
        self._next_tick = clock()
        accept = functools.partial(accept_clients, listener, alarm, self._welcome, lambda: self.stopping)
        self._threads = [
            threading.Thread(target=accept, name=f"{key} accept", daemon=True),
            threading.Thread(target=self._send, name=f"{key} acknowledge", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        _LOGGER.info("listening for Beats on %s:%d", *self.address)

    # -- clients ---------------------------------------------------------------------------------------

    def _welcome(self, sock: socket.socket, client: BeatsClient) -> None:
        count = self.connection_count
        if count >= self._most_connections or self.stopping:
            if not self.stopping:
                self._shared.complaints.log(client, self._too_many(count))
            self._count_end("refused")
            sock.close()
            return
        try:
            connection = Connection(self._shared, sock, client)
        except OSError:  # the client is gone already
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
            connection.leave()

    def _too_many(self, count: int) -> str:
        if self._most_connections < self.options.max_connections:
            return f"{count} clients are connected, as many as this process may have open (ulimit -n)."
        return f"{count} clients are connected, as many as --max_connections allows."

    def _serve(self, connection: Connection) -> None:
        self.statistics.add(connections=1)
        reason = "defect"
        try:
            reason = connection.serve()
        except MemoryError:
            _LOGGER.warning(  # the frame is let go of by now
                "%s: no memory is left for its frame; the connection is closed, and a Beat sends again.",
                connection.client,
            )
        except Exception:
            _LOGGER.exception("serving %s failed: this is a defect of penstock", connection.client)
        finally:
            self._count_end(reason)
            self._forget(connection)

    def _count_end(self, reason: str) -> None:
        self.statistics.add(**{f"closed_{reason}": 1})
        _CLOSED.of(self.key, reason).add()

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

    # -- acknowledgements ------------------------------------------------------------------------------

    def _acknowledged(self, chunks: list[Chunk]) -> None:
        self._work.put(chunks)

    def _send(self) -> None:
        """Runs the acknowledging thread."""
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
            work = self._work.get(timeout=max(0.0, self._next_tick - self._clock()))
        except queue.Empty:
            work = None
        if isinstance(work, str):
            with contextlib.suppress(OSError):
                self._bell.send(b"!")
            return work != "close"
        if work is not None:
            self._settle(work)
        if (now := self._clock()) >= self._next_tick:
            interval = self.options.keepalive_interval
            self._next_tick = now + interval / 4
            sent = sum(each.replies.keep_alive(now, interval) for each in self._all_connections())
            if sent:
                self.statistics.add(keepalives=sent)
            self._trimmer.saw(
                self._intake.held_bytes + self.pending_bytes + _CLIENT_BYTES * self.connection_count
            )
        return True

    def _settle(self, chunks: list[Chunk]) -> None:
        touched: dict[Connection, None] = {}
        now = self._clock()
        for chunk in chunks:
            connection, due = chunk.context
            due.done = True
            connection.acknowledged_events += len(chunk.events)
            touched[connection] = None
            self.statistics.acknowledged(now - due.offered_at)
        self.statistics.add(acks=sum(connection.replies.acknowledge() for connection in touched))

    # -- the end ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether clients can connect."""
        return not self.stopping

    def describe(self) -> str:
        """Says in words what the server does."""
        host, port = self.address
        return f"listening for Beats on {host}:{port}"

    def peers(self) -> list[Peer]:
        """Gives the status of each connected client."""
        return [connection.status() for connection in self._all_connections()]

    @property
    def ready(self) -> bool:
        """Whether no client is in the middle of a window."""
        return all(connection.settled for connection in self._all_connections())

    def stop(self) -> None:
        """Accepts and reads nothing more. Returns at once; safe in a signal handler."""
        super().stop()
        self._intake.close()
        self._work.put("stop")

    def close(self) -> None:
        """Sends the acknowledgements that are due, and closes everything; 3 seconds at most."""
        super().stop()
        self._intake.close()
        self._work.put("close")
        until = time.monotonic() + _CLOSE_S
        self._threads[1].join(_CLOSE_S)
        with self._connections_lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.replies.abandon(unless_settled=True)
        for thread in (self._threads[0], *connections.values()):
            thread.join(max(0.0, until - time.monotonic()))
        for connection in connections:
            connection.replies.abandon()
        self._bell.close()  # the alarm's other end stays: a thread that is late may still wait for it
