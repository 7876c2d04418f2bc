"""`Budget` is a bounded amount that clients take from, and wait for in turns.

Problem. Turns, inflated bytes and unfinished frames are bounded over all clients. A client that asks again at once
must not keep the others out: four clients that saturate once held all turns, and a single event of a ninth waited 11
seconds (#16).

Plan. A client that finds too little left waits in one of two queues: in the first when it has nothing pending, else
in the second. What comes back is given to the heads of both queues in turn. So a client with one event waits for
one turn of the busy ones, and these share the rest among them, round robin.

Invariants.
- No client overtakes another one in its queue, and one that comes later never gets what a waiter needs.
- More than the bound is in use only when those who wait hold all that is in use. Otherwise none could ever go on.
"""

import collections
import threading
from collections.abc import Callable

__all__ = ["Budget"]


class _Ticket:
    """One waiting client."""

    __slots__ = ("amount", "called", "granted", "own")

    def __init__(self, amount: int, own: int) -> None:
        self.amount = amount
        self.own = own
        self.granted = False
        self.called = threading.Lock()
        self.called.acquire()


class Budget:
    """A bounded amount, shared in turns. Safe from any thread.

    Args:
        bound: how much may be in use at the same time.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lock = threading.Lock()
        self._used = 0
        self._used_by_waiters = 0
        self._queues: tuple[collections.deque[_Ticket], ...] = (collections.deque(), collections.deque())
        self._next = 0
        self._closed = False

    @property
    def used(self) -> int:
        """How much is in use."""
        return self._used

    @property
    def contended(self) -> bool:
        """Whether somebody waits."""
        return bool(self._queues[0] or self._queues[1])

    def missing(self) -> int:
        """Tells how much must come back before the next waiter can go on; 0 when nobody waits."""
        with self._lock:
            queue = self._next_queue()
            return max(0, self._used + queue[0].amount - self._bound) if queue else 0

    def take(self, amount: int, give_up: Callable[[], bool], *, first: bool = False, own: int = 0) -> bool:
        """Takes `amount`, and waits for it.

        Returns False when the budget was closed or `give_up()`, asked each second, says so.

        Args:
            amount: how much.
            give_up: whether to stop waiting.
            first: whether to wait in the first queue.
            own: what this client has taken already.
        """
        with self._lock:
            if self._closed:
                return False
            ticket = _Ticket(amount, own)
            self._queues[0 if first else 1].append(ticket)
            self._used_by_waiters += own
            self._grant()
            if ticket.granted:
                return True
        while not ticket.called.acquire(timeout=1.0):
            if give_up():
                with self._lock:
                    for queue in self._queues:
                        if ticket in queue:
                            queue.remove(ticket)
                            self._used_by_waiters -= own
                            self._grant()
                            return False
                break  # its turn came in this moment
        return ticket.granted

    def take_at_once(self, amount: int, bound: int) -> bool:
        """Takes `amount` without waiting, if nobody waits and the bound is kept. Returns whether it did."""
        with self._lock:
            if self._closed or self.contended or self._used + amount > bound:
                return False
            self._used += amount
            return True

    def give_back(self, amount: int) -> None:
        """Gives back what was taken, or a part of it."""
        with self._lock:
            self._used -= amount
            if self._queues[0] or self._queues[1]:
                self._grant()

    def close(self) -> None:
        """Gives nothing to anybody from now on. Those who wait go on with nothing."""
        with self._lock:
            self._closed = True
            for queue in self._queues:
                while queue:
                    queue.popleft().called.release()

    def _fits(self, amount: int) -> bool:
        return self._used + amount <= self._bound or self._used == self._used_by_waiters

    def _next_queue(self) -> collections.deque[_Ticket]:
        queue = self._queues[self._next]
        return queue or self._queues[1 - self._next]

    def _grant(self) -> None:
        while (queue := self._next_queue()) and self._fits(queue[0].amount):
            ticket = queue.popleft()
            self._next = 1 if queue is self._queues[0] else 0
            self._used += ticket.amount
            self._used_by_waiters -= ticket.own
            ticket.granted = True
            ticket.called.release()
