"""`command_line` makes a command line from option dataclasses, and their instances from a command line.

A job names the dataclasses that it needs; their fields (`penstock.io.options.option`) become flags, grouped
by component. Unknown options go to Beam. An option that Beam doesn't know either is an error with the
nearest name that exists. A wrong option is one line on stderr and exit code 2, never a traceback.
"""

import argparse
import dataclasses
import json
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from penstock.io.errors import OptionError
from penstock.io.options import flag_of
from penstock.pipelines.beam_arguments import require_known, with_underscores
from penstock.pipelines.console.logs import last_words, wants_json

__all__ = ["CommandLine", "options_from", "parse"]

T = TypeVar("T")
_ENVIRONMENT_PREFIX = "PENSTOCK_"


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """The parsed command line of a job.

    Attributes:
        options: the instances, by their class.
        beam: the arguments left for Beam's own options.
    """

    options: dict[type, Any]
    beam: list[str]

    def get(self, cls: type[T]) -> T:
        """Gives the options of one component."""
        return self.options[cls]  # type: ignore[no-any-return]


class _Parser(argparse.ArgumentParser):
    json = False
    """Whether errors are written as JSON."""

    def error(self, message: str) -> NoReturn:
        last_words(
            self.prog.removeprefix("penstock "), f"{message} (see {self.prog} --help)", 2, json=self.json
        )
        sys.exit(2)


