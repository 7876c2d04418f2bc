"""`Holdings` bounds the memory of all clients' unfinished frames, so that a frame that has begun can finish.

Problem. Each client may announce a frame of 16 MiB, and 2,000 clients may be connected. A client that is cut off in
the middle sends it all again. A client that must wait for one that has stopped sending waits for ever.

Plan. Half of the bound is divided evenly: each client may always hold its share, 16 KiB by default, which is enough for
most windows. The other half is a pool.
- While less than half of the pool is in use, a client takes what one read may bring.
- Beyond that, a client that has begun a frame takes what the whole frame needs, before it reads on. It waits for that in
  its turn, and holds no more meanwhile. So a client that reads on can finish.
- While somebody waits, unfinished frames are looked at once per second. One that grew by less than 1 KiB/s for 10
  seconds is closed, the longest-held first, until the next waiter can go on. Another one loses what it has taken beyond
  what it holds. So a client that announces much and sends little keeps nobody out.
- A client that waits for us is never called slow.

Refused: to close connections as soon as it becomes too much (200 Beats with windows of 1.8 MB were cut off 263 times, #16).
"""

import math
import threading
from collections.abc import Callable

from penstock.io.beats.server._budget import Budget

__all__ = ["READ_BYTES", "Hold", "Holdings"]

READ_BYTES = 1 << 18
"""The most that one read brings."""
_LARGEST_SHARE = 16 << 10
_LOOK_S = 10.0
_LEAST_RATE = 1024


class Hold:
    """What one client holds.

    Args:
        close: tells the client why it is closed, and closes it.

    Attributes:
        held: bytes in memory.
        begun: whether an unfinished frame is among them.
        taken: bytes taken from the pool; `reserved` of them for the frame that has begun.
    """

    __slots__ = (
        *("begun", "close", "grown_at", "grown_to", "held", "left_at", "reading", "received"),
        *("reserved", "reserved_at", "since", "taken"),
    )

    def __init__(self, close: Callable[[str], None]) -> None:
        self.close = close
        self.held = self.taken = self.reserved = 0
        self.received = self.grown_to = 0  # bytes that had come when it last grew by enough
        self.since = self.grown_at = self.left_at = self.reserved_at = 0.0
        self.begun = self.reading = False


class Holdings:
    """Bounds what all clients' unfinished frames hold. Safe from any thread.

    Args:
        bound: bytes of all clients together.
        clients: how many may be connected.
        clock: seconds that only grow.
    """

    def __init__(self, bound: int, clients: int, clock: Callable[[], float]) -> None:
        self.share = max(1, min(_LARGEST_SHARE, bound // 2 // clients))
        self._pool = Budget(bound - bound // 2)
        self._half = (bound - bound // 2) // 2
        self._clock = clock
        self._lock = threading.Lock()
        self._holds: set[Hold] = set()
        self._look_at = 0.0

    @property
    def taken(self) -> int:
        """Bytes of the pool that are taken."""
        return self._pool.used

    @property
    def tight(self) -> bool:
        """Whether clients wait, or would have to before long."""
        return self._pool.used > self._half or self._pool.contended

    def join(self, close: Callable[[str], None]) -> Hold:
        """Registers a client that has come."""
        hold = Hold(close)
        with self._lock:
            self._holds.add(hold)
        return hold

    def leave(self, hold: Hold) -> None:
        """Frees all that a client held that is gone."""
        with self._lock:
            self._holds.discard(hold)
            taken, hold.taken = hold.taken, 0
        if taken:
            self._pool.give_back(taken)

    def may_read(self, hold: Hold, whole: int, give_up: Callable[[], bool], *, first: bool) -> int:
        """Gives how many bytes the client may send now. Waits until that is at least one; 0 means that it gave up.

        Args:
            hold: the client's.
            whole: how much it will hold when the frame that has begun is whole; 0 when none has begun.
            give_up: whether to stop waiting; asked once per second.
            first: whether this client waits before those that have sent no whole window yet.
        """
        room = self.share + hold.taken - hold.held
        if room < READ_BYTES:
            amount = READ_BYTES - room
            if self._pool.take_at_once(amount, self._half):
                self._took(hold, amount)
            elif room < 1 or room < whole - hold.held:
                amount = max(whole, hold.held + 1) - self.share - hold.taken
                if not self._pool.take(
                    amount, lambda: self._look() or give_up(), first=first, own=hold.taken
                ):
                    return 0
                self._took(hold, amount)
                hold.reserved, hold.reserved_at = hold.taken, self._clock()
            room = self.share + hold.taken - hold.held
        now = self._clock()
        if now - hold.left_at > 1.0:
            hold.grown_at, hold.grown_to = now, hold.received  # until now it has waited for us
        hold.left_at = math.inf
        hold.reading = True
        return min(room, READ_BYTES)

    def _took(self, hold: Hold, amount: int) -> None:
        with self._lock:
            hold.taken += amount

    def settle(self, hold: Hold, held: int, received: int, *, begun: bool, finished: bool) -> None:
        """Counts what the client holds after a read, and frees what neither that nor its frame needs.

        Args:
            hold: the client's.
            held: bytes that it holds now.
            received: bytes that came since the last time.
            begun: whether an unfinished frame is among them.
            finished: whether a frame became whole meanwhile.
        """
        with self._lock:
            if received:
                hold.reading, hold.left_at = False, self._clock()  # with bytes in hand, it is our turn
                hold.received += received
                if hold.received - hold.grown_to >= _LEAST_RATE * _LOOK_S:
                    hold.grown_at, hold.grown_to = hold.left_at, hold.received
            if finished or not (begun and hold.begun):
                hold.since = self._clock()
                hold.reserved = 0
            hold.held, hold.begun = held, begun
            free = self._trim(hold)
        if free:
            self._pool.give_back(free)

    def _trim(self, hold: Hold) -> int:
        needed = max(0, hold.held - self.share, min(hold.reserved, hold.taken))
        free = max(0, hold.taken - needed)
        hold.taken -= free
        return free

    def _look(self) -> bool:
        """Closes slow clients while others wait, and takes back what the others don't use. Always returns False."""
        now = self._clock()
        free, slow = 0, []
        with self._lock:
            if now < self._look_at:
                return False
            self._look_at = now + 1.0
            for hold in self._holds:
                if not (hold.reading and hold.begun and hold.taken):
                    continue
                if now - hold.grown_at >= _LOOK_S:
                    slow.append(hold)
                elif hold.reserved and now - hold.reserved_at >= _LOOK_S:
                    hold.reserved = 0
                    free += self._trim(hold)
        if free:
            self._pool.give_back(free)
        missing = self._pool.missing()
        for hold in sorted(slow, key=lambda hold: hold.since):
            if missing <= 0:
                break
            missing -= hold.taken
            hold.close(
                f"its unfinished frame of {hold.held} bytes grew by less than 1 KiB/s for {_LOOK_S:g} s "
                "while others waited for what --max_pending_bytes allows."
            )
        return False

    def close(self) -> None:
        """Lets no client read on."""
        self._pool.close()
