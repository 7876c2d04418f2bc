"""What a batch job does around its graph: list, run with a display, report, and say by its exit code how it went.

- A batch job ends by itself. SIGINT and SIGTERM ask for a clean stop: what was read is written, nothing more is
  read, and what is finished is in the manifest. A second signal ends the process at once.
- A person at a terminal sees one line that is rewritten; a log file gets a line now and then.
- Exit codes: 0 all read and nothing refused (with `--allow_dead_letters`: or refused and kept); 1 failed, or some
  events were refused; 2 wrong options; 3 stopped before the end.
"""

import contextlib
import dataclasses
import logging
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions

from penstock.io import errors
from penstock.io.dead_letters import check_url
from penstock.io.errors import OptionError, PenstockError
from penstock.io.live import LIVE
from penstock.io.options import option
from penstock.io.process import calm_garbage_collector
from penstock.io.s3.tally import Counts, ask_to_stop, read_counts
from penstock.pipelines.logs import LogOptions, last_words, set_up_logging, tell
from penstock.pipelines.runners import settle
from penstock.pipelines.running import Watch, choose_runner, report
from penstock.pipelines.status import Progress, StatusOptions, refuse_elsewhere, shown
from penstock.pipelines.terminal_line import TerminalLine, takes_a_line

__all__ = ["BatchJobOptions", "Workload", "run_batch"]

_LOGGER = logging.getLogger("penstock")
_DISPLAY_EVERY_S = 0.5
_LOG_EVERY_S = 30.0
STOPPED = 3
"""Exit code of a job that was asked to stop before its end."""


