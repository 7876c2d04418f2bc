"""`lifecycle` does what every job needs around its run: runner, log, signals, last words.

- On DirectRunner we choose Beam's in-memory FnApiRunner on purpose: Beam itself would first try to fetch
  another one, and nobody could say which of the two ran.
- A failure is one line: the first `PenstockError` that a source or sink reported, else the runner's own.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from penstock.io.chain.live_objects import LIVE, stop_when_idle
from penstock.io.errors import OptionError, PenstockError, StopTimeout
from penstock.pipelines.console.logs import last_line, last_words
from penstock.pipelines.run.remote.beam_servers import restrain_servers
from penstock.pipelines.stopping.early_stop import STOPPED_EARLY, StoppedEarly
from penstock.pipelines.stopping.stop_signals import StopSignals
from penstock.transforms.kernels import native

__all__ = ["INTERRUPTED", "Watch", "choose_runner", "explain_failure", "report", "say_kernels"]

_LOGGER = logging.getLogger("penstock")

_LOOK_MS = 100
_GRACE_S = 10.0
"""Seconds that a sink may take for its present batch once a stop has lasted too long. Compose kills after 45 s."""
_CLOSE_S = 3.0

INTERRUPTED = 130
"""Exit code after a Ctrl-C that came before anything ran, as shells have it (128 + SIGINT)."""


def choose_runner(options: PipelineOptions) -> Any:
    """Gives the runner: the FnApiRunner for DirectRunner and by default, else the one that the user named.

    Raises:
        OptionError: Beam has no runner of that name.
    """
    standard = options.view_as(StandardOptions)
    chosen = standard.runner or "DirectRunner"
    if chosen.rpartition(".")[2].lower() in ("directrunner", "fnapirunner"):
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        standard.runner = None
        return FnApiRunner()
    try:
        create_runner(chosen)
    except (ValueError, ImportError, AttributeError) as error:
        message = f"--runner {chosen}: Beam has no such runner here. DirectRunner (the default) or FlinkRunner will do."
        raise OptionError(message) from error
    restrain_servers()
    return chosen


def say_kernels() -> None:
    """Logs in one line whether the job works without C kernels, and how to get them."""
    advice = native.advice()
    if advice:
        _LOGGER.info("%s", advice)


def report(name: str, error: BaseException, *, too_late: int = 0) -> int:
    """Says in one line why the job failed, closes its connections, and returns its exit code.

    Args:
        name: the job's name.
        error: the exception of the run.
        too_late: the exit code where the sinks did not end a stop in time.
    """
    code, text = explain_failure(error, too_late=too_late)  # first, because closing forgets the reason
    # Events acknowledged before the failure still become a checkpoint or an ACK.
    LIVE.close()
    if text:
        last_words(name, text, code)
    return code


def explain_failure(error: BaseException, *, too_late: int = 0) -> tuple[int, str]:
    """Gives the exit code of a failure, and the line that explains it; no line if it was written already."""
    failure = LIVE.failure or error
    if isinstance(failure, StopTimeout):
        return too_late, str(failure)
    if isinstance(failure, SystemExit):
        return int(failure.code or 0), ""
    if isinstance(failure, StoppedEarly):
        return 0, STOPPED_EARLY
    if isinstance(failure, PenstockError):
        return failure.exit_code, str(failure)
    if isinstance(failure, KeyboardInterrupt):
        return INTERRUPTED, "interrupted before it ran; nothing was read."
    _LOGGER.debug("the failure in full", exc_info=failure)
    last = str(failure).strip().splitlines()[-1:] or [""]
    return 1, f"failed with {type(failure).__name__}: {last[0][:500]} (--log_level debug shows all)"


class Watch:
    """A thread that turns signals into a clean stop, bounds that stop, says when a source is ready, and stops an idle job.

    The interpreter itself writes a signal's number to our pipe the moment it comes (`set_wakeup_fd`). A handler
    in Python would wait for the main thread, which may block for half a minute at that time (in one
    of six stops the job hung for 30 s), and could deadlock by taking a lock that the interrupted code holds.

    Args:
        name: the job's name, for its last words.
        stop_timeout_s: seconds after a stop in which events that were read are still written. Then waiting ones are left,
            and a sink gets `_GRACE_S` more for its present batch.
        stop_when_idle_s: idle seconds after which the job stops by itself; 0: never.
        too_late: the exit code of a stop that the sinks did not end in time.
        say_ready: says that a source is connected, with what it does; by default in the log.
    """

    def __init__(
        self,
        name: str,
        stop_timeout_s: float,
        *,
        stop_when_idle_s: float = 0.0,
        too_late: int = 0,
        say_ready: Callable[[str], None] = lambda text: _LOGGER.info("ready: %s", text),
    ) -> None:
        self.left_events = 0
        """How many events waited when the stop had lasted too long, and were left."""
        self._name = name
        self._stop_timeout_s = stop_timeout_s
        self._stop_when_idle_s = stop_when_idle_s
        self._too_late = too_late
        self._say_ready = say_ready
        self._stopped_at: float | None = None
        self._gave_up = False
        self._stop_signals = StopSignals()
        self._signals = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-watch", daemon=True)

    def start(self) -> None:
        """Takes over the signals. Call it in the main thread."""
        self._stop_signals.start()
        self._thread.start()

    def end(self) -> None:
        """Gives the signals back as they were before."""
        self._ended.set()
        self._stop_signals.end()

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            text = "second signal: ending at once; what was not acknowledged comes again"
            self._end_process(text, 128 + number)
        _LOGGER.info("stopping: no more is read; what was read is written and acknowledged first")
        LIVE.stop()

    def _end_process(self, text: str, code: int) -> None:
        # Not through sys.stderr, because the thread that hangs may hold its lock.
        os.write(2, last_line(self._name, text, code).encode())
        os._exit(code)

    def _run(self) -> None:
        announced: set[str] = set()
        while not self._ended.is_set():
            for number in self._stop_signals.wait(_LOOK_MS):
                self._on_signal(number)
            sources = LIVE.sources
            for source in sources:
                if source.key not in announced and source.connected:
                    announced.add(source.key)
                    self._say_ready(source.describe())
            if self._stop_when_idle_s:
                stop_when_idle(self._stop_when_idle_s)
            if LIVE.stopping.is_set():
                self._bound_the_stop(time.monotonic())

    def _bound_the_stop(self, now: float) -> None:
        if self._stopped_at is None:
            self._stopped_at = now
        late_s = now - self._stopped_at - self._stop_timeout_s
        if late_s >= 0 and not self._gave_up:
            self._gave_up = True
            self.left_events = LIVE.give_up()
            _LOGGER.warning(
                "stopping takes longer than --stop_timeout (%g s): %d events that wait are left, and come again",
                self._stop_timeout_s,
                self.left_events,
            )
        if late_s >= _GRACE_S:
            closing = threading.Thread(target=LIVE.close, name="penstock-close", daemon=True)
            closing.start()  # acknowledged events still become a checkpoint
            closing.join(_CLOSE_S)
            text = (
                f"the stop took longer than --stop_timeout ({self._stop_timeout_s:g} s) and was cut off; what was not "
                "acknowledged comes again."
            )
            self._end_process(text, self._too_late)
