"""`given` finds what of our connectors' options must be said: those that differ from their defaults, without secrets.

A value that stands as `${NAME}` in the configuration stays a variable; a secret is only named.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.io.options import flag_of
from penstock.pipelines.logstash.plugins.values import Setting
from penstock.transforms._variables import VARIABLE

__all__ = ["Given", "given_options", "variables_in"]


@dataclasses.dataclass(frozen=True)
class Given:
    """One option that must be said.

    Attributes:
        flag: ours, without dashes.
        value: as the connector has it; of one with variables, as the configuration has it.
        variable: whether it holds variables.
        secret: whether it is a secret; then the value is only for those with variables.
    """

    flag: str
    value: Any
    variable: bool = False
    secret: bool = False


def given_options(components: Sequence[Any], settings: Sequence[Setting]) -> list[Given]:
    """Gives what differs from the defaults of these components, each flag once."""
    written = {setting.to: setting.value for setting in settings if setting.to}
    found: dict[str, Given] = {}
    for component in components:
        for field in dataclasses.fields(component) if component is not None else ():
            if "help" not in field.metadata:
                continue  # no option: who signs, beside an output's own
            value = getattr(component, field.name)
            if value == _default_of(field):
                continue
            flag, secret = flag_of(field)[2:], bool(field.metadata.get("secret"))
            text = written.get(flag)
            if text is not None and any(True for _ in variables_in(text)):
                found[flag] = Given(flag, text, variable=True, secret=secret)
            else:
                found[flag] = Given(flag, value, secret=secret)
    return list(found.values())


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def variables_in(value: Any) -> Iterator["re.Match[str]"]:
    """Gives the variables in a value, as matches: the name, and the default or None."""
    if isinstance(value, str):
        yield from VARIABLE.finditer(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from variables_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from variables_in(each)
