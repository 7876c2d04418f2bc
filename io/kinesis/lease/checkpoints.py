"""`ShardProgress` keeps how far a shard is done: what was fetched, what was handed out, and what is acknowledged.

Invariants.
- The checkpoint moves only over stretches that are acknowledged without a gap. So it is the start of the oldest
  stretch that is not acknowledged.
- SHARD_END is the checkpoint only when the last stretch of a shard that has ended is acknowledged.
- A stretch is one chunk of the live source; stretches of a shard are opened in order, by one thread at a time.

This module takes no lock: the live source calls it under its own lock.
"""

import collections

from penstock.io.kinesis.positions import SHARD_END, Position

__all__ = ["ShardProgress", "Stretch"]


class Stretch:
    """The records behind one position, up to and including another one. It is the context of a chunk."""

    __slots__ = ("acknowledged", "arrived_ms", "end", "progress", "start")

    def __init__(self, progress: "ShardProgress", start: Position, end: Position, arrived_ms: int) -> None:
        self.progress = progress
        self.start = start
        self.end = end
        self.arrived_ms = arrived_ms
        self.acknowledged = False


class ShardProgress:
    """The progress of one shard, for as long as we hold its lease without a break.

    Attributes:
        shard_id: the shard's id.
        fetched: up to here everything is queued, or was.
        handed_out: up to here a reader has taken everything.
        ended: whether the shard is closed, and `fetched` its end.
        lost: whether the lease is no longer ours; then nothing more may come of this object.
        arrived_ms: when the newest record handed out arrived, in milliseconds since 1970.
    """

    def __init__(self, shard_id: str, start: Position) -> None:
        self.shard_id = shard_id
        self.fetched = start
        self.handed_out = start
        self.ended = False
        self.lost = False
        self.arrived_ms = 0
        self._durable = start
        self._outstanding: collections.deque[Stretch] = collections.deque()

    def open(self, end: Position, arrived_ms: int = 0) -> Stretch:
        """Opens the stretch from the last one's end to `end`; its first record arrived in the stream at that time."""
        stretch = Stretch(self, self.fetched, end, arrived_ms)
        self._outstanding.append(stretch)
        self.fetched = end
        return stretch

    def withdraw(self, stretch: Stretch) -> None:
        """Takes back the newest stretch, which was not queued."""
        self._outstanding.pop()
        self.fetched = stretch.start

    def take(self, stretch: Stretch, arrived_ms: int) -> None:
        """Takes note that a reader has taken a stretch."""
        self.handed_out = max(self.handed_out, stretch.end)
        self.arrived_ms = max(self.arrived_ms, arrived_ms)

    def give_back(self, stretch: Stretch) -> None:
        """Takes note that a stretch, and all behind it, will be handed out again."""
        self.handed_out = min(self.handed_out, stretch.start)

    def acknowledge(self, stretch: Stretch) -> None:
        """Takes note that a stretch is durable."""
        stretch.acknowledged = True
        outstanding = self._outstanding
        while outstanding and outstanding[0].acknowledged:
            self._durable = outstanding.popleft().end

    @property
    def checkpoint(self) -> Position:
        """The position up to which everything is acknowledged."""
        return SHARD_END if self.ended and not self._outstanding else self._durable

    @property
    def mark(self) -> Position:
        """The position up to which everything was handed out. The runner keeps it for a restart."""
        return SHARD_END if self.ended and self.handed_out == self.fetched else self.handed_out

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record arrived in the stream that is not acknowledged; None when all are."""
        return self._outstanding[0].arrived_ms if self._outstanding else None

    @property
    def idle(self) -> bool:
        """Whether all that was fetched is acknowledged."""
        return not self._outstanding
