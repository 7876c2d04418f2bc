"""`Picture` holds all that the monitor saw of a job at one moment, for the page, the scraper and the terminal."""

import dataclasses
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, NamedTuple

import penstock
from penstock.io.chain.source_status import SourceStatus
from penstock.io.meters import Reading

if TYPE_CHECKING:
    from penstock.pipelines.status.seen import Seen
    from penstock.pipelines.status.step_meters import Step, StepTotals

__all__ = ["JobFacts", "Picture", "Progress", "Sample", "release"]


@dataclasses.dataclass
class JobFacts:
    """The facts that stay the same while a job runs.

    Attributes:
        name: the job's name.
        runner: the runner, in words.
        steps: the steps of its graph.
        started_at: seconds since 1970.
        version: penstock's version.
    """

    name: str
    runner: str
    steps: "list[Step]"
    started_at: float
    version: str


class Progress(NamedTuple):
    """How far a job is that ends by itself.

    Attributes:
        share: the part that is done, 0 to 1.
        text: the same in words.
        read: events read by all its processes. `written` and `bytes` are also of all processes.
    """

    share: float
    text: str
    read: int = 0
    written: int = 0
    bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Sample:
    """All totals at one moment.

    Attributes:
        at: monotonic seconds.
        numbers: counters by name.
        steps: by step name.
        requests: histograms by kind of request; `delivery` by source.
    """

    at: float
    numbers: dict[str, float]
    steps: "dict[str, StepTotals]"
    requests: dict[str, Reading]
    delivery: dict[str, Reading]

    def delivered_since(self, earlier: "Sample") -> Reading:
        """Gives the delivery times of all sources since an earlier sample."""
        return Reading.sum_of(
            [each.since(earlier.delivery.get(name)) for name, each in self.delivery.items()]
        )


@dataclasses.dataclass(frozen=True)
class Picture:
    """The job as the monitor saw it last.

    Attributes:
        at: seconds since 1970.
        sources: the status of each live source.
        reasons: why the job isn't ready; empty when it is.
        now: the newest sample; `recent` the one of ten seconds before, `minute` of a minute before.
        seen: what all this was made of.
        progress: how far a job is that ends by itself.
    """

    at: float
    sources: list[SourceStatus]
    reasons: list[str]
    now: Sample
    recent: Sample
    minute: Sample
    seen: "Seen"
    progress: Progress | None

    def rate(self, name: str) -> float:
        """Gives a counter's change per second, over the last ten seconds."""
        passed = self.now.at - self.recent.at
        change = self.now.numbers.get(name, 0.0) - self.recent.numbers.get(name, 0.0)
        return max(0.0, change / passed) if passed > 0 else 0.0

    @property
    def lag_s(self) -> float | None:
        """How far the slowest source is behind, in seconds; None where no source can tell."""
        return max((source.lag_s for source in self.sources), default=None)

    @property
    def pending(self) -> int:
        """Events taken in and not yet acknowledged."""
        return sum(source.pending_events for source in self.sources)


def release() -> str:
    """The version of penstock that runs; `unknown` where it was not installed."""
    try:
        return str(penstock.__version__)
    except PackageNotFoundError:
        return "unknown"
