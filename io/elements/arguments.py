"""`options_of` makes a connector's options of the keywords that Python code gave, and names them as Python does.

Each option is declared once, as a field of an options class. From there come the keywords that a connector takes, their
documentation in its docstring (`takes`), their types for editors and mypy (`io/keywords`, made by
docs/make_keywords.py), and the checks here.
"""

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from penstock.io.errors import OptionError, name_arguments
from penstock.io.options import flag_of, require_known
from penstock.transforms.options import words_of

__all__ = ["described", "options_of", "shown_names", "takes"]

_Class = TypeVar("_Class", bound=type)

_FLAG = re.compile(r"--([a-z][a-z0-9_]*)")
_OF_COMMAND_LINES = re.compile(r" \(PENSTOCK_\w+ counts\)")
_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}


def options_of(step: str, given: Mapping[str, Any], parts: Mapping[type, Any], **also: str) -> list[Any]:
    """Gives the options of each part.

    Errors of this process, which may come long after, name arguments too.

    Args:
        step: the transform's name, for messages.
        given: keywords, by the names that the options have on the command line or as fields.
        parts: each option class, with the instance that was given instead of keywords, or None.
        also: further names of options: `stream_name="kinesis_stream_name"`.

    Raises:
        OptionError: a keyword is unknown, given twice or has a wrong value; or one is missing.
    """
    require_known(step, given, {name for cls in parts for name in _names(cls, also)}, "argument")
    made = []
    for cls, instance in parts.items():
        names = _names(cls, also)
        mine = {name: value for name, value in given.items() if name in names}
        if instance is None:
            made.append(_make(step, cls, names, mine, also))
        elif not isinstance(instance, cls):
            message = f"{step} takes {_article(cls)} there, not {_article(type(instance))}; give its options as keywords."
            raise OptionError(message)
        elif mine:
            message = f"{step}: {', '.join(mine)} stand in {cls.__name__} already; give keywords or options, not both."
            raise OptionError(message)
        else:
            made.append(instance)
    if given:
        for cls in parts:
            name_arguments({flag_of(field)[2:]: name for field, name in shown_names(cls, also)})
    return made


def takes(*classes: type, **also: str) -> Callable[[_Class], _Class]:
    """Documents the options of these classes as keywords of a transform: in its docstring and its signature.

    Args:
        classes: the option classes.
        also: as for `options_of`.
    """

    def document(transform: _Class) -> _Class:
        rows: list[str] = []
        parameters: dict[str, inspect.Parameter] = {}
        for cls in classes:
            hints = get_type_hints(cls)
            for field, name in shown_names(cls, also):
                if name in parameters:  # two classes have it, of which a call means one
                    continue
                rows.append(f"    {name}: {described(cls, field)}")
                default = (
                    field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
                )
                parameters[name] = inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
                    annotation=hints[field.name],
                )
        listed = "\n".join(textwrap.fill(row, 121, subsequent_indent=" " * 8) for row in rows)
        own_words = inspect.cleandoc(transform.__doc__ or "")
        transform.__doc__ = f"{own_words}\n\nKeyword Args:\n{listed}\n"
        signature = inspect.signature(transform.__init__)  # type: ignore[misc]
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        taken = {each.name for each in own}
        further = [each for name, each in parameters.items() if name not in taken]
        transform.__init__.__signature__ = signature.replace(parameters=[*own, *further])  # type: ignore[misc]
        return transform

    return document


def shown_names(cls: type, also: Mapping[str, str]) -> list[tuple["dataclasses.Field[Any]", str]]:
    """Gives each option of a class, with the name that Python code gives it by."""
    other = {field: name for name, field in also.items()}
    return [(field, other.get(field.name, field.name)) for field in dataclasses.fields(cls)]


def described(cls: type, field: "dataclasses.Field[Any]") -> str:
    """Tells what an option does, in the words of Python code: other options by their names there, Beam's by their flags."""
    fields = {flag_of(each)[2:]: each.name for each in dataclasses.fields(cls)}
    return _FLAG.sub(lambda flag: f"`{fields[flag[1]]}`" if flag[1] in fields else flag[0], words_of(field))


def _names(cls: type, also: Mapping[str, str]) -> dict[str, str]:
    """Gives each name by which an option may be given, and its field."""
    names: dict[str, str] = {}
    for field in dataclasses.fields(cls):
        names[field.name] = names[flag_of(field)[2:]] = field.name
    return names | {other: names[name] for other, name in also.items() if name in names}


def _make(step: str, cls: type, names: dict[str, str], given: dict[str, Any], also: Mapping[str, str]) -> Any:
    values: dict[str, Any] = {}
    hints = get_type_hints(cls)
    choices_of = {field.name: field.metadata["choices"] for field in dataclasses.fields(cls)}
    shown = {field.name: name for field, name in shown_names(cls, also)}
    for name, value in given.items():
        field = names[name]
        if field in values:
            message = f"{step}: {name} is given twice, by two of its names."
            raise OptionError(message)
        shown[field] = name
        values[field] = _fitting(f"{step}: {name}", hints[field], value)
        choices = choices_of[field]
        if choices and values[field] is not None and values[field] not in choices:
            message = f"{step}: {name} {value!r:.80} is none of {', '.join(map(str, choices))}."
            raise OptionError(message)
    missing = [
        shown[field.name]
        for field in dataclasses.fields(cls)
        if field.name not in values and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        message = f"{step} needs {', '.join(missing)}."
        raise OptionError(message)
    try:
        return cls(**values)
    except (OptionError, ValueError) as error:
        text = _OF_COMMAND_LINES.sub("", str(error))
        text = _FLAG.sub(lambda flag: shown.get(names.get(flag[1], ""), flag[1]), text)
        message = f"{step}: {text}"
        raise OptionError(message) from None


def _fitting(place: str, hint: Any, value: Any) -> Any:
    """The value as its option has it: of one text, a list. Raises `OptionError`, which shows no value: it may be secret."""
    arms = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in arms:
        return None
    (kind,) = (arm for arm in arms if arm is not type(None))
    origin = typing.get_origin(kind)
    if origin is list:
        (inner,) = typing.get_args(kind)
        several = list(value) if isinstance(value, (list, tuple)) else [value]
        if all(_is_a(each, inner) for each in several):
            return several
        expected = f"a list of {_WORDS[inner].removeprefix('a ')}s"
    elif origin is dict:
        if isinstance(value, Mapping) and all(
            isinstance(each, str) for pair in value.items() for each in pair
        ):
            return dict(value)
        expected = "a dict of texts"
    elif _is_a(value, kind):
        return value
    else:
        expected = _WORDS[kind]
    message = f"{place} must be {expected}, not {_article(type(value))}."
    raise OptionError(message)


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _article(kind: type) -> str:
    if kind is type(None):
        return "None"
    return f"an {kind.__name__}" if kind.__name__[0] in "aeioAEIO" else f"a {kind.__name__}"
