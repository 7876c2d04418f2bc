"""`options` declares options: a component has one frozen dataclass, and `option()` makes its fields.

`__post_init__` looks at the values and raises `OptionError`, which names the flag.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from penstock.io.errors import OptionError
from penstock.transforms.options import did_you_mean, flag_of, option

__all__ = ["display_data_of", "flag_of", "is_host", "option", "require_address", "require_known"]

_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


def display_data_of(*components: Any) -> dict[str, str | int | float | bool]:
    """Gives what Beam shows of a step: options that differ from their default, by the names of their flags; no secrets."""
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


def require_known(place: str, given: Iterable[str], known: Collection[str], word: str) -> None:
    """Raises `OptionError` for a name that is not known, with the nearest that is. A name is a `word` there."""
    for name in given:
        if name not in known:
            message = f"{place} has no {word} {name!r}{did_you_mean(name, known) or '.'}"
            raise OptionError(message)


def is_host(name: str) -> bool:
    """Whether a client can be made for a host of this name: no spaces, and letters that IDNA knows."""
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        return bool(parse_url(f"http://[{name}]:1" if ":" in name else f"http://{name}:1").host)
    except LocationParseError:
        return False


def require_address(flag: str, url: str, instead: str) -> None:
    """Raises `OptionError` unless `url` is an HTTP address without user and password.

    `instead` names what to give in the place of a password.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        valid = False
    # The text is shown without what may be a password, however broken the rest is.
    if "@" in url:
        message = f"{flag}: credentials in a URL end up in logs; give {instead}."
        raise OptionError(message)
    if not valid:
        message = f"{flag} {url!r} must start with http:// or https:// and name a host."
        raise OptionError(message)
