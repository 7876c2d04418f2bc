"""`Seen` holds all that a process tells of its job at one moment; the sum of several is that of a job with workers.

Problem. A job may be one process or several under a parent. One page, one line and one set of numbers must show either.

Plan. `look_here` gathers from this process. A worker sends what it sees to its parent, once per second; `sum_of` adds.
Who shows (`monitor`) reads a `Seen`, and doesn't ask where it comes from.

Invariants.
- Totals never go back: what a worker has counted before it died stays in the sum (`Seen.past`).
- Nothing here holds a payload or a secret, as in `METERS`.
"""

import dataclasses
import os
import resource
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.source_status import Peer, ShardStatus, SourceStatus
from penstock.io.meters import LAST_LETTERS, METERS, LastLetter, Reading
from penstock.pipelines.status.step_meters import TOTALS, Step, StepTotals, waiting_steps

__all__ = ["MAX_WARNINGS", "Retried", "Seen", "Series", "Warned", "WorkerStatus", "look_here", "sum_of"]

MAX_WARNINGS = 30

N = TypeVar("N", float, Reading)


class Warned(NamedTuple):
    """A log line of level warning or above: when (seconds since 1970), level, text."""

    at: float
    level: str
    text: str


class Retried(NamedTuple):
    """Why a kind of request had to be tried again last: how many seconds ago, the reason in a word, and in words."""

    ago_s: float
    reason: str
    words: str


class WorkerStatus(NamedTuple):
    """A worker process of a job.

    Attributes:
        number: from 1.
        state: `starting`, `ready`, `waiting` (to be started again), `stopping` or `ended`.
        why: why it ended last; empty where it never did.
        pid: its process id; None where none runs.
        since: when it came into this state, in seconds since 1970.
        restarts: how often it was started again.
        ready: whether its sources are connected.
        events: taken in by all its lives; `acknowledged_events` and `cpu_s` likewise.
        pending_events: taken in and not acknowledged.
        lag_s: how far its slowest source is behind.
        resident_bytes: its memory.
    """

    number: int
    state: str
    why: str
    pid: int | None
    since: float
    restarts: int
    ready: bool
    events: int
    acknowledged_events: int
    pending_events: int
    lag_s: float
    cpu_s: float
    resident_bytes: float


@dataclasses.dataclass
class Series(Generic[N]):
    """A family of meters as it stood: what it counts, its labels' names, and a number for each combination of values."""

    text: str
    labels: tuple[str, ...]
    rows: dict[tuple[str, ...], N]


@dataclasses.dataclass
class Seen:
    """A process, or several that run one job together.

    Attributes:
        steps: of the graph.
        sources: the status of each live source.
        stopping: whether it was asked to stop.
        failure: why it ends; empty if it doesn't.
        idle: whether nothing has come for as long as --stop_when_idle says.
        waits: step -> seconds for which its present call has lasted.
        counters: all counters of `METERS` by name; `histograms` likewise.
        retried: the last retry of each kind of request.
        letters: the last dead letters; `warnings` the last warnings; newest first both.
        cpu_s: CPU seconds used; `resident_bytes` is the memory.
        workers: the job's worker processes; none where it is one process.
        reasons: why it isn't ready, beyond what sources and steps tell.
    """

    steps: list[Step] = dataclasses.field(default_factory=list)
    sources: list[SourceStatus] = dataclasses.field(default_factory=list)
    stopping: bool = False
    failure: str = ""
    idle: bool = False
    waits: dict[str, float] = dataclasses.field(default_factory=dict)
    counters: dict[str, Series[float]] = dataclasses.field(default_factory=dict)
    histograms: dict[str, Series[Reading]] = dataclasses.field(default_factory=dict)
    retried: dict[str, Retried] = dataclasses.field(default_factory=dict)
    letters: list[LastLetter] = dataclasses.field(default_factory=list)
    warnings: list[Warned] = dataclasses.field(default_factory=list)
    cpu_s: float = 0.0
    resident_bytes: float = 0.0
    workers: list[WorkerStatus] = dataclasses.field(default_factory=list)
    reasons: list[str] = dataclasses.field(default_factory=list)

    def rows(self, name: str) -> dict[tuple[str, ...], float]:
        """Gives the counters of that name by their label values."""
        found = self.counters.get(name)
        return {} if found is None else found.rows

    def readings(self, name: str) -> dict[str, Reading]:
        """Gives the histograms of that name by the value of their first label."""
        found = self.histograms.get(name)
        return {} if found is None else {labels[0]: reading for labels, reading in found.rows.items()}

    def total_of(self, step: str) -> StepTotals:
        """Gives the totals of a step."""
        return StepTotals(*(self.rows(family.name).get((step,), 0.0) for family in TOTALS))

    def past(self) -> "Seen":
        """Gives what stays of a process that has ended: its totals, and its last words."""
        ended = [
            each._replace(
                connected=False, stopping=False, failure="", pending_events=0, pending_bytes=0, max_pending_events=0,
                max_pending_bytes=0, lag_s=0.0, peers=[], unread=(),
            )
            for each in self.sources
        ]  # fmt: skip
        return Seen(
            self.steps,
            ended,
            counters=self.counters,
            histograms=self.histograms,
            letters=self.letters,
            warnings=self.warnings,
            cpu_s=self.cpu_s,
        )


