"""`RewindingKinesis` goes back to where a restored runner stands, for a read that Beam's bundle finalization acknowledges.

Problem. Runners finalise a bundle when it is committed. Flink does so too for bundles that were closed after the snapshot of
a checkpoint; after a failure it restores that snapshot, and what came behind is in no state of its: by then the lease table
can be ahead of the runner.

Plan. Where the runner's mark and the lease differ, the smaller one wins: what was read and finalised behind the snapshot is
read again. A shard that had ended by then gets its lease back at the mark. It serves reads of one split only, since the
leases of other splits could not be taken back.
"""

import dataclasses
import logging
import threading
from typing import Any

from penstock.io.aws.session import AwsOptions
from penstock.io.kinesis.lease.table import Lease, LeaseLost
from penstock.io.kinesis.positions import SHARD_END, Position, read_marks, write_marks
from penstock.io.kinesis.read.live_shard import LiveShard
from penstock.io.kinesis.read.live_stream import KinesisLive
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard

__all__ = ["RewindingKinesis"]

_LOGGER = logging.getLogger(__name__)


class RewindingKinesis(KinesisLive):
    """A `KinesisLive` that never starts behind its runner; arguments as there."""

    def __init__(self, key: str, options: KinesisReadOptions, aws: AwsOptions, **further: Any) -> None:
        super().__init__(key, options, aws, **further)
        self._restored: dict[str, Position] = {}
        """Of the shards that are not opened yet: where the runner stands."""
        self._opened: dict[str, Position] = {}
        """Where each shard was opened."""
        self._begun = threading.Lock()

    def resume(self, position: Any) -> None:
        """A reader starts: the next one where the last one ended, a restored one where its runner was."""
        marks = read_marks(position)
        with self._begun:
            if not self._started:
                self._restored = dict(marks)
                self._store.create_if_missing()
                self._reopen_ended(marks)
                super().resume(None)
                return
        with self._changed:
            held = {shard.shard_id: shard for shard in self._held()}
            now = self._marks | {shard_id: shard.progress.mark for shard_id, shard in held.items()}
            back = {shard_id: marks.get(shard_id, start) for shard_id, start in self._opened.items()}
            back = {shard_id: mark for shard_id, mark in back.items() if mark < now.get(shard_id, mark)}
            for shard_id, mark in back.items():
                self._restored[shard_id] = mark
                self._marks.pop(shard_id, None)
                if shard_id in held:
                    held[shard_id].progress.lost = True
                    self._shard_closed(held[shard_id])
        if not back:
            return
        _LOGGER.warning("%s: the runner has gone back; %d shards are opened again", self.key, len(back))
        self._reopen_ended(back)
        self.requeue()
        self._wake.set()

    def position(self) -> Any:
        """As of `KinesisLive`; what the runner restored stays known until the shard is opened."""
        with self._changed:
            return write_marks(self._restored | self._current_marks())

    def _open_shard(self, lease: Lease, shard: Shard | None) -> LiveShard:
        with self._changed:
            mark = self._restored.pop(lease.shard_id, None)
        if mark is None or mark >= lease.position or not self._mark_fits(mark, lease.shard_id, shard):
            self._opened[lease.shard_id] = lease.position
            return super()._open_shard(lease, shard)
        self._opened[lease.shard_id] = mark
        _LOGGER.info("shard %s: the runner stands at %s, before its lease", lease.shard_id, mark.text())
        return LiveShard(self._context, lease, shard, mark)

    def _reopen_ended(self, marks: dict[str, Position]) -> None:
        """Leases that say a shard is done, where the runner has not done it."""
        if not marks:
            return
        for lease in self._store.scan():
            mark = marks.get(lease.shard_id, SHARD_END)
            if lease.position == SHARD_END and mark < SHARD_END:
                back = dataclasses.replace(lease, position=mark, owner=None, counter=lease.counter + 1)
                try:
                    self._store.replace(lease, back)
                except LeaseLost:
                    _LOGGER.warning("shard %s: somebody else writes its lease", lease.shard_id)
