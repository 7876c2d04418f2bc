"""`Connection` reads one client's windows and offers their events, in a thread of its own.

Operations. `serve` is that thread: handshake, then one loop of five steps, then the wait for what is not acknowledged yet.
Its `Replies` tell the client what is durable. The server's `Intake` says which bytes may be held.

Invariants.
- While nothing more may be pending or held, the socket isn't read; the kernel keeps the rest.
- No client waits for another one: what is held for a client that stalls is bounded, and a client that has a turn waits
  for the sink only.
- After the client's end of stream, or a stop, the connection stays until its events are acknowledged.
"""

import dataclasses
import logging
import socket
from collections.abc import Callable

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.origin import BeatsClient, client_at
from penstock.io.beats.server._statistics import Statistics
from penstock.io.beats.server.complaints import Complaints
from penstock.io.beats.server.intake import Intake
from penstock.io.beats.server.replies import Replies
from penstock.io.beats.transport.handshake import TlsTransport, read_proxy_header
from penstock.io.beats.transport.sockets import Transport
from penstock.io.beats.transport.tls import ReloadingTls
from penstock.io.beats.wire._acks import Due
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver, Stretch
from penstock.io.chain.live_source import Chunk
from penstock.io.chain.source_status import ClientStatus
from penstock.io.errors import ProtocolError
from penstock.transforms.kernels._event_lists import events_of

__all__ = ["Connection", "Shared"]

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Shared:
    """What all connections of a server share.

    Attributes:
        options: the server's options.
        limits: the limits that the protocol core enforces.
        intake: lets in what clients send.
        statistics: the server's counters.
        complaints: logs why clients were disconnected.
        tls: the TLS contexts; None without TLS.
        alarm: becomes readable when the server stops.
        clock: seconds that only grow.
    """

    options: BeatsOptions
    limits: Limits
    intake: Intake
    statistics: Statistics
    complaints: Complaints
    tls: ReloadingTls | None
    alarm: socket.socket
    clock: Callable[[], float]


def _say_nothing(_: str) -> None:
    """Takes the place of the connection's log when it is over."""


