"""`_graph` knows the family tree of a stream: which shards there are to read, in which order, and from where.

Problem. A split makes two children of a shard, a merge one child of two parents. Records with one partition key
are in order only if a child is read after all its parents.

Invariants.
- A shard is readable only when each of its parents is finished.
- The children of a shard that was read, or will be, are read in full: they start at TRIM_HORIZON, whatever
  the starting point says. The starting point is for shards without such an ancestor.
- A shard is never read again because its lease is gone. KCL deletes the lease of a finished shard once all
  children have made progress, so a child's progress proves that the parents are finished.

Plan. Two functions of (shards listed by the stream, positions in the lease table): which leases are missing
(`missing_leases`, parents first), and whether a shard may be read (`is_readable`). LATEST gives leases to open
shards only: a closed one has no latest record to wait for.

Refused: leases only for shards whose parents are finished (as in KCL 2.3 and later). With all leases in the
table from the start, a new worker sees what is left to do.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.io.kinesis.positions import AT_TIMESTAMP, LATEST, SHARD_END, TRIM_HORIZON, Position

__all__ = ["ShardNode", "is_finished", "is_readable", "missing_leases", "parents_first"]


class ShardNode(Protocol):
    """What the tree needs to know of a shard (`penstock.io.kinesis.shard_map.Shard` is one)."""

    @property
    def shard_id(self) -> str: ...
    @property
    def parents(self) -> tuple[str, ...]: ...
    @property
    def closed(self) -> bool: ...


def parents_first(shards: Mapping[str, ShardNode]) -> list[str]:
    """Gives the shards' ids, each behind its parents, else in the order of ids."""
    done: dict[str, None] = {}
    for root in sorted(shards):
        stack = [root]
        while stack:
            shard_id = stack[-1]
            waiting = [
                parent for parent in shards[shard_id].parents if parent in shards and parent not in done
            ]
            if waiting and len(stack) <= len(shards):
                stack += waiting
            else:
                done[shard_id] = None
                stack.pop()
    return list(done)


def is_finished(
    shard_id: str, shards: Mapping[str, ShardNode], positions: Mapping[str, Position], initial: Position
) -> bool:
    """Whether nothing of that shard is left to read, so that its children may be read.

    Args:
        shard_id: a parent that some shard names.
        shards: what the stream lists now, by id.
        positions: the lease table's checkpoints, by shard id.
        initial: the starting point.
    """
    position = positions.get(shard_id)
    if position is not None:
        return position == SHARD_END
    shard = shards.get(shard_id)
    if shard is None:
        return True  # older than the stream's retention
    return (initial == LATEST and shard.closed) or _passed(shard_id, shards, positions)


def _passed(shard_id: str, shards: Mapping[str, ShardNode], positions: Mapping[str, Position]) -> bool:
    """Whether a descendant has made progress, which proves that this shard, without a lease, was read to its end."""
    generation = {shard_id}
    for _ in range(len(shards)):
        generation = {child.shard_id for child in shards.values() if not generation.isdisjoint(child.parents)}
        if not generation:
            return False
        if any(child in positions and positions[child] >= Position(0) for child in generation):
            return True
        generation = {child for child in generation if child not in positions}
    return False


def is_readable(
    shard_id: str,
    shards: Mapping[str, ShardNode],
    positions: Mapping[str, Position],
    initial: Position,
    lease_parents: Iterable[str] = (),
) -> bool:
    """Whether all parents of a shard are finished; `lease_parents` are the parents that its lease names."""
    shard = shards.get(shard_id)
    parents = {*lease_parents, *(shard.parents if shard is not None else ())}
    return all(is_finished(parent, shards, positions, initial) for parent in parents)


def missing_leases(
    shards: Mapping[str, ShardNode], positions: Mapping[str, Position], initial: Position
) -> dict[str, Position]:
    """Gives the leases to make, each with the position that it starts from; parents first.

    Parents come first, so that nobody can see a child's lease without its parent's, and think that the parent is
    finished.
    """
    known = dict(positions)
    passed: set[str] = set()
    missing: dict[str, Position] = {}
    for shard_id in parents_first(shards):
        if shard_id in known:
            continue
        if _passed(shard_id, shards, positions):
            passed.add(shard_id)
            continue
        heirs = [parent for parent in shards[shard_id].parents if parent in known or parent in passed]
        if heirs:
            # The child of a parent that still waits for a time starts at that time; any other child is read in full.
            waits = all(known.get(parent) == AT_TIMESTAMP for parent in heirs)
            start = AT_TIMESTAMP if waits else TRIM_HORIZON
        elif initial == LATEST and shards[shard_id].closed:
            continue
        else:
            start = initial
        known[shard_id] = missing[shard_id] = start
    return missing
