"""`source` reads lines as batches: of files as they grow (`ReadFromFiles`), and of the standard input (`ReadFromStdin`)."""

import functools
from typing import Any

import apache_beam as beam

from penstock.io.chain.live_source import LiveSource
from penstock.io.chain.unbounded import read_batches
from penstock.io.files.following import FileFollower
from penstock.io.files.line_source import FollowOptions, StdinSource
from penstock.transforms.codecs.lines._multiline import Multiline

__all__ = ["ReadFromFiles", "ReadFromStdin"]


class ReadFromFiles(beam.PTransform):
    """Reads lines of local files as they grow, and gives them as `EventBatch`es.

    Args:
        name: the name of this read; a process has one read of a name.
        options: which files, and how.

    Unit of parallelism: the process; it reads the files of the machine that runs it.
    Delivery guarantee: at least once. A position is stored when all lines before it are acknowledged. Ids are made from a
    line's place, so lines that are read again are not stored twice.
    """

    def __init__(self, name: str, options: FollowOptions) -> None:
        super().__init__()
        self._name = name
        self._options = options

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"path": ", ".join(self._options.path)}

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        return read_batches(begin, f"file:{self._name}", functools.partial(_follow, self._options))


def _follow(options: FollowOptions, key: str) -> LiveSource:
    return FileFollower(key, options)


class ReadFromStdin(beam.PTransform):
    """Reads the lines of the standard input until it ends; then the read ends.

    Args:
        name: the name of this read.
        multiline: as in `FollowOptions`, and so are the others.

    Unit of parallelism: the process.
    Delivery guarantee: none beyond the process: a pipe is read once.
    """

    def __init__(
        self, name: str, *, multiline: Multiline | None = None, as_message: bool = True, ecs: bool = True
    ) -> None:
        super().__init__()
        self._name = name
        self._make = functools.partial(StdinSource, multiline, as_message, ecs)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        return read_batches(begin, f"stdin:{self._name}", self._make)
