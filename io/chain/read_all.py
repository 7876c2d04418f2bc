"""`ReadFromAll` reads several live sources as one: a batch of each in turn, each with its own receipt.

Problem. On Beam's in-memory runner a second endless read gets its turn when the first one's bundle ends, which may be
after an hour; on other runners the readers of one process wait for each other; and a Flatten loses the process that read.

Plan. There is one read, whose splits stand for a split of each source. Its reader asks the sources in turn and takes what
one has at once; only when none has anything it waits, for a change in any of them. A runner stores the position of
each source. Each batch's receipt names its source, so each source acknowledges by itself.
"""

import dataclasses
import threading
import time
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import FlinkRunnerOptions

from penstock.io.chain._flink_keys import DEFAULT_MAX_PARALLELISM
from penstock.io.chain.live_objects import LiveSource
from penstock.io.chain.pacing import Pacing
from penstock.io.chain.unbounded import Plan, PlannedRead, ReadSplits, Split
from penstock.io.errors import PenstockError, PipelineError
from penstock.transforms.batch import EventBatch

__all__ = ["ReadFromAll", "SeveralSources"]


class ReadFromAll(beam.PTransform):
    """Several endless reads as one, so that one chain behind it serves them all.

    Args:
        reads: `ReadFromBeats`, `ReadFromKinesis`, in any number; each source once.

    Unit of parallelism: the split; one split reads all sources, by turns of a batch, so a busy one can't hold up
    the others.

    Delivery guarantee: at least once, as each source has it. A savepoint holds the positions of all.
    """

    def __init__(self, reads: Sequence[beam.PTransform]) -> None:
        super().__init__()
        self._reads = list(reads)

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"reads": ", ".join(read.default_label() for read in self._reads)}

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        planned = [self._planned(read, begin.pipeline) for read in self._reads]
        plans = [each.plan for each in planned if each.plan is not None]
        keys = [plan.key for plan in plans]
        if len(plans) != len(self._reads) or not plans or len(set(keys)) != len(keys):
            message = "ReadFromAll takes ReadFromBeats and ReadFromKinesis, one or more of them, and each source once."
            raise PipelineError(message)
        options = begin.pipeline.options
        pacing = Pacing.of_pipeline(begin.pipeline)
        readers = [each.readers for each in planned]
        plan = _SeveralPlan(
            " + ".join(keys), plans[0].make, pacing, apart=False, plans=plans, readers=readers
        )
        most = options.view_as(FlinkRunnerOptions).max_parallelism
        splits = Split.spread(plan.key, max(readers), most if most > 0 else DEFAULT_MAX_PARALLELISM)
        batches = begin | "Read" >> ReadSplits(plan, splits)
        for number, each in enumerate(planned):
            for step in each.steps:
                batches = batches | f"{number} {step.label}" >> step
        return batches

    def _planned(self, read: beam.PTransform, pipeline: Any) -> PlannedRead:
        planned = PlannedRead(pipeline)
        try:
            read.expand(planned)
        except PenstockError:
            raise
        except Exception as error:
            message = f"ReadFromAll can't take {read.default_label()}: it is no endless read of ours."
            raise PipelineError(message) from error
        return planned


@dataclasses.dataclass(frozen=True)
class _SeveralPlan(Plan):
    """How a split of all sources is read. `readers` holds the number of splits of each plan's source."""

    plans: Sequence[Plan] = ()
    readers: Sequence[int] = ()

    def live(self, split: Split) -> Any:
        sources = [
            plan.live(Split(plan.key, split.number, readers))
            for plan, readers in zip(self.plans, self.readers, strict=True)
            if split.number < readers
        ]
        return SeveralSources(self.key, sources)


class SeveralSources:
    """Several live sources that Beam's reader sees as one. For everybody else they stay separate.

    Args:
        key: the name of the read.
        sources: the sources, in the order of their turns.
    """

    def __init__(self, key: str, sources: Sequence[LiveSource]) -> None:
        self.key = key
        self._sources = list(sources)
        self._wake = threading.Event()
        for source in sources:
            source.wake = self._wake
        self._turn = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The sources' keys."""
        return tuple(source.key for source in self._sources)

    @property
    def failure(self) -> PenstockError | None:
        """Why one of the sources can't go on, or None."""
        return next((source.failure for source in self._sources if source.failure is not None), None)

    @property
    def drained(self) -> bool:
        """Whether nothing will be handed out any more."""
        return all(source.drained for source in self._sources)

    def take(self, wait_s: float) -> EventBatch | None:
        """Gives the next batch of the source whose turn it is, or of the first behind it that has one."""
        until = time.monotonic() + wait_s
        while True:
            self._wake.clear()  # before looking: what changes from here on wakes us
            for step in range(len(self._sources)):
                at = (self._turn + step) % len(self._sources)
                batch = self._sources[at].take(0.0)
                if batch is not None:
                    self._turn = at + 1
                    return batch
            left_s = until - time.monotonic()
            if self.failure is not None or self.drained or left_s <= 0:
                return None
            self._wake.wait(left_s)

    def requeue(self) -> int:
        """Makes each source hand out again what it had handed out, because a bundle failed."""
        return sum(source.requeue() for source in self._sources)

    def position(self) -> dict[str, Any]:
        """Gives the positions of all sources, by key."""
        return {source.key: source.position() for source in self._sources}

    def resume(self, position: dict[str, Any] | None) -> None:
        """Makes each source go on from its own position. A new source has none."""
        for source in self._sources:
            source.resume((position or {}).get(source.key))

    def watermark_ms(self) -> int:
        """Gives the watermark of the slowest source."""
        return min(source.watermark_ms() for source in self._sources)
