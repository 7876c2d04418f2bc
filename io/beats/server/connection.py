"""One client: a thread that reads its windows and offers them, and the acknowledgements that it gets.

Operations. `run` (its own thread) reads, parses, offers; `acknowledge` and `keep_alive` (the server's
acknowledging thread) send. Both meet only in the ledger, under the connection's lock; `dead` is the last word.

Invariants.
- While nothing more may be pending, the socket isn't read: before it parses, a connection waits for one of the
  server's few turns, and then for room. So few connections hold inflated events at a time, however many
  clients there are, and none waits for another client: a turn is held only for bytes that are already here.
- A client is told `A 0` while it waits for us, never when it waits for nothing.
- After the client's end of stream, or a stop, the connection stays until its events are acknowledged.
"""

import logging
import socket
import threading
from collections.abc import Callable
from itertools import repeat
from typing import TYPE_CHECKING

from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.server.handshake import TlsTransport, read_proxy_header
from penstock.io.beats.server.sockets import Transport
from penstock.io.beats.wire import _frames as frames
from penstock.io.beats.wire._acks import Due, Ledger
from penstock.io.beats.wire._protocol import Receiver, Stretch
from penstock.io.chain.live_objects import Chunk
from penstock.io.chain.source_status import ClientStatus
from penstock.io.errors import ProtocolError
from penstock.transforms.batch import Event

if TYPE_CHECKING:
    from penstock.io.beats.server.beats_server import BeatsServer

__all__ = ["Connection"]

_LOGGER = logging.getLogger(__name__)

_event: Callable[..., Event] = Event
_RECEIVE_BYTES = 1 << 18
_OUTBOX_BYTES = 6 * 1024
_UNACKNOWLEDGED = 4096
"""Stretches of one connection: windows of 0 cost no room among what is pending, so they are counted here."""
_UNREAD_S = 60.0
"""A client that leaves a thousand acknowledgements unread, or one for a minute, isn't a Beat."""


