"""`supervisor` is the parent of the worker processes of an endless job: it starts, watches, shows and stops them.

Problem. An endless job uses about one core. Several processes can share its work already (a port, a lease table), but then
there are several logs, pages and stops, and nobody starts a dead one again.

Plan. The parent reads nothing itself and needs no Beam. Each worker (`endless`) runs the whole job. The first one tries
and prepares the peers; then the others begin. Workers tell what they see once per second; the sum is on the
page, on the terminal and in the metrics. `_restarts` decides when a dead one is started again.

Invariants.
- A stop (SIGTERM, Ctrl-C, SIGHUP) goes to the parent, which tells the workers. Each writes and acknowledges what it has
  read. A second signal ends all at once.
- No worker outlives its parent: a worker whose standard input is closed stops, within ten seconds.
- What a dead worker had read was not acknowledged, so the Beat sends it again, or another worker reads it from the
  checkpoint. Its counters stay in the sums.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from penstock.io.file_limit import raise_file_limit
from penstock.pipelines.console.logs import last_words, set_up_logging
from penstock.pipelines.job_options import JobOptions
from penstock.pipelines.status.page.showing import looks_every_s, shown
from penstock.pipelines.status.seen import Seen, WorkerStatus, sum_of
from penstock.pipelines.stopping.stop_signals import StopSignals
from penstock.pipelines.workers._restarts import Outcome, Restarts
from penstock.pipelines.workers.lifeline import GO, STOP
from penstock.pipelines.workers.process import WorkerProcess
from penstock.pipelines.workers.telling import Ended, Message, Prepared, Ready, Settings
from penstock.transforms.kernels import native

__all__ = ["Supervisor", "run_workers"]

_LOGGER = logging.getLogger("penstock")
_LOOK_MS = 100
_LAST_MESSAGE_S = 5.0
_CUT_OFF_S = 30.0
"""Seconds beyond --stop_timeout after which a worker that should have cut off its own stop is killed."""
_SETTLE_S = 15.0
"""Seconds for which a worker may be on its way without making the job unready."""


def run_workers(
    name: str, command: str, job: JobOptions, argv: Sequence[str], *, stop_timeout: float = 0.0
) -> int:
    """Runs an endless job in several processes until it is stopped, and returns its exit code.

    Args:
        name: the job's name, for messages.
        command: the job's name on the command line.
        job: options of the job itself.
        argv: the job's command line, for the workers.
        stop_timeout: seconds that one of its steps needs for a stop, where that is more than the job's.
    """
    set_up_logging(job)
    raise_file_limit()
    supervisor = Supervisor(name, command, job, argv, max(job.stop_timeout, stop_timeout))
    with shown(name, job, [], "DirectRunner", see=supervisor.see):
        outcome = supervisor.run()
    if outcome.text:
        last_words(name, outcome.text, outcome.code)
    return outcome.code


class _Worker:
    """One worker's present process, and what is left of its earlier ones.

    Attributes:
        lives: what the ended processes left, and what the present one told last. It is one value because the page's thread
            reads it at any time: no event may be in both, or in neither.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.lives: tuple[Seen, Seen | None] = (Seen(), None)
        self.ready: list[str] = []
        self.prepared = False
        self.ended: Ended | None = None
        self._reader: threading.Thread | None = None

    def start(self, arguments: Sequence[str], settings: Settings) -> None:
        self.lives = self.lives[0], None
        self.ended, self.ready = None, []
        here, there = Pipe(duplex=False)
        with contextlib.closing(there):
            told = Settings(
                settings.number, settings.processes, there.fileno(), settings.prepares, settings.looks_every_s
            )
            self.process = WorkerProcess(
                "penstock.pipelines.commands.endless",
                [told.written(), *arguments],
                self.number,
                pass_fds=[there.fileno()],
            )
        self._reader = threading.Thread(
            target=self._read, args=(here,), name=f"penstock-worker-{self.number}", daemon=True
        )
        self._reader.start()

    def _read(self, connection: Connection) -> None:
        with contextlib.closing(connection), contextlib.suppress(EOFError, OSError):
            while True:
                self._take(connection.recv())

    def _take(self, message: Message) -> None:
        match message:
            case Seen():
                self.lives = self.lives[0], message
            case Ready():
                self.ready.append(message.text)
            case Prepared():
                self.prepared = True
            case Ended():
                self.ended = message

    def reap(self) -> None:
        """Closes what a process that has ended leaves, and keeps its totals."""
        assert self.process is not None and self._reader is not None  # noqa: S101, PT018  it was started
        self._reader.join(_LAST_MESSAGE_S)
        self.process.end()
        past, seen = self.lives
        if seen is not None:
            self.lives = sum_of([past, seen.past()]), None


