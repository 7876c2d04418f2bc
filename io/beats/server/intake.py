"""`Intake` lets in what clients send: in turns, and within the bounds on what may be pending and held.

Plan. The bytes of a client pass three gates. `holdings` bounds its unfinished frames. `inflating` bounds what
compressed frames become: a usual frame takes the most that it can become, 4 MiB, and gives back what it
didn't need; a larger one is inflated alone. Then each stretch waits for a turn, is parsed, and is offered to the
source. Only one client at a time waits for room in the source's queue, so none is overtaken by those with fewer events.

Invariant. A client that waits at a gate holds nothing of a later gate; what others hold there comes back when the
sink goes on.
"""

import threading
from collections.abc import Callable, Iterator

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.server._budget import Budget
from penstock.io.beats.server._holdings import Holdings
from penstock.io.beats.wire._protocol import Receiver, Stretch
from penstock.io.chain.live_source import Chunk, LiveSource

__all__ = ["Intake"]

_TURNS = 4
"""How many clients parse at the same time. Inflating releases Python's lock, so a few cores can be used."""
_INFLATED_BYTES = 4 << 20
"""The most bytes that a usual frame becomes; 2048 events of 1 KB become 2 MB."""
_MOST_INFLATED = 1100
"""No zlib stream becomes more than 1032 times its length."""


class Intake:
    """Lets in what all clients of a server send. Safe from any thread.

    Args:
        source: where events are offered.
        options: the bounds.
        clock: seconds that only grow.

    Attributes:
        holdings: the bound on clients' unfinished frames.
    """

    def __init__(self, source: LiveSource, options: BeatsOptions, clock: Callable[[], float]) -> None:
        self._source = source
        self.holdings = Holdings(options.max_pending_bytes, options.max_connections, clock)
        self._usual = min(_INFLATED_BYTES, max(1, options.max_pending_bytes // 16))
        self._inflating = Budget(options.max_pending_bytes // 2)
        self._alone = Budget(1)
        self._turns = Budget(_TURNS)
        self._offering = threading.Lock()
        self._unbounded = options.max_inflated_bytes

    @property
    def stopping(self) -> bool:
        """Whether nothing more is let in."""
        return self._source.stopping

    @property
    def full(self) -> bool:
        """Whether as much is pending as may be."""
        return self._source.full

    def wait_for_room(self, give_up: Callable[[], bool]) -> None:
        """Waits until more may be offered. A stop or `give_up()` ends the wait too."""
        self._source.wait_for_room(give_up)

    @property
    def held_bytes(self) -> int:
        """The bytes that clients hold of the bounds, besides what is pending."""
        return self.holdings.taken + self._inflating.used

    def close(self) -> None:
        """Lets nothing more in. Those who wait go on with nothing."""
        self.holdings.close()
        for gate in (self._inflating, self._alone, self._turns):
            gate.close()

    def offer(self, chunk: Chunk, give_up: Callable[[], bool]) -> bool:
        """Offers a chunk to the source, and waits for room. Returns whether the chunk was taken."""
        with self._offering:
            return self._source.offer(chunk, give_up=give_up)

    def stretches(
        self, receiver: Receiver, give_up: Callable[[], bool], first: Callable[[], bool]
    ) -> Iterator[Stretch]:
        """Gives the complete stretches, each in a turn that lasts until the next one is asked for.

        Args:
            receiver: the client's.
            give_up: whether to stop.
            first: whether the client has nothing pending; if so, it waits in the first queue.
        """
        gate, amount = self._inflating, min(self._usual, _MOST_INFLATED * receiver.buffered_bytes)
        while gate.take(amount, give_up, first=first()):
            try:
                receiver.inflate_room = self._unbounded if gate is self._alone else amount
                while self._turns.take(1, give_up, first=first()):
                    try:
                        stretch = receiver.next_stretch()
                        if stretch is not None:
                            yield stretch
                    finally:
                        self._turns.give_back(1)
                    if stretch is None or receiver.at_end():
                        break
                    if gate is self._inflating and gate.contended and receiver.inflated_held < amount:
                        gate.give_back(amount - receiver.inflated_held)
                        receiver.inflate_room = amount = receiver.inflated_held
                else:
                    return
            finally:
                gate.give_back(amount)
            if not receiver.wants_room:
                return
            # Only time is lost: that of inflating as much as there was room for.
            gate, amount = (self._inflating, self._usual) if amount < self._usual else (self._alone, 1)
