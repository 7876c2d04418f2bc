"""`values` reads an option's value from a text, by the type of its field."""

import argparse
import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from penstock.io.errors import OptionError

__all__ = ["boolean", "chosen", "converter", "pairs", "read", "several", "text_of"]


def read(place: str, hint: Any, field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Gives a value in its option's type.

    Args:
        place: where the value stands, for messages: the flag, a variable, a line of a file.
        hint: the field's type.
        field: the option.
        value: a text, a Python value, or several of them.

    Raises:
        OptionError: it doesn't fit.
    """
    convert, repeated = converter(hint)
    try:
        if isinstance(value, (list, tuple, dict)) and not (repeated and _fits(convert, value)):
            shape = "NAME: VALUE pairs" if isinstance(value, dict) else "a list"
            wanted = "NAME: VALUE pairs" if convert is pairs else "values" if repeated else "one value"
            message = f"it takes {wanted}, not {shape}"
            raise ValueError(message)
        if repeated and isinstance(value, (list, tuple)):
            if convert is pairs:
                return {name: text for each in value for name, text in pairs(text_of(each)).items()}
            return [_converted(convert, text_of(each)) for each in value]
        if repeated and isinstance(value, dict):
            return {str(name): text_of(each) for name, each in value.items()}
        if repeated:
            return several(convert, text_of(value))
        choices = field.metadata.get("choices")
        return chosen(convert, choices)(text_of(value)) if choices else _converted(convert, text_of(value))
    except (argparse.ArgumentTypeError, ValueError) as error:
        message = f"{place}: {error}"
        raise OptionError(message) from None if field.metadata.get("secret") else error


def _fits(convert: Callable[[str], Any], value: Any) -> bool:
    return convert is pairs or not isinstance(value, dict)


def text_of(value: Any) -> str:
    """Gives a Python value as one types it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def converter(hint: Any) -> tuple[Callable[[str], Any], bool]:
    """Gives how to read one value of that type, and whether there may be several."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    origin = typing.get_origin(hint)
    if origin in (list, tuple):
        element = typing.get_args(hint)[0]
        return (int if element is int else str), True
    if origin is dict or hint is dict:
        return pairs, True
    if hint is bool:
        return boolean, False
    if hint in (int, float):
        return hint, False
    return str, False


def _converted(kind: Callable[[str], Any], text: str) -> Any:
    """Converts a text; of what is no number it says so in words."""
    try:
        return kind(text)
    except ValueError:
        message = f"{text!r} is not a {'whole number' if kind is int else 'number'}"
        raise argparse.ArgumentTypeError(message) from None


def chosen(convert: Callable[[str], Any], choices: Sequence[str]) -> Callable[[str], Any]:
    """Gives a function that converts, and refuses what is none of the choices."""

    def check(text: str) -> Any:
        value = convert(text)
        if value not in choices:
            message = f"{text!r} is not one of {', '.join(map(str, choices))}"
            raise argparse.ArgumentTypeError(message)
        return value

    return check


def boolean(text: str) -> bool:
    """Reads true or false."""
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    message = f"{text!r} is neither true nor false"
    raise argparse.ArgumentTypeError(message)


def pairs(text: str) -> dict[str, str]:
    """Reads one pair, or an object of them. The message is without the value, which may be a secret."""
    if text.lstrip().startswith("{"):
        try:
            loaded = json.loads(text)
        except ValueError as error:
            message = f"a value is not a JSON object: {error}"
            raise argparse.ArgumentTypeError(message) from None
        return {str(name): str(value) for name, value in loaded.items()}
    name, separator, value = text.partition("=")
    if not separator or not name:
        message = "a value is neither NAME=VALUE nor a JSON object"
        raise argparse.ArgumentTypeError(message)
    return {name.strip(): value}


def several(convert: Callable[[str], Any], text: str) -> list[Any] | dict[str, str]:
    """Gives the values, or pairs, that one text holds."""
    if convert is not pairs:
        parts = [part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]
        return [convert(part) for part in parts if part]
    parts = [text] if text.lstrip().startswith("{") else text.split(",")
    return {name: value for part in parts for name, value in pairs(part).items()}
