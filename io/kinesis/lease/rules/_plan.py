"""`choose` tells which leases a worker should take.

Problem. Workers see only the table, and each decides alone. Soon after a worker came, went or died, their shares must
differ by one at most.

Rules.
- A lease is free when it has no owner, when its owner is known to be gone, or when its counter has stood still
  for the failover time, by our clock, since we first saw it. (The table holds no times: clocks differ.)
- A worker takes free leases up to its share: leases divided by living workers, rounded up.
- When nothing is free, it steals from the worker that has most, if that has two more than itself: half of the
  difference, so that a newcomer is served quickly and two workers never steal back and forth.
- Only leases that can be read now count; a finished shard, or a child that waits, is work for nobody.

Source: KCL's LeaseTaker has the same rules, except that it steals one lease at a time by default.
"""

import collections
import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from penstock.io.kinesis.lease.rules._rows import Lease

__all__ = ["LeaseWatch", "choose"]


@dataclasses.dataclass(slots=True)
class _Sighting:
    owner: str | None
    counter: int
    since: float
    alive: bool


class LeaseWatch:
    """Keeps what one worker has learned from the table over time.

    Args:
        failover_s: a counter that stands still for so long means that the owner is gone.
        is_gone: whether a worker of that name is known not to run any more.
    """

    def __init__(self, failover_s: float, is_gone: Callable[[str], bool]) -> None:
        self._failover_s = failover_s
        self._is_gone = is_gone
        self._seen: dict[str, _Sighting] = {}

    def look(self, leases: Iterable[Lease], now: float) -> None:
        """Notes what the table says at `now` (seconds that only go forward)."""
        seen: dict[str, _Sighting] = {}
        for lease in leases:
            before = self._seen.get(lease.shard_id)
            if before is not None and (before.owner, before.counter) == (lease.owner, lease.counter):
                seen[lease.shard_id] = before
            else:
                seen[lease.shard_id] = _Sighting(lease.owner, lease.counter, now, alive=before is not None)
        self._seen = seen

    def free(self, leases: Iterable[Lease], now: float) -> list[Lease]:
        """Gives the leases that anybody may take."""
        gone: dict[str, bool] = {}
        found = []
        for lease in leases:
            owner = lease.owner
            if owner is not None and owner not in gone:
                gone[owner] = self._is_gone(owner)
            sighting = self._seen.get(lease.shard_id)
            stale = sighting is not None and now - sighting.since >= self._failover_s
            if owner is None or gone[owner] or stale:
                found.append(lease)
        return found

    def is_alive(self, lease: Lease) -> bool:
        """Whether the owner was seen at work: the counter has moved while we looked."""
        sighting = self._seen.get(lease.shard_id)
        return lease.owner is not None and sighting is not None and sighting.alive


def choose(
    leases: Sequence[Lease],
    free: Sequence[Lease],
    me: str,
    shuffle: Callable[[list[Lease]], None] = random.shuffle,
) -> list[Lease]:
    """Gives the leases that `me` should try to take now, free ones or another worker's.

    Args:
        leases: all leases whose shards can be read now.
        free: those of them that anybody may take.
        me: our name.
        shuffle: workers that choose at the same moment should not all choose the same.
    """
    free_ids = {lease.shard_id for lease in free}
    owned: Mapping[str, list[Lease]] = collections.defaultdict(list)
    for lease in leases:
        if lease.owner is not None and (lease.shard_id not in free_ids or lease.owner == me):
            owned[lease.owner].append(lease)
    mine = len(owned.get(me, ()))
    others = {owner: held for owner, held in owned.items() if owner != me}
    wanted = [lease for lease in free if lease.owner != me]
    if wanted:
        share = -(-len(leases) // (len(others) + 1))
        shuffle(wanted)
        return wanted[: max(0, share - mine)]
    if not others:
        return []
    richest = max(others.values(), key=len)
    surplus = len(richest) - mine
    if surplus < 2:
        return []
    candidates = list(richest)
    shuffle(candidates)
    return candidates[: surplus // 2]
