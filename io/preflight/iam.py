"""`iam` makes IAM statements in one place for `--help`, `penstock check`, the docs and the tests."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Arns", "Statement", "actions_of", "merged", "narrowed", "policy", "statement"]

Statement = Mapping[str, Any]
"""One entry of a policy's `Statement`."""


@dataclasses.dataclass(frozen=True)
class Arns:
    """The ARNs of one account and region. Words in capitals stand for what isn't known.

    Attributes:
        region: of the job.
        account: 12 digits.
        partition: `aws`, `aws-cn`, `aws-us-gov`, ...
    """

    region: str = "REGION"
    account: str = "ACCOUNT"
    partition: str = "aws"

    def stream(self, name: str) -> str:
        """Gives a stream's ARN from its name or ARN."""
        return name if name.startswith("arn:") else self._of("kinesis", f"stream/{name}")

    def table(self, name: str) -> str:
        """Gives the ARN of a DynamoDB table."""
        return self._of("dynamodb", f"table/{name}")

    def key(self, name: str) -> str:
        """Gives a KMS key's ARN from its id or ARN. A policy can't name an alias."""
        return name if name.startswith("arn:") else self._of("kms", f"key/{name}")

    def bucket(self, name: str, key: str = "") -> str:
        """Gives a bucket's ARN; with a key (or a pattern) that of its objects."""
        return f"arn:{self.partition}:s3:::{name}" + (f"/{key}" if key else "")

    def domain(self, name: str) -> str:
        """Gives the ARN of a domain of OpenSearch Service."""
        return self._of("es", f"domain/{name or 'DOMAIN'}")

    def collection(self, name: str) -> str:
        """Gives the ARN of a collection of OpenSearch Serverless from its id."""
        return self._of("aoss", f"collection/{name or 'COLLECTION'}")

    def _of(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def statement(
    sid: str, actions: Sequence[str] | str, resource: str, condition: Mapping[str, Any] | None = None
) -> Statement:
    """Makes a statement that allows actions.

    Args:
        sid: its name within the policy.
        actions: such as `kinesis:PutRecords`.
        resource: an ARN or a pattern.
        condition: its `Condition`, if any.
    """
    made: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    if condition is not None:
        made["Condition"] = condition
    return made


def policy(statements: Iterable[Statement]) -> dict[str, Any]:
    """Makes the policy document that IAM takes."""
    return {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}


def actions_of(of: Statement) -> list[str]:
    """Gives the actions that a statement allows, as a list also where there is one."""
    given = of["Action"]
    return [given] if isinstance(given, str) else list(given)


def narrowed(statements: Iterable[Statement], action: str) -> tuple[Statement, ...]:
    """Gives the statements that allow `action`, with no other action in them."""
    return tuple({**each, "Action": action} for each in statements if action in actions_of(each))


def merged(statements: Iterable[Statement]) -> list[Statement]:
    """Gives the same permissions in as few statements as there are different names, resources and conditions."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    names: dict[str, int] = {}
    for each in statements:
        key = (each["Sid"], repr(each["Resource"]), repr(each.get("Condition")))
        if key not in found:
            names[each["Sid"]] = names.get(each["Sid"], 0) + 1
            number = names[each["Sid"]]
            found[key] = {**each, "Sid": each["Sid"] + (str(number) if number > 1 else ""), "Action": []}
        for action in actions_of(each):
            if action not in found[key]["Action"]:
                found[key]["Action"].append(action)
    for made in found.values():
        if len(made["Action"]) == 1:
            made["Action"] = made["Action"][0]
    return list(found.values())
