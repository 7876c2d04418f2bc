"""`Replies` tells one client what is durable: the acknowledgements that are due, each once, and keep-alives before them.

Operations. The connection's own thread `expect`s a stretch of events before it offers them. The server's acknowledging
thread calls `acknowledge` and `keep_alive`. They meet only in the ledger, under one lock. After `dead`, nothing more
is sent.

Invariants.
- No thread of the pipeline, and none of another client, ever waits for this client's socket.
- A client is told `A 0` while it waits for us, never when it waits for nothing.
"""

import threading
from collections.abc import Callable

from penstock.io.beats.transport.sockets import Transport
from penstock.io.beats.wire import _frames as frames
from penstock.io.beats.wire._acks import Due, Ledger

__all__ = ["DUE_BYTES", "Replies"]

DUE_BYTES = 128
"""The bytes that one unacknowledged stretch costs, without its events."""
_OUTBOX_BYTES = 6 * 1024
_UNACKNOWLEDGED = 4096
"""The most stretches of one connection. Windows of 0 events count for nothing in what is pending, so they count here."""
_UNREAD_S = 60.0
"""A client that leaves a thousand acknowledgements unread, or one for a minute, isn't a Beat."""


def _say_nothing(_: str) -> None:
    """Takes the place of `refuse` when the connection is over."""


class Replies:
    """Tells one client what is durable. Safe from any thread.

    Args:
        transport: the client's.
        clock: seconds that only grow.
        refuse: logs why the client is disconnected.

    Attributes:
        transport: as given; the TLS handshake puts another one in its place.
        dead: whether nothing can be sent any more.
        waiting: whether the client waits for a turn or for room while we hold bytes of its.
        sent_at: when the client was told something last.
    """

    def __init__(
        self, transport: Transport, clock: Callable[[], float], refuse: Callable[[str], None]
    ) -> None:
        self.transport = transport
        self.dead = False
        self.waiting = False
        self._clock = clock
        self.sent_at = clock()
        self._refuse = refuse
        self._lock = threading.Condition(threading.Lock())
        self._ledger = Ledger()
        self._outbox = b""

    # -- the connection's own thread -------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether nothing waits for an acknowledgement."""
        return self._ledger.settled

    @property
    def held_bytes(self) -> int:
        """The bytes that the unacknowledged stretches cost, without their events."""
        return DUE_BYTES * len(self._ledger)

    def expect(self, due: Due, give_up: Callable[[], bool]) -> None:
        """Announces a stretch that will be offered. Waits while too many of this client are not acknowledged."""
        with self._lock:
            while len(self._ledger) >= _UNACKNOWLEDGED and not self.dead and not give_up():
                self._lock.wait(1.0)
            self._ledger.add(due)

    def withdraw(self, due: Due) -> None:
        """Takes back the stretch that was announced last: it was not taken in."""
        with self._lock:
            self._ledger.withdraw(due)

    def use(self, transport: Transport) -> None:
        """Sends by this transport from now on."""
        with self._lock:
            self.transport = transport

    def finish(self) -> None:
        """Waits until all is acknowledged, then ends the connection so that the last ACK still arrives."""
        with self._lock:
            self._lock.wait_for(lambda: self.dead or (self._ledger.settled and not self._outbox))
            if self.dead:
                return
            self.dead = True  # from here on, nobody else touches the transport
        self.transport.finish()

    def close(self) -> None:
        """Ends the connection at once."""
        with self._lock:
            self.dead = True
            self._refuse = _say_nothing  # it refers to the connection, which refers to this: a cycle
        self.transport.close()

    # -- the acknowledging thread ----------------------------------------------------------------------

    def acknowledge(self) -> int:
        """Sends the acknowledgements that are due; gives their number."""
        acks = b""
        with self._lock:
            if not self.dead:
                acks = self._ledger.due()
                self._outbox += acks
                self._flush()
            self._lock.notify_all()
        return len(acks) // frames.ACK_SIZE

    def keep_alive(self, now: float, interval_s: float) -> bool:
        """Sends `A 0` when the client waits for us and has heard nothing for that long. Returns whether it did."""
        with self._lock:
            if self._outbox and not self.dead:
                self._flush()
                self._lock.notify_all()
            if self.dead or now - self.sent_at < interval_s:
                return False
            if self._ledger.settled and not self.waiting:
                return False
            if not self._outbox:
                self._outbox = frames.ack_frame(self._ledger.version, 0)
                self._flush()
            return True

    def _flush(self) -> None:
        if not self._outbox:
            return
        try:
            sent = self.transport.send(self._outbox)
        except OSError:
            self._die()
            return
        self._outbox = self._outbox[sent:]
        now = self._clock()
        if sent:
            self.sent_at = now
        if len(self._outbox) > _OUTBOX_BYTES or (self._outbox and now - self.sent_at > _UNREAD_S):
            self._refuse("it does not read its acknowledgements.")
            self._die()

    # -- any thread ------------------------------------------------------------------------------------

    def abandon(self, *, unless_settled: bool = False) -> None:
        """Ends the connection. What is not acknowledged by now is never acknowledged here."""
        with self._lock:
            if not self.dead and not (unless_settled and self._ledger.settled):
                self._die()

    def _die(self) -> None:
        self.dead = True
        self.transport.end()
        self._lock.notify_all()
