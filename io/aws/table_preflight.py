"""`table_preflight` tries a DynamoDB table that holds a job's state: is it there, is it ours, may we use it?

Writes are tried on a condition that no row fulfils, so the service refuses them after it has looked at the permission.
"""

from collections.abc import Callable
from typing import Any

from penstock.io.aws.account_preflight import CREDENTIALS, MADE_UP, AwsAccount
from penstock.io.errors import NotFound, OptionError, PeerError
from penstock.io.preflight.iam import Statement, actions_of, narrowed
from penstock.io.preflight.trials import Finding, Trial, fine, not_tried

__all__ = ["table_trials"]

TABLE = "dynamodb:DescribeTable"
_QUICK = ("Scan",)
_ABSENT = "not denied, but the table isn't there yet to prove it"


def table_trials(
    account: AwsAccount, name: str, *, what: str, key: str, option: str, statements: tuple[Statement, ...]
) -> list[Trial]:
    """Gives one trial for each action on the table that the statements allow.

    Args:
        account: who we are.
        name: the table's name.
        what: what the table is, such as `lease table`.
        key: the name of its only key attribute, which holds strings.
        option: the option that names it.
        statements: what the job needs.
    """
    table = _Table(account, name, what, key, option)
    allowed = {action for each in statements for action in actions_of(each) if action.startswith("dynamodb:")}
    trials = [Trial(TABLE, table.describe, True, False, narrowed(statements, TABLE), (CREDENTIALS,))]
    for operation, run in table.tries().items():
        action = f"dynamodb:{operation}"
        if action in allowed:
            quick = operation in _QUICK
            trials.append(Trial(action, run, quick, False, narrowed(statements, action), (TABLE,)))
    return trials


class _Table:
    def __init__(self, account: AwsAccount, name: str, what: str, key: str, option: str) -> None:
        self._account = account
        self._name = name
        self._what = what
        self._key = key
        self._option = option
        self._resource = f"{account.arns.table(name)} ({option})"
        self._there = False

    def tries(self) -> dict[str, Callable[[], Finding]]:
        row = {self._key: {"S": MADE_UP}}
        touch = {"UpdateExpression": "SET #n = :n", "ExpressionAttributeNames": {"#n": "penstockCheck"}}
        return {
            "CreateTable": self._create,
            "Scan": lambda: self._read("Scan", Limit=1, ConsistentRead=True),
            "GetItem": lambda: self._read("GetItem", Key=row),
            "PutItem": lambda: self._write("PutItem", Item=row),
            "UpdateItem": lambda: self._write(
                "UpdateItem", Key=row, ExpressionAttributeValues={":n": {"N": "0"}}, **touch
            ),
            "DeleteItem": lambda: self._write("DeleteItem", Key=row),
        }

    def describe(self) -> Finding:
        try:
            table = self._call("DescribeTable")["Table"]
        except NotFound:
            return fine(f"there is no {self._what} {self._name} yet; the job makes it")
        keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
        if keys != [(self._key, "HASH")]:
            message = (
                f"{self._option}: the table {self._name} is no {self._what} (its key is not {self._key}). "
                "Give another name."
            )
            raise OptionError(message)
        status = table["TableStatus"]
        if status not in ("ACTIVE", "UPDATING"):
            message = f"the {self._what} {self._name} is {status}. Wait until it is ACTIVE."
            raise PeerError(message)
        self._there = True
        return fine(f"the {self._what} {self._name} is {status}")

    def _call(self, operation: str, **arguments: Any) -> Any:
        doing = f"use the {self._what} {self._name}"
        return self._account.call(
            "dynamodb", operation, self._resource, doing, TableName=self._name, **arguments
        )

    def _create(self) -> Finding:
        if self._there:
            return fine("not needed: the table is there")
        return not_tried("the job will make the table; that can't be tried without making it")

    def _read(self, operation: str, **arguments: Any) -> Finding:
        try:
            self._call(operation, **arguments)
        except NotFound:
            return not_tried(_ABSENT)
        return fine("allowed")

    def _write(self, operation: str, **arguments: Any) -> Finding:
        never = f"attribute_exists({self._key}) AND attribute_not_exists({self._key})"
        try:
            return self._account.probe(
                "dynamodb",
                operation,
                self._resource,
                f"use the {self._what} {self._name}",
                refused_with=("ConditionalCheckFailedException",),
                TableName=self._name,
                ConditionExpression=never,
                **arguments,
            )
        except NotFound:
            return not_tried(_ABSENT)
