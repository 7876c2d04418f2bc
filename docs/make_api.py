"""Writes `docs/api.md` from the docstrings: `.venv/bin/python -P docs/make_api.py`. A test compares the page with them."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock import testing, transforms
from penstock.io.archive import WriteToArchive
from penstock.io.beats import ReadFromBeats
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import WriteToElasticsearch
from penstock.io.elements import EventRow, FromElements, GiveElements, Refused
from penstock.io.kinesis import ReadFromKinesis, WriteToKinesis
from penstock.io.s3 import FinishUnits, ReadFromS3
from penstock.pipelines.run.streaming import run_streaming

PAGE = Path(__file__).with_name("api.md")
HEAD = """\
# API

<!-- Made by docs/make_api.py from the docstrings; change the words there. -->

The transforms and functions that [pipelines of your own](pipelines.md) are made of, as `help()` shows them in Python too.
The keywords of a connector are [its options](options.md). Logstash's filters have [a page of their own](filters.md).
"""
SECTIONS: dict[str, tuple[Any, ...]] = {
    "Reading": (ReadFromKinesis, ReadFromBeats, ReadFromS3, ReadFromAll),
    "Writing": (
        WriteToKinesis,
        WriteToElasticsearch,
        WriteToArchive,
        WriteDeadLetters,
        Acknowledge,
        FinishUnits,
    ),
    "Elements of any pipeline": (FromElements, GiveElements, EventRow, Refused),
    "Between": tuple(getattr(transforms, name) for name in transforms.__all__),
    "Running": (run_streaming,),
    "Testing": tuple(getattr(testing, name) for name in testing.__all__),
}
_LISTED = ("Args", "Attributes", "Raises")
_HEADING = re.compile(r"(Args|Attributes|Example|Examples|Keyword Args|Raises|Returns):$")


def page() -> str:
    """The whole page."""
    return HEAD + "".join(
        f"\n## {title}\n" + "".join(map(_entry, members)) for title, members in SECTIONS.items()
    )


def _entry(member: Any) -> str:
    name = member.__name__
    text = "".join(f"{line}\n" for line in _lines(inspect.getdoc(member) or ""))
    text = re.sub(r"\n{3,}", "\n\n", text.strip())
    return f"\n### {name}\n\n`{_home(member)}.{name}({_parameters(member)})`\n\n{text}\n"


def _home(member: Any) -> str:
    """The shortest module that gives it, by which one imports it."""
    parts = member.__module__.split(".")
    homes = (".".join(parts[:count]) for count in range(2, len(parts) + 1))
    return next(
        home for home in homes if getattr(importlib.import_module(home), member.__name__, None) is member
    )


def _parameters(member: Any) -> str:
    """The parameters that the code writes; a connector's keywords are `...`."""
    made = getattr(member, "__init__", member) if inspect.isclass(member) else member
    code = getattr(made, "__code__", None)
    if code is None:
        return ", ".join(getattr(member, "_fields", ()))
    count = code.co_argcount + code.co_kwonlyargcount
    names = [each for each in code.co_varnames[:count] if each != "self"]
    return ", ".join(names + ["..."] * bool(code.co_flags & inspect.CO_VARKEYWORDS))


def _lines(doc: str) -> Iterator[str]:
    """The docstring's parts (Google's) as Markdown."""
    section, fenced = "", False
    for line in doc.splitlines():
        heading = _HEADING.match(line)
        if fenced and (heading or (line and not line.startswith("    "))):
            fenced = False
            yield "```\n"
        if heading:
            section = heading[1]
            if section.startswith("Example"):
                fenced = True
                yield "\n```text"
            elif section != "Keyword Args":
                yield f"\n**{section}**\n"
        elif line and not line.startswith("    "):
            section = ""
            yield line
        elif fenced:
            if line:
                yield line[4:]
        elif section == "Keyword Args":
            continue
        elif section in _LISTED and re.match(r"    [\w`]", line):
            named, _, words = line.strip().partition(": ")
            yield f"- `{named}`: {words}"
        else:
            yield f"  {line.strip()}".rstrip() if section in _LISTED else line.strip()
    if fenced:
        yield "```"


if __name__ == "__main__":
    PAGE.write_text(page())
