"""`LeaseTable` keeps in DynamoDB who reads which shard, and how far each shard is done. The format is KCL's.

Problem. Workers that know nothing of each other share the shards of a stream, and an application may move over
from KCL (Logstash's input plugin, a Java consumer) and back, so the table is KCL's: one row per shard, the
attributes of KCL 1.x and 2.x; further attributes and rows (KCL 3 keeps its leader and statistics here) are left
alone.

Invariants.
- Every write is conditional on the owner and the counter that we last saw, so a worker that slept through
  its lease can change nothing. Each write raises the counter: that is the sign of life others watch.
- A write that failed because its first attempt had arrived without an answer is recognised by reading the
  row again: owner and counter are then ours.
- Checkpoint, renewal and change of owner are one write at most; attributes are updated, rows never replaced.

Refused: writing leases with a time to live (a pause of a day must not forget a position), and deleting the
row of a finished shard while its children may need it.

Source: rows written by KCL 1.15, 2.6, 3.0 and 3.5 (tests/unit/kinesis/fixtures).
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.session import AwsSession, explain
from penstock.io.aws.tables import make_table, scanned
from penstock.io.errors import NotFound, PenstockError
from penstock.io.kinesis.positions import Position

__all__ = ["Lease", "LeaseLost", "LeaseStore", "LeaseTable", "MemoryLeases"]


class LeaseLost(Exception):
    """The row is no longer as we saw it: another worker changed it. Not an error, an answer."""


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

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Lease | None":
        """The lease in a row of the table; None for a row that is none (KCL 3 keeps others there)."""
        if item.get("entityType", {}).get("S", "LEASE") != "LEASE" or "checkpoint" not in item:
            return None
        try:
            position = Position.parse(item["checkpoint"]["S"], _number(item, "checkpointSubSequenceNumber"))
        except (KeyError, ValueError):
            return None
        return cls(
            shard_id=item["leaseKey"]["S"],
            position=position,
            owner=item.get("leaseOwner", {}).get("S"),
            counter=_number(item, "leaseCounter"),
            owner_switches=_number(item, "ownerSwitchesSinceCheckpoint"),
            parents=tuple(sorted(item.get("parentShardId", {}).get("SS", ()))),
            children=tuple(sorted(item.get("childShardIds", {}).get("SS", ()))),
            starting_hash_key=item.get("startingHashKey", {}).get("S"),
            ending_hash_key=item.get("endingHashKey", {}).get("S"),
            started_ms=_number(item, "penstockStartedMillis") or None,
        )

    def to_item(self) -> dict[str, Any]:
        """The row, as KCL 2.x writes it."""
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
        return item

    # What a worker may do with a lease: each returns the row that its write would leave behind.

    def renewed(self, position: Position | None = None, children: tuple[str, ...] = ()) -> "Lease":
        """A sign of life and, where given, a checkpoint."""
        if position is None:
            return dataclasses.replace(self, counter=self.counter + 1)
        return dataclasses.replace(
            self, counter=self.counter + 1, position=position, owner_switches=0, children=children or self.children
        )  # fmt: skip

    def taken_by(self, owner: str) -> "Lease":
        """Owned by `owner` from now on."""
        switches = self.owner_switches + (self.owner is not None and self.owner != owner)
        return dataclasses.replace(self, counter=self.counter + 1, owner=owner, owner_switches=switches)

    def released(self) -> "Lease":
        """Free for anybody at once, with no waiting for a sign of life that won't come."""
        return dataclasses.replace(self, counter=self.counter + 1, owner=None)


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", 0))


class LeaseStore(Protocol):
    """Where leases are: the DynamoDB table, or memory when there is none."""

    def create_if_missing(self) -> None:
        """Makes the table when it isn't there."""

    def scan(self) -> list[Lease]:
        """All leases."""

    def create(self, lease: Lease) -> bool:
        """Adds a lease; False when there is one for that shard already."""

    def replace(self, old: Lease, new: Lease) -> None:
        """Writes `new` where the row's owner and counter are still those of `old`, else raises `LeaseLost`."""

    def delete(self, lease: Lease) -> bool:
        """Removes a lease if nobody has touched it since; False when somebody has."""


