"""`making` makes a component's options, an instance of its dataclass, from values; no command line is needed."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from penstock.io.errors import OptionError
from penstock.io.options import flag_of
from penstock.pipelines.configuration.declared import declared_in
from penstock.pipelines.configuration.values import read

__all__ = ["made", "options_from"]

T = TypeVar("T")

_OWNERS = {
    "password": "user",
    "secret_key": "access_key",
    "session_token": "access_key",
    "metrics_secret_key": "metrics_access_key",
}
"""Secret -> the option without which it means nothing."""


def options_from(cls: type[T], given: Mapping[str, Any]) -> T:
    """Makes one component's options from values without a command line, such as a step's config in Beam YAML.

    Secrets that are not given come from the environment, where what they belong to is given: several components share it,
    and the secret key of one is none of another that has no access key.

    Args:
        cls: the option dataclass.
        given: flag without its dashes -> value, as text or as a Python value. None and an empty text count as not given;
            other components' flags are ignored.

    Raises:
        OptionError: a value does not fit, or a required one is missing.
    """
    values = {}
    declared = declared_in([cls])
    for name, each in declared.items():
        owner = _OWNERS.get(name)
        if given.get(name) not in (None, ""):
            values[name] = read(each.flag, each.hint, each.field, given[name])
        elif owner in declared and given.get(owner) in (None, ""):
            continue
        elif each.secret and (text := os.environ.get(each.variable)):
            values[name] = read(each.flag, each.hint, each.field, text)
    return made(cls, values)


def made(cls: type[T], given: Mapping[str, Any]) -> T:
    """Makes a component's options from values that were read. Raises `OptionError`."""
    values = _values(cls, given)
    try:
        return cls(**values)
    except ValueError as error:  # so `penstock.transforms` refuses a wrong value
        raise OptionError(str(error)) from error


def _values(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for field in dataclasses.fields(cls):
        flag = flag_of(field)
        value = given.get(flag[2:])
        if value is not None:
            values[field.name] = value
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            message = f"{flag} is required: {field.metadata['help']}"
            raise OptionError(message)
    return values
