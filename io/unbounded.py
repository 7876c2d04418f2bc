"""The only module that knows Beam's experimental `UnboundedSource`.

Readers are feather-light: they borrow the process's `LiveSource`, since runners make a new one for nearly
every bundle. `close()` without a checkpoint mark before it means that the bundle failed: everything that
was handed out is handed out again, in order.

Beam's `split()` swallows exceptions and `create_reader` gets no options, so sources check their access
before the pipeline runs (`check`) and carry their own options.
"""

import dataclasses
import json
import pickle
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from penstock.io.errors import PenstockError
from penstock.io.live import LIVE, LiveSource
from penstock.transforms.batch import EventBatch

__all__ = ["BatchCoder", "BatchSource", "Pacing", "read_batches", "read_from"]


class BatchCoder(coders.Coder):
    """Beam's coder of an `EventBatch`; in a fused stage nothing is encoded at all.

    Beam samples the encoded size of elements for its metrics, and would pickle thousands of events to learn it
    (a tenth of a job's CPU time, measured), so the size is an estimate.
    """

    def encode(self, batch: EventBatch) -> bytes:
        """The batch as bytes, for a runner that doesn't fuse."""
        return pickle.dumps(batch, protocol=5)

    def decode(self, encoded: bytes) -> EventBatch:
        """The batch again; only bytes of our own pipeline come here."""
        batch: EventBatch = pickle.loads(encoded)  # noqa: S301
        return batch

    def estimate_size(self, batch: EventBatch) -> int:
        """About the bytes that `encode` would give: the first event's size times their number."""
        return 100 + len(batch.events) * (100 + len(batch.events[0].data) if batch.events else 0)

    def is_deterministic(self) -> bool:
        """No: a batch is never a key."""
        return False

    def to_type_hint(self) -> type:
        """The element's type."""
        return EventBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


coders.registry.register_coder(EventBatch, BatchCoder)


@dataclasses.dataclass(frozen=True)
class Pacing:
    """How long a reader may hold on to its bundle, by runner; measured on each.

    Attributes:
        block_s: how long `advance()` waits for data, in seconds; data and a stop wake it.
        max_read_time_s: a busy reader ends its bundle after this many seconds.
    """

    block_s: float
    max_read_time_s: float

    @classmethod
    def of(cls, runner: str) -> "Pacing":
        """The pacing for a runner's name.

        The in-memory FnApiRunner leaks some 30 KB a bundle, hence bundles of an hour. Elsewhere a
        checkpoint waits for the bundle's end, hence bundles of a second.
        """
        if "fnapi" in runner.lower() or "direct" in runner.lower() or not runner:
            return cls(block_s=30.0, max_read_time_s=3600.0)
        return cls(block_s=0.5, max_read_time_s=1.5)


class _Mark(CheckpointMark):
    """Position after the last batch handed out: a reader that resumes from it starts right behind it."""

    def __init__(self, position: Any) -> None:
        self.position = position


class _MarkCoder(coders.Coder):
    """JSON with a version, so that a later release can still read a savepoint's marks."""

    def encode(self, mark: _Mark) -> bytes:
        return json.dumps({"v": 1, "position": mark.position}, sort_keys=True).encode()

    def decode(self, encoded: bytes) -> _Mark:
        return _Mark(json.loads(encoded)["position"])

    def is_deterministic(self) -> bool:
        return True


class BatchSource(UnboundedSource):
    """A Beam source of `EventBatch` on top of a live source.

    Args:
        key: the live source's key in the registry.
        factory: picklable; makes the live source in the process that reads.
        pacing: how long a reader may hold its bundle.
        readers: into how many splits the runner may deal it out: more than one only where each worker process
            finds work of its own (a shared port), and as many workers run.
    """

    def __init__(self, key: str, factory: Callable[[], LiveSource], pacing: Pacing, readers: int = 1) -> None:
        self._key = key
        self._factory = factory
        self._pacing = pacing
        self._readers = readers

    def split(self, desired_num_splits: int, options: Any = None) -> "list[BatchSource]":
        """As many splits as readers: one live source a process multiplexes all its connections or shards."""
        return [self] * self._readers

    def create_reader(self, options: Any, checkpoint_mark: _Mark | None) -> "_BatchReader":
        """A reader on the process's live source, which the first reader brings to life."""
        try:
            live = LIVE.get(self._key, self._factory)
            live.resume(None if checkpoint_mark is None else checkpoint_mark.position)
        except PenstockError as failure:
            LIVE.fail(failure)
            raise
        return _BatchReader(live, self._pacing)

    def get_checkpoint_mark_coder(self) -> _MarkCoder:
        """The coder of our marks."""
        return _MarkCoder()

    def default_output_coder(self) -> BatchCoder:
        """The coder of our batches."""
        return BatchCoder()


class _BatchReader(UnboundedReader):
    def __init__(self, live: LiveSource, pacing: Pacing) -> None:
        self._live = live
        self._pacing = pacing
        self._batch: EventBatch | None = None
        self._marked = True

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        self._marked = False
        self._batch = self._live.take(self._pacing.block_s)
        if self._batch is None and self._live.failure is not None:
            LIVE.fail(self._live.failure)
            raise self._live.failure
        return self._batch is not None

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


def read_batches(
    pipeline_begin: Any,
    key: str,
    factory: Callable[[], LiveSource],
    pacing: Pacing | None = None,
    readers: int = 1,
) -> beam.PCollection:
    """A PCollection of `EventBatch` from the live source that `factory` makes in the reading process."""
    return read_from(pipeline_begin, lambda pacing: BatchSource(key, factory, pacing, readers), pacing)


def read_from(
    pipeline_begin: Any, make: Callable[[Pacing], BatchSource], pacing: Pacing | None = None
) -> beam.PCollection:
    """A PCollection of `EventBatch` from the source that `make` gives, paced as suits the pipeline's runner."""
    if pacing is None:
        pipeline = getattr(pipeline_begin, "pipeline", pipeline_begin)
        named = pipeline.options.view_as(StandardOptions).runner
        pacing = Pacing.of(named or type(pipeline.runner).__name__)
    return pipeline_begin | ReadFromUnboundedSource(
        make(pacing),
        poll_interval=0.05,
        max_records_per_bundle=1 << 30,
        max_read_time_seconds=pacing.max_read_time_s,
    )
