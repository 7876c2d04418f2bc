"""Writes the modules of `io/keywords` from the options classes: `.venv/bin/python -P docs/make_keywords.py`.

They give editors and mypy the keywords that `WriteToKinesis(...)` and its like take. A test compares the files with what
this makes.
"""

import keyword
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.io.archive import ArchiveOptions
from penstock.io.aws.session import AwsOptions
from penstock.io.beats import BeatsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elements.arguments import described, shown_names
from penstock.io.kinesis import KinesisReadOptions, KinesisWriteOptions
from penstock.io.options import flag_of
from penstock.io.s3 import S3ReadOptions

ROOT = Path(__file__).parents[1]


class Made(NamedTuple):
    """A class of keywords: its base, what it is for, the options classes, further names of options."""

    name: str
    base: str
    about: str
    options: tuple[type, ...]
    also: Mapping[str, str] = {}


AWS = "AwsKeywords"
STREAM = {"stream_name": "kinesis_stream_name"}
FILES = {
    "io/keywords/aws.py": [Made(AWS, "TypedDict", "Keywords of `AwsOptions`.", (AwsOptions,))],
    "io/keywords/kinesis.py": [
        Made("ReadKeywords", AWS, "Keywords of `ReadFromKinesis`.", (KinesisReadOptions,), STREAM),
        Made("WriteKeywords", AWS, "Keywords of `WriteToKinesis`.", (KinesisWriteOptions,)),
    ],
    "io/keywords/elasticsearch.py": [
        Made("WriteKeywords", "TypedDict", "Keywords of `WriteToElasticsearch`.", (ElasticsearchOptions,))
    ],
    "io/keywords/beats.py": [
        Made("ReadKeywords", "TypedDict", "Keywords of `ReadFromBeats`.", (BeatsOptions,))
    ],
    "io/keywords/s3.py": [Made("ReadKeywords", AWS, "Keywords of `ReadFromS3`.", (S3ReadOptions,))],
    "io/keywords/archive.py": [
        Made("WriteKeywords", AWS, "Keywords of `WriteToArchive`.", (ArchiveOptions,)),
    ],
    "io/keywords/dead_letters.py": [
        Made(
            "WriteKeywords", "TypedDict", "Keywords of `WriteDeadLetters`: those of its store.",
            (AwsOptions, ElasticsearchOptions),
        ),
    ],
}  # fmt: skip


def module(path: str, classes: list[Made]) -> str:
    """The text of one file."""
    name = Path(path).stem
    of = " and ".join(each for made in classes for each in re.findall(r"`\w+`", made.about))
    body = "".join(text for made in classes for text in _class(made))
    names = ", ".join(f'"{made.name}"' for made in classes)
    typed = [name for name in ("Literal", "TypedDict") if f"{name}[" in body or f"({name}," in body]
    aws = any(made.base == AWS for made in classes)
    imports = [
        "from collections.abc import Sequence\n" if "Sequence[" in body else "",
        f"from typing import {', '.join(typed)}\n" if typed else "",
        f"\nfrom penstock.io.keywords.aws import {AWS}\n" if aws else "",
    ]
    return (
        f'"""`{name}` gives editors and mypy the keywords of {of}.\n\n'
        'Made by docs/make_keywords.py from the options classes; change them there.\n"""\n\n'
        f"{''.join(imports)}\n__all__ = [{names}]\n{body}"
    )


def _class(made: Made) -> Iterator[str]:
    yield f'\n\nclass {made.name}({made.base}, total=False):\n    """{made.about}"""\n'
    seen: set[str] = set()
    for options in made.options:
        hints = typing.get_type_hints(options)
        for field, name in shown_names(options, made.also):
            if name in seen:
                continue
            seen.add(name)
            kind = _kind(hints[field.name], field.metadata["choices"])
            yield f"\n{_wrapped(f'{name}: {kind}')}{_docstring(described(options, field))}"
            for other in sorted({field.name, flag_of(field)[2:]} - {name}):
                if not keyword.iskeyword(other):
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
    return [path for path, classes in FILES.items() if (ROOT / path).read_text() != module(path, classes)]


if __name__ == "__main__":
    for path, classes in FILES.items():
        (ROOT / path).write_text(module(path, classes))
