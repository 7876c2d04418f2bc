"""`sink` writes batches to files, to the standard output, or nowhere, as Logstash's outputs file, stdout and null do."""

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import borrowed, without_refused
from penstock.io.errors import OptionError, PeerError
from penstock.io.files._text import text_function
from penstock.io.files.file_writer import FileWriter
from penstock.transforms.batch import DeadLetter, Event, EventBatch
from penstock.transforms.reference import compile_reference
from penstock.transforms.step_kind import StepKind

__all__ = ["WriteNowhere", "WriteToFiles", "WriteToStdout", "file_writer", "stdout_writer"]

_LOGGER = logging.getLogger(__name__)
NAMESPACE = "files"


class WriteToFiles(beam.PTransform):
    """Appends events to files of the machine that runs the step, and gives their batches.

    Args:
        path: the file; `%{field}` and `%{+YYYY-MM-dd}` allowed. Missing folders are made.
        codec: `json_lines`, `json`, `line`, `plain` or `rubydebug`.
        line_format: of `line` and `plain`: a text with `%{field}`; None: time, host and message.
        delimiter: what stands behind each event.
        metadata: of `rubydebug`: whether `@metadata` is shown.
        compress: whether files are written as gzip.
        append: whether what a file holds at the start stays.

    Raises:
        OptionError: an argument has a value that can't be.

    Delivery guarantee: at least once. A batch is on disk before it is handed on. After a kill, events that were not
    acknowledged are appended again.
    """

    step_kind = StepKind(refuses=True)

    def __init__(
        self,
        path: str,
        *,
        codec: str = "json_lines",
        line_format: str | None = None,
        delimiter: str = "\n",
        metadata: bool = False,
        compress: bool = False,
        append: bool = True,
    ) -> None:
        super().__init__()
        self._settings = (path, codec, line_format, delimiter, metadata, compress, append)
        try:
            compile_reference(path)
            text_function(codec, line_format, delimiter, metadata)
        except ValueError as error:
            message = f"cannot write {path}: {error}."
            raise OptionError(message) from None

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"path": self._settings[0], "codec": self._settings[1]}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteToFiles" >> beam.ParDo(_WriteDoFn("file", self._settings))


class WriteToStdout(beam.PTransform):
    """Prints events, and gives their batches.

    Args:
        codec: as in `WriteToFiles`, and so are the others.

    Delivery guarantee: at least once; nobody knows who reads it.
    """

    step_kind = StepKind(refuses=True)

    def __init__(
        self,
        *,
        codec: str = "rubydebug",
        line_format: str | None = None,
        delimiter: str = "\n",
        metadata: bool = False,
    ) -> None:
        super().__init__()
        self._settings = (codec, line_format, delimiter, metadata)
        try:
            text_function(codec, line_format, delimiter, metadata)
        except ValueError as error:
            message = f"cannot write to the standard output: {error}."
            raise OptionError(message) from None

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"codec": self._settings[0]}

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteToStdout" >> beam.ParDo(_WriteDoFn("stdout", self._settings))


class WriteNowhere(beam.PTransform):
    """Counts events as written, and gives their batches: each event is done."""

    step_kind = StepKind()

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteNowhere" >> beam.ParDo(_NowhereDoFn())


class _WriteDoFn(beam.DoFn):
    def __init__(self, kind: str, settings: tuple[Any, ...]) -> None:
        self._kind = kind
        self._settings = settings
        self._written = Metrics.counter(NAMESPACE, "events")
        self._refused = Metrics.counter(NAMESPACE, "refused")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        if not batch.events:
            yield batch
            return
        make = file_writer if self._kind == "file" else stdout_writer
        with borrowed(f"{self._kind}:{self._settings!r}", lambda: make(*self._settings)) as writer:
            letters = writer.write(batch.events)
        self._written.inc(len(batch.events) - len(letters))
        if letters:
            self._refused.inc(len(letters))
            first = letters[0]
            _LOGGER.warning("%d events not written: %s: %s", len(letters), first.error, first.reason)
        yield without_refused(batch, letters)


class _NowhereDoFn(beam.DoFn):
    def __init__(self) -> None:
        self._written = Metrics.counter(NAMESPACE, "events")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        self._written.inc(len(batch.events))
        yield batch


def file_writer(
    path: str,
    codec: str,
    line_format: str | None,
    delimiter: str,
    metadata: bool,
    compress: bool,
    append: bool,
) -> FileWriter:
    """Makes the writer of a process; the arguments are those of `WriteToFiles`."""
    text = text_function(codec, line_format, delimiter, metadata)
    return FileWriter(path, text, compress=compress, append=append, stopping=LIVE.stopping)


def stdout_writer(codec: str, line_format: str | None, delimiter: str, metadata: bool) -> "_StdoutWriter":
    """Makes the writer of a process; the arguments are those of `WriteToStdout`."""
    return _StdoutWriter(codec, line_format, delimiter, metadata)


class _StdoutWriter:
    _lock = threading.Lock()
    """One for all: a batch is printed as a whole."""

    def __init__(self, codec: str, line_format: str | None, delimiter: str, metadata: bool) -> None:
        self._text = text_function(codec, line_format, delimiter, metadata)

    def write(self, events: list[Event]) -> list[DeadLetter]:
        """Prints events, and returns letters of those that are no text."""
        letters: list[DeadLetter] = []
        texts: list[bytes] = []
        for event in events:
            try:
                texts.append(self._text(event))
            except (ValueError, TypeError) as error:
                letters.append(DeadLetter(event, type(error).__name__, str(error)[:300], "stdout"))
        try:
            with self._lock:
                sys.stdout.flush()
                out = getattr(sys.stdout, "buffer", None)
                if out is None:  # a test's
                    sys.stdout.write(b"".join(texts).decode(errors="replace"))
                else:
                    out.write(b"".join(texts))
                sys.stdout.flush()
        except OSError as error:
            message = f"cannot write to the standard output: {error.strerror}. Its events come again."
            raise PeerError(message) from error
        return letters

    def close(self) -> None:
        """Closes nothing."""
