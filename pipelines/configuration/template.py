"""`template` writes a configuration file for a job: each option in its group, with default and help, as comments."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.pipelines.configuration.config_file import BEAM, FILE_SUFFIX
from penstock.pipelines.configuration.declared import Declared, groups_of, without_twins

__all__ = ["template"]

_WIDTH = 118
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "~"))


def template(job: str, declared: Iterable[Declared], given: Mapping[str, Any]) -> str:
    """Gives the file's text.

    Args:
        job: the job.
        declared: its options; what two groups have alike is written once.
        given: what to write as it is, by name (of a secret: its file); the other options stand as comments.
    """
    lines = [
        f"# Options of penstock {job}, each with its default. Take the # away before what you change, and before its group.",
        f"#   penstock {job} --config FILE.yaml          penstock run FILE.yaml",
        "# Secrets stand in a file that their NAME_file names, or in the environment: PENSTOCK_NAME. ${NAME:default} is the",
        f"# environment's NAME. Editors complete and check this file by `penstock config {job} --schema`.",
        f"job: {job}",
    ]
    for group, options in groups_of(without_twins(declared)).items():
        if group != "config":
            lines += ["", f"# {options[0].title}.", *_group(group, options, given)]
    lines += ["", "# Beam's own options, such as those of a runner.", f"#{BEAM}:", "#  runner: DirectRunner"]
    return "\n".join(lines) + "\n"


def _group(name: str, options: Sequence[Declared], given: Mapping[str, Any]) -> list[str]:
    said = [each for each in options if {each.name, each.name + FILE_SUFFIX} & given.keys() or each.required]
    lines = [f"{name}:" if said else f"#{name}:"]
    for option in options:
        about = textwrap.wrap(_about(option), _WIDTH - 6)
        lines += [f"  # {line}" for line in about]
        name_there = option.name + FILE_SUFFIX if option.secret else option.name
        if option in said:
            value = given.get(name_there)
            lines.append(f"  {name_there}: {'# required' if value is None else _written(value)}")
        else:
            lines.append(f"  #{name_there}: {_written(None if option.secret else option.default)}".rstrip())
    return lines


def _about(option: Declared) -> str:
    choices = f" One of {', '.join(option.choices)}." if option.choices else ""
    return f"{option.help}{choices}" + (
        " A secret: the path of a file that holds it." if option.secret else ""
    )


def _written(value: Any) -> str:
    """Gives a value as YAML has it, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_written(name)}: {_written(each)}' for name, each in value.items())}}}"
    if isinstance(value, str) and not (value and _BARE.issuperset(value) and value.lower() not in _WORDS):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
