"""`table` holds a table of DynamoDB in memory, as far as leases need it."""

import re
from typing import Any

__all__ = ["NOT_FOUND", "Refused", "Table"]

NOT_FOUND = "ResourceNotFoundException"
_FAILED = "ConditionalCheckFailedException"


class Refused(Exception):
    """An error of the API: its code, and what it says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Table:
    """A table of DynamoDB, with the expressions that leases use: conditions joined by AND, SET and REMOVE."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._described = {
            "TableName": asked["TableName"],
            "TableStatus": "ACTIVE",
            "KeySchema": asked["KeySchema"],
            "AttributeDefinitions": asked["AttributeDefinitions"],
        }
        self._key = asked["KeySchema"][0]["AttributeName"]
        self._items: dict[str, dict[str, Any]] = {}

    def describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DescribeTable."""
        return {"Table": self._described, "TableDescription": self._described}

    def scan(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Scan, in one page."""
        return {"Items": list(self._items.values()), "Count": len(self._items)}

    def get(self, asked: dict[str, Any]) -> dict[str, Any]:
        """GetItem."""
        item = self._items.get(self._name(asked["Key"]))
        return {} if item is None else {"Item": item}

    def put(self, asked: dict[str, Any]) -> dict[str, Any]:
        """PutItem."""
        name = self._name(asked["Item"])
        self._require(asked, name)
        self._items[name] = asked["Item"]
        return {}

    def update(self, asked: dict[str, Any]) -> dict[str, Any]:
        """UpdateItem."""
        name = self._name(asked["Key"])
        self._require(asked, name)
        item = self._items.setdefault(name, dict(asked["Key"]))
        names, values = asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})
        sets, _, removes = asked["UpdateExpression"].partition(" REMOVE ")
        for each in sets.removeprefix("SET ").split(", "):
            left, _, right = each.partition(" = ")
            item[names.get(left, left)] = values[right]
        for each in filter(None, removes.split(", ")):
            item.pop(names.get(each, each), None)
        return {}

    def delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        """DeleteItem."""
        name = self._name(asked["Key"])
        self._require(asked, name)
        self._items.pop(name, None)
        return {}

    def _name(self, item: dict[str, Any]) -> str:
        return str(item[self._key]["S"])

    def _require(self, asked: dict[str, Any], name: str) -> None:
        item = self._items.get(name, {})
        for condition in filter(None, asked.get("ConditionExpression", "").split(" AND ")):
            absent = re.fullmatch(r"attribute_not_exists\((\w+)\)", condition)
            left, _, right = condition.partition(" = ")
            holds = (
                absent[1] not in item
                if absent
                else item.get(left) == asked["ExpressionAttributeValues"][right]
            )
            if not holds:
                raise Refused(_FAILED, "The conditional request failed")