class LeaseTable:
    """The leases of one application in DynamoDB. Safe from any thread.

    Args:
        session: who we are.
        name: the table's, which is the application's.

    Every method raises `PenstockError` (denied, missing, unreachable); throttling and passing faults are
    retried by botocore first.
    """

    def __init__(self, session: AwsSession, name: str) -> None:
        self.name = name
        self._session = session

    def _call(self, operation: str, method: str, doing: str, **arguments: Any) -> Any:
        try:
            return self._session.call_explained(
                "dynamodb", method, operation, self._resource(), doing, TableName=self.name, **arguments
            )
        except PenstockError as error:
            cause = error.__cause__
            if (
                isinstance(cause, ClientError)
                and cause.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"
            ):
                raise LeaseLost from cause
            raise

    def _resource(self) -> str:
        return f"table {self.name} (--application_name)"

    def exists(self) -> bool:
        """Whether the table is there and ready for use."""
        try:
            described = self._call("DescribeTable", "describe_table", f"look up the lease table {self.name}")
        except NotFound:
            return False
        return bool(described["Table"]["TableStatus"] in ("ACTIVE", "UPDATING"))

    def create_if_missing(self) -> None:
        """Makes the table, billed on demand, and waits up to two minutes until it can be used."""
        if self.exists():
            return
        try:
            make_table(self._session, self.name, "leaseKey")
        except (BotoCoreError, ClientError) as error:
            doing = f"create the lease table {self.name}"
            raise explain(error, self._session, "CreateTable", self._resource(), doing) from error

    def scan(self) -> list[Lease]:
        """All leases, read consistently (a child's row must not be seen without its parent's)."""
        scan_page = functools.partial(self._call, "Scan", "scan", f"read the lease table {self.name}")
        return [lease for item in scanned(scan_page) if (lease := Lease.from_item(item)) is not None]

    def create(self, lease: Lease) -> bool:
        """Adds a lease; False when there is one for that shard already."""
        try:
            self._call(
                "PutItem",
                "put_item",
                f"add the lease of {lease.shard_id}",
                Item=lease.to_item(),
                ConditionExpression="attribute_not_exists(leaseKey)",
            )
        except LeaseLost:
            return False
        return True

    def replace(self, old: Lease, new: Lease) -> None:
        """Writes `new` where the row's owner and counter are still those of `old`, else raises `LeaseLost`."""
        expression, names, values = _update(old, new)
        try:
            self._call(
                "UpdateItem",
                "update_item",
                f"update the lease of {old.shard_id}",
                Key={"leaseKey": {"S": old.shard_id}},
                UpdateExpression=expression,
                ConditionExpression=_unchanged(old, values),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except LeaseLost:
            if not self._was_ours(new):
                raise

    def _was_ours(self, new: Lease) -> bool:
        """Whether a first attempt arrived and only its answer was lost; owners are unique, counters only rise."""
        reply = self._call(
            "GetItem",
            "get_item",
            f"read the lease of {new.shard_id}",
            Key={"leaseKey": {"S": new.shard_id}},
            ConsistentRead=True,
        )
        found = Lease.from_item(reply["Item"]) if "Item" in reply else None
        return (
            found is not None
            and new.owner is not None
            and (found.owner, found.counter, found.position) == (new.owner, new.counter, new.position)
        )

    def delete(self, lease: Lease) -> bool:
        """Removes a lease if nobody has touched it since; False when somebody has."""
        values: dict[str, Any] = {}
        condition = _unchanged(lease, values)
        try:
            self._call(
                "DeleteItem",
                "delete_item",
                f"delete the lease of {lease.shard_id}",
                Key={"leaseKey": {"S": lease.shard_id}},
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except LeaseLost:
            return False
        return True


def _unchanged(lease: Lease, values: dict[str, Any]) -> str:
    """The condition that a row is as we saw it; its values are added to `values`."""
    values[":seenCounter"] = {"N": str(lease.counter)}
    if lease.owner is None:
        return "leaseCounter = :seenCounter AND attribute_not_exists(leaseOwner)"
    values[":seenOwner"] = {"S": lease.owner}
    return "leaseCounter = :seenCounter AND leaseOwner = :seenOwner"


def _update(old: Lease, new: Lease) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Expression, names and values that turn one row into the other, touching only what differs."""
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


class MemoryLeases:
    """Leases of a job without DynamoDB (`--checkpoints none`): positions then live in the runner's state alone."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    def create_if_missing(self) -> None:
        """Nothing to make."""

    def scan(self) -> list[Lease]:
        """All leases."""
        return list(self._leases.values())

    def create(self, lease: Lease) -> bool:
        """Adds a lease; False when there is one for that shard already."""
        return self._leases.setdefault(lease.shard_id, lease) is lease

    def replace(self, old: Lease, new: Lease) -> None:
        """Writes `new` where the row is still as `old`, else raises `LeaseLost`."""
        found = self._leases.get(old.shard_id)
        if found is None or (found.owner, found.counter) != (old.owner, old.counter):
            raise LeaseLost
        self._leases[old.shard_id] = new

    def delete(self, lease: Lease) -> bool:
        """Removes a lease if nobody has touched it since."""
        found = self._leases.get(lease.shard_id)
        if found is None or (found.owner, found.counter) != (lease.owner, lease.counter):
            return False
        del self._leases[lease.shard_id]
        return True
