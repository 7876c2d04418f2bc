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

from collections.abc import Container, Iterable, Mapping
from typing import Protocol

from penstock.io.kinesis.positions import AT_TIMESTAMP, LATEST, SHARD_END, TRIM_HORIZON, Position

__all__ = ["ShardNode", "is_finished", "is_readable", "missing_leases", "parents_first", "passed_shards"]


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
    shard_id: str,
    shards: Mapping[str, ShardNode],
    positions: Mapping[str, Position],
    initial: Position,
    passed: Container[str],
) -> bool:
    """Whether nothing of that shard is left to read, so that its children may be read.

    Args:
        shard_id: a parent that some shard names.
        shards: what the stream lists now, by id.
        positions: the lease table's checkpoints, by shard id.
        initial: the starting point.
        passed: what `passed_shards` gives for these.
    """
    position = positions.get(shard_id)
    if position is not None:
        return position == SHARD_END
    shard = shards.get(shard_id)
    if shard is None:
        return True  # older than the stream's retention
    return (initial == LATEST and shard.closed) or shard_id in passed


def passed_shards(shards: Mapping[str, ShardNode], positions: Mapping[str, Position]) -> set[str]:
    """Gives the shards without a lease that were read to their end, which the progress of a descendant proves."""
    if shards.keys() <= positions.keys():
        return set()
    children: dict[str, list[str]] = {}
    for shard in shards.values():
        for parent in shard.parents:
            children.setdefault(parent, []).append(shard.shard_id)
    passed: set[str] = set()
    for shard_id in reversed(parents_first(shards)):
        if shard_id not in positions and any(
            positions[child] >= Position(0) if child in positions else child in passed
            for child in children.get(shard_id, ())
        ):
            passed.add(shard_id)
    return passed


def is_readable(
    shard_id: str,
    shards: Mapping[str, ShardNode],
    positions: Mapping[str, Position],
    initial: Position,
    lease_parents: Iterable[str] = (),
    passed: Container[str] | None = None,
) -> bool:
    """Whether all parents of a shard are finished.

    Args:
        shard_id: the shard.
        shards: what the stream lists now, by id.
        positions: the lease table's checkpoints, by shard id.
        initial: the starting point.
        lease_parents: the parents that its lease names.
        passed: what `passed_shards` gives for these; who asks for many shards makes it once.
    """
    shard = shards.get(shard_id)
    parents = {*lease_parents, *(shard.parents if shard is not None else ())}
    if parents and passed is None:
        passed = passed_shards(shards, positions)
    return all(is_finished(parent, shards, positions, initial, passed or ()) for parent in parents)


def missing_leases(
    shards: Mapping[str, ShardNode], positions: Mapping[str, Position], initial: Position
) -> dict[str, Position]:
    """Gives the leases to make, each with the position that it starts from; parents first.

    Parents come first, so that nobody can see a child's lease without its parent's, and think that the parent is
    finished.
    """
    known = dict(positions)
    passed = passed_shards(shards, positions)
    missing: dict[str, Position] = {}
    for shard_id in parents_first(shards):
        if shard_id in known or shard_id in passed:
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
