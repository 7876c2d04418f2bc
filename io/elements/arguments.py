"""`options_of` makes a connector's options of the keywords that Python code gave, and names them as Python does."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any, get_type_hints

from penstock.io.errors import OptionError
from penstock.io.options import flag_of

__all__ = ["options_of"]

_FLAG = re.compile(r"--([a-z][a-z0-9_]*)")


def options_of(step: str, given: Mapping[str, Any], *parts: Any, **also: str) -> list[Any]:
    """The options of each part.

    Args:
        step: the transform's name, for messages.
        given: keywords, by the names that the options have on the command line or as fields.
        parts: per component its option class, or the instance that was given instead.
        also: further names of options: `stream_name="kinesis_stream_name"`.

    Raises:
        OptionError: a keyword is unknown, given twice or has a wrong value; or one is missing.
    """
    known = {name for part in parts for name in _names(_class(part), also)}
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            message = f"{step} has no argument {name!r}{f'; did you mean {nearest[0]}?' if nearest else '.'}"
            raise OptionError(message)
    made = []
    for part in parts:
        names = _names(_class(part), also)
        mine = {name: value for name, value in given.items() if name in names}
        if part is _class(part):
            made.append(_make(step, part, names, mine))
        elif mine:
            shown = ", ".join(mine)
            message = (
                f"{step}: {shown} stand in {type(part).__name__} already; give keywords or options, not both."
            )
            raise OptionError(message)
        else:
            made.append(part)
    return made


def _class(part: Any) -> type:
    return part if isinstance(part, type) else type(part)


def _names(cls: type, also: Mapping[str, str]) -> dict[str, str]:
    """Each name by which an option may be given, and its field."""
    names: dict[str, str] = {}
    for field in dataclasses.fields(cls):
        names[field.name] = names[flag_of(field)[2:]] = field.name
    return names | {other: names[name] for other, name in also.items() if name in names}


def _make(step: str, cls: type, names: dict[str, str], given: dict[str, Any]) -> Any:
    values: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for name, value in given.items():
        field = names[name]
        if field in values:
            message = f"{step}: {name} is given twice, by two of its names."
            raise OptionError(message)
        several = str(hints[field]).startswith("list[")
        values[field] = [value] if several and isinstance(value, (str, int)) else value
    missing = [
        field.name
        for field in dataclasses.fields(cls)
        if field.name not in values and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        shortest = [min((name for name in names if names[name] == field), key=len) for field in missing]
        message = f"{step} needs {', '.join(shortest)}."
        raise OptionError(message)
    try:
        return cls(**values)
    except (OptionError, ValueError) as error:
        text = _FLAG.sub(r"\1", str(error))
        message = f"{step}: {text}"
        raise OptionError(message) from None
    except TypeError as error:
        message = f"{step}: an argument has the wrong type: {error}"
        raise OptionError(message) from None
