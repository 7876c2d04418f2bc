"""Writes `docs/options.md` and the table of `docs/codecs.md` from the code: `.venv/bin/python -P docs/make_options.py`.

The classes are the jobs' own, so a job that takes further options needs no change here. A test
compares the page with what this makes.
"""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

from penstock.io.options import flag_of
from penstock.pipelines.check import CheckOptions
from penstock.pipelines.configuration.declared import group_of
from penstock.pipelines.configuration.options import ConfigOptions
from penstock.pipelines.jobs import JOBS, find_job
from penstock.transforms.codecs.declarations import CODECS

PAGE = Path(__file__).with_name("options.md")
CODECS_PAGE = Path(__file__).with_name("codecs.md")
TABLE_BEGINS, TABLE_ENDS = "<!-- made by docs/make_options.py: codecs -->\n", "<!-- end -->\n"
HEAD = """\
# Options

<!-- Made by docs/make_options.py from the code; change the help texts there. -->

Every option of every job, as `penstock JOB --help all` tells them. Beam's own options go beside them on the same command
line. Each may also come from the environment (`PENSTOCK_NAME`) or stand [in a file](configuration.md). A boolean option
may stand alone (`--validate`) or say its value (`--keep_order=false`); lists take commas or the option again; pairs are
`name=value` or a JSON object. In [Beam YAML](pipelines.md#beam-yaml) the same names are used, without the dashes.

Each option has an anchor, its name: `options.md#stream_name`. Where two tables have an option of one name, that of the
second has more in front: `options.md#elasticsearch-ssl_key`.

A **secret** is better given in the environment, under the name that stands with it, or in a file (`--NAME_file PATH`): other
users of the machine can see arguments.
"""


def takers() -> dict[type, list[str]]:
    """Option dataclass -> the jobs that take it, in the order of the jobs; then what `penstock check` takes besides."""
    found: dict[type, list[str]] = {}
    for job in JOBS:
        classes = find_job(job).option_classes
        each = classes([])
        each += tuple(cls for cls in classes(["--to", "kinesis"]) if cls not in each)
        for cls in each:
            found.setdefault(cls, []).append(job)
    return found | {ConfigOptions: ["every job"], CheckOptions: ["check JOB"]}


def page() -> str:
    """The whole page."""
    found, anchors = takers(), set[str]()
    sections = [_section(cls, jobs, anchors) for cls, jobs in found.items()]
    return HEAD + "".join(sections)


def _section(cls: type, jobs: list[str], anchors: set[str]) -> str:
    title = (cls.__doc__ or "").strip().splitlines()[0].rstrip(".")
    rows = "".join(_row(field, _anchor(cls, field, anchors)) for field in dataclasses.fields(cls))
    taken = ", ".join(f"`{job}`" if job != "every job" else job for job in jobs)
    parts = cls.__module__.split(".")
    homes = (".".join(parts[:count]) for count in range(2, len(parts) + 1))
    module = next(home for home in homes if hasattr(importlib.import_module(home), cls.__name__))
    return (
        f"\n## {title}\n\nTaken by {taken}; in Python `{module}.{cls.__name__}`.\n\n"
        f"| option | default | what it does |\n|---|---|---|\n{rows}"
    )


def _anchor(cls: type, field: "dataclasses.Field[Any]", anchors: set[str]) -> str:
    """A name for the row that no other has: the option's, or with its group in front."""
    name = flag_of(field)[2:]
    group = group_of(cls)
    found = next(each for each in (name, f"{group}-{name}", f"{cls.__name__}-{name}") if each not in anchors)
    anchors.add(found)
    return found


def _row(field: "dataclasses.Field[Any]", anchor: str) -> str:
    flag = flag_of(field)
    text = _plain(field.metadata["help"])
    if choices := field.metadata.get("choices"):
        text += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    if field.metadata.get("secret"):
        text += f" Secret: `PENSTOCK_{flag[2:].upper()}`."
    if flag[2:] != field.name:
        text += f" In Python `{field.name}`."
    return f'| <a id="{anchor}" href="#{anchor}">`{flag}`</a> | {_default(field)} | {text} |\n'


def _default(field: "dataclasses.Field[Any]") -> str:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = ", ".join(field.default_factory())
    if default is dataclasses.MISSING:
        return "**required**"
    if default is None or default == "":
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"`{default}`"


_NAMES = re.compile(r"(?<![\w`])(--\w+\*?|%\{[^}]*\}|\w+://[\w/.*]*)")


def _plain(text: str) -> str:
    """The help text with names set as code, and what Markdown would take for its own made harmless."""
    parts = _NAMES.split(text.replace("|", r"\|"))
    for number, part in enumerate(parts):
        parts[number] = f"`{part}`" if number % 2 else part.replace("*", r"\*").replace("<", r"\<")
    return "".join(parts)


def codecs_page(text: str) -> str:
    """The page of codecs with the table as the declarations have it now."""
    before, _, rest = text.partition(TABLE_BEGINS)
    columns = (
        "a record holds",
        "what becomes of it",
        "its `_id` comes from",
        "limits",
        "CPU-s per million events",
    )
    rows = [["codec", *columns], ["---"] * (1 + len(columns))]
    for codec in CODECS.values():
        cells = (codec.takes, codec.gives, codec.identity, codec.limits, codec.cost)
        rows.append([f"`{codec.name}`", *map(_cell, cells)])
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return before + TABLE_BEGINS + table + TABLE_ENDS + rest.partition(TABLE_ENDS)[2]


def _cell(text: str) -> str:
    return text[:1].upper() + text[1:].replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page())
    CODECS_PAGE.write_text(codecs_page(CODECS_PAGE.read_text()))
