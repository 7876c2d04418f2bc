"""`unbounded` is the only module that knows Beam's experimental `UnboundedSource`.

Readers are cheap to make: they borrow the process's `LiveSource`, since runners make a new one for nearly
every bundle. `close()` without a checkpoint mark before it means that the bundle failed: everything that
was handed out is handed out again, in order.

What a runner stores between bundles, and in a savepoint, is a `Split` (the live source's key and a number) and a mark,
both as JSON with a version. How to make the live source is in the graph (`Plan`). So a job that is resumed
from a savepoint uses the options and the code that it is started with.

Each split is an element of its own. Beam's `ReadFromUnboundedSource` has one element, which it splits later; Flink
assigns splittable work by element, so one subtask would read all splits (see `_flink_keys`).

Beam's `split()` swallows exceptions and `create_reader` gets no options, so what a source needs is tried
before the pipeline runs (`penstock.io.preflight`).
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    UnboundedReader,
    UnboundedSource,
    _ReadFromUnboundedSourceDoFn,
)
from apache_beam.options.pipeline_options import FlinkRunnerOptions
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from penstock.io.chain._flink_keys import DEFAULT_MAX_PARALLELISM, salt_for
from penstock.io.chain.batch_coder import BatchCoder
from penstock.io.chain.live_objects import LIVE, LiveSource, stop_when_idle
from penstock.io.chain.pacing import TURN_S, Pacing, PacingOptions, is_in_memory, readers_of
from penstock.io.chain.sinks import failing_the_job
from penstock.io.chain.whole_chain import refuse_broken_chains
from penstock.io.errors import StateError, without_traceback
from penstock.io.garbage_collector import calm_garbage_collector
from penstock.io.release import require_release, this_release
from penstock.transforms.batch import EventBatch
from penstock.transforms.step_kind import StepKind

__all__ = [
    "Pacing",
    "PacingOptions",
    "Plan",
    "PlannedRead",
    "ReadSplits",
    "Split",
    "is_in_memory",
    "read_batches",
    "readers_of",
]

_VERSION = 1
"""The version of the stored JSON. A later release understands earlier versions."""

_POLL_INTERVAL_S = 0.05
_COMMIT_S = 0.25
"""How long a bundle whose end acknowledges events waits for more of them."""


def _stored(encoded: bytes | str, what: str) -> dict[str, Any]:
    """Reads JSON that this version, or an earlier one, has stored."""
    stored: dict[str, Any] = json.loads(encoded)
    version = stored.get("v", 0)
    if not 1 <= version <= _VERSION:
        message = (
            f"cannot read {what} of the savepoint or checkpoint: it has version {version}, this penstock knows up to "
            f"{_VERSION}. Run the penstock that wrote it, or a newer one."
        )
        raise StateError(message)
    return stored


class _Mark(CheckpointMark):
    """Position after the last batch handed out: a reader that resumes from it starts right behind it."""

    def __init__(self, position: Any) -> None:
        self.position = position


class _MarkCoder(coders.Coder):
    def encode(self, mark: _Mark) -> bytes:
        return json.dumps({"v": _VERSION, "position": mark.position}, sort_keys=True).encode()

    def decode(self, encoded: bytes) -> _Mark:
        return _Mark(_stored(encoded, "a position")["position"])

    def is_deterministic(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class Plan:
    """How splits of one key are read; it travels with the graph, never with the state.

    Attributes:
        key: the live source's key in the registry.
        make: picklable; makes the live source of a key in the process that reads.
        pacing: how long a reader may hold its bundle.
        apart: each split has a live source of its own, also where two splits meet in one process.
    """

    key: str
    make: Callable[[str], LiveSource]
    pacing: Pacing
    apart: bool

    def live(self, split: "Split") -> LiveSource:
        """Gives the live source that a split is read from, and makes it where it isn't there."""
        key = f"{self.key}#{split.number}" if self.apart and split.count > 1 else self.key
        return LIVE.get(key, functools.partial(self.make, key))


