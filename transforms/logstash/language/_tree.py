"""`_tree` holds the parts of a configuration's text: sections of plugins and branches, each with its offset."""

import bisect
import re
from typing import Any

import msgspec

from penstock.transforms.logstash._errors import ConfigError


class Setting(msgspec.Struct, gc=False):
    """One option of a plugin, as written: an option that is written twice is here twice."""

    name: str
    value: Any
    at: int


class Plugin(msgspec.Struct):
    """A plugin and its options. A value is a `str`, `int`, `float`, `list`, `dict`, or a `Plugin` (a codec)."""

    name: str
    settings: list[Setting]
    at: int


class Field(msgspec.Struct, gc=False):
    """A reference to a field in a condition: `[a][b]`."""

    text: str
    at: int


class Constant(msgspec.Struct, gc=False):
    """A text, a number or an array in a condition."""

    value: Any
    at: int


class Pattern(msgspec.Struct, gc=False):
    """A regular expression in a condition, `/.../`; the backslash before a slash stays."""

    text: str
    at: int


class Call(msgspec.Struct, gc=False):
    """A call of a function in a condition: the grammar takes it, and it means nothing."""

    name: str
    at: int


class Comparison(msgspec.Struct):
    """`==`, `!=`, `<`, `<=`, `>`, `>=`, `=~`, `!~`, `in` or `not in` between two operands."""

    operator: str
    left: Any
    right: Any
    at: int


class Negation(msgspec.Struct):
    """`!` before a field or a condition in parentheses."""

    inner: Any
    at: int


class Joined(msgspec.Struct):
    """Conditions and the operators between them, in the order of the text; one more operand than operators."""

    operands: list[Any]
    operators: list[str]
    at: int


class Branch(msgspec.Struct):
    """`if`, its `else if`s and its `else` (whose condition is None)."""

    arms: list[tuple[Any, list[Any]]]
    at: int


class Section(msgspec.Struct):
    """`input`, `filter` or `output`, and the plugins and branches in it."""

    kind: str
    body: list[Any]
    at: int


class Places:
    """Lines and columns of offsets in a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def of(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, in characters."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def merged(settings: list[Setting], places: Places) -> dict[str, Setting]:
    """Gives a plugin's options by name. One that stands several times is merged as Logstash does it.

    Two hashes become one, arrays are appended to, two scalars become an array unless they are equal.

    Raises:
        ConfigError: a hash, and the second time something else.
    """
    found: dict[str, Setting] = {}
    for setting in settings:
        before = found.get(setting.name)
        if before is None:
            found[setting.name] = setting
        else:
            value = _merged(before.value, setting, places)
            found[setting.name] = Setting(setting.name, value, before.at)
    return found


def _merged(held: Any, setting: Setting, places: Places) -> Any:
    value = setting.value
    if isinstance(held, dict):
        if not isinstance(value, dict):
            message = f"{setting.name} was a hash before, and cannot be something else now"
            raise ConfigError(message, *places.of(setting.at))
        return _merged_hashes(held, value)
    if isinstance(held, list):
        return [*held, *value] if isinstance(value, list) else [*held, value]
    return held if type(held) is type(value) and held == value else [held, value]


def _merged_hashes(first: dict[Any, Any], second: dict[Any, Any]) -> dict[Any, Any]:
    made = dict(first)
    for key, value in second.items():
        if key not in made:
            made[key] = value
            continue
        held = made[key]
        if isinstance(held, dict) and isinstance(value, dict):
            made[key] = _merged_hashes(held, value)
        elif isinstance(value, list):
            made[key] = [*(held if isinstance(held, list) else [held]), *value]
        elif isinstance(held, list):
            made[key] = held if value in held else [*held, value]
        else:
            made[key] = held if held == value else [held, value]
    return made