@dataclasses.dataclass(frozen=True)
class BatchJobOptions(StatusOptions, LogOptions):
    """The batch job itself."""

    dead_letters: str = option(
        "",
        help="Where refused events are kept: file:///path, elasticsearch:index, s3://bucket/prefix or kinesis:stream. "
        "Without it, ./dead_letters/JOB.jsonl.",
    )
    allow_dead_letters: bool = option(False, help="Exit code 0 although some events were refused and kept.")
    dry_run: bool = option(
        False, help="List what would be read, with counts, bytes and an estimate; read nothing."
    )
    workers: int = option(
        1, help="Worker processes on this machine (DirectRunner); each uses about one core and its own bulks."
    )
    progress: str = option(
        "auto",
        choices=("auto", "display", "log", "none"),
        help="A line that is rewritten, log lines, or nothing; auto: the first at a terminal, else the second.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dead_letters:
            check_url(self.dead_letters)
        if self.workers < 1:
            message = "--workers must be at least 1."
            raise OptionError(message)

    def dead_letter_url(self, job: str) -> str:
        """The URL given, else a file named after the job in the working directory."""
        return self.dead_letters or f"file://{Path('dead_letters').absolute()}/{job}.jsonl"


@dataclasses.dataclass
class Workload:
    """What the job is about to do, for its display.

    Attributes:
        objects: how many are to be read.
        bytes: their sizes' sum.
        done_before: how many earlier runs have finished.
    """

    objects: int = 0
    bytes: int = 0
    done_before: int = 0


def run_batch(
    name: str,
    job: BatchJobOptions,
    beam_arguments: Sequence[str],
    prepare: Callable[[], Workload | None],
    build: Callable[[Any, str], Any],
) -> int:
    """Runs a batch job to its end and returns its exit code.

    Args:
        name: the job's name, for messages.
        job: options of the job itself.
        beam_arguments: what is left for Beam's own options.
        prepare: checks and lists; raises `PenstockError` for what would not work; None: there is nothing to run.
        build: puts the graph on a pipeline; gets the folder where progress is told.
    """
    watch = Watch(0.0)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder, _quiet_workers(job, folder):
        set_up_logging(job)
        for handler in logging.getLogger().handlers:
            handler.addFilter(_from_a_worker)
        try:
            options = PipelineOptions([*beam_arguments, *_worker_arguments(job.workers)])
            options.view_as(SetupOptions).save_main_session = False
            place = settle(options, name, streaming=False)
            if place.elsewhere:
                refuse_elsewhere(job, place.runner)
            runner = choose_runner(options)
            work = prepare()
            if work is None:
                return 0
            options.view_as(StandardOptions).streaming = False
            pipeline = beam.Pipeline(runner=runner, options=options)
            build(pipeline, folder)
            watch.start()
            kind = "log" if job.log_format == "json" and job.progress == "auto" else job.progress
            display = _Display(Path(folder), work, kind)
            display.start()
            calm_garbage_collector()
            try:
                with shown(name, job, pipeline, place.runner, progress=display.progress):
                    result = pipeline.run()
                    result.wait_until_finish()
            finally:
                display.end()
            stopped = LIVE.stopping.is_set()
            LIVE.close()
            found = read_counts(Path(folder))
            counters = _counters(result)
        except BaseException as error:
            code = report(name, _from_worker(error))
            _tell_what_is_done(read_counts(Path(folder)))
            return code
        finally:
            watch.end()
    return _finish(name, job, work, found, counters, display.seconds, stopped=stopped)


@contextlib.contextmanager
def _quiet_workers(job: BatchJobOptions, folder: str) -> Iterator[None]:
    """Worker processes inherit our stderr and log all that Beam does there, tracebacks too; a file takes it instead.

    What they warn of still comes to us, through the runner. `--log_level debug` leaves it all on stderr.
    """
    if job.workers == 1 or job.log_level == "debug":
        yield
        return
    previous, kept = sys.stderr, os.dup(2)
    sys.stderr = os.fdopen(kept, "w", buffering=1)
    said = os.open(os.path.join(folder, "workers.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(said, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(said)
        sys.stderr.close()
        sys.stderr = previous


_SAID = re.compile(r'message: "((?:[^"\\]|\\.)*)".*log_location: "([^"]*)"', re.DOTALL)


def _from_a_worker(record: logging.LogRecord) -> bool:
    """Shows what a worker of ours warns of, as we would, and leaves out what Beam says there about itself."""
    text = record.getMessage()
    if not text.startswith("Worker: severity:"):
        return True
    found = _SAID.search(text)
    if found is None or "apache_beam" in found[2]:
        return False
    record.msg, record.args = found[1], ()
    return True


def _worker_arguments(workers: int) -> list[str]:
    if workers == 1:
        return []
    return [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]


_FAILURE = re.compile(r"penstock\.io\.errors\.(\w+): (.*)")
_WHILE = re.compile(r" \[while running '.*$")


def _from_worker(error: BaseException) -> BaseException:
    """A worker process passes on only the text of its failure; this is the error that it was."""
    if LIVE.failure is None and not isinstance(error, PenstockError):
        found = _FAILURE.findall(str(error))
        if found:
            kind, text = found[-1]
            cls = getattr(errors, kind, PenstockError)
            return cls(_WHILE.sub("", text))
    return error


def _counters(result: Any) -> dict[str, int]:
    """The runner's counters, where it has them: `namespace/name` to sum."""
    sums: dict[str, int] = {}
    try:
        for each in result.metrics().query()["counters"]:
            key = f"{each.key.metric.namespace}/{each.key.metric.name}"
            sums[key] = sums.get(key, 0) + int(each.committed or 0)
    except Exception as error:
        _LOGGER.debug("the runner tells no counters: %s", error)
    return sums


def _finish(
    name: str,
    job: BatchJobOptions,
    work: Workload,
    found: Counts,
    counters: dict[str, int],
    seconds: float,
    *,
    stopped: bool,
) -> int:
    refused = max(found.refused, counters.get("s3/refused", 0))
    delivered = max(found.delivered, counters.get("s3/delivered", 0))
    records = max(found.read, counters.get("s3/records", 0))
    incomplete = max(found.incomplete, counters.get("s3/incomplete", 0))
    replays = counters.get("elasticsearch/replays", 0)
    rate = delivered / seconds if seconds else 0.0
    lines = [
        f"{name}: {'stopped before the end' if stopped else 'done'} after {_duration(seconds)}",
        f"  objects      {work.objects:>14,}   to read, {_size(work.bytes)}"
        + (f"; {work.done_before:,} more were finished before" if work.done_before else ""),
        f"  records      {records:>14,}   read",
        f"  written      {delivered - replays:>14,}   {rate:,.0f} events a second",
        f"  there already{replays:>14,}",
        f"  refused      {refused:>14,}" + (f"   kept in {job.dead_letter_url(name)}" if refused else ""),
    ]
    if incomplete:
        lines.append(f"  incomplete   {incomplete:>14,}   objects gone, changed or archived meanwhile")
    tell(
        "\n".join(lines),
        objects=work.objects,
        records=records,
        written=delivered - replays,
        there_already=replays,
        refused=refused,
        incomplete=incomplete,
        seconds=round(seconds, 3),
    )
    if stopped:
        last_words(name, "run it again to go on (with --manifest it reads only the rest)", STOPPED)
        return STOPPED
    if refused and not job.allow_dead_letters:
        last_words(name, "some events were refused: exit code 1 (0 with --allow_dead_letters)", 1)
        return 1
    return 0


def _tell_what_is_done(found: Counts) -> None:
    if found.delivered:
        tell(
            f"  until then: {found.units:,} units, {found.delivered:,} events delivered, {found.refused:,} refused",
            units=found.units,
            delivered=found.delivered,
            refused=found.refused,
        )


class _Display:
    """Shows progress from a thread, and passes a stop on to worker processes."""

    def __init__(self, folder: Path, work: Workload, kind: str) -> None:
        self._folder = folder
        self._work = work
        self._kind = ("display" if takes_a_line(sys.stderr) else "log") if kind == "auto" else kind
        self._ends = contextlib.ExitStack()
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._recent: list[tuple[float, int, int]] = []
        self._thread = threading.Thread(target=self._run, name="penstock-progress", daemon=True)
        self._progress = Progress(0.0, "nothing is read yet")
        self.seconds = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def progress(self) -> Progress:
        """How far the job was when it was looked at last."""
        return self._progress

    def end(self) -> None:
        self.seconds = time.monotonic() - self._started
        self._ended.set()
        self._thread.join()
        self._ends.close()

    def _run(self) -> None:
        asked = False
        logged = time.monotonic()
        shown = None
        if self._kind == "display":
            shown = self._ends.enter_context(TerminalLine(sys.stderr).instead_of_stderr())
        while not self._ended.wait(_DISPLAY_EVERY_S):
            if LIVE.stopping.is_set() and not asked:
                asked = True
                ask_to_stop(self._folder)
            now = time.monotonic()
            found = read_counts(self._folder)
            text = self.line(found, now)
            self._progress = Progress(self._share(found), text, found.read, found.delivered, found.bytes)
            if shown is not None:
                shown.show(text)
            elif self._kind == "log" and now - logged >= _LOG_EVERY_S:
                logged = now
                _LOGGER.info("%s", text)

    def _share(self, found: Counts) -> float:
        return min(1.0, found.bytes / self._work.bytes) if self._work.bytes else 1.0

    def line(self, found: Counts, now: float) -> str:
        """Units, bytes, events, rate and time left."""
        self._recent.append((now, found.delivered, found.bytes))
        self._recent = [each for each in self._recent if now - each[0] <= 20.0] or self._recent[-1:]
        began, events, size = self._recent[0]
        passed = max(now - began, 1e-9)
        share = self._share(found)
        speed = (found.bytes - size) / passed
        left = _duration((self._work.bytes - found.bytes) / speed) if speed > 0 and share < 1 else "?"
        return (
            f"{share:6.1%}  {found.objects:,} of {self._work.objects:,} objects  {_size(found.bytes)} of "
            f"{_size(self._work.bytes)}  {found.delivered:,} events  {(found.delivered - events) / passed:,.0f}/s  "
            f"{left} left" + (f"  {found.refused:,} refused" if found.refused else "")
        )


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{seconds:.1f} s"