class Connection:
    """One client's connection.

    Attributes:
        client: who it is; the origin of its events.
        dead: nothing can be sent any more; what it sent is written, but not acknowledged.
        events: taken in from it.
        acknowledged_events: written since.
    """

    def __init__(self, server: "BeatsServer", sock: socket.socket, client: BeatsClient) -> None:
        self.client = client
        self.dead = False
        self.events = self.acknowledged_events = 0
        self._server = server
        self._socket = sock
        self._transport = Transport(sock, server.alarm)
        self._receiver = Receiver(server.limits)
        self._lock = threading.Condition(threading.Lock())
        self._ledger = Ledger()
        self._outbox = b""
        self._waiting = False  # for a turn or for room, with bytes of the client's in hand
        self._reserved = 0
        now = server.clock()
        self._began_at = now
        self._heard_at = now
        self._sent_at = now
        self._received = 0

    # -- its own thread --------------------------------------------------------------------------------

    def run(self) -> str:
        """Serves the client until the end; returns why it ended, in one word."""
        try:
            self._welcome()
            reason = self._read()
            self._await_acknowledgements()
            self._finish()
        except ProtocolError as error:
            reason = "stopped" if self._server.stopping else "protocol"
            if reason == "protocol":
                self._server.complaints.log(self.client, error)
        except OSError as error:
            reason = "reset"
            if not self._gone_in_the_middle():
                _LOGGER.debug("%s is gone: %s", self.client, error.strerror or error)
        finally:
            with self._lock:
                self.dead = True
            self._server.reserve(self, self._reserved, 0)
            self._transport.close()
        return reason

    def _welcome(self) -> None:
        """PROXY header and TLS handshake, where they are asked for."""
        server = self._server
        until = server.clock() + server.options.ssl_handshake_timeout / 1000

        def left_s() -> float:
            # A stop, which wakes whoever waits here, leaves no time.
            return 0.0 if server.stopping or self.dead else until - server.clock()

        if server.options.proxy_protocol:
            named = read_proxy_header(self._socket, left_s, self._transport.wait)
            if named is not None:
                self.client = BeatsClient(*named)
        if server.tls is not None:
            transport = TlsTransport(self._socket, server.alarm, server.tls)
            with self._lock:
                self._transport = transport
            transport.handshake(left_s)
            self.client = transport.peer(self.client)

    def _read(self) -> str:
        server, receiver = self._server, self._receiver
        while not server.stopping and not self.dead:
            if receiver.in_window and server.full:
                self._wait_for_room()
            data = self._receive()
            if data is None:
                _LOGGER.info("%s sent nothing for %g s (--client_inactivity_timeout)",
                             self.client, server.options.client_inactivity_timeout)  # fmt: skip
                return "idle"
            if not data:
                if not server.stopping and not self.dead:
                    self._gone_in_the_middle()
                return "stopped" if server.stopping else "closed"
            self._received += len(data)
            windows, inflated = receiver.windows, receiver.inflated_bytes
            if receiver.receive(data):
                self._offer()
            server.statistics.add(
                bytes_received=len(data),
                windows=receiver.windows - windows,
                bytes_inflated=receiver.inflated_bytes - inflated,
            )
            if self._reserved or receiver.buffered_bytes > _RECEIVE_BYTES:
                self._reserve()
        return "stopped"

    def _gone_in_the_middle(self) -> bool:
        """Whether the client is gone without having sent all it announced; says so."""
        halfway = self._receiver.in_window or self._receiver.buffered_bytes > 0
        if halfway:
            self._server.complaints.log(self.client, "it closed the connection in the middle of a window.")
        return halfway

    def _receive(self) -> bytes | None:
        """The next bytes; empty at the end; None when the client was silent for too long."""
        server, transport = self._server, self._transport
        while True:
            data = transport.receive(_RECEIVE_BYTES)
            if data is not None:
                self._heard_at = server.clock()
                return data
            patience = server.options.client_inactivity_timeout or None
            if patience is not None and self._ledger.settled:
                patience -= server.clock() - max(self._heard_at, self._sent_at)
                if patience <= 0:
                    return None
            transport.wait(patience)
            if server.stopping or self.dead:
                return b""

    def _offer(self) -> None:
        """Parses and offers all that is complete, in this connection's turn."""
        server, receiver = self._server, self._receiver
        self._waiting = True
        with server.turns:
            server.wait_for_room(self._is_dead)
            self._waiting = False
            while not self.dead and (stretch := receiver.next_stretch()) is not None:
                if not self._offer_stretch(stretch):
                    return

    def _offer_stretch(self, stretch: Stretch) -> bool:
        due = Due(stretch.ack, stretch.final, stretch.version, self._server.clock())
        with self._lock:
            while len(self._ledger) >= _UNACKNOWLEDGED and not self.dead and not self._server.stopping:
                self._lock.wait(1.0)
            self._ledger.add(due)
        if not stretch.payloads:
            due.done = True  # nobody needs to write it
            self.acknowledge()
            return True
        count = len(stretch.payloads)
        indices = range(stretch.first, stretch.first + count)
        events = list(map(_event, stretch.payloads, repeat(self.client), indices))
        if self._server.offer(Chunk(events, stretch.size, (self, due)), give_up=self._is_dead):
            self._server.statistics.add(events=count)
            self.events += count
            return True
        with self._lock:
            self._ledger.withdraw(due)
        return False

    def _wait_for_room(self) -> None:
        self._waiting = True
        with self._server.turns:
            self._server.wait_for_room(self._is_dead)
        self._waiting = False

    def _reserve(self) -> None:
        """Counts what this connection holds in memory among all incomplete frames."""
        held = self._receiver.buffered_bytes
        wanted = held if held > _RECEIVE_BYTES else 0
        if not self._server.reserve(self, self._reserved, wanted):
            limit = self._server.options.max_pending_bytes
            message = (
                f"its incomplete frame of {held} bytes would take the frames of all clients beyond {limit} bytes. "
                "Raise --max_pending_bytes if this happens to honest senders."
            )
            raise ProtocolError(message)
        self._reserved = wanted

    def _await_acknowledgements(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self.dead or (self._ledger.settled and not self._outbox))

    def _finish(self) -> None:
        with self._lock:
            if self.dead:
                return
            self.dead = True  # from here on, nobody else touches the transport
        self._transport.finish()

    def _is_dead(self) -> bool:
        return self.dead

    # -- the acknowledging thread ----------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether the client waits for nothing from us, as far as we know."""
        return self._ledger.settled and not self._waiting and not self._receiver.in_window

    def acknowledge(self) -> None:
        """Sends the acknowledgements that are due."""
        acks = b""
        with self._lock:
            if not self.dead:
                acks = self._ledger.due()
                self._outbox += acks
                self._flush()
            self._lock.notify_all()
        if acks:
            self._server.statistics.add(acks=len(acks) // frames.ACK_SIZE)

    def keep_alive(self, now: float, interval_s: float) -> bool:
        """Sends `A 0` when the client waits for us and has heard nothing for that long; says whether."""
        with self._lock:
            if self._outbox and not self.dead:
                self._flush()
                self._lock.notify_all()
            if self.dead or now - self._sent_at < interval_s:
                return False
            if self._ledger.settled and not self._waiting:
                return False
            if not self._outbox:
                self._outbox = frames.ack_frame(self._ledger.version, 0)
                self._flush()
            return True

    def _flush(self) -> None:
        if not self._outbox:
            return
        try:
            sent = self._transport.send(self._outbox)
        except OSError:
            self._die()
            return
        self._outbox = self._outbox[sent:]
        now = self._server.clock()
        if sent:
            self._sent_at = now
        if len(self._outbox) > _OUTBOX_BYTES or (self._outbox and now - self._sent_at > _UNREAD_S):
            self._server.complaints.log(self.client, "it does not read its acknowledgements.")
            self._die()

    def _die(self) -> None:
        self.dead = True
        self._transport.end()
        self._lock.notify_all()

    # -- any thread ------------------------------------------------------------------------------------

    def status(self) -> ClientStatus:
        """How this client stands."""
        return ClientStatus(
            address=str(self.client),
            connected_s=self._server.clock() - self._began_at,
            pending_events=max(0, self.events - self.acknowledged_events),
            acknowledged_events=self.acknowledged_events,
            bytes=self._received,
            tls=self.client.tls_version or "",
            waiting=self._waiting,
        )

    def abandon(self, *, unless_settled: bool = False) -> None:
        """The server closes: whatever isn't acknowledged by now is never acknowledged here."""
        with self._lock:
            if not self.dead and not (unless_settled and self._ledger.settled):
                self._die()
