"""`monitor` looks at the job once per second and keeps what it saw; page, scraper and terminal only read that.

So looking costs the data nothing, however many ask: one thread gathers the numbers once per second, and holds
no lock for longer than the copy of a few counters. The page's JSON is made once and served as it is.

Rates are over the last ten seconds, percentiles over the last minute.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence

import orjson

from penstock.io.chain.source_status import SourceStatus
from penstock.io.meters import METERS, quantile
from penstock.pipelines.status import report as document
from penstock.pipelines.status.history import EVERY_S, History
from penstock.pipelines.status.metrics import metrics_text
from penstock.pipelines.status.outlook import numbers_of
from penstock.pipelines.status.picture import JobFacts, Picture, Progress, Sample, release
from penstock.pipelines.status.readiness import Trouble, reasons_against
from penstock.pipelines.status.seen import MAX_WARNINGS, Seen, Warned, look_here
from penstock.pipelines.status.step_meters import Step

__all__ = ["LOOK_EVERY_S", "Monitor"]

_LOGGER = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
_RATE_S = 10.0
_PERCENTILES_S = 60.0
MAX_WARNING = 500
MAX_ANSWERS = 20


class _Warnings(logging.Handler):
    """Keeps the last warnings. They are made for people, come at most once per minute, and hold no payload."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: collections.deque[Warned] = collections.deque(maxlen=MAX_WARNINGS)

    def emit(self, record: logging.LogRecord) -> None:
        self.last.append(Warned(record.created, record.levelname.lower(), record.getMessage()[:MAX_WARNING]))


