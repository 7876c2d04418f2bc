"""`faults` serves the tests of this folder: the mark of a fault, a counting source, and a DoFn that remembers.

Each test asserts what *should* be and is expected to fail. The day that Beam or Flink is fixed it passes, and the
strict mark turns that into a failure whose reason says what we could then simplify.
"""

import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

CALLS: list[Any] = []
"""What the source saw, in this process: the FnApiRunner works in it."""
SEEN: list[Any] = []
"""(time, element) of what reached `See`."""


def fault(then: str, raises: type[BaseException] = AssertionError) -> pytest.MarkDecorator:
    """Marks a test of what upstream does wrong; `then` says what we can simplify once it passes."""
    return pytest.mark.xfail(strict=True, raises=raises, reason=f"upstream; once it passes: {then}")


def run(*steps: Any, options: tuple[str, ...] = ()) -> Any:
    """Runs a linear pipeline on the FnApiRunner to its end."""
    SEEN.clear()
    CALLS.clear()
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(options)))
    values: Any = pipeline
    for number, step in enumerate(steps):
        values = values | f"step {number}" >> step
    result = pipeline.run()
    result.wait_until_finish()
    return result


class See(beam.DoFn):
    """Remembers when an element came, and passes it on."""

    def process(self, element):
        SEEN.append((time.monotonic(), element))
        yield element


class Mark(CheckpointMark):
    """After how many calls of `advance` the reader stood."""

    def __init__(self, calls: int) -> None:
        self.calls = calls


class Counting(UnboundedSource):
    """Counts up; every record is followed by one `advance` without data, so that each stands in a bundle of its own.

    Args:
        records: how many it gives before it ends.
        nap_s: how long each `advance` takes, in seconds.
        splits: how many equal sources `split` gives.
    """

    def __init__(self, records: int, nap_s: float = 0.0, splits: int = 1) -> None:
        self.records, self.nap_s, self.splits = records, nap_s, splits

    def split(self, desired_num_splits, options=None):
        return [self] * self.splits

    def create_reader(self, options, checkpoint_mark):
        CALLS.append(("options", options))
        return _CountingReader(self, checkpoint_mark.calls if checkpoint_mark else 0)

    def get_checkpoint_mark_coder(self):
        return coders.PickleCoder()

    def read(self, **limits: float) -> beam.PTransform:
        """The transform that reads it."""
        return ReadFromUnboundedSource(self, **limits)


class _CountingReader(UnboundedReader):
    def __init__(self, source: Counting, calls: int) -> None:
        self._source, self._calls = source, calls

    def start(self):
        return self.advance()

    def advance(self):
        started = time.monotonic()
        time.sleep(self._source.nap_s)
        CALLS.append(("advance", started, time.monotonic()))
        self._calls += 1
        return self._calls % 2 == 1 and self._calls < 2 * self._source.records

    def get_current(self):
        return self._calls // 2

    def get_current_timestamp(self):
        return Timestamp(time.time())

    def get_watermark(self):
        return MAX_TIMESTAMP if self._calls >= 2 * self._source.records else Timestamp(time.time())

    def get_checkpoint_mark(self):
        return Mark(self._calls)
