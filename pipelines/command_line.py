"""`command_line` makes a command line from option dataclasses, and their instances from a command line.

A job names the dataclasses that it needs; their fields (`penstock.io.options.option`) become flags, grouped by
component. What is not given comes from the environment or a file (`penstock.pipelines.configuration.layers`). Unknown
options go to Beam. An option that Beam doesn't know either is an error with the nearest name that exists. A wrong
option is one line on stderr and exit code 2, never a traceback.
"""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from penstock.io.errors import OptionError
from penstock.pipelines.beam_arguments import require_known, with_underscores
from penstock.pipelines.configuration.config_file import FILE_SUFFIX
from penstock.pipelines.configuration.declared import Declared, declared_in, in_groups
from penstock.pipelines.configuration.help_pages import help_asked, help_page
from penstock.pipelines.configuration.layers import Layers, config_of, secret_in_file
from penstock.pipelines.configuration.making import made
from penstock.pipelines.configuration.options import ConfigOptions
from penstock.pipelines.configuration.values import boolean, chosen, read, several
from penstock.pipelines.console.logs import last_words, wants_json
from penstock.pipelines.job_names import hint_about

__all__ = ["CommandLine", "job_parser", "parse"]

T = TypeVar("T")


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
    classes: Sequence[type] | Callable[[Sequence[str]], Sequence[type]],
    argv: Sequence[str] | None = None,
    epilog: str = "",
    *,
    job: str | None = None,
    first: Sequence[str] = (),
) -> CommandLine:
    """Parses a job's command line.

    Args:
        program: the program as the user typed it, for messages.
        description: for `--help`.
        classes: option dataclasses, or a function that gives them for arguments; a flag that two of them declare is
            given to both.
        argv: the arguments; the process's own by default.
        epilog: text behind the options in `--help`.
        job: the job as a configuration file names it; without one no file is read.
        first: names of the options that its help shows first.

    Raises:
        SystemExit: with code 2 for a wrong, missing or unknown option, 0 for `--help`.
    """
    typed = sys.argv[1:] if argv is None else list(argv)
    arguments = with_underscores(typed)
    parser = _Parser(prog=program, allow_abbrev=False, add_help=False)
    asked = help_asked(arguments)
    parser.json = wants_json(typed)
    try:
        layers = Layers() if job is None or asked is not None else Layers(job, config_of(arguments))
        chosen_classes = (
            tuple(classes) if not callable(classes) else tuple(classes([*layers.early(), *typed]))
        )
        if job is not None:
            chosen_classes = (*chosen_classes, ConfigOptions)
        declared = declared_in(chosen_classes)
        if asked is not None:
            sys.stdout.write(help_page(program, description, epilog, declared, first, asked))
            sys.exit(0)
        _add_all(parser, declared)
        namespace, rest = parser.parse_known_args(arguments)
        given = vars(namespace)
        layers.look_up(in_groups(chosen_classes))
        found = {cls: _look_up(cls, given, layers) for cls in chosen_classes}
        for cls, values_of in found.items():
            _require(cls, values_of, layers.file)
        values = {name: value for each in found.values() for name, (value, _) in each.items()}
        parser.json = parser.json or values.get("log_format") == "json"
        beam = _beam_arguments(layers, rest, job or "", list(declared), str(values.get("runner") or ""))
        placed: dict[type, Any] = {cls: _placed(cls, found[cls]) for cls in chosen_classes}
    except OptionError as error:
        parser.error(str(error))
    return CommandLine({cls: _joined(each, placed) for cls, each in placed.items()}, beam)


def _joined(options: Any, others: Mapping[type, Any]) -> Any:
    """Gives a component's options with what it needs of another's, where it does."""
    return options.joined(others) if hasattr(options, "joined") else options


def job_parser(program: str, declared: Mapping[str, Declared]) -> argparse.ArgumentParser:
    """Gives a parser that takes these options, and neither requires any nor looks elsewhere."""
    parser = _Parser(prog=program, allow_abbrev=False, add_help=False)
    _add_all(parser, declared)
    return parser


