"""`logs` writes what a job says on stderr: lines for a person, or `--log_format json` for a machine.

- Every line is bounded, and no text of a peer can begin a line of its own or move the cursor: control characters
  are replaced.
- JSON has the names of the Elastic Common Schema's logging, so Filebeat ships it as it is (`ndjson` parser).
- A user's mistake never gives a traceback; `--log_level debug` shows those of our own bugs. A thread that dies says so
  in one line.

Source: https://www.elastic.co/docs/reference/ecs/logging/intro (@timestamp, log.level, message, log.logger, error.*).
"""

import dataclasses
import datetime
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from penstock.io.errors import PenstockError
from penstock.io.options import option

__all__ = [
    "FIGURES",
    "JsonFormatter",
    "LogOptions",
    "TextFormatter",
    "last_line",
    "last_words",
    "printable",
    "set_up_logging",
    "tell",
    "wants_json",
    "writes_json",
]

_LOGGER = logging.getLogger("penstock")
_MAX_MESSAGE = 2000
_MAX_TRACE = 6000
FIGURES = "penstock_figures"
"""The attribute of a record (`extra`) that holds numbers for a machine; in JSON they are `penstock.NAME`."""
MAX_LINE_BYTES = 16 << 10
"""Bytes that container runtimes pass on in one piece."""


@dataclasses.dataclass(frozen=True)
class LogOptions:
    """How much is logged, and in which form."""

    log_level: str = option(
        "info", help="How much is logged to stderr.", choices=("debug", "info", "warning", "error")
    )
    log_format: str = option(
        "text",
        help="text: lines for a person; json: one object per line, with the names of Elastic's logging schema.",
        choices=("text", "json"),
    )


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line that may be wrong elsewhere asks for JSON, so that its error comes as JSON too."""
    chosen = [
        value
        for flag, value in zip(["", *argv], [*argv, ""], strict=True)
        if flag == "--log_format" or value.startswith("--log_format=")
    ]
    return bool(chosen) and chosen[-1].rpartition("=")[2] == "json"


def set_up_logging(options: LogOptions, worker: int = 0) -> None:
    """Logs to stderr: our lines from the level up, others' warnings without tracebacks.

    Args:
        options: how much, and in which form.
        worker: the number of this worker process, which every line names; 0 where the job is one process.
    """
    json = options.log_format == "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if json else TextFormatter(worker))
    if options.log_level != "debug":
        handler.addFilter(_is_for_a_person)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("penstock").setLevel(options.log_level.upper())
    logging.captureWarnings(True)
    threading.excepthook = _thread_died


def last_words(name: str, text: str, exit_code: int, *, json: bool | None = None) -> None:
    """Says why a job ends: one line, whatever the log level. Arguments as of `last_line`."""
    sys.stderr.write(last_line(name, text, exit_code, json=json))


def last_line(name: str, text: str, exit_code: int, *, json: bool | None = None) -> str:
    """Gives the line that says why a job ends, with its newline.

    Args:
        name: the job's name.
        text: what happened, where, what to do.
        exit_code: the exit code of the process.
        json: whether to write JSON; None: as the log is written.
    """
    if writes_json() if json is None else json:
        return _line({"level": "error", "message": f"{name}: {_clean(text)}", "process.exit_code": exit_code})
    return f"penstock {name}: {_clean(text)}\n"


def tell(text: str, **figures: int | float | str) -> None:
    """Says how a job went, whatever the log level.

    Args:
        text: lines for a person; the first one is a summary.
        figures: the same for a machine; in JSON they are `penstock.NAME`.
    """
    if writes_json():
        first = _clean(text.partition("\n")[0])
        sys.stderr.write(_line({"level": "info", "message": first, **_named(figures)}))
    else:
        sys.stderr.write(f"{text}\n")


def printable(text: str, instead: str = " ") -> str:
    """Gives the text with `instead` for unprintable characters: a peer's words must not move the cursor."""
    if text.isprintable():
        return text
    # A lone surrogate isn't printable either, so the result can be written as UTF-8.
    return "".join(each if each.isprintable() else instead for each in text)


def writes_json() -> bool:
    """Whether the log is written as JSON."""
    return any(isinstance(each.formatter, JsonFormatter) for each in logging.getLogger().handlers)


class TextFormatter(logging.Formatter):
    """`2026-11-22 18:26:00,123 INFO    message`."""

    def __init__(self, worker: int = 0) -> None:
        name = f"worker {worker}: " if worker else ""
        super().__init__(f"%(asctime)s %(levelname)-7s {name}%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the library's name
        """Gives the line, without unprintable characters."""
        record.message = _clean(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Writes one JSON object, at most `MAX_LINE_BYTES` long with its newline; `worker` as in `set_up_logging`."""

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._worker = {"penstock.worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        """Gives the object, without its newline."""
        fields: dict[str, Any] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "message": _clean(record.getMessage()),
            "log.logger": record.name,
            **self._worker,
            **_named(getattr(record, FIGURES, {})),
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["error.type"] = record.exc_info[0].__name__
            fields["error.message"] = _clean(str(record.exc_info[1]))
            fields["error.stack_trace"] = self.formatException(record.exc_info)[-_MAX_TRACE:]
        return _line(fields)[:-1]


def _named(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {f"penstock.{name}": value for name, value in figures.items()}


def _line(fields: dict[str, Any]) -> str:
    moment = datetime.datetime.fromtimestamp(fields.pop("time", None) or _now(), datetime.UTC)
    document = {
        "@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": fields.pop("level"),
        **fields,
        "ecs.version": "1.6.0",
    }
    while len(line := orjson.dumps(document, default=str)) >= MAX_LINE_BYTES:
        longest = max(
            (name for name in document if isinstance(document[name], str)), key=lambda n: len(document[n])
        )
        document[longest] = document[longest][: len(document[longest]) // 2]
    return line.decode() + "\n"


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


def _clean(text: str) -> str:
    """Makes one line of printable characters, of bounded length."""
    if len(text) > _MAX_MESSAGE:
        text = f"{text[:_MAX_MESSAGE]}... ({len(text) - _MAX_MESSAGE} more characters)"
    return printable(text)


def _is_for_a_person(record: logging.LogRecord) -> bool:
    """Keeps out the tracebacks that Beam logs for a failure which we report in one line."""
    if record.name.partition(".")[0] == "penstock":
        # A traceback of ours shows a bug, unless a peer or the user is to blame. Then the line says it all.
        if record.exc_info and isinstance(record.exc_info[1], PenstockError):
            record.exc_info = None
        return True
    return not (record.exc_info or "\n" in record.getMessage())


def _thread_died(died: threading.ExceptHookArgs) -> None:
    if died.exc_type is SystemExit:
        return
    name = died.thread.name if died.thread is not None else "?"
    text = " ".join(str(died.exc_value).split())
    shown = died.exc_value if _LOGGER.isEnabledFor(logging.DEBUG) else None
    kind = died.exc_type.__name__
    _LOGGER.error("thread %s ended by %s: %s (--log_level debug shows all)", name, kind, text, exc_info=shown)