class Connection:
    """One client's connection.

    Args:
        shared: what all connections share.
        sock: the client's socket.
        client: its address.

    Attributes:
        client: who it is; the origin of its events.
        replies: tells it what is durable.
        events: how many events were taken in from it.
        acknowledged_events: how many of them are durable.
    """

    def __init__(self, shared: Shared, sock: socket.socket, client: BeatsClient) -> None:
        self.client = client
        self.events = self.acknowledged_events = 0
        self.replies = Replies(Transport(sock, shared.alarm), shared.clock, self._complain)
        self._shared = shared
        self._intake = shared.intake
        self._hold = shared.intake.holdings.join(self._close_slow)
        self._socket = sock
        self._receiver = Receiver(shared.limits)
        self._slow = False
        self._began_at = self._heard_at = shared.clock()
        self._received = 0
        self._counted = (0, 0)  # windows and inflated bytes

    # -- its own thread --------------------------------------------------------------------------------

    def serve(self) -> str:
        """Serves the client until the end; returns why it ended, in one word."""
        try:
            self._shake_hands()
            reason = self._read_windows()
            self.replies.finish()
        except ProtocolError as error:
            reason = "stopped" if self._intake.stopping else "protocol"
            if reason == "protocol":
                self._complain(str(error))
        except OSError as error:
            reason = "reset"
            if not self._gone_in_the_middle():
                _LOGGER.debug("%s is gone: %s", self.client, error.strerror or error)
        finally:
            self.leave()
        return "slow" if self._slow else reason

    def leave(self) -> None:
        """Gives back everything that the connection uses. Nothing is left of it then, not even a cycle (#16)."""
        self._intake.holdings.leave(self._hold)
        self._hold.close = _say_nothing
        self.replies.close()

    def _shake_hands(self) -> None:
        """Takes the PROXY header and does the TLS handshake, where they are asked for."""
        shared = self._shared
        until = shared.clock() + shared.options.ssl_handshake_timeout / 1000

        def left_s() -> float:
            # A stop, which wakes whoever waits here, leaves no time.
            return 0.0 if self._ended() else until - shared.clock()

        if shared.options.proxy_protocol:
            named = read_proxy_header(self._socket, left_s, self.replies.transport.wait)
            if named is not None:
                self.client = client_at(*named)
        if shared.tls is not None:
            transport = TlsTransport(self._socket, shared.alarm, shared.tls)
            self.replies.use(transport)
            transport.handshake(left_s)
            self.client = transport.peer(self.client)

    def _read_windows(self) -> str:
        """Reads windows and offers their events; returns why that ended, in one word."""
        intake, receiver, replies = self._intake, self._receiver, self.replies
        while not self._ended():
            # 1. In the middle of a window, wait until more may be pending.
            if receiver.in_window and intake.full:
                replies.waiting = True
                intake.wait_for_room(self._ended)
                replies.waiting = False
            # 2. Ask how much of what comes next may be held.
            whole = receiver.awaited_bytes + replies.held_bytes if receiver.buffered_bytes else 0
            replies.waiting = whole > 0
            size = intake.holdings.may_read(self._hold, whole, self._ended, first=self._has_proved_itself())
            replies.waiting = False
            # 3. Read it; where nothing has come, hold nothing while waiting for it.
            data = replies.transport.receive(size) if size else b""
            if data is None:
                self._settle(0, finished=False)
                if not self._wait():
                    return "idle"
                continue
            if not data:
                break
            # 4. Parse it, and offer what is whole, in turns.
            self._heard_at = self._shared.clock()
            finished = receiver.receive(data) and self._take_in()
            # 5. Count what is held, and what came.
            self._count(data, finished)
        if intake.stopping:
            return "stopped"
        if not replies.dead:
            self._gone_in_the_middle()
        return "closed"

    def _wait(self) -> bool:
        """Waits until something may have come. Returns False when the client was silent for too long."""
        shared = self._shared
        patience = shared.options.client_inactivity_timeout or None
        if patience is not None and self.replies.settled:
            patience -= shared.clock() - max(self._heard_at, self.replies.sent_at)
            if patience <= 0:
                _LOGGER.debug("%s sent nothing for %g s (--client_inactivity_timeout)",
                              self.client, shared.options.client_inactivity_timeout)  # fmt: skip
                return False
        self.replies.transport.wait(patience)
        return True

    def _take_in(self) -> bool:
        """Parses and offers everything that is complete. Returns whether there was something."""
        receiver, finished = self._receiver, False
        self.replies.waiting = True
        for stretch in self._intake.stretches(receiver, self._ended, self._has_nothing_pending):
            self.replies.waiting = False
            finished = True
            if not self._offer(stretch):
                return finished
        self.replies.waiting = False
        if receiver.payload_bytes > self._intake.holdings.share and self._intake.holdings.tight:
            # A part of an uncompressed window: pending bytes are freed sooner than held ones.
            finished = self._offer(receiver.part())
        return finished

    def _offer(self, stretch: Stretch) -> bool:
        """Offers a stretch of events. Returns whether they were taken."""
        due = Due(stretch.ack, stretch.final, stretch.version, self._shared.clock())
        self.replies.expect(due, self._ended)
        if not stretch.payloads:
            due.done = True  # no event, so no step has to write anything
            self._shared.statistics.add(acks=self.replies.acknowledge())
            return True
        count = len(stretch.payloads)
        events = events_of(stretch.payloads, self.client, stretch.first)
        if self._intake.offer(Chunk(events, stretch.size, (self, due)), self._ended):
            self._shared.statistics.add(events=count)
            self.events += count
            return True
        self.replies.withdraw(due)
        return False

    def _count(self, data: bytes, finished: bool) -> None:
        receiver, before = self._receiver, self._counted
        self._received += len(data)
        self._settle(len(data), finished=finished)
        self._counted = (receiver.windows, receiver.inflated_bytes)
        self._shared.statistics.add(
            bytes_received=len(data),
            windows=receiver.windows - before[0],
            bytes_inflated=receiver.inflated_bytes - before[1],
        )

    def _settle(self, received: int, *, finished: bool) -> None:
        held = self._receiver.buffered_bytes
        begun = held > 0
        held += self.replies.held_bytes
        self._intake.holdings.settle(self._hold, held, received, begun=begun, finished=finished)

    def _gone_in_the_middle(self) -> bool:
        """Tells, and logs, whether the client is gone without having sent all that it announced."""
        halfway = self._receiver.in_window or self._receiver.buffered_bytes > 0
        if halfway and not self._slow:
            self._complain("it closed the connection in the middle of a window.")
        return halfway

    # -- any thread ------------------------------------------------------------------------------------

    def _ended(self) -> bool:
        return self.replies.dead or self._intake.stopping

    def _has_nothing_pending(self) -> bool:
        return self.events == self.acknowledged_events

    def _has_proved_itself(self) -> bool:
        return self.acknowledged_events > 0

    def _complain(self, reason: str) -> None:
        self._shared.complaints.log(self.client, reason)

    def _close_slow(self, reason: str) -> None:
        self._slow = True
        self._complain(reason)
        self.replies.abandon()

    @property
    def settled(self) -> bool:
        """Whether, as far as we know, the client waits for nothing from us."""
        return self.replies.settled and not self.replies.waiting and not self._receiver.in_window

    def status(self) -> ClientStatus:
        """Gives the status of this client."""
        return ClientStatus(
            address=str(self.client),
            connected_s=self._shared.clock() - self._began_at,
            pending_events=max(0, self.events - self.acknowledged_events),
            acknowledged_events=self.acknowledged_events,
            bytes=self._received,
            tls=self.client.tls_version or "",
            waiting=self.replies.waiting,
        )