class Monitor:
    """Runs one thread that looks at the job.

    Args:
        job: the job's name.
        runner: the runner, in words.
        steps: the steps of its graph.
        max_lag_s: the lag in seconds beyond which the job does not keep up.
        ends: whether the job ends by itself, and reads without a live source.
        progress: gives how far a job is that ends by itself.
        idle_s: seconds without anything after which the process counts as idle; 0: never.
        see: gives what there is to see; by default, what this process sees.
        every_s: seconds between two looks; more where only the log needs them.
        clock: monotonic seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        job: str,
        runner: str,
        steps: Sequence[Step],
        *,
        max_lag_s: float = 60.0,
        ends: bool = False,
        progress: Callable[[], Progress] | None = None,
        idle_s: float = 0.0,
        see: Callable[[], Seen] | None = None,
        every_s: float = LOOK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.job = JobFacts(job, runner, list(steps), wall(), release())
        self.history = History()
        self._max_lag_s = max_lag_s
        self._ends = ends
        self._every_s = every_s
        self._see = see or (lambda: look_here(self.job.steps, self._clock(), idle_s))
        self._progress = progress
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._samples: collections.deque[Sample] = collections.deque(
            maxlen=int(_PERCENTILES_S / LOOK_EVERY_S) + 1
        )
        self._sources: list[SourceStatus] = []
        self._history_at = -1.0
        self._history_sample: Sample | None = None
        self._warnings = _Warnings()
        self._listeners: list[Callable[[Picture], None]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-status", daemon=True)
        self.picture = self.look()
        self._answers: dict[tuple[str, int], bytes] = {}
        self._answers_at: Picture | None = None

    def listen(self, listener: Callable[[Picture], None]) -> None:
        """Calls `listener` with each new picture, in the monitor's thread. Call this before `start`."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Starts the thread."""
        logging.getLogger("penstock").addHandler(self._warnings)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        logging.getLogger("penstock").removeHandler(self._warnings)

    def _run(self) -> None:
        told = False
        while not self._ended.wait(self._every_s):
            try:
                self.picture = self.look()
                for listener in self._listeners:
                    listener(self.picture)
            except Exception as error:
                # Then the numbers stand still, but the data must not.
                _LOGGER.log(
                    logging.DEBUG if told else logging.WARNING,
                    "looking at the job failed (%s: %s); its status is not up to date", type(error).__name__, error,
                )  # fmt: skip
                told = True

    def look(self) -> Picture:
        """Gathers everything, and adds to the history when it is time."""
        seen = self._see()
        warnings = [*seen.warnings, *self._warnings.last]
        seen.warnings = sorted(warnings, key=lambda each: -each.at)[:MAX_WARNINGS]
        # At the end the sources are closed one by one. Their totals stay.
        self._sources = seen.sources or self._sources
        self.job.steps = seen.steps or self.job.steps
        progress = self._progress() if self._progress is not None else None
        sample = self._sample(seen, progress)
        with self._lock:
            self._samples.append(sample)
            recent = next(each for each in self._samples if each.at >= sample.at - _RATE_S - 0.5)
            picture = Picture(
                at=self._wall(),
                sources=self._sources,
                reasons=seen.reasons
                + reasons_against(
                    self._sources,
                    starting=not self._sources and not self._ends and not seen.reasons,
                    stopping=seen.stopping,
                    failure=seen.failure,
                    max_lag_s=self._max_lag_s,
                    waits=seen.waits,
                    troubles=[
                        Trouble(document.title_of(request), last.reason, last.ago_s, last.words)
                        for request, last in seen.retried.items()
                    ],
                ),
                now=sample,
                recent=recent,
                minute=self._samples[0],
                seen=seen,
                progress=progress,
            )
            if sample.at - self._history_at >= EVERY_S - 0.5 * LOOK_EVERY_S or self._history_sample is None:
                self._remember(picture)
        return picture

    def _sample(self, seen: Seen, progress: Progress | None) -> Sample:
        steps = {step.name: seen.total_of(step.name) for step in self.job.steps if step.metered}
        numbers = {
            "dead_letters": sum(seen.rows(METERS.dead_letters.name).values()),
            "retries": sum(seen.rows(METERS.retries.name).values()),
            **{f"sent {labels[0]}": sent for labels, sent in seen.rows(METERS.sent.name).items()},
        }
        if self._sources:
            numbers["in"] = sum(source.events for source in self._sources)
            numbers["bytes"] = sum(source.bytes for source in self._sources)
            numbers["out"] = sum(source.acknowledged_events for source in self._sources)
            numbers |= numbers_of(self._sources)
        elif progress is not None:
            numbers["in"], numbers["out"] = float(progress.read), float(progress.written)
            numbers["bytes"] = float(progress.bytes)
        for name, totals in steps.items():
            numbers |= {f"{name} {field}": value for field, value in vars(totals).items()}
        for worker in seen.workers:
            numbers[f"worker {worker.number} in"] = worker.events
            numbers[f"worker {worker.number} out"] = worker.acknowledged_events
            numbers[f"worker {worker.number} cpu_s"] = worker.cpu_s
        requests, delivery = seen.readings(METERS.requests.name), seen.readings(METERS.delivery.name)
        return Sample(self._clock(), numbers, steps, requests, delivery)

    def _remember(self, picture: Picture) -> None:
        before, now = self._history_sample or picture.now, picture.now
        passed = now.at - before.at
        point: dict[str, float | None] = {"lag_s": picture.lag_s, "pending": float(picture.pending)}
        for name in ("in", "out", "bytes", "dead_letters", "retries"):
            change = now.numbers.get(name, 0.0) - before.numbers.get(name, 0.0)
            point[name] = max(0.0, change) / passed if passed > 0 else None
        for name, reading in now.requests.items():
            new = reading.since(before.requests.get(name))
            point[f"p50 {name}"], point[f"p99 {name}"] = quantile(new, 0.5), quantile(new, 0.99)
        delivered = now.delivered_since(before)
        point["p50 delivery"], point["p99 delivery"] = quantile(delivered, 0.5), quantile(delivered, 0.99)
        self.history.add(picture.at, point)
        self._history_at, self._history_sample = now.at, now

    # -- for the server's threads ----------------------------------------------------------------------

    def status_json(self, since: int) -> bytes:
        """Gives the JSON that the page polls: the present state, and the history's points after number `since`."""
        with self._lock:
            now = self._once("status", 0, lambda: orjson.dumps(document.of(self.job, self.picture)))
            history = self._once("history", since, lambda: orjson.dumps(self.history.since(since)))
            return now[:-1] + b',"history":' + history + b"}"

    def metrics(self) -> bytes:
        """Gives all numbers in Prometheus' text format."""
        with self._lock:
            return self._once("metrics", 0, lambda: metrics_text(self.job, self.picture))

    def _once(self, kind: str, since: int, make: Callable[[], bytes]) -> bytes:
        """Gives an answer, and makes it once per picture, however many ask for it. Called under the lock."""
        if self._answers_at is not self.picture or len(self._answers) > MAX_ANSWERS:
            self._answers_at = self.picture
            self._answers.clear()
        found = self._answers.get((kind, since))
        if found is None:
            found = self._answers[kind, since] = make()
        return found
