"""`option` declares a field of a dataclass as an option, so that every fact about an option is in one place.

The command line (`penstock.pipelines.command_line`), the docs and the error messages read them from the field's metadata.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["did_you_mean", "flag_of", "option", "words_of"]


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,  # noqa: A002  the word that argparse uses
    flag: str | None = None,
    choices: Sequence[str] | None = None,
    secret: bool = False,
) -> Any:
    """Makes a dataclass field that is an option.

    Args:
        default: its default; without one the option is required.
        help: what it does, in a sentence, with unit and trade-off.
        flag: its name on the command line, where that isn't the field's name (`beats_port` for `port`).
        choices: the allowed values.
        secret: whether it is kept out of `repr`, logs and messages.
    """
    metadata = {"help": help, "flag": flag, "choices": choices, "secret": secret}
    if isinstance(default, (list, dict)):
        value = default
        return dataclasses.field(
            default_factory=lambda: type(value)(value), metadata=metadata, repr=not secret
        )
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def flag_of(field: "dataclasses.Field[Any]") -> str:
    """Gives the option's name as a user types it, with the dashes."""
    return "--" + (field.metadata.get("flag") or field.name)


def words_of(field: "dataclasses.Field[Any]") -> str:
    """Gives what the option does, with its choices and its default."""
    text: str = field.metadata["help"]
    if choices := field.metadata["choices"]:
        text += f" One of {', '.join(map(str, choices))}."
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = ", ".join(map(str, field.default_factory()))
    if default is dataclasses.MISSING:
        return f"{text} Required."
    return text if default is None or default == "" else f"{text} Default: {default}."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Gives the hint at a known name that begins so, else at the nearest; empty where none is near."""
    names = list(known)
    begin_so = [each for each in names if len(name.strip("-")) > 2 and each.startswith(name)]
    nearest = begin_so or difflib.get_close_matches(name, names, 1, 0.65)
    return f"; did you mean {nearest[0]}?" if nearest else ""
