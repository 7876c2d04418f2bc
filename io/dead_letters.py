"""Where refused events are kept: a dead-letter sink further down the chain than the sink that refused them.

A letter is one JSON line: the event's original bytes, the reason, who refused it, where it came from. It is on
disk (fsync) before the batch goes on to `Acknowledge`; if it can't be written, the batch fails and nothing of
it is acknowledged, so a refused event is never lost between the two.
"""

import base64
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import apache_beam as beam
import orjson
from apache_beam.metrics import Metrics

from penstock.io.errors import DeliveryError, OptionError
from penstock.io.live import LIVE
from penstock.transforms.batch import DeadLetter, EventBatch

__all__ = ["WriteDeadLetters", "check_url", "encode"]

_LOGGER = logging.getLogger(__name__)


def check_url(url: str) -> None:
    """Raises `OptionError` unless `url` names a dead-letter store that this release has."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
        message = f"--dead_letters {url!r} is not a file URL with a path, such as file:///var/log/penstock/refused.jsonl."
        raise OptionError(message)


def encode(letter: DeadLetter) -> bytes:
    """One letter as a JSON line with its newline; payload bytes that aren't UTF-8 go in as base64."""
    event = letter.event
    line: dict[str, object] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "stage": letter.stage,
        "error": letter.error,
        "reason": letter.reason,
        "status": letter.status,
        "attempts": letter.attempts,
        "id": event.id,
        "origin": {**event.origin.describe(), "index": event.index, "part": event.part},
    }
    try:
        line["data"] = event.data.decode()
    except UnicodeDecodeError:
        line["data_base64"] = base64.b64encode(event.data).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class WriteDeadLetters(beam.PTransform):
    """Stores what a batch's earlier steps refused, then hands the batch on.

    Args:
        url: `file:///path`; lines are appended, by several processes too.

    Delivery guarantee: at least once. A batch that is read again writes its letters again; their `origin` and
    `id` tell such twins.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        check_url(url)
        self._url = url

    def expand(self, batches: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return batches | "WriteDeadLetters" >> beam.ParDo(_WriteDeadLettersDoFn(self._url))


class _WriteDeadLettersDoFn(beam.DoFn):
    def __init__(self, url: str) -> None:
        self._url = url
        self._kept = Metrics.counter("dead_letters", "kept")

    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        if batch.dead_letters:
            path = Path(unquote(urlsplit(self._url).path))
            LIVE.share(f"dead_letters:{path}", lambda: _LetterFile(path)).append(batch.dead_letters)
            for letter in batch.dead_letters:
                letter.kept = True
            self._kept.inc(len(batch.dead_letters))
        yield batch


class _LetterFile:
    """One append-only file; a letter is one write, so lines of several processes don't mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._warned = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        except OSError as error:
            failure = OptionError(f"--dead_letters: cannot write {path}: {error.strerror}.")
            LIVE.fail(failure)
            raise failure from error

    def append(self, letters: list[DeadLetter]) -> None:
        lines = b"".join([encode(letter) for letter in letters])
        with self._lock:
            try:
                view = memoryview(lines)
                while view:
                    view = view[os.write(self._file, view) :]
                os.fsync(self._file)
            except OSError as error:
                failure = DeliveryError(
                    f"cannot store {len(letters)} refused events in {self._path}: {error.strerror}. "
                    "They are not acknowledged and come again; make room, or name another --dead_letters."
                )
                LIVE.fail(failure)
                raise failure from error
            if time.monotonic() - self._warned > 60 or not self._warned:
                self._warned = time.monotonic()
                first = letters[0]
                _LOGGER.warning(
                    "%d events refused by %s (%s: %s); kept in %s",
                    len(letters), first.stage, first.error, first.reason[:200], self._path,
                )  # fmt: skip

    def close(self) -> None:
        os.close(self._file)
