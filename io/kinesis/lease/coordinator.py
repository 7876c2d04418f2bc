"""`Coordinator` holds leases: it finds shards, takes leases, renews them, writes checkpoints, and gives leases up.

One `tick` does what is due: list the shards, look at the table, renew the leases that are held (a renewal writes the
checkpoint too), follow shards that have ended, take leases that are free or our share. A thread of the live source calls
it. Everything runs in that thread, except the writes of renewals.

Invariants.
- A lease is valid for the failover time since its last successful write *began*. Beyond that the shard is not
  read (`HeldShard.valid`) until a write succeeds; if another worker took it meanwhile, the write fails and the
  lease is lost, with everything fetched under it.
- At most one write per lease and interval: a checkpoint is a renewal.
- SHARD_END is written only when children with leases take all hash keys of the shard. So nobody can think that the
  stream is finished.
- A row that isn't this stream's, or can't be read, is named and never touched (`_ownership`).
- A temporary fault of DynamoDB costs only time. A refused permission ends the job.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from penstock.io.backoff import delays
from penstock.io.errors import PenstockError
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.own_rows import OwnRows
from penstock.io.kinesis.lease.renewals import FOR_GOOD, Renewals
from penstock.io.kinesis.lease.rules._graph import is_readable, missing_leases, passed_shards
from penstock.io.kinesis.lease.rules._ownership import Trouble
from penstock.io.kinesis.lease.rules._plan import LeaseWatch, choose
from penstock.io.kinesis.lease.rules._unread import find_unread
from penstock.io.kinesis.lease.stream_view import StreamView
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseStore
from penstock.io.kinesis.lease.worker_names import is_gone
from penstock.io.kinesis.positions import LATEST, SHARD_END, Position
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.rarely import Rarely
from penstock.io.words import in_short

__all__ = ["Coordinator"]

_LOGGER = logging.getLogger(__name__)

_WARN_EVERY_S = 60.0
_UNREAD_S = 30.0
"""Seconds without a reader after which a shard is named in the log. At a start or a rebalance it takes a few seconds."""
_STEP = 1 / 3
"""The part of the failover time for which leases may be made or taken in one go. Then ours are renewed before we go on."""
_ROUND_S, _ROUND = 0.25, 1 / 30
"""The least pause before jitter: seconds, and part of the failover time. One of many leases is always due, and a round
looks at all."""
_PAUSES_S = (1.0, 15.0)
"""The first and the last bound of the pauses, in seconds, after a round that failed."""

_Held = TypeVar("_Held", bound=HeldShard)


class Coordinator(Generic[_Held]):
    """One worker of an application. Not thread-safe: one thread ticks.

    Args:
        store: the leases.
        view: what the stream tells of itself.
        options: intervals, starting point.
        worker: our name, which nobody else has.
        open_shard: makes the reader of a shard whose lease is ours from now on; its `start` begins to read.
        lock: guards `held`, which other threads look at.
        clock: seconds that only go forward.
        wall_ms: milliseconds since 1970.
        gone: whether the worker of a name is known not to run any more.

    Attributes:
        unread: the reason for each shard of the stream that neither we nor a worker seen alive reads.
        held: the shards whose leases are ours, by id.
    """

    def __init__(
        self,
        store: LeaseStore,
        view: StreamView,
        options: KinesisReadOptions,
        worker: str,
        open_shard: Callable[[Lease, Shard | None], _Held],
        lock: threading.Condition,
        clock: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        gone: Callable[[str], bool] = is_gone,
    ) -> None:
        settings = options.settings
        self.worker = worker
        self.unread: dict[str, str] = {}
        self._unread_since: dict[str, float] = {}
        self.held: dict[str, _Held] = {}
        self._store = store
        self._view = view
        self._options = options
        self._open_shard = open_shard
        self._lock = lock
        self._clock = clock
        self._wall_ms = wall_ms
        self._failover_s = settings.failoverTimeMillis / 1000
        self._look_s = self._failover_s / 2
        self._sync_s = settings.shardSyncIntervalMillis / 1000
        self._watch = LeaseWatch(self._failover_s, gone)
        self._begun = False
        self._sync_at = self._look_at = clock()
        self._follow_at = clock()
        self._said = Rarely(_WARN_EVERY_S, clock)
        self._pauses: dict[str, Iterator[float]] = {}
        self._renewals: Renewals[_Held] = Renewals(store, options, self._said, clock)
        self._rows = OwnRows(store, view, options.application_name, self._said)

    @property
    def settled(self) -> bool:
        """Whether every shard that can be read is read, by us or by a worker seen alive."""
        return self._begun and bool(self._view.shards) and not self.unread

    @property
    def troubles(self) -> Mapping[str, Trouble]:
        """What is wrong with rows of the table, by key. Such a row is never touched."""
        return self._rows.troubles

    # -- one round -------------------------------------------------------------------------------------

    def tick(self) -> float:
        """Does what is due; returns the seconds until something is due again.

        Raises:
            AccessDenied: a permission is missing.
            NotFound: the stream or the table is gone.
            StateError: the table is not this stream's (at the start), or the stream was made again.
        """
        now = self._clock()
        self._lose(self._renewals.renew_due(list(self.held.values())))
        self._attempt("follow ended shards", self._follow_ended)
        if now >= self._sync_at:
            self._attempt("list the shards", self._sync)
        if self._clock() >= self._look_at:
            self._attempt("look at the leases", self._look)
        return self._pause()

    def _attempt(self, what: str, action: Callable[[], object]) -> None:
        """Runs `action`. A temporary fault is logged once per minute, and tried again after a pause that grows."""
        try:
            action()
        except FOR_GOOD:
            raise
        except PenstockError as error:
            pause = next(self._pauses.setdefault(what, delays(*_PAUSES_S)))
            again = self._clock() + pause
            self._sync_at = max(self._sync_at, again)
            self._look_at = max(self._look_at, again)
            self._follow_at = max(self._follow_at, again)
            self._warn(what, error)
        else:
            self._pauses.pop(what, None)

    def _warn(self, what: str, error: PenstockError) -> None:
        if self._said.due(what):
            _LOGGER.warning("%s; trying again", error)

    def _pause(self) -> float:
        due = [self._look_at, self._sync_at]
        for each in self.held.values():
            due.append(each.renew_at)
            if each.news is not None:
                due.append(each.checkpoint_at)
        least = min(_ROUND_S, self._failover_s * _ROUND) * random.uniform(0.6, 1.0)  # many workers, one table
        return max(min(due) - self._clock(), least)

    # -- renewals and checkpoints ----------------------------------------------------------------------

    def _lose(self, lost: list[_Held]) -> None:
        if not lost:
            return
        _LOGGER.warning(
            "no longer ours are %d leases of application %s: %s (we are %s). Stopped reading them; no action needed.",
            len(lost), self._options.application_name, in_short([held.shard_id for held in lost]), self.worker,
        )  # fmt: skip
        for held in lost:
            self._drop(held, lost=True)
        self._look_at = self._clock()

    def _drop(self, held: _Held, *, lost: bool) -> None:
        with self._lock:
            del self.held[held.shard_id]
        held.close(lost=lost)

    def give_back(self, held: _Held) -> None:
        """Gives up a lease that we will take again, to read its shard from another position."""
        try:
            self._store.replace(held.lease, held.lease.released())
        except (LeaseLost, PenstockError) as error:
            _LOGGER.info("lease %s: %s", held.shard_id, error)
        self._drop(held, lost=True)
        self._look_at = self._clock()

    # -- shards that have ended ------------------------------------------------------------------------

    def _follow_ended(self) -> None:
        ended = [each for each in self.held.values() if each.checkpoint == SHARD_END]
        now = self._clock()
        if not ended or now < self._follow_at:
            return
        for held in ended:
            self._view.add_children(held.shard_id, held.children)
        if not self._sync():
            self._follow_at = self._sync_at
            return
        followed: list[str] = []
        for held in ended:
            if not self._view.is_continued(held.shard_id):
                # ListShards lags. With SHARD_END written now, nobody would know of the children that are to come.
                self._follow_at = now + 1.0
                if self._said.due(f"children of {held.shard_id}"):
                    _LOGGER.info("shard %s has ended; its children are not listed yet", held.shard_id)
                continue
            children = tuple(sorted(child.shard_id for child in self._view.children_of(held.shard_id)))
            try:
                self._renewals.write(held, held.lease.renewed(SHARD_END, children))
            except LeaseLost:
                self._lose([held])
                continue
            followed.append(f"{held.shard_id} (going on with {', '.join(children) or 'none'})")
            self._drop(held, lost=False)
        if followed:
            _LOGGER.info("read to the end: %s", in_short(followed))
        self._look_at = self._clock()

    # -- shards and leases -----------------------------------------------------------------------------

    def _sync(self) -> bool:
        """Lists the shards and makes the leases that are missing. False: the rest of them follows, with the next rounds."""
        self._view.describe(max_age_s=self._sync_s / 2)
        self._view.list_now()
        shards = self._view.shards
        leases = {lease.shard_id: lease for lease in self._rows.read(at_start=not self._begun)}
        began = self._look_at = self._clock()
        for shard_id, start in missing_leases(
            shards, self._rows.positions(leases.values()), self._options.initial_position
        ).items():
            shard = shards[shard_id]
            made = self._store.create(
                Lease(
                    shard_id,
                    start,
                    parents=shard.parents,
                    starting_hash_key=str(shard.start),
                    ending_hash_key=str(shard.end),
                    started_ms=self._wall_ms() if start == LATEST else None,
                    stream=self._view.identity,
                )
            )
            if not made or self._clock() - began > self._failover_s * _STEP:
                # Another worker makes them too, or ours are to be renewed.
                self._sync_at = self._clock() + (0.0 if made else 1.0)
                return False
        self._forget_expired(leases)
        self._sync_at = self._clock() + self._sync_s
        self._look_at = self._clock()
        return True

    def _forget_expired(self, leases: Mapping[str, Lease]) -> None:
        """Deletes finished leases of shards that the stream no longer has, once their children have made progress."""
        for lease in leases.values():
            if lease.position != SHARD_END or lease.shard_id in self._view.shards:
                continue
            heirs = [each for each in leases.values() if lease.shard_id in each.parents]
            if heirs and all(heir.position >= Position(0) for heir in heirs):
                self._store.delete(lease)

    def _look(self) -> None:
        now = self._clock()
        leases = self._rows.read(at_start=not self._begun)
        self._watch.look(leases, now)
        self._look_at = now + self._look_s
        found = {lease.shard_id: lease for lease in leases}
        rows = ((held, found.get(held.shard_id)) for held in list(self.held.values()))
        self._lose([held for held, row in rows if row is None or row.owner != self.worker])
        positions = self._rows.positions(leases)
        readable = self._readable(found, positions)
        work = [lease for lease in leases if lease.position != SHARD_END and readable(lease.shard_id)]
        free = self._watch.free(work, now)
        # Rows with our name that are not held are left from a lost answer. We take them again.
        orphans = [lease for lease in work if lease.owner == self.worker and lease.shard_id not in self.held]
        free = [lease for lease in free if lease.owner != self.worker]
        wanted = (*orphans, *choose(work, free, self.worker))
        taken, began = [], self._clock()
        for lease in wanted:
            if self._clock() - began > self._failover_s * _STEP:
                break  # ours are to be renewed first
            if (held := self._take(lease)) is not None:
                taken.append(held)
        if taken:
            begun = [f"{held.shard_id} from {held.progress.fetched.text()}" for held in taken]
            _LOGGER.info("stream %s: reading %s", self._options.stream_name, in_short(begun))
            # Shares are computed again at once, because taking several leases is often quick.
            self._look_at = min(self._look_at, self._clock() + min(1.0, self._look_s))
        self._begun = True
        self._name_unread(found, readable)

    def _readable(
        self, leases: Mapping[str, Lease], positions: Mapping[str, Position]
    ) -> Callable[[str], bool]:
        """Gives the function that tells whether a shard's parents are read to their end."""
        shards, initial = self._view.shards, self._options.initial_position
        passed = passed_shards(shards, positions)

        def readable(shard_id: str) -> bool:
            parents = leases[shard_id].parents if shard_id in leases else ()
            return is_readable(shard_id, shards, positions, initial, parents, passed)

        return readable

    def _name_unread(self, leases: Mapping[str, Lease], readable: Callable[[str], bool]) -> None:
        def is_served(lease: Lease) -> bool:
            return lease.shard_id in self.held or (self._watch.is_alive(lease) and lease.owner != self.worker)

        self.unread = find_unread(self._view.shards, leases, self._rows.troubles, is_served, readable)
        now = self._clock()
        self._unread_since = {shard_id: self._unread_since.get(shard_id, now) for shard_id in self.unread}
        lasting = [
            self.unread[shard_id]
            for shard_id, since in self._unread_since.items()
            if now - since >= _UNREAD_S and shard_id not in self._rows.troubles  # those are logged already
        ]
        if lasting and self._said.due("unread"):
            _LOGGER.warning("stream %s: %s", self._options.stream_name, in_short(lasting))

    def _take(self, lease: Lease) -> _Held | None:
        begun = self._clock()
        new = lease.taken_by(self.worker, self._view.identity)
        try:
            self._store.replace(lease, new)
        except LeaseLost:
            return None
        held = self._open_shard(new, self._view.shards.get(lease.shard_id))
        self._renewals.begin(held, begun)
        with self._lock:
            self.held[lease.shard_id] = held
        held.start()
        return held

    def hurry_checkpoint(self, shard_id: str) -> Position | None:
        """Makes the checkpoint of a shard due now. None when the row has it already, or the lease isn't ours."""
        held = self.held.get(shard_id)
        if held is None or held.checkpoint <= held.lease.position:
            return None
        self._renewals.hurry(held)
        return held.checkpoint

    # -- the end ---------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """Stops cleanly: writes the last checkpoints and frees the leases at once, with one write each."""
        self._attempt("follow ended shards", self._follow_ended)
        for held in list(self.held.values()):
            try:
                new = held.lease.renewed(held.news, read_until_ms=held.read_until_ms())
                self._store.replace(held.lease, new.released())
            except LeaseLost:
                _LOGGER.info("lease %s was taken by another worker meanwhile", held.shard_id)
            except PenstockError as error:
                _LOGGER.warning("the last checkpoint of %s is not written: %s", held.shard_id, error)
            self._drop(held, lost=False)
        self._renewals.close()
