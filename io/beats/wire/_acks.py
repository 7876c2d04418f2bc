"""`_acks` decides which acknowledgements are due on one connection, and gives each of them once.

Problem. Filebeat counts acknowledgements, it doesn't compare them with windows: a final one sent twice satisfies
its next window, and those events are gone (measured). So a window's last number is sent exactly once, windows
are acknowledged in the order they came, and nothing, not even a keep-alive, follows the last one while the client
waits for nothing.

Plan. The stretches of a connection stand in a queue in the order they came. `done` marks one as durable, in
any order; `due` takes the durable ones off the front and gives the frames that this allows: one for each window
that ended, and one for the last stretch of a window that goes on (a partial acknowledgement, which tells a
client with a large window that all is well).
"""

import collections

from penstock.io.beats.wire import _frames as frames

__all__ = ["Due", "Ledger"]


class Due:
    """One stretch that is not acknowledged yet.

    Args:
        ack: the sequence number that may be acknowledged once it is durable; None if none.
        final: whether its window ends with it.
        version: the version byte of its window.
        offered_at: when it was taken in, in seconds of the server's clock.
    """

    __slots__ = ("ack", "done", "final", "offered_at", "version")

    def __init__(self, ack: int | None, final: bool, version: int, offered_at: float) -> None:
        self.ack = ack
        self.final = final
        self.version = version
        self.offered_at = offered_at
        self.done = False


class Ledger:
    """The stretches of one connection that are not acknowledged yet. Not safe from several threads."""

    def __init__(self) -> None:
        self._queue: collections.deque[Due] = collections.deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def settled(self) -> bool:
        """Whether nothing waits for an acknowledgement."""
        return not self._queue

    @property
    def version(self) -> int:
        """The version byte in which the oldest window wants its keep-alives."""
        return self._queue[0].version if self._queue else frames.VERSIONS[1]

    def add(self, due: Due) -> None:
        """Puts a stretch behind all earlier ones."""
        self._queue.append(due)

    def withdraw(self, due: Due) -> None:
        """Removes the stretch that came last, because it was not taken in."""
        if self._queue and self._queue[-1] is due:
            self._queue.pop()

    def due(self) -> bytes:
        """Gives the acknowledgement frames that may go out now, each once; often none."""
        queue = self._queue
        acks: list[bytes] = []
        partial: Due | None = None
        while queue and queue[0].done:
            stretch = queue.popleft()
            if stretch.final:
                acks.append(frames.ack_frame(stretch.version, stretch.ack or 0))
                partial = None
            elif stretch.ack is not None:
                partial = stretch
        if partial is not None:
            acks.append(frames.ack_frame(partial.version, partial.ack or 0))
        return b"".join(acks)
