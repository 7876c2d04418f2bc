"""What every streaming job does around its graph: check, run, stop cleanly, say how it went.

- `check` functions run first, because a runner reports a failing source or sink late and at length.
- SIGINT and SIGTERM ask for a clean stop: sources let nothing more in, what was read is written and
  acknowledged, positions are stored, exit code 0. A second signal ends the process at once.
- On DirectRunner we choose Beam's in-memory FnApiRunner on purpose: Beam itself would first try to fetch
  another one, and nobody could say which of the two ran.
- A failure is one line: the first `PenstockError` that a source or sink reported, else the runner's own.
"""

import dataclasses
import gc
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions

from penstock.io.dead_letters import check_url
from penstock.io.errors import OptionError, PenstockError
from penstock.io.live import LIVE
from penstock.io.options import option

__all__ = ["JobOptions", "run_streaming"]

_LOGGER = logging.getLogger("penstock")


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """The job itself."""

    dead_letters: str = option(
        "",
        help="Where refused events are kept: file:///path, elasticsearch:index, s3://bucket/prefix or kinesis:stream. "
        "Without it, ./dead_letters/JOB.jsonl.",
    )
    stop_when_idle: float = option(
        0.0,
        help="Stop cleanly once nothing has come for that many seconds and all is acknowledged; 0: never.",
    )
    log_level: str = option(
        "info", help="How much is logged to stderr.", choices=("debug", "info", "warning", "error")
    )

    def __post_init__(self) -> None:
        if self.dead_letters:
            check_url(self.dead_letters)
        if self.stop_when_idle < 0:
            message = "--stop_when_idle must not be negative (seconds; 0 switches it off)."
            raise OptionError(message)

    def dead_letter_url(self, job: str) -> str:
        """The URL given, else a file named after the job in the working directory."""
        return self.dead_letters or f"file://{os.path.abspath('dead_letters')}/{job}.jsonl"


def run_streaming(
    name: str,
    job: JobOptions,
    beam_arguments: Sequence[str],
    checks: Sequence[Callable[[], Any]],
    build: Callable[[Any], Any],
) -> int:
    """Runs a streaming job until it is stopped, and returns its exit code.

    Args:
        name: the job's name, for messages.
        job: options of the job itself.
        beam_arguments: what is left for Beam's own options.
        checks: run in order before the pipeline; each raises `PenstockError` for what would not work.
        build: puts the graph on a pipeline.

    Returns:
        0 after a clean stop, 1 after a failure, 2 for an option that only the checks could refuse.
    """
    _set_up_logging(job.log_level)
    watch = _Watch(job.stop_when_idle)
    try:
        for check in checks:
            check()
        options = PipelineOptions(list(beam_arguments))
        options.view_as(StandardOptions).streaming = True
        options.view_as(SetupOptions).save_main_session = False
        runner = _choose_runner(options)
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        _LOGGER.info("%s: running on %s", name, runner if isinstance(runner, str) else "Beam's FnApiRunner")
        watch.start()
        _calm_garbage_collector()
        result = pipeline.run()
        result.wait_until_finish()
        LIVE.close()
    except BaseException as error:
        return _report(name, error)
    finally:
        watch.end()
    _LOGGER.info("%s: stopped; everything read is written and acknowledged", name)
    return 0


def _calm_garbage_collector() -> None:
    """Lets the cyclic garbage collector look less often, and never again at what is there now.

    Batches hold thousands of objects without a cycle between them; walking them again and again cost 0.4 to 1.0
    CPU-s per million events. Reference counting frees them at once all the same.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _choose_runner(options: PipelineOptions) -> Any:
    standard = options.view_as(StandardOptions)
    chosen = standard.runner or "DirectRunner"
    if chosen.rpartition(".")[2].lower() in ("directrunner", "fnapirunner"):
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        standard.runner = None
        return FnApiRunner()
    return chosen


def _set_up_logging(level: str) -> None:
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    logging.getLogger("penstock").setLevel(level.upper())
    if level != "debug":
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_for_a_person)


def _is_for_a_person(record: logging.LogRecord) -> bool:
    """Keeps out the tracebacks that Beam logs for a failure which we report in one line."""
    ours = record.name.partition(".")[0] == "penstock"
    return ours or not (record.exc_info or "\n" in record.getMessage())


def _report(name: str, error: BaseException) -> int:
    failure = LIVE.failure or error
    try:
        # What was acknowledged until the failure still becomes a checkpoint or an ACK.
        LIVE.close()
    except PenstockError as second:
        _LOGGER.debug("closing after a failure failed too: %s", second)
    if isinstance(failure, PenstockError):
        sys.stderr.write(f"penstock {name}: {failure}\n")
        return failure.exit_code
    if isinstance(failure, SystemExit):
        return int(failure.code or 0)
    _LOGGER.debug("the failure in full", exc_info=failure)
    last = str(failure).strip().splitlines()[-1:] or [""]
    sys.stderr.write(
        f"penstock {name}: failed with {type(failure).__name__}: {last[0][:500]} (--log_level debug shows all)\n"
    )
    return 1


class _Watch:
    """A thread that turns signals into a clean stop, says when a source is ready, and stops an idle job.

    The interpreter itself writes a signal's number to our pipe the moment it comes (`set_wakeup_fd`). A handler
    in Python would wait for the main thread, which may just have begun to block for half a minute (in one
    of six stops the job hung for 30 s), and could deadlock by taking a lock that the interrupted code holds.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, stop_when_idle_s: float) -> None:
        self._stop_when_idle_s = stop_when_idle_s
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._signals = 0
        self._previous_fd = -1
        self._ended = threading.Event()
        self._previous: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._run, name="penstock-watch", daemon=True)

    def start(self) -> None:
        self._previous_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._SIGNALS:
            # A handler must be there, else the signal's default would end us.
            self._previous[number] = signal.signal(number, lambda number, frame: None)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            signal.set_wakeup_fd(self._previous_fd)
        self._previous.clear()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            os.write(2, b"penstock: second signal: ending at once; what was not acknowledged comes again\n")
            os._exit(128 + number)
        _LOGGER.info("stopping: no more is read; what was read is written and acknowledged first")
        LIVE.stop()

    def _run(self) -> None:
        announced: set[str] = set()
        while not self._ended.is_set():
            readable, _, _ = select.select([self._read], [], [], 0.1)
            if readable:
                for number in os.read(self._read, 64):
                    if number in self._SIGNALS:
                        self._on_signal(number)
            sources = LIVE.sources
            for source in sources:
                if source.key not in announced and source.connected:
                    announced.add(source.key)
                    _LOGGER.info("ready: %s", source.describe())
            if (
                self._stop_when_idle_s
                and sources
                and not LIVE.stopping.is_set()
                and all(source.idle_for(self._stop_when_idle_s) for source in sources)
            ):
                _LOGGER.info("stopping: idle for %g s", self._stop_when_idle_s)
                LIVE.stop()