def parse(
    program: str,
    description: str,
    classes: Sequence[type],
    argv: Sequence[str] | None = None,
    epilog: str = "",
) -> CommandLine:
    """Parses a job's command line.

    Args:
        program: the program as the user typed it, for messages.
        description: for `--help`.
        classes: option dataclasses; a flag that two of them declare is given to both.
        argv: the arguments; the process's own by default.
        epilog: text behind the options in `--help`.

    Raises:
        SystemExit: with code 2 for a wrong, missing or unknown option, 0 for `--help`.
    """
    parser = _Parser(
        prog=program,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.json = wants_json(sys.argv[1:] if argv is None else argv)
    declared: dict[str, dataclasses.Field[Any]] = {}
    for cls in classes:
        group = parser.add_argument_group(_title(cls))
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            flag = flag_of(field)
            if flag not in declared:
                declared[flag] = field
                _add(group, flag, field, hints[field.name])
    namespace, rest = parser.parse_known_args(with_underscores(sys.argv[1:] if argv is None else argv))
    given = vars(namespace)
    options: dict[type, Any] = {}
    try:
        require_known(rest, ours=list(declared), runner=str(given.get("runner") or ""))
        for cls in classes:
            options[cls] = _made(cls, _values(cls, given))
    except OptionError as error:
        parser.error(str(error))
    return CommandLine(options, rest)


def options_from(cls: type[T], given: Mapping[str, Any]) -> T:
    """Makes one component's options from values without a command line, such as a step's config in Beam YAML.

    Args:
        cls: the option dataclass.
        given: flag without its dashes -> value, as text or as a Python value. None and an empty text count as not given;
            other components' flags are ignored.

    Raises:
        OptionError: a value does not fit, or a required one is missing.
    """
    hints = typing.get_type_hints(cls)
    read = {
        flag[2:]: _read(flag, hints[field.name], field, given[flag[2:]])
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if given.get((flag := flag_of(field))[2:]) not in (None, "")
    }
    return _made(cls, _values(cls, read))


def _made(cls: type[T], values: dict[str, Any]) -> T:
    """Makes the component's options. `penstock.transforms` refuses a wrong value by `ValueError`, not by `OptionError`."""
    try:
        return cls(**values)
    except ValueError as error:
        raise OptionError(str(error)) from error


def _read(flag: str, hint: Any, field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Gives a value in its option's type. Raises `OptionError`, which names the flag."""
    convert, repeated = _converter(hint)
    try:
        if repeated and isinstance(value, (list, tuple)):
            return [convert(_text(each)) for each in value]
        if repeated and isinstance(value, dict):
            return {str(name): _text(each) for name, each in value.items()}
        if repeated:
            return _several(convert, _text(value))
        choices = field.metadata.get("choices")
        return _chosen(convert, choices)(_text(value)) if choices else convert(_text(value))
    except (argparse.ArgumentTypeError, ValueError) as error:
        message = f"{flag}: {error}"
        raise OptionError(message) from error


def _text(value: Any) -> str:
    """Gives a Python value as one types it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


def _values(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    values = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        flag = flag_of(field)
        value = given.get(flag[2:])
        if value is None and field.metadata.get("secret"):
            text = os.environ.get(_ENVIRONMENT_PREFIX + flag[2:].upper())
            value = None if text is None else _read(flag, hints[field.name], field, text)
        if value is not None:
            values[field.name] = value
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            message = f"{flag} is required: {field.metadata['help']}"
            raise OptionError(message)
    return values


def _add(group: Any, flag: str, field: "dataclasses.Field[Any]", hint: Any) -> None:
    convert, repeated = _converter(hint)
    arguments: dict[str, Any] = {"dest": flag[2:], "default": None, "help": _help(field, flag)}
    choices = field.metadata.get("choices")
    arguments["metavar"] = "|".join(choices) if choices else _metavar(convert)
    if convert is _boolean:
        group.add_argument(flag, type=_boolean, nargs="?", const=True, **arguments)
    elif repeated:
        group.add_argument(flag, action=_Extend, convert=convert, **arguments)
    else:
        group.add_argument(flag, type=_chosen(convert, choices) if choices else convert, **arguments)


def _metavar(convert: Callable[[str], Any]) -> str:
    return {int: "N", float: "NUMBER", _boolean: "true|false", _pairs: "NAME=VALUE"}.get(convert, "TEXT")


def _help(field: "dataclasses.Field[Any]", flag: str) -> str:
    text: str = field.metadata["help"]
    if field.metadata.get("secret"):
        text += f" Better given as {_ENVIRONMENT_PREFIX}{flag[2:].upper()} in the environment."
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = ", ".join(field.default_factory()) or None
    if default is dataclasses.MISSING:
        text += " Required."
    elif default is not None and default is not False and default != "":
        text += f" Default: {'true' if default is True else default}."
    return text.replace("%", "%%")


def _converter(hint: Any) -> tuple[Callable[[str], Any], bool]:
    """Gives how to read one value of that type, and whether the flag may be repeated."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    origin = typing.get_origin(hint)
    if origin in (list, tuple):
        element = typing.get_args(hint)[0]
        return (int if element is int else str), True
    if origin is dict or hint is dict:
        return _pairs, True
    if hint is bool:
        return _boolean, False
    if hint in (int, float):
        return hint, False
    return str, False


def _chosen(convert: Callable[[str], Any], choices: Sequence[str]) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        value = convert(text)
        if value not in choices:
            message = f"{text!r} is not one of {', '.join(map(str, choices))}"
            raise argparse.ArgumentTypeError(message)
        return value

    return check


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    message = f"{text!r} is neither true nor false"
    raise argparse.ArgumentTypeError(message)


def _pairs(text: str) -> dict[str, str]:
    if text.lstrip().startswith("{"):
        try:
            loaded = json.loads(text)
        except ValueError as error:
            message = f"a value is not a JSON object: {error}"  # without the value: it may be a secret
            raise argparse.ArgumentTypeError(message) from None
        return {str(name): str(value) for name, value in loaded.items()}
    name, separator, value = text.partition("=")
    if not separator or not name:
        message = "a value is neither NAME=VALUE nor a JSON object"
        raise argparse.ArgumentTypeError(message)
    return {name.strip(): value}


class _Extend(argparse.Action):
    """Collects the values of a repeated flag. One value may also hold several, separated by commas."""

    def __init__(self, *, convert: Callable[[str], Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._convert = convert

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            found = _several(self._convert, values)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentError(self, str(error)) from error
        before = getattr(namespace, self.dest)
        if isinstance(found, dict):
            setattr(namespace, self.dest, {**(before or {}), **found})
        else:
            setattr(namespace, self.dest, (before or []) + found)


def _several(convert: Callable[[str], Any], text: str) -> list[Any] | dict[str, str]:
    """Gives the values, or pairs, that one text holds."""
    if convert is not _pairs:
        parts = [part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]
        return [convert(part) for part in parts if part]
    parts = [text] if text.lstrip().startswith("{") else text.split(",")
    return {name: value for part in parts for name, value in _pairs(part).items()}
