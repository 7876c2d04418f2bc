"""`plan` holds what a checked `logstash.conf` becomes: inputs, filters and outputs with the options of our connectors.

A plan is complete: nothing in it is still to be looked up, so whoever builds the graph reads no file and no variable.
It may hold secrets (a password of an output), so it is never printed; `explain` says what may be shown.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from penstock.io.aws.session import AwsOptions
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.logstash.compile import Step
from penstock.transforms.logstash.language._tree import Places

__all__ = [
    "FileInput",
    "FileOutput",
    "Input",
    "NullOutput",
    "Output",
    "Place",
    "Plan",
    "StdinInput",
    "StdoutOutput",
    "TextCodec",
    "rivals",
]


class Place(NamedTuple):
    """Where something stands: a file (`-e` for the command line), and line and column from 1; line 0: it has no lines."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclasses.dataclass(frozen=True)
class FileInput:
    """The input `file`.

    Attributes:
        path: paths and globs.
        exclude: globs of names that are left out.
        start_position: `beginning` or `end`, for files that are not known yet.
        mode: `tail` goes on at the end of a file, `read` is done there.
        delimiter: what ends a line.
        positions: the file that keeps the positions; None: none is kept.
        ecs: whether the fields of path and host are those of the Elastic Common Schema.
    """

    path: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    start_position: str = "end"
    mode: str = "tail"
    delimiter: str = "\n"
    positions: str | None = None
    ecs: bool = True


@dataclasses.dataclass(frozen=True)
class StdinInput:
    """The input `stdin`: a line is an event (with `DecodeOptions`), and the end of the input ends the job.

    Attributes:
        ecs: whether the field of the host is that of the Elastic Common Schema.
    """

    ecs: bool = True


@dataclasses.dataclass(frozen=True)
class TextCodec:
    """How an output of text writes an event.

    Attributes:
        name: `json` (no line end), `json_lines`, `rubydebug`, `line`, `plain` (no line end) or `dots` (one per event).
        format: of `line` and `plain`: a text with `%{field}`; None: time, host and message.
        delimiter: what stands behind each event.
        metadata: of `rubydebug`: whether `@metadata` is shown.
    """

    name: str
    format: str | None = None
    delimiter: str = "\n"
    metadata: bool = False


@dataclasses.dataclass(frozen=True)
class FileOutput:
    """The output `file`. `path` may hold `%{field}` and `%{+date}`."""

    path: str
    codec: TextCodec
    gzip: bool = False
    append: bool = True
    flush_interval: float = 2.0


@dataclasses.dataclass(frozen=True)
class StdoutOutput:
    """The output `stdout`."""

    codec: TextCodec


@dataclasses.dataclass(frozen=True)
class NullOutput:
    """The output `null`: every event is done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """One input.

    Attributes:
        plugin: `beats`, `kinesis`, `s3`, `file` or `stdin`.
        name: its `id`, else the plugin and its line, `beats:3`; no two inputs of a plan have the same.
        options: `BeatsOptions`, `KinesisReadOptions`, `S3ReadOptions`, `FileInput` or `StdinInput`.
        place: where it stands.
        aws: who we are for AWS; None where it needs none.
        decode: how its records become events; None where they come as JSON documents (beats).
        after: filters for the events of this input alone, before all others: `type`, `tags`, `add_field`, a codec of the
            beats input, and what Logstash would add by itself, where it was asked for. Empty: bytes pass as they came.
        properties: whether where each record or object stood is added to `[@metadata]`, in front of those.
    """

    plugin: str
    name: str
    options: Any
    place: Place
    aws: AwsOptions | None = None
    decode: DecodeOptions | None = None
    after: tuple[Step, ...] = ()
    properties: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """One output.

    Attributes:
        plugin: `kinesis`, `elasticsearch` (`opensearch` too), `file`, `stdout` or `null`.
        name: its `id`, else the plugin and its line, `elasticsearch:9`; no two outputs of a plan have the same. A letter
            keeps it, so that a replay knows where to go.
        options: `KinesisWriteOptions`, `ElasticsearchOptions`, `FileOutput`, `StdoutOutput` or `NullOutput`.
        place: where it stands.
        aws: who we are for AWS; None where it needs none.
        condition: the tree of the condition under which an event goes there (`language/_tree`): that of its own branch,
            and of all around it, with those before it negated; None: every event goes there. It has compiled once.
        condition_text: the same for people.
        places: lines and columns of the condition's text.
        env: the variables that it names.
        fallback: the options for a server without data streams, where only a default chose one; else None.
    """

    plugin: str
    name: str
    options: Any
    place: Place
    aws: AwsOptions | None = None
    condition: Any = None
    condition_text: str = ""
    places: Places | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fallback: Any = None

    @property
    def identity(self) -> AwsOptions | None:
        """Who we are for AWS there, also where the options hold it: those of a cluster whose requests are signed."""
        return self.aws or getattr(self.options, "aws", None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One pipeline.

    Attributes:
        name: `pipeline.id`; `main` for one file.
        inputs: at least one.
        filters: the filters of all files in their order, each file a step of its own; other sections are blanked out.
        outputs: at least one; every event goes to each whose condition holds.
        notes: what the start says, a line each.
    """

    name: str
    inputs: tuple[Input, ...]
    filters: tuple[Step, ...]
    outputs: tuple[Output, ...]
    notes: tuple[str, ...] = ()


def rivals(inputs: Iterable[Input]) -> Iterator[tuple[Input, str]]:
    """Gives each input that would take a port or a lease table from one before it, and what is wrong."""
    first: dict[tuple[str, ...], Input] = {}
    for each in inputs:
        options = each.options
        if each.plugin == "beats" and options.port:
            key: tuple[str, ...] = ("beats", options.host, str(options.port))
            told = f"port {options.port} is that of"
        elif each.plugin == "kinesis":
            key = ("kinesis", options.application_name)
            told = f"application_name {options.application_name} names the lease table of"
        else:
            continue
        other = first.setdefault(key, each)
        if other is not each:
            place = f"{other.place.file}:{other.place.line}"
            yield each, f"{each.plugin}: {told} the input at {place} too; give another"