def _add_all(parser: argparse.ArgumentParser, declared: Mapping[str, Declared]) -> None:
    for each in declared.values():
        _add(parser, each)


def _look_up(cls: type, given: Mapping[str, Any], layers: Layers) -> dict[str, tuple[Any, str]]:
    """Gives the values of a component's options that are given anywhere, by name, with their places (here: empty)."""
    found = {}
    for option in declared_in([cls]).values():
        path = given.get(option.name + FILE_SUFFIX)
        if given.get(option.name) is not None:
            found[option.name] = given[option.name], ""
        elif option.secret and path is not None:
            place = option.flag + FILE_SUFFIX
            found[option.name] = read(place, option.hint, option.field, secret_in_file(path, place)), place
        elif elsewhere := layers.value(option):
            found[option.name] = elsewhere
    return found


def _require(cls: type, found: Mapping[str, tuple[Any, str]], file: str) -> None:
    """Raises `OptionError` for an option that is required and given nowhere: the file, if there is one, is to have it."""
    for option in declared_in([cls]).values():
        if file and option.required and option.name not in found:
            message = f"{file}: {option.group}.{option.name} is required: {option.help}"
            raise OptionError(message)


def _beam_arguments(layers: Layers, rest: list[str], job: str, ours: list[str], runner: str) -> list[str]:
    """Gives Beam's arguments of the file, and then those of the command line, which win. Raises `OptionError`."""
    if not rest and not layers.beam:
        return []  # then Beam, which is slow to import, isn't asked
    flags = [f"--{name}" for name in ours]
    of_file = [each for arguments in layers.beam.values() for each in arguments]
    runners = [*_runner_of(of_file), *_runner_of(rest)]
    for place, arguments in layers.beam.items():
        try:
            require_known([*arguments, *runners], ours=flags, runner=runner)
        except OptionError as error:
            message = f"{place}: {error}"
            raise OptionError(message) from error
    require_known(
        [*rest, *runners], ours=flags, runner=runner, hint=lambda flag: hint_about(job, flag.lstrip("-"))
    )
    return [*of_file, *rest]


def _runner_of(arguments: list[str]) -> list[str]:
    """Gives the part of the arguments that names a runner: `--runner=NAME`, or `--runner` and the name behind it."""
    found: list[str] = []
    for at, each in enumerate(arguments):
        if each.partition("=")[0] == "--runner":
            found += arguments[at : at + (1 if "=" in each else 2)]
    return found


def _placed(cls: type[T], found: Mapping[str, tuple[Any, str]]) -> T:
    """Makes a component's options. A wrong value is told with its place, where that is not the command line."""
    try:
        return made(cls, {name: value for name, (value, _) in found.items()})
    except OptionError as error:
        named = [
            found[name][1] for name in re.findall(r"--(\w+)", str(error)) if name in found and found[name][1]
        ]
        if not named:
            raise
        message = f"{named[0]}: {error}"
        raise OptionError(message) from error


def _add(parser: Any, option: Declared) -> None:
    arguments: dict[str, Any] = {
        "dest": option.name,
        "default": None,
        "metavar": option.metavar,
    }
    if option.convert is boolean:
        parser.add_argument(option.flag, type=boolean, nargs="?", const=True, **arguments)
    elif option.repeated:
        parser.add_argument(option.flag, action=_Extend, convert=option.convert, **arguments)
    else:
        convert = chosen(option.convert, option.choices) if option.choices else option.convert
        parser.add_argument(option.flag, type=convert, **arguments)
    if option.secret:
        parser.add_argument(option.flag + FILE_SUFFIX, default=None)


class _Extend(argparse.Action):
    """Collects the values of a repeated flag. One value may also hold several, separated by commas."""

    def __init__(self, *, convert: Callable[[str], Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._convert = convert

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            found = several(self._convert, values)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentError(self, str(error)) from error
        before = getattr(namespace, self.dest)
        if isinstance(found, dict):
            setattr(namespace, self.dest, {**(before or {}), **found})
        else:
            setattr(namespace, self.dest, (before or []) + found)