class Supervisor:
    """Starts the workers and watches them.

    Args:
        name: the job's name, for messages.
        command: the job's name on the command line.
        job: its options.
        argv: its command line.
        stop_timeout_s: seconds that a worker's stop may take.
    """

    def __init__(
        self, name: str, command: str, job: JobOptions, argv: Sequence[str], stop_timeout_s: float
    ) -> None:
        self._name = name
        self._arguments = [command, *argv]
        self._count = job.processes
        self._stop_when_idle_s = job.stop_when_idle
        self._stop_timeout_s = stop_timeout_s
        self._looks_every_s = looks_every_s(job)
        self._workers = {number: _Worker(number) for number in range(1, self._count + 1)}
        self._restarts = Restarts(self._count)
        self._prepared = False
        self._stopping_since: float | None = None
        self._announced = False
        self._left = 0
        self._code = 0
        self._cut_off: list[int] = []

    # -- the main thread -------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Runs until all workers have ended. Call it in the main thread."""
        signals = StopSignals()
        signals.start()
        _LOGGER.info("%s: running in %d worker processes", self._name, self._count)
        if advice := native.advice():
            _LOGGER.info("%s", advice)
        try:
            while not self._over():
                for number in signals.wait(_LOOK_MS):
                    self._on_signal(number)
                self._look(time.monotonic())
        finally:
            for worker in self._workers.values():
                if worker.process is not None:
                    worker.process.end()
            signals.end()
        return self._outcome()

    def _over(self) -> bool:
        running = any(worker.process is not None for worker in self._workers.values())
        return not running and (self._stopping_since is not None or self._restarts.ended)

    def _outcome(self) -> Outcome:
        if self._restarts.outcome is not None:
            return self._restarts.outcome
        if self._cut_off:
            killed = ", ".join(map(str, self._cut_off))
            return Outcome(
                1, f"worker {killed} ended before its stop was done; what was not acknowledged comes again."
            )
        if self._left:
            _LOGGER.warning(
                "%s: stopped; %d events that were read are not acknowledged, and come again",
                self._name,
                self._left,
            )
        elif self._code == 0:
            _LOGGER.info("%s: stopped; everything read is written and acknowledged", self._name)
        return Outcome(self._code, "")

    def _on_signal(self, number: int) -> None:
        if self._stopping_since is not None:
            last_words(
                self._name,
                "second signal: ending at once; what was not acknowledged comes again",
                128 + number,
            )
            for worker in self._workers.values():
                if worker.process is not None:
                    worker.process.kill()
            sys.stderr.flush()
            os._exit(128 + number)
        self._stop("stopping: no more is read; what was read is written and acknowledged first")

    def _stop(self, why: str) -> None:
        if self._stopping_since is not None:
            return
        self._stopping_since = time.monotonic()
        _LOGGER.info("%s", why)
        for worker in self._workers.values():
            if worker.process is not None:
                worker.process.tell(STOP)

    def _look(self, now: float) -> None:
        for worker in self._workers.values():
            if worker.process is not None:
                self._look_at(worker, now)
        if self._restarts.outcome is not None:
            self._stop("stopping all workers, because the job can't go on")
        if self._stopping_since is None:
            for number in self._restarts.due(now):
                self._start(self._workers[number], now)
            self._announce()
            self._look_for_idle()
        elif now - self._stopping_since > self._stop_timeout_s + _CUT_OFF_S:
            for worker in self._workers.values():
                if worker.process is not None:
                    worker.process.kill()

    def _start(self, worker: _Worker, now: float) -> None:
        # The first one prepares, also in its next life, until that is done.
        prepares = not self._prepared and worker.number == 1
        settings = Settings(worker.number, self._count, -1, prepares, self._looks_every_s)
        worker.start(self._arguments, settings)
        if self._prepared:
            assert worker.process is not None  # noqa: S101  it was just started
            worker.process.tell(GO)
        self._restarts.started(worker.number, now)

    def _look_at(self, worker: _Worker, now: float) -> None:
        assert worker.process is not None  # noqa: S101  the caller looked
        life = self._restarts.lives[worker.number]
        ended = not worker.process.runs()
        if ended:
            worker.reap()
        if worker.prepared and not self._prepared:
            self._prepared = True
            for each in self._workers.values():
                if each.process is not None:
                    each.process.tell(GO)
        if worker.ready and life.state == "starting":
            self._restarts.became_ready(worker.number, now)
            if life.starts > 1:
                _LOGGER.info("worker %d is ready again", worker.number)
        if ended:
            self._note_end(worker, now)

    def _note_end(self, worker: _Worker, now: float) -> None:
        assert worker.process is not None  # noqa: S101  the caller looked
        told, code = worker.ended, worker.process.process.returncode
        how = worker.process.how_it_ended()
        worker.process = None
        if told is not None:
            self._left += told.left
        if self._stopping_since is not None:
            if told is None and code != 0:
                self._cut_off.append(worker.number)
            elif told is not None and told.text and self._restarts.outcome is None:
                self._restarts.outcome = Outcome(told.code, told.text)
            self._restarts.has_ended(worker.number, now, None)
            return
        if told is not None:
            self._restarts.has_ended(
                worker.number, now, Outcome(told.code, told.text) if told.code or told.text else None
            )
        else:
            self._restarts.has_ended(worker.number, now, None, how)
        life = self._restarts.lives[worker.number]
        if life.state == "waiting" and self._restarts.outcome is None:
            why = life.why if life.told else how
            _LOGGER.warning(
                "worker %d %s%s; it is started again in %.1f s; what it had not acknowledged comes again",
                worker.number,
                "failed: " if life.told else "",
                why.rstrip("."),
                life.again_at - now,
            )

    def _announce(self) -> None:
        if self._announced or not self._restarts.ever_ready:
            return
        self._announced = True
        texts = dict.fromkeys(text for worker in self._workers.values() for text in worker.ready)
        for text in texts:
            _LOGGER.info("ready: %s (%d workers)", text, self._count)

    def _look_for_idle(self) -> None:
        if not self._stop_when_idle_s or self._restarts.ready < self._count:
            return
        seen = [worker.lives[1] for worker in self._workers.values()]
        if all(each is not None and each.idle for each in seen):
            self._stop(f"stopping: idle for {self._stop_when_idle_s:g} s")

    # -- the status page's thread ----------------------------------------------------------------------

    def see(self) -> Seen:
        """Gives what all workers see together."""
        now, parts = time.monotonic(), []
        statuses = []
        for worker in self._workers.values():
            past, seen = worker.lives
            parts += [past] if seen is None else [past, _named(seen, worker.number)]
            statuses.append(self._status(worker, past, seen, now))
        total = sum_of(parts)
        total.workers = statuses
        total.stopping = self._stopping_since is not None
        total.reasons = [] if total.stopping else self._reasons(now)
        return total

    def _status(self, worker: _Worker, past: Seen, seen: Seen | None, now: float) -> WorkerStatus:
        life, process = self._restarts.lives[worker.number], worker.process
        whole = past if seen is None else sum_of([past, seen])
        state = "stopping" if self._stopping_since is not None and process is not None else life.state
        return WorkerStatus(
            worker.number,
            "starting" if state == "new" else state,
            life.why,
            None if process is None else process.process.pid,
            time.time() - (now - life.since),
            max(0, life.starts - 1),
            life.state == "ready" and any(source.connected for source in whole.sources),
            sum(source.events for source in whole.sources),
            sum(source.acknowledged_events for source in whole.sources),
            sum(source.pending_events for source in whole.sources),
            max((source.lag_s for source in whole.sources), default=0.0),
            whole.cpu_s,
            0.0 if seen is None else seen.resident_bytes,
        )

    def _reasons(self, now: float) -> list[str]:
        """Says why the job isn't ready, as far as it is the workers' state."""
        lives = self._restarts.lives.values()
        if not self._announced:
            return [f"starting: {self._restarts.ready} of {self._count} workers are ready"]
        if not self._restarts.ready and not self._restarts.ended:
            why = next((f" ({life.why.rstrip('.')})" for life in lives if life.why), "")
            return [f"not connected: no worker is ready{why}"]
        return [
            f"not running: worker {life.number} ({life.why.rstrip('.')}), {life.failures} times in a row"
            for life in lives
            if life.state in ("waiting", "starting") and (life.failures > 1 or now - life.since > _SETTLE_S)
        ]


def _named(seen: Seen, number: int) -> Seen:
    """Says in each warning which worker it comes from."""
    seen.warnings = [
        each if each.text.startswith("worker ") else each._replace(text=f"worker {number}: {each.text}")
        for each in seen.warnings
    ]
    return seen
