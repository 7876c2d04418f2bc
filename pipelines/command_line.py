"""From option dataclasses to a command line, and back.

A job names the dataclasses that it needs; their fields (`penstock.io.options.option`) become flags, grouped
by component. What we don't know goes to Beam, and what Beam doesn't know either is an error with the
nearest name that exists. A wrong option is one line on stderr and exit code 2, never a traceback.
"""

import argparse
import dataclasses
import difflib
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from penstock.io.errors import OptionError
from penstock.io.options import flag_of

__all__ = ["CommandLine", "parse"]

T = TypeVar("T")
_ENVIRONMENT_PREFIX = "PENSTOCK_"


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What a job was called with.

    Attributes:
        options: the instances, by their class.
        beam: the arguments left for Beam's own options.
    """

    options: dict[type, Any]
    beam: list[str]

    def get(self, cls: type[T]) -> T:
        """The options of one component."""
        return self.options[cls]  # type: ignore[no-any-return]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
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
        program: what the user typed, for messages.
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
    declared: dict[str, dataclasses.Field[Any]] = {}
    for cls in classes:
        group = parser.add_argument_group(_title(cls))
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            flag = flag_of(field)
            if flag not in declared:
                declared[flag] = field
                _add(group, flag, field, hints[field.name])
    namespace, rest = parser.parse_known_args(argv)
    given = vars(namespace)
    _check_unknown(parser, rest, list(declared), str(given.get("runner") or ""))
    options = {}
    try:
        for cls in classes:
            options[cls] = cls(**_values(cls, given))
    except OptionError as error:
        parser.error(str(error))
    return CommandLine(options, rest)


def _title(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


def _values(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for field in dataclasses.fields(cls):
        flag = flag_of(field)
        value = given.get(flag[2:])
        if value is None and field.metadata.get("secret"):
            value = os.environ.get(_ENVIRONMENT_PREFIX + flag[2:].upper())
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
    """How to read one value of that type, and whether the flag may be repeated."""
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
            message = f"{text!r} is not a JSON object: {error}"
            raise argparse.ArgumentTypeError(message) from error
        return {str(name): str(value) for name, value in loaded.items()}
    name, separator, value = text.partition("=")
    if not separator or not name:
        message = f"{text!r} is neither NAME=VALUE nor a JSON object"
        raise argparse.ArgumentTypeError(message)
    return {name.strip(): value}


class _Extend(argparse.Action):
    """Collects values of a repeated flag; one value may also hold several, separated by commas."""

    def __init__(self, *, convert: Callable[[str], Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._convert = convert

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            if self._convert is _pairs:
                whole = str(values).lstrip().startswith("{")
                for text in [values] if whole else values.split(","):
                    setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), **_pairs(text)})
                return
            found = [self._convert(text.strip()) for text in values.split(",") if text.strip()]
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, (getattr(namespace, self.dest) or []) + found)


def _check_unknown(parser: _Parser, rest: list[str], ours: list[str], runner: str) -> None:
    """Ends the program when an argument is neither ours nor Beam's.

    Beam itself would only warn, and a mistyped limit or address would silently fall back to its default.
    Flink's own options are known only to its job server, so with another runner they are let through.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions  # slow import

    beam_parser = _Parser(prog=parser.prog, allow_abbrev=False, add_help=False, conflict_handler="resolve")
    for cls in _subclasses(PipelineOptions):
        cls._add_argparse_args(beam_parser)
    known, unknown = beam_parser.parse_known_args(rest)
    chosen = runner or str(getattr(known, "runner", None) or StandardOptions.DEFAULT_RUNNER)
    if unknown and "direct" in chosen.lower():
        flags = [action for each in beam_parser._actions for action in each.option_strings]
        name = unknown[0].split("=")[0]
        nearest = difflib.get_close_matches(name, ours, 1) or difflib.get_close_matches(name, flags, 1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        parser.error(
            f"unknown option {name}{hint}" if name.startswith("-") else f"unexpected argument {name!r}"
        )


def _subclasses(cls: Any) -> list[Any]:
    found = []
    for each in cls.__subclasses__():
        found += [each, *_subclasses(each)]
    return found
