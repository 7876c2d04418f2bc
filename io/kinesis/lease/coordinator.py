"""`Coordinator` holds leases: it finds shards, takes leases, renews them, writes checkpoints, and gives leases up.

One `tick` does what is due: list the shards, look at the table, renew what is held (the checkpoint rides on
the renewal), follow up shards that have ended, take what is free or our share. A thread of the live source calls
it; all of it runs in that one thread, but for the renewals' writes.

Invariants.
- A lease is valid for the failover time since its last successful write *began*. Beyond that the shard is not
  read (`HeldShard.valid`) until a write succeeds; if another worker took it meanwhile, the write fails and the
  lease is lost, with everything fetched under it.
- At most one write per lease and interval: a checkpoint is a renewal.
- SHARD_END is written only after the children have leases, so nobody can take the stream for finished.
- A fault of DynamoDB that may pass costs nothing but time; a refused permission ends the job.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from penstock.io.errors import AccessDenied, NotFound, PenstockError
from penstock.io.kinesis.lease._graph import is_readable, missing_leases
from penstock.io.kinesis.lease._plan import LeaseWatch, choose
from penstock.io.kinesis.lease.held_shard import HeldShard
from penstock.io.kinesis.lease.table import Lease, LeaseLost, LeaseStore
from penstock.io.kinesis.lease.worker_names import is_gone
from penstock.io.kinesis.positions import LATEST, SHARD_END, Position
from penstock.io.kinesis.read_options import KinesisReadOptions
from penstock.io.kinesis.shard_map import Shard
from penstock.io.meters import METERS

__all__ = ["Coordinator"]

_LOGGER = logging.getLogger(__name__)

_CHECKPOINTS = METERS.counter(
    "penstock_checkpoints_total", "Checkpoints written to the lease table.", "application"
)
_RENEWAL_THREADS = 8
_WARN_EVERY_S = 60.0

_Held = TypeVar("_Held", bound=HeldShard)


class Coordinator(Generic[_Held]):
    """One worker of an application. Not thread-safe: one thread ticks.

    Args:
        store: the leases.
        list_shards: the stream's shards, all of them.
        options: intervals, starting point.
        worker: our name, which nobody else has.
        open_shard: makes ready what reads a shard whose lease is ours from now on; its `start` begins to read.
        lock: guards `held`, which other threads look at.
        clock: seconds that only go forward.
        wall_ms: milliseconds since 1970.
        gone: whether the worker of a name is known not to run any more.

    Attributes:
        settled: whether every shard that can be read is read, by us or by a worker seen alive.
        held: the shards whose leases are ours, by id.
    """

    def __init__(
        self,
        store: LeaseStore,
        list_shards: Callable[[], list[Shard]],
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
        self.settled = False
        self.held: dict[str, _Held] = {}
        self._store = store
        self._list_shards = list_shards
        self._options = options
        self._open_shard = open_shard
        self._lock = lock
        self._clock = clock
        self._wall_ms = wall_ms
        self._failover_s = settings.failoverTimeMillis / 1000
        self._renew_s = self._failover_s / 3
        self._look_s = self._failover_s / 2
        self._sync_s = settings.shardSyncIntervalMillis / 1000
        self._watch = LeaseWatch(self._failover_s, gone)
        self._shards: dict[str, Shard] = {}
        self._sync_at = self._look_at = clock()
        self._warned: dict[str, float] = {}
        self._writers: ThreadPoolExecutor | None = None

    # -- one round -------------------------------------------------------------------------------------

    def tick(self) -> float:
        """Does what is due; returns the seconds until something is due again.

        Raises:
            AccessDenied: a permission is missing.
            NotFound: the stream or the table is gone.
        """
        now = self._clock()
        self._renew([each for each in self.held.values() if self._is_due(each, now)])
        self._attempt("follow ended shards", self._follow_ended)
        if now >= self._sync_at:
            self._attempt("list the shards", self._sync)
        if self._clock() >= self._look_at:
            self._attempt("look at the leases", self._look)
        return self._pause()

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        """Runs `action`; a fault that may pass is said once per minute, and tried again."""
        try:
            action()
        except (AccessDenied, NotFound):
            raise
        except PenstockError as error:
            now = self._clock()
            self._sync_at = max(self._sync_at, now + 1.0)
            self._look_at = max(self._look_at, now + 1.0)
            self._warn(what, error)

    def _warn(self, what: str, error: PenstockError) -> None:
        now = self._clock()
        if now - self._warned.get(what, -math.inf) >= _WARN_EVERY_S:
            self._warned[what] = now
            _LOGGER.warning("%s; trying again", error)

    def _pause(self) -> float:
        due = [self._look_at, self._sync_at]
        for each in self.held.values():
            due.append(each.renew_at)
            if each.news is not None:
                due.append(each.checkpoint_at)
        return max(0.0, min(due) - self._clock())

    # -- renewals and checkpoints ----------------------------------------------------------------------

    @staticmethod
    def _is_due(held: HeldShard, now: float) -> bool:
        return now >= held.renew_at or (now >= held.checkpoint_at and held.news is not None)

    def _renew(self, due: list[_Held]) -> None:
        if len(due) <= 2:
            results = [self._renew_one(each) for each in due]
        else:
            if self._writers is None:
                self._writers = ThreadPoolExecutor(_RENEWAL_THREADS, thread_name_prefix="kinesis-lease")
            results = list(self._writers.map(self._renew_one, due))
        for held, result in zip(due, results, strict=True):
            if isinstance(result, LeaseLost):
                self._lose(held)
            elif isinstance(result, (AccessDenied, NotFound)):
                raise result
            elif result is not None:
                held.renew_at = self._clock() + 1.0
                self._warn("renew", result)

    def _renew_one(self, held: HeldShard) -> LeaseLost | PenstockError | None:
        now = self._clock()
        try:
            self._write(held, held.lease.renewed(held.news if now >= held.checkpoint_at else None))
        except (LeaseLost, PenstockError) as error:
            return error
        return None

    def _write(self, held: HeldShard, new: Lease) -> None:
        begun = self._clock()
        self._store.replace(held.lease, new)
        if new.position != held.lease.position:
            held.checkpoint_at = begun + self._options.checkpoint_interval_seconds
            held.checkpointed_at = begun
            _CHECKPOINTS.of(self._options.application_name).add()
        held.lease = new
        held.valid_until = begun + self._failover_s
        held.renew_at = begun + self._renew_s

    def _lose(self, held: _Held) -> None:
        _LOGGER.warning(
            "lease %s of application %s is no longer ours (we are %s). Stopped reading it; no action needed.",
            held.shard_id, self._options.application_name, self.worker,
        )  # fmt: skip
        self._drop(held, lost=True)
        self._look_at = self._clock()

    def _drop(self, held: _Held, *, lost: bool) -> None:
        with self._lock:
            del self.held[held.shard_id]
        held.close(lost=lost)

    def give_back(self, held: _Held) -> None:
        """Lets a lease go that we will take again, to read its shard from elsewhere."""
        try:
            self._store.replace(held.lease, held.lease.released())
        except (LeaseLost, PenstockError) as error:
            _LOGGER.info("lease %s: %s", held.shard_id, error)
        self._drop(held, lost=True)
        self._look_at = self._clock()

    # -- shards that have ended ------------------------------------------------------------------------

    def _follow_ended(self) -> None:
        ended = [each for each in self.held.values() if each.checkpoint == SHARD_END]
        if not ended:
            return
        self.settled = False
        self._sync()
        for held in ended:
            shard_id = held.shard_id
            children = tuple(sorted(s.shard_id for s in self._shards.values() if shard_id in s.parents))
            try:
                self._write(held, held.lease.renewed(SHARD_END, children))
            except LeaseLost:
                self._lose(held)
                continue
            _LOGGER.info(
                "shard %s is read to its end; going on with %s", shard_id, ", ".join(children) or "none"
            )
            self._drop(held, lost=False)
        self._look_at = self._clock()

    # -- shards and leases -----------------------------------------------------------------------------

    def _sync(self) -> None:
        self._shards = {shard.shard_id: shard for shard in self._list_shards()}
        leases = {lease.shard_id: lease for lease in self._store.scan()}
        positions = {shard_id: lease.position for shard_id, lease in leases.items()}
        for shard_id, start in missing_leases(
            self._shards, positions, self._options.initial_position
        ).items():
            shard = self._shards[shard_id]
            self._store.create(
                Lease(
                    shard_id,
                    start,
                    parents=shard.parents,
                    starting_hash_key=str(shard.start),
                    ending_hash_key=str(shard.end),
                    started_ms=self._wall_ms() if start == LATEST else None,
                )
            )
        self._forget_expired(leases)
        self._sync_at = self._clock() + self._sync_s
        self._look_at = self._clock()

    def _forget_expired(self, leases: Mapping[str, Lease]) -> None:
        """Deletes finished leases of shards that the stream no longer has, once their children have got somewhere."""
        for lease in leases.values():
            if lease.position != SHARD_END or lease.shard_id in self._shards:
                continue
            heirs = [each for each in leases.values() if lease.shard_id in each.parents]
            if heirs and all(heir.position >= Position(0) for heir in heirs):
                self._store.delete(lease)

    def _look(self) -> None:
        now = self._clock()
        leases = self._store.scan()
        self._watch.look(leases, now)
        self._look_at = now + self._look_s
        found = {lease.shard_id: lease for lease in leases}
        for held in list(self.held.values()):
            row = found.get(held.shard_id)
            if row is None or row.owner != self.worker:
                self._lose(held)
        positions = {lease.shard_id: lease.position for lease in leases}
        work = [lease for lease in leases if self._is_work(lease, positions)]
        free = self._watch.free(work, now)
        # Rows that bear our name but are not held are left from a lost answer: ours to take again.
        orphans = [lease for lease in work if lease.owner == self.worker and lease.shard_id not in self.held]
        free = [lease for lease in free if lease.owner != self.worker]
        taken = {
            lease.shard_id for lease in (*orphans, *choose(work, free, self.worker)) if self._take(lease)
        }
        self.settled = bool(self._shards) and all(
            lease.shard_id in self.held or (self._watch.is_alive(lease) and lease.owner != self.worker)
            for lease in work
        )
        if taken:
            # Shares are worked out anew at once: taking several is often a matter of a moment.
            self._look_at = min(self._look_at, self._clock() + min(1.0, self._look_s))

    def _is_work(self, lease: Lease, positions: Mapping[str, Position]) -> bool:
        return lease.position != SHARD_END and is_readable(
            lease.shard_id, self._shards, positions, self._options.initial_position, lease.parents
        )

    def _take(self, lease: Lease) -> bool:
        begun = self._clock()
        new = lease.taken_by(self.worker)
        try:
            self._store.replace(lease, new)
        except LeaseLost:
            return False
        held = self._open_shard(new, self._shards.get(lease.shard_id))
        held.valid_until = begun + self._failover_s
        held.renew_at = begun + self._renew_s
        held.checkpoint_at = begun + self._options.checkpoint_interval_seconds
        with self._lock:
            self.held[lease.shard_id] = held
        held.start()
        return True

    def hurry_checkpoint(self, shard_id: str) -> Position | None:
        """Makes the checkpoint of a shard due now; None when the row has it already, or the lease isn't ours."""
        held = self.held.get(shard_id)
        if held is None or held.checkpoint <= held.lease.position:
            return None
        held.checkpoint_at = -math.inf
        return held.checkpoint

    def shard_is_missing(self, shard_id: str) -> bool:
        """Whether the stream, asked now, has no such shard."""
        self._shards = {shard.shard_id: shard for shard in self._list_shards()}
        return shard_id not in self._shards

    # -- the end ---------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """A clean stop: last checkpoints, and leases free for others at once, one write each."""
        self._attempt("follow ended shards", self._follow_ended)
        for held in list(self.held.values()):
            try:
                self._store.replace(held.lease, held.lease.renewed(held.news).released())
            except LeaseLost:
                _LOGGER.info("lease %s was taken by another worker meanwhile", held.shard_id)
            except PenstockError as error:
                _LOGGER.warning("the last checkpoint of %s is not written: %s", held.shard_id, error)
            self._drop(held, lost=False)
        if self._writers is not None:
            self._writers.shutdown()
            self._writers = None