def look_here(steps: Sequence[Step], clock: float, idle_s: float = 0.0) -> Seen:
    """Gathers from this process.

    Args:
        steps: of its graph.
        clock: monotonic seconds, now.
        idle_s: seconds without anything after which it counts as idle; 0: never.
    """
    sources = LIVE.sources
    waits = waiting_steps()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Seen(
        list(steps),
        [source.status() for source in sources],
        LIVE.stopping.is_set(),
        str(LIVE.failure or ""),
        bool(idle_s and sources) and all(source.idle_for(idle_s) for source in sources),
        waits,
        {
            each.name: Series(each.text, each.labels, {values: meter.value for values, meter in each.items()})
            for each in METERS.counters
        },
        {
            each.name: Series(
                each.text, each.labels, {values: meter.read() for values, meter in each.items()}
            )
            for each in METERS.histograms
        },
        {
            request: Retried(clock - at, reason, METERS.last_words.get(request, ""))
            for request, (at, reason) in list(METERS.last_retry.items())
        },
        METERS.last_letters,
        cpu_s=used.ru_utime + used.ru_stime,
        resident_bytes=_resident_bytes(used.ru_maxrss),
    )


def _resident_bytes(most_kib: int) -> float:
    """Gives the memory of this process; its peak where the present value isn't known."""
    try:
        with open("/proc/self/statm") as file:
            return float(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return most_kib * 1024.0


def sum_of(each: Sequence[Seen]) -> Seen:
    """Gives the sum of several processes that run one job together."""
    sources: dict[str, list[SourceStatus]] = {}
    for seen in each:
        for source in seen.sources:
            sources.setdefault(source.key, []).append(source)
    return Seen(
        next((seen.steps for seen in each if seen.steps), []),
        [_one_source(parts) for parts in sources.values()],
        any(seen.stopping for seen in each),
        next((seen.failure for seen in each if seen.failure), ""),
        bool(each) and all(seen.idle for seen in each),
        _largest(seen.waits for seen in each),
        _summed([seen.counters for seen in each], sum),
        _summed([seen.histograms for seen in each], Reading.sum_of),
        _latest(seen.retried for seen in each),
        sorted((one for seen in each for one in seen.letters), key=lambda one: -one.at)[:LAST_LETTERS],
        sorted((one for seen in each for one in seen.warnings), key=lambda one: -one.at)[:MAX_WARNINGS],
        sum(seen.cpu_s for seen in each),
        sum(seen.resident_bytes for seen in each),
    )


def _one_source(parts: Sequence[SourceStatus]) -> SourceStatus:
    """Adds the parts of one source, which several processes read together."""
    peers: dict[str, Peer] = {}
    for source in parts:
        for peer in source.peers:
            # While a shard changes hands, two name it for a moment; a client is connected to one process.
            name = peer.shard_id if isinstance(peer, ShardStatus) else peer.address
            peers[name] = peer
    first = parts[0]
    return SourceStatus(
        key=first.key,
        text=next((source.text for source in parts if source.connected), first.text),
        connected=any(source.connected for source in parts),
        stopping=any(source.stopping for source in parts),
        failure=next((source.failure for source in parts if source.failure), ""),
        events=sum(source.events for source in parts),
        bytes=sum(source.bytes for source in parts),
        acknowledged_events=sum(source.acknowledged_events for source in parts),
        returned_chunks=sum(source.returned_chunks for source in parts),
        pending_events=sum(source.pending_events for source in parts),
        pending_bytes=sum(source.pending_bytes for source in parts),
        max_pending_events=sum(source.max_pending_events for source in parts),
        max_pending_bytes=sum(source.max_pending_bytes for source in parts),
        lag_s=max(source.lag_s for source in parts),
        patience_s=max(source.patience_s for source in parts),
        peers=list(peers.values()),
        unread=list(dict.fromkeys(line for source in parts for line in source.unread)),
    )


def _summed(each: Sequence[dict[str, Series[N]]], add: Callable[[list[N]], N]) -> dict[str, Series[N]]:
    found: dict[str, Series[N]] = {}
    parts: dict[tuple[str, tuple[str, ...]], list[N]] = {}
    for families in each:
        for name, series in families.items():
            found.setdefault(name, Series(series.text, series.labels, {}))
            for values, number in series.rows.items():
                parts.setdefault((name, values), []).append(number)
    for (name, values), numbers in parts.items():
        found[name].rows[values] = add(numbers)
    return found


def _largest(each: Iterable[dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for numbers in each:
        for name, number in numbers.items():
            found[name] = max(number, found.get(name, 0.0))
    return found


def _latest(each: Iterable[dict[str, Retried]]) -> dict[str, Retried]:
    found: dict[str, Retried] = {}
    for retried in each:
        for request, last in retried.items():
            if request not in found or last.ago_s < found[request].ago_s:
                found[request] = last
    return found