_PLANS: dict[str, Plan] = {}
"""The plans of this process, by key. The reading DoFn puts its own here before it is given splits."""


class Split(UnboundedSource):
    """One of the parts that a runner deals out to readers.

    Args:
        key: the live source's key.
        number: the split's number, from 0.
        count: how many splits there are.
        salt: a number without meaning, by which Flink puts the split where it belongs (see `_flink_keys`).
    """

    def __init__(self, key: str, number: int = 0, count: int = 1, salt: int = 0) -> None:
        self.key = key
        self.number = number
        self.count = count
        self.salt = salt

    @classmethod
    def spread(cls, key: str, count: int, max_parallelism: int = DEFAULT_MAX_PARALLELISM) -> "list[Split]":
        """Gives `count` splits that are spread evenly over the subtasks."""
        found = []
        for number in range(count):

            def encode(salt: int, number: int = number) -> bytes:
                return cls(key, number, count, salt).text().encode()

            found.append(cls(key, number, count, salt_for(number, count, max_parallelism, encode)))
        return found

    def text(self) -> str:
        """Gives the split as it is stored."""
        content = {"v": _VERSION, "key": self.key, "n": self.number, "of": self.count, "salt": self.salt}
        return json.dumps(content, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> "Split":
        """Reads what `text` gave, in this release or an earlier one. Raises `StateError` for a later one's."""
        stored = _stored(text, "a split")
        return cls(stored["key"], stored["n"], stored["of"], stored["salt"])

    def __reduce__(self) -> Any:
        return _parse_split, (self.text(),)

    def split(self, desired_num_splits: int, options: Any = None) -> "list[Split]":
        """Gives itself, because it is a part already."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: _Mark | None) -> "_BatchReader":
        """Gives a reader on the process's live source, which the first reader makes."""
        with failing_the_job():
            plan = _PLANS.get(self.key)
            if plan is None:
                message = (
                    f"the savepoint holds the position of {self.key}, which this job does not read. Start the job with "
                    "the stream, application and addresses that it had, or without the savepoint."
                )
                raise StateError(message)
            live = plan.live(self)
            live.resume(None if checkpoint_mark is None else checkpoint_mark.position)
        return _BatchReader(live, plan.pacing)

    def get_checkpoint_mark_coder(self) -> _MarkCoder:
        """Gives the coder of our marks."""
        return _MarkCoder()

    def default_output_coder(self) -> BatchCoder:
        """Gives the coder of our batches."""
        return BatchCoder()


def _parse_split(text: str) -> Split:
    """Makes a split again. Pickles name this function, so it must keep its name and its module."""
    return Split.parse(text)


class _SplitCoder(coders.Coder):
    """The coder of splits as elements. Flink hashes these bytes."""

    def encode(self, split: Split) -> bytes:
        return split.text().encode()

    def decode(self, encoded: bytes) -> Split:
        return Split.parse(encoded.decode())

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Split


coders.registry.register_coder(Split, _SplitCoder)


class _ReadDoFn(_ReadFromUnboundedSourceDoFn):
    """Beam's reading of splits, which first leaves the plan of the read in the process."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            poll_interval=_POLL_INTERVAL_S,
            max_records_per_bundle=1 << 30,
            max_read_time_seconds=plan.pacing.max_read_time_s,
        )
        self._plan = plan
        self._release = this_release()

    def setup(self) -> None:
        require_release(self._release)
        _PLANS[self._plan.key] = self._plan
        calm_garbage_collector()
        super().setup()

    def infer_output_type(self, input_type: Any) -> Any:
        return EventBatch


class _BatchReader(UnboundedReader):
    def __init__(self, live: LiveSource, pacing: Pacing) -> None:
        self._live = live
        self._pacing = pacing
        self._batch: EventBatch | None = None
        self._marked = True
        self._begun = 0.0

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        if self._marked:
            self._marked = False
            self._begun = time.monotonic()
        self._batch = None
        alone = len(LIVE.sources) == len(self._live.keys)
        if alone or time.monotonic() - self._begun < 3 * TURN_S:
            self._batch = self._live.take(self._patience_s(alone))
        if self._batch is None and self._pacing.stop_when_idle_s:
            stop_when_idle(self._pacing.stop_when_idle_s)
        if self._batch is None and self._live.failure is not None:
            LIVE.fail(self._live.failure)
            raise without_traceback(self._live.failure)
        return self._batch is not None

    def _patience_s(self, alone: bool) -> float:
        """Tells how long to wait for the next batch."""
        if self._pacing.finalizes and self._live.pending_events:
            return _COMMIT_S
        return self._pacing.block_s if alone else min(TURN_S, self._pacing.block_s)

    def get_current(self) -> EventBatch | None:
        return self._batch

    def get_current_timestamp(self) -> Timestamp:
        assert self._batch is not None  # noqa: S101  Beam asks only after a successful advance
        return Timestamp(self._batch.timestamp_ms / 1000)

    def get_watermark(self) -> Timestamp:
        if self._batch is None and self._live.drained:
            return MAX_TIMESTAMP
        return Timestamp(self._live.watermark_ms() / 1000)

    def get_checkpoint_mark(self) -> _Mark:
        self._marked = True
        return _Mark(self._live.position())

    def close(self) -> None:
        if not self._marked:
            self._live.requeue()


class ReadSplits(beam.PTransform):
    """Reads splits by a plan; the inner part of every endless read."""

    step_kind = StepKind(reads="live")

    def __init__(self, plan: Plan, splits: list[Split]) -> None:
        super().__init__()
        self._plan = plan
        self._splits = splits

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return {"source": self._plan.key, "splits": len(self._splits)}

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        refuse_broken_chains(begin.pipeline)
        return (
            begin
            | beam.Create(self._splits, reshuffle=False)
            | "Batches" >> beam.ParDo(_ReadDoFn(self._plan))
        )


class PlannedRead:
    """Stands for a pipeline's begin where a read is asked what it would do: its plan, and the steps behind it.

    Args:
        pipeline: whose options count.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.plan: Plan | None = None
        self.readers = 1
        self.steps: list[Any] = []

    def __or__(self, step: Any) -> "PlannedRead":
        self.steps.append(step)
        return self


def read_batches(
    pipeline_begin: Any,
    key: str,
    make: Callable[[str], LiveSource],
    *,
    pacing: Pacing | None = None,
    readers: int = 1,
    apart: bool = False,
) -> Any:
    """Gives a PCollection of `EventBatch` from live sources that `make` gives in the reading processes.

    Args:
        pipeline_begin: the pipeline or its begin.
        key: the live source's key in the registry; names its position in savepoints.
        make: picklable; makes the live source of the key that it is called with.
        pacing: how long a reader may hold its bundle; by default what suits the pipeline's runner.
        readers: how many splits it is divided into; see `readers_of`.
        apart: every split gets a live source of its own, also where two of them meet in one process. Otherwise the
            splits of a process share one.
    """
    if isinstance(pipeline_begin, PlannedRead):
        pipeline_begin.plan, pipeline_begin.readers = Plan(key, make, Pacing.of(""), apart), readers
        return pipeline_begin
    pipeline = getattr(pipeline_begin, "pipeline", pipeline_begin)
    plan = Plan(key, make, pacing or Pacing.of_pipeline(pipeline), apart)
    most = pipeline.options.view_as(FlinkRunnerOptions).max_parallelism
    splits = Split.spread(key, readers, most if most > 0 else DEFAULT_MAX_PARALLELISM)
    return pipeline_begin | "Read" >> ReadSplits(plan, splits)
