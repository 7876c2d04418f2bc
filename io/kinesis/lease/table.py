"""`LeaseTable` keeps in DynamoDB who reads which shard, and how far each shard is done. The format is KCL's.

Problem. Workers that know nothing of each other share the shards of a stream, and an application may move over
from KCL (Logstash's input plugin, a Java consumer) and back, so the table is KCL's: one row per shard, the
attributes of KCL 1.x and 2.x; further attributes and rows (KCL 3 keeps its leader and statistics here) are never
touched.

Invariants.
- Every write is conditional on the owner and the counter that we last saw. So a worker that slept while its
  lease ended can change nothing. Each write raises the counter, which others watch as a sign of life.
- A write that failed because its first attempt had arrived without an answer is recognised by reading the
  row again: owner and counter are then ours.
- Checkpoint, renewal and change of owner take one write at most. Attributes are updated; rows are never replaced.

Refused: writing leases with a time to live (a pause of a day must not forget a position), and deleting the
row of a finished shard while its children may need it.

Source: rows written by KCL 1.15, 2.6, 3.0 and 3.5 (tests/unit/kinesis/fixtures).
"""

import functools
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.sense import NONSENSE, sensible
from penstock.io.aws.session import AwsSession, explain
from penstock.io.aws.tables import make_table, scanned
from penstock.io.errors import NotFound, OptionError, PenstockError
from penstock.io.kinesis.lease.rules._rows import BrokenRow, Lease, Rows, unchanged, update_of
from penstock.io.kinesis.wire.calls import not_promised

__all__ = ["BrokenRow", "Lease", "LeaseLost", "LeaseStore", "LeaseTable", "MemoryLeases", "Rows"]


class LeaseLost(Exception):
    """Another worker changed the row since we saw it. This is an answer, not an error."""


class LeaseStore(Protocol):
    """The place of the leases: the DynamoDB table, or memory when there is none."""

    def create_if_missing(self) -> None:
        """Makes the table when it isn't there."""

    def rows(self) -> Rows:
        """Gives all rows."""

    def create(self, lease: Lease) -> bool:
        """Adds a lease; False when there is one for that shard already."""

    def replace(self, old: Lease, new: Lease) -> None:
        """Writes `new` where the row's owner and counter are still those of `old`, else raises `LeaseLost`."""

    def delete(self, lease: Lease) -> bool:
        """Removes a lease if nobody has touched it since; False when somebody has."""

    def scan(self) -> list[Lease]:
        """Gives all leases that can be read."""
        return self.rows().leases


class LeaseTable(LeaseStore):
    """The leases of one application in DynamoDB. Safe from any thread.

    Args:
        session: who we are.
        name: the table's name, which is the application's.

    Every method raises `PenstockError` (denied, missing, unreachable). Before that, botocore retries throttled calls and
    temporary faults.
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
        doing = f"look up the lease table {self.name}"
        try:
            described = sensible(
                lambda: self._call("DescribeTable", "describe_table", doing), _lacks_table, doing
            )
        except NotFound:
            return False
        keys, types, status = _table_of(described)
        if keys != [("leaseKey", "HASH")] or types.get("leaseKey") != "S":
            raise self._not_ours()
        return status in ("ACTIVE", "UPDATING")

    def create_if_missing(self) -> None:
        """Makes the table, billed on demand, and waits up to two minutes until it can be used."""
        if self.exists():
            return
        try:
            make_table(self._session, self.name, "leaseKey")
        except (BotoCoreError, ClientError) as error:
            doing = f"create the lease table {self.name}"
            raise explain(error, self._session, "CreateTable", self._resource(), doing) from error

    def rows(self) -> Rows:
        """Gives all rows, read consistently: a child's row must not be seen without its parent's."""
        leases: list[Lease] = []
        broken: list[BrokenRow] = []
        kcl3 = False
        doing = f"read the lease table {self.name}"
        try:
            items = list(scanned(functools.partial(self._call, "Scan", "scan", doing)))
        except NONSENSE as error:
            raise not_promised(doing) from error
        for item in items:
            try:
                lease = Lease.from_item(item)
            except ValueError as error:
                key = item.get("leaseKey", {}).get("S")
                if key is None:
                    raise self._not_ours() from error
                stream = item.get("penstockStreamArn", {}).get("S")
                broken.append(BrokenRow(key, str(error), stream))
                continue
            if lease is not None:
                leases.append(lease)
            else:
                kcl3 = kcl3 or item.get("entityType", {}).get("S") == "WORKER_METRIC_STATS"
        return Rows(leases, broken, kcl3)

    def _not_ours(self) -> OptionError:
        message = (
            f"--application_name: the table {self.name} is no lease table (its key is not leaseKey, a string). "
            "Give another name."
        )
        return OptionError(message)

    def forget(self, key: str) -> None:
        """Deletes a row whatever is in it (`--reset_checkpoints`)."""
        self._call("DeleteItem", "delete_item", f"delete the lease of {key}", Key={"leaseKey": {"S": key}})

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
        expression, names, values = update_of(old, new)
        try:
            self._call(
                "UpdateItem",
                "update_item",
                f"update the lease of {old.shard_id}",
                Key={"leaseKey": {"S": old.shard_id}},
                UpdateExpression=expression,
                ConditionExpression=unchanged(old, values),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except LeaseLost:
            if not self._was_ours(new):
                raise

    def _was_ours(self, new: Lease) -> bool:
        """Whether a first attempt arrived, and only its answer was lost. Owners are unique, and counters only rise."""
        reply = self._call(
            "GetItem",
            "get_item",
            f"read the lease of {new.shard_id}",
            Key={"leaseKey": {"S": new.shard_id}},
            ConsistentRead=True,
        )
        try:
            found = Lease.from_item(reply["Item"]) if "Item" in reply else None
        except ValueError:
            found = None
        return (
            found is not None
            and new.owner is not None
            and (found.owner, found.counter, found.position) == (new.owner, new.counter, new.position)
        )

    def delete(self, lease: Lease) -> bool:
        """Removes a lease if nobody has touched it since; False when somebody has."""
        values: dict[str, Any] = {}
        condition = unchanged(lease, values)
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


def _table_of(described: dict[str, Any]) -> tuple[list[tuple[str, str]], dict[str, str], str]:
    """Keys, types of attributes, and status, of a reply to DescribeTable."""
    table = described["Table"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    return keys, types, str(table["TableStatus"])


def _lacks_table(described: dict[str, Any]) -> str:
    """Tells what is wrong with a reply to DescribeTable."""
    return "" if _table_of(described)[0] else "the reply names no key"


class MemoryLeases(LeaseStore):
    """Keeps the leases of a job without DynamoDB (`--checkpoints none`). Only the runner's state then has the positions."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    def create_if_missing(self) -> None:
        """Does nothing: there is no table."""

    def rows(self) -> Rows:
        """Gives all leases."""
        return Rows(list(self._leases.values()), [])

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
