"""`help_pages` writes a job's help: the options that people need and the names of the groups, or what is asked for."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from penstock.io.errors import OptionError
from penstock.pipelines.configuration.config_file import FILE_SUFFIX
from penstock.pipelines.configuration.declared import Declared, groups_of
from penstock.transforms.options import did_you_mean

__all__ = ["ALL", "help_asked", "help_page"]

ALL = "all"
_COLUMN = 30
_WIDEST = 120
_SHORT = 5
"""Lines of an end that are not too many for the first page."""


def help_asked(arguments: Sequence[str]) -> str | None:
    """Gives what a command line asks help for: a group, an option, `all`, or an empty text; None where it asks for none."""
    for number, each in enumerate(arguments):
        if each in ("-h", "--help"):
            following = arguments[number + 1] if number + 1 < len(arguments) else ""
            return "" if following.startswith("-") else following
        if each.startswith("--help="):
            return each.partition("=")[2]
    return None


def help_page(
    program: str,
    description: str,
    epilog: str,
    declared: Mapping[str, Declared],
    first: Sequence[str],
    asked: str,
) -> str:
    """Gives a page of help.

    Args:
        program: the program as the user typed it.
        description: what the job does.
        epilog: text at the end.
        declared: its options.
        first: the names of those that people need; without them all are shown.
        asked: as of `help_asked`.

    Raises:
        OptionError: neither a group nor an option has that name.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    groups = groups_of(declared.values())
    name = asked.replace("-", "_").lstrip("_")
    if name and name != ALL:
        if name not in groups and name not in declared:
            hint = did_you_mean(name, [*groups, *declared, ALL]) or f"; there are {', '.join([*groups, ALL])}"
            message = f"--help {asked}: no group or option is called that{hint}"
            raise OptionError(message)
        return _shown(groups[name] if name in groups else [declared[name]], width)
    if name == ALL or not first:
        return (
            f"{description}\n\n" + "\n".join(_shown(each, width) for each in groups.values()) + _end(epilog)
        )
    needed = [declared[each] for each in first if each in declared]
    lines = [
        f"{description}\n",
        "options that people need first:",
        *_lines(needed, width),
        "",
        "all options, by group:",
    ]
    longest = max(map(len, groups))
    for group, options in groups.items():
        count = f"{len(options)} option{'s' if len(options) > 1 else ''}"
        lines.append(f"  {group:{longest}}  {count:>10}  {options[0].title}.")
    lines += [
        "",
        f"{program} --help GROUP shows one of them, --help OPTION one option, --help {ALL} everything.",
        "An option may also stand in a file (--config FILE.yaml) or in the environment (PENSTOCK_NAME).",
    ]
    return "\n".join(lines) + "\n" + (_end(epilog) if epilog.count("\n") < _SHORT else "")


def _end(epilog: str) -> str:
    return f"\n{epilog}\n" if epilog else ""


def _shown(options: Sequence[Declared], width: int) -> str:
    return "\n".join([f"{options[0].group}: {options[0].title}.", *_lines(options, width)]) + "\n"


def _lines(options: Iterable[Declared], width: int) -> list[str]:
    found = []
    for option in options:
        left = f"  {option.flag} {option.metavar}"
        text = textwrap.wrap(_about(option), max(width - _COLUMN, 30), break_on_hyphens=False)
        if len(left) + 2 > _COLUMN:
            found.append(left)
        else:
            text[0] = f"{left:{_COLUMN}}{text[0]}"
        found += [each if each.startswith("  --") else f"{'':{_COLUMN}}{each}" for each in text]
    return found


def _about(option: Declared) -> str:
    text = option.help
    if option.secret:
        text += f" Better given as {option.variable} in the environment, or in a file: {option.flag}{FILE_SUFFIX} PATH."
    default = option.default
    if isinstance(default, (list, dict)):
        default = ", ".join(default) or None
    if option.required:
        text += " Required."
    elif default is not None and default is not False and default != "":
        shown = "true" if default is True else f"{default:.15g}" if isinstance(default, float) else default
        text += f" Default: {shown}."
    return text
