"""`aws SERVICE OPERATION --name value`, as far as the documentation's commands need it, by botocore's own models.

usage: python -P aws_cli.py ENDPOINT_URL SERVICE OPERATION [--name value]... | SERVICE wait NAME [...]

What the AWS CLI would refuse is refused: an operation, an option or a waiter that its models don't have, and a missing one.
As in version 2, bytes are given in base64; a structure as `Name=value,...`.
"""

import base64
import json
import sys
from typing import Any

import boto3
from botocore import xform_name


def value_of(shape: Any, text: str) -> Any:
    """The value of an option in the type that the service wants."""
    match shape.type_name:
        case "blob":
            return base64.b64decode(text, validate=False)
        case "integer" | "long":
            return int(text)
        case "list":
            return [value_of(shape.member, text)]
        case "structure":
            return {
                name: value_of(shape.members[name], value)
                for name, _, value in (each.partition("=") for each in text.split(","))
            }
        case _:
            return text


def main(endpoint_url: str, service: str, *words: str) -> None:
    client = boto3.client(service, endpoint_url=endpoint_url)
    waits = words[0] == "wait"
    name, options = words[waits], words[waits + 1 :]
    names = {xform_name(each, "-"): each for each in client.meta.service_model.operation_names}
    waiter = client.get_waiter(name.replace("-", "_")) if waits else None
    operation = client.meta.service_model.operation_model(
        waiter.config.operation if waiter else names[name]  # a KeyError names what isn't there
    )
    shape = operation.input_shape
    members = {xform_name(each, "-"): each for each in shape.members} if shape else {}
    given = {}
    for flag, text in zip(options[::2], options[1::2], strict=True):
        member = members[flag.removeprefix("--")]
        given[member] = value_of(shape.members[member], text)
    if waiter:
        waiter.wait(**given, WaiterConfig={"Delay": 1})
        return
    reply = getattr(client, xform_name(operation.name))(**given)
    reply.pop("ResponseMetadata")
    if reply:
        print(json.dumps(reply, indent=4, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
