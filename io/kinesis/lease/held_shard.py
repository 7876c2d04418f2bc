"""`HeldShard` owns what a worker knows of one shard while it holds the shard's lease.

It knows the row as the worker last wrote it, the times until which the row is valid, and how far the shard is done. One
object lives from the moment when the lease is taken until it is given up or lost. A later lease gets a new object. So
a late acknowledgement, which refers to the old one, changes nothing.
"""

import math
import threading
from collections.abc import Sequence

from penstock.io.kinesis.lease.checkpoints import ShardProgress
from penstock.io.kinesis.lease.table import Lease
from penstock.io.kinesis.positions import SHARD_END, Position
from penstock.io.kinesis.wire.calls import ChildShard

__all__ = ["HeldShard"]


class HeldShard:
    """One shard whose lease is ours. A class that reads shards derives from it and overrides `start` and `close`.

    Args:
        lease: the row as we wrote it.
        start: everything up to this position is done.
        lock: guards `progress`.

    Attributes:
        shard_id: the shard's id.
        lease: the row as we last wrote it.
        progress: how far the shard is done.
        valid_until: the time until which the shard may be read, by the coordinator's clock.
        renew_at: when the next renewal is due.
        checkpoint_at: when the next checkpoint is due, if there is news.
        checkpointed_at: when the last checkpoint was written; None before the first.
        closed: whether the lease was given up or lost.
        children: the shards that the last reply of the ended shard names.
    """

    def __init__(self, lease: Lease, start: Position, lock: threading.Condition) -> None:
        self.shard_id = lease.shard_id
        self.lease = lease
        self.progress = ShardProgress(lease.shard_id, start)
        self.progress.ended = start == SHARD_END
        self.valid_until = self.renew_at = self.checkpoint_at = -math.inf
        self.checkpointed_at: float | None = None
        self.closed = False
        self.children: Sequence[ChildShard] = ()
        self._lock = lock

    def valid(self, now: float) -> bool:
        """Whether the shard may be read."""
        return now < self.valid_until and not self.progress.lost and not self.closed

    @property
    def checkpoint(self) -> Position:
        """The position up to which everything is acknowledged."""
        with self._lock:
            return self.progress.checkpoint

    @property
    def news(self) -> Position | None:
        """The checkpoint, where the row is behind it; else None.

        Also None at the shard's end, which has a step of its own.
        """
        position = self.checkpoint
        return position if self.lease.position < position < SHARD_END else None

    def read_until_ms(self) -> int | None:
        """The time (ms since 1970) before which everything that arrived is delivered; None: not known, or nothing new."""
        return None

    def start(self) -> None:
        """Begins to read."""

    def close(self, *, lost: bool) -> None:
        """Stops reading. When the lease is `lost`, what was fetched under it is forgotten too."""
        with self._lock:
            self.closed = True
            self.progress.lost = self.progress.lost or lost
