"""`make_table` makes a DynamoDB table in which a job keeps its state: leases, or finished units."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from penstock.io.aws.sense import promised
from penstock.io.aws.session import AwsSession
from penstock.io.errors import PeerError

__all__ = ["make_table", "scanned"]

_SECONDS = 120


def make_table(session: AwsSession, name: str, key: str) -> None:
    """Makes the table, billed on demand, and waits up to two minutes until it can be used.

    Where another worker makes the table at the same time, this waits for it.

    Args:
        session: who we are.
        name: the table's name.
        key: the name of its only key attribute, which holds strings.

    Raises:
        BotoCoreError, ClientError: the caller knows how to explain them.
    """
    try:
        session.call(
            "dynamodb",
            "create_table",
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceInUseException":
            raise
    waiter = session.client("dynamodb").get_waiter("table_exists")
    with promised():
        waiter.wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": _SECONDS})


def scanned(scan_page: Callable[..., dict[str, Any]], **arguments: Any) -> Iterator[dict[str, Any]]:
    """Gives the rows of all pages of a scan, read consistently.

    Args:
        scan_page: calls `scan`, and raises what the caller wants raised.
        arguments: of every call.
    """
    start: dict[str, Any] = {}
    while True:
        page = scan_page(ConsistentRead=True, **arguments, **start)
        yield from page["Items"]
        if not page.get("LastEvaluatedKey"):
            return
        after, start = start, {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        if start == after:
            message = "cannot read the table: its pages go in a circle. Check --endpoint_url."
            raise PeerError(message)
