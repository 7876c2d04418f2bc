"""`beam_arguments` makes Beam's options from a command line, and refuses those that no supported runner takes.

Beam itself drops an unknown option with a warning, so a mistyped limit or address silently keeps its default. A
hyphen in an option's name is an underscore.
"""

import argparse
import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from penstock.io.errors import OptionError
from penstock.transforms.options import did_you_mean

__all__ = ["beam_options", "require_known", "with_underscores"]

_FLINKS_OWN = ("FlinkRunnerOptions", "FlinkStreamingOptions", "SubmissionOptions")
"""Classes of options that only Flink takes; on another runner they would do nothing."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionError(message)


def with_underscores(arguments: Iterable[str]) -> list[str]:
    """Gives the same arguments, with underscores for the hyphens in options' names."""
    return [_with_underscores(each) for each in arguments]


def _with_underscores(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def beam_options(arguments: Sequence[str]) -> Any:
    """Makes Beam's `PipelineOptions`.

    Raises:
        OptionError: no supported runner takes one of them, or its value is wrong.
    """
    from apache_beam.options.pipeline_options import PipelineOptions  # slow import

    given = with_underscores(arguments)
    require_known(given)
    return PipelineOptions(given)


def require_known(
    arguments: Sequence[str],
    *,
    ours: Sequence[str] = (),
    runner: str = "",
    hint: Callable[[str], str] = lambda flag: "",
) -> None:
    """Raises `OptionError` for an argument that neither Beam nor the chosen runner takes.

    Args:
        arguments: the arguments left for Beam, with underscores.
        ours: our own flags, for a hint.
        runner: the runner that is chosen, where it is not among the arguments.
        hint: gives the end of the message for an unknown one, where something is known of it.
    """
    if not arguments:
        return
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions  # slow import

    # They declare options of ours among Beam's.
    importlib.import_module("penstock.io.chain.pacing")
    importlib.import_module("penstock.pipelines.flink_options")
    parser = _Parser(allow_abbrev=False, add_help=False, conflict_handler="resolve")
    takers: dict[str, str] = {}
    for cls in _subclasses(PipelineOptions):
        before = set(_flags(parser))
        cls._add_argparse_args(parser)
        takers |= dict.fromkeys(set(_flags(parser)) - before, cls.__name__)
    given, unknown = parser.parse_known_args(arguments)
    names = [each.partition("=")[0] for each in unknown]
    if names:
        name = names[0]
        told = hint(name) or did_you_mean(name, [*ours, *_flags(parser)])
        if not name.startswith("-") and os.path.exists(name):
            told = ": if the shell made it of a pattern, put quotes around the pattern"
        is_option = name.startswith("--") and name != "--"
        message = f"unknown option {name}{told}" if is_option else f"unexpected argument {name!r}{told}"
        raise OptionError(message)
    chosen = (runner or str(getattr(given, "runner", None) or StandardOptions.DEFAULT_RUNNER)).lower()
    if "flink" in chosen or "portable" in chosen:
        return
    for each in arguments:
        name = each.partition("=")[0]
        if takers.get(name) in _FLINKS_OWN:
            message = f"{name} is an option of Flink. Leave it out, or give --runner FlinkRunner."
            raise OptionError(message)


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings]


def _subclasses(cls: Any) -> list[Any]:
    found = []
    for each in cls.__subclasses__():
        found += [each, *_subclasses(each)]
    return found
