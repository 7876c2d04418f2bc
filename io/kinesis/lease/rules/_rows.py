"""`Lease` is one row of the lease table, in KCL's format; rows that are no leases, or broken ones, are told apart.

Attributes that only we write begin with `penstock`. KCL keeps them and ignores them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.io.kinesis.positions import Position, StreamIdentity

__all__ = ["BrokenRow", "Lease", "Rows", "unchanged", "update_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """One row: a shard's owner and checkpoint, as last seen.

    Attributes:
        shard_id: `leaseKey`.
        position: `checkpoint` and `checkpointSubSequenceNumber`.
        owner: `leaseOwner`, None when it has none.
        counter: `leaseCounter`, raised by every write.
        owner_switches: `ownerSwitchesSinceCheckpoint`.
        parents: `parentShardId`.
        children: `childShardIds`, known once the shard has ended.
        starting_hash_key: decimal, with `ending_hash_key` the shard's range; None in rows that lack it.
        ending_hash_key: see `starting_hash_key`.
        started_ms: `penstockStartedMillis`, ours: when a shard was first read from LATEST, so that a restart
            before the first checkpoint misses nothing. KCL keeps it and ignores it.
        stream: `penstockStreamArn` and `penstockStreamCreatedMillis`, ours: whose shard it is. None in KCL's rows.
        read_until_ms: `penstockReadUntilMillis`, ours: everything that arrived before was delivered then. So after a long
            pause it is known whether retention took something unread.
    """

    shard_id: str
    position: Position
    owner: str | None = None
    counter: int = 0
    owner_switches: int = 0
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    starting_hash_key: str | None = None
    ending_hash_key: str | None = None
    started_ms: int | None = None
    stream: StreamIdentity | None = None
    read_until_ms: int | None = None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Lease | None":
        """Reads the lease in a row of the table; None for another kind of row (KCL 3 keeps some there).

        Raises:
            ValueError: the row is a lease, but can't be read; the text says why.
        """
        if _get(item, "entityType", "S", "LEASE") != "LEASE":
            return None
        key = _get(item, "leaseKey", "S", None)
        if "checkpoint" not in item:
            if not isinstance(key, str) or "shardId-" not in key:
                return None
            message = "it has no checkpoint"
            raise ValueError(message)
        text = _get(item, "checkpoint", "S", None)
        try:
            position = Position.parse(text, _number(item, "checkpointSubSequenceNumber"))
        except ValueError as error:
            if "is not a checkpoint" not in str(error):
                raise
            words = "TRIM_HORIZON, LATEST, AT_TIMESTAMP or SHARD_END"
            message = f"checkpoint {text[:80]!r} is neither a sequence number nor {words}"
            raise ValueError(message) from error
        arn = _get(item, "penstockStreamArn", "S", None)
        return cls(
            shard_id=key,
            position=position,
            owner=_get(item, "leaseOwner", "S", None),
            counter=_number(item, "leaseCounter"),
            owner_switches=_number(item, "ownerSwitchesSinceCheckpoint"),
            parents=tuple(sorted(_get(item, "parentShardId", "SS", ()))),
            children=tuple(sorted(_get(item, "childShardIds", "SS", ()))),
            starting_hash_key=_get(item, "startingHashKey", "S", None),
            ending_hash_key=_get(item, "endingHashKey", "S", None),
            started_ms=_number(item, "penstockStartedMillis") or None,
            stream=None if arn is None else StreamIdentity(arn, _number(item, "penstockStreamCreatedMillis")),
            read_until_ms=_number(item, "penstockReadUntilMillis") or None,
        )

    def to_item(self) -> dict[str, Any]:
        """Gives the row as KCL 2.x writes it."""
        item: dict[str, Any] = {
            "leaseKey": {"S": self.shard_id},
            "leaseCounter": {"N": str(self.counter)},
            "checkpoint": {"S": self.position.checkpoint},
            "checkpointSubSequenceNumber": {"N": str(self.position.sub_sequence_number)},
            "ownerSwitchesSinceCheckpoint": {"N": str(self.owner_switches)},
        }
        if self.owner is not None:
            item["leaseOwner"] = {"S": self.owner}
        if self.parents:
            item["parentShardId"] = {"SS": list(self.parents)}
        if self.children:
            item["childShardIds"] = {"SS": list(self.children)}
        if self.starting_hash_key is not None and self.ending_hash_key is not None:
            item["startingHashKey"] = {"S": self.starting_hash_key}
            item["endingHashKey"] = {"S": self.ending_hash_key}
        if self.started_ms is not None:
            item["penstockStartedMillis"] = {"N": str(self.started_ms)}
        if self.stream is not None:
            item["penstockStreamArn"] = {"S": self.stream.arn}
            item["penstockStreamCreatedMillis"] = {"N": str(self.stream.created_ms)}
        if self.read_until_ms is not None:
            item["penstockReadUntilMillis"] = {"N": str(self.read_until_ms)}
        return item

    # What a worker may do with a lease. Each function returns the row that its write leaves behind.

    def renewed(
        self,
        position: Position | None = None,
        children: tuple[str, ...] = (),
        read_until_ms: int | None = None,
    ) -> "Lease":
        """Gives the row with a sign of life and, where given, a checkpoint and the time until which all is delivered."""
        until = self.read_until_ms if read_until_ms is None else read_until_ms
        if position is None:
            return dataclasses.replace(self, counter=self.counter + 1, read_until_ms=until)
        return dataclasses.replace(
            self,
            counter=self.counter + 1,
            position=position,
            owner_switches=0,
            children=children or self.children,
            read_until_ms=until,
        )

    def taken_by(self, owner: str, stream: StreamIdentity | None = None) -> "Lease":
        """Gives the row with `owner` as its owner, marked as a row of `stream`."""
        switches = self.owner_switches + (self.owner is not None and self.owner != owner)
        return dataclasses.replace(
            self,
            counter=self.counter + 1,
            owner=owner,
            owner_switches=switches,
            stream=stream or self.stream,
        )

    def released(self) -> "Lease":
        """Gives the row without an owner, so that others need not wait until it is stale."""
        return dataclasses.replace(self, counter=self.counter + 1, owner=None)


def _get(item: Mapping[str, Any], name: str, kind: str, default: Any) -> Any:
    """Gives an attribute of that type. Raises `ValueError` where it has another one."""
    if name not in item:
        return default
    value = item[name]
    if kind not in value:
        message = f"{name} is of type {next(iter(value), '?')}, not {kind}"
        raise ValueError(message)
    return value[kind]


def _number(item: Mapping[str, Any], name: str) -> int:
    text = _get(item, name, "N", "0")
    try:
        return int(text)
    except ValueError as error:
        message = f"{name} {text[:40]!r} is not a whole number"
        raise ValueError(message) from error


class BrokenRow(NamedTuple):
    """A lease row that can't be read.

    Attributes:
        key: the row's key.
        why: what is wrong with it.
        stream: the ARN of the stream that it says it belongs to; None when it says nothing.
    """

    key: str
    why: str
    stream: str | None = None


class Rows(NamedTuple):
    """All rows of the table.

    Attributes:
        leases: the leases that can be read, of any stream.
        broken: the leases that can't.
        kcl3: whether there are rows by which KCL 3 assigns leases to its workers.
    """

    leases: list[Lease]
    broken: list[BrokenRow]
    kcl3: bool = False


def unchanged(lease: Lease, values: dict[str, Any]) -> str:
    """Gives the condition that a row is as we saw it, and adds its values to `values`."""
    values[":seenCounter"] = {"N": str(lease.counter)}
    if lease.owner is None:
        return "leaseCounter = :seenCounter AND attribute_not_exists(leaseOwner)"
    values[":seenOwner"] = {"S": lease.owner}
    return "leaseCounter = :seenCounter AND leaseOwner = :seenOwner"


def update_of(old: Lease, new: Lease) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Gives the expression, names and values that turn one row into the other, and touch only what differs."""
    before, after = old.to_item(), new.to_item()
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    removed = [name for name in before if name not in after]
    if "checkpoint" in changed or "checkpointSubSequenceNumber" in changed:
        # KCL's two-phase checkpoints: what was pending is overtaken by ours.
        removed += ["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"]
    if "leaseOwner" in changed:
        removed += ["checkpointOwner"]  # KCL 3's hand-over: we don't wait for it
    names = {f"#{name}": name for name in (*changed, *removed)}
    values = {f":{name}": value for name, value in changed.items()}
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in changed)
    if removed:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
    return expression, names, values
