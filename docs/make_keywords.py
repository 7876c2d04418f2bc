"""Writes the `keywords.py` of each connector's room from the options classes: `.venv/bin/python -P docs/make_keywords.py`.

They give editors and mypy the keywords that `WriteToKinesis(...)` and its like take. A test compares the files with what
this makes.
"""

import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elements.arguments import described, shown_names
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions
from penstock.io.options import flag_of

ROOT = Path(__file__).parents[1]


class Made(NamedTuple):
    """A class of keywords: its base, what it is for, the options class, further names of options."""

    name: str
    base: str
    about: str
    options: type
    also: Mapping[str, str] = {}


FILES = {
    "io/kinesis/keywords.py": [
        Made("AwsKeywords", "TypedDict", "Keywords of `AwsOptions`.", AwsOptions),
        Made(
            "ReadKeywords",
            "AwsKeywords",
            "Keywords of `ReadFromKinesis`.",
            KinesisReadOptions,
            {"stream_name": "kinesis_stream_name"},
        ),
        Made("WriteKeywords", "AwsKeywords", "Keywords of `WriteToKinesis`.", KinesisWriteOptions),
    ],
    "io/elasticsearch/keywords.py": [
        Made("WriteKeywords", "TypedDict", "Keywords of `WriteToElasticsearch`.", ElasticsearchOptions)
    ],
    "io/beats/keywords.py": [Made("ReadKeywords", "TypedDict", "Keywords of `ReadFromBeats`.", BeatsOptions)],
}


def module(classes: list[Made]) -> str:
    """The text of one file."""
    body = "".join(text for made in classes for text in _class(made))
    names = ", ".join(f'"{made.name}"' for made in classes)
    lists = "from collections.abc import Sequence\n" if "Sequence[" in body else ""
    literal = "Literal, " if "Literal[" in body else ""
    return (
        '"""`keywords` gives editors and mypy the keywords of this room\'s transforms.\n\n'
        'Made by docs/make_keywords.py from the options classes; change them there.\n"""\n\n'
        f"{lists}from typing import {literal}TypedDict\n\n__all__ = [{names}]\n{body}"
    )


def _class(made: Made) -> Iterator[str]:
    yield f'\n\nclass {made.name}({made.base}, total=False):\n    """{made.about}"""\n'
    hints = typing.get_type_hints(made.options)
    for field, name in shown_names(made.options, made.also):
        kind = _kind(hints[field.name], field.metadata["choices"])
        yield f"\n{_wrapped(f'{name}: {kind}')}{_docstring(described(made.options, field))}"
        for other in sorted({field.name, flag_of(field)[2:]} - {name}):
            yield f"\n{_wrapped(f'{other}: {kind}')}{_docstring(f'The same as `{name}`.')}"


def _kind(hint: Any, choices: Any) -> str:
    arms = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return " | ".join(_arm(arm, choices) for arm in arms)


def _arm(arm: Any, choices: Any) -> str:
    if arm is type(None):
        return "None"
    if choices:
        return "Literal[" + ", ".join(f'"{choice}"' for choice in choices) + "]"
    if typing.get_origin(arm) is list:
        (inner,) = typing.get_args(arm)
        return f"{inner.__name__} | Sequence[{inner.__name__}]"
    return str(arm) if typing.get_args(arm) else arm.__name__


def _wrapped(line: str) -> str:
    return f"    {line}\n"


def _docstring(text: str) -> str:
    text = text.replace("\\", "\\\\")
    if len(text) <= 112:
        return f'    """{text}"""\n'
    lines = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
    inner = "".join(f"    {line}\n" for line in lines)
    return f'    """{inner.strip()}\n    """\n'


def stale() -> list[str]:
    """The files that differ from what the options classes say."""
    return [path for path, classes in FILES.items() if (ROOT / path).read_text() != module(classes)]


if __name__ == "__main__":
    for path, classes in FILES.items():
        (ROOT / path).write_text(module(classes))
