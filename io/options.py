"""How a component declares its options: one frozen dataclass, every fact about an option in one place.

A field made by `option()` carries its help text, flag, choices and whether it is a secret; the command
line (`penstock.pipelines.command_line`), the docs and the error messages all read them from there.
`__post_init__` checks values and raises `OptionError` naming the flag.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from penstock.io.errors import OptionError

__all__ = ["check_address", "display_data_of", "flag_of", "option"]

_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,  # noqa: A002  the word that argparse uses
    flag: str | None = None,
    choices: Sequence[str] | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field that is an option.

    Args:
        default: its default; without one the option is required.
        help: what it does, in a sentence, with unit and trade-off.
        flag: its name on the command line where that isn't the field's (`beats_port` for `port`).
        choices: the values allowed.
        secret: kept out of `repr`, logs and messages.
    """
    metadata = {"help": help, "flag": flag, "choices": choices, "secret": secret}
    if isinstance(default, (list, dict)):
        value = default
        return dataclasses.field(
            default_factory=lambda: type(value)(value), metadata=metadata, repr=not secret
        )
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def flag_of(field: "dataclasses.Field[Any]") -> str:
    """The option's name as a user types it, with the dashes."""
    return "--" + (field.metadata.get("flag") or field.name)


def display_data_of(*components: Any) -> dict[str, str | int | float | bool]:
    """What Beam shows of a step: the options that aren't at their default, by the names of their flags; no secrets."""
    shown: dict[str, str | int | float | bool] = {}
    for component in components:
        for field in dataclasses.fields(component):
            value = getattr(component, field.name)
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if value is None or value == default or field.metadata.get("secret"):
                continue
            if isinstance(value, dict):
                value = [f"{name}={text}" for name, text in value.items()]
            if isinstance(value, (list, tuple)):
                value = ", ".join(map(str, value))
            shown[flag_of(field)[2:]] = _USER_INFO.sub("", value) if isinstance(value, str) else value
    return shown


def check_address(flag: str, url: str, instead: str) -> None:
    """Raises `OptionError` unless `url` is an address by HTTP without user and password, for which `instead` serves."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    # The text is shown without what may be a password, however broken the rest is.
    if "@" in url:
        message = f"{flag}: credentials in a URL end up in logs; give {instead}."
        raise OptionError(message)
    if not valid:
        message = f"{flag} {url!r} must start with http:// or https:// and name a host."
        raise OptionError(message)
