"""Beam's model on its FnApiRunner: batched DoFns, timers, size samples, the choice of the runner."""

import time
import typing

import apache_beam as beam
import numpy
from apache_beam.runners.portability import prism_runner
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows

from tests.upstream.faults import SEEN, Counting, fault, run

Batches = typing.Iterator[numpy.ndarray]


class SeeBatches(beam.DoFn):
    """The batched kind of `See`."""

    def process_batch(self, batch: numpy.ndarray) -> Batches:
        SEEN.append((time.monotonic(), batch))
        yield batch

    def infer_output_type(self, input_element_type):
        return numpy.int64


class AtTheEnd(beam.DoFn):
    """Emits what it has only when the bundle ends, as a DoFn that gathers does."""

    def process(self, element):
        self._kept = element
        return ()

    def finish_bundle(self):
        yield GlobalWindows.windowed_value(self._kept)


@fault("a per-record PCollection on batched DoFns loses nothing, so a gathering DoFn may stand before one.")
def test_what_finish_bundle_emits_reaches_a_batched_consumer():
    run(
        beam.Create([7]),
        beam.ParDo(AtTheEnd()).with_output_types(numpy.int64),
        beam.ParDo(SeeBatches()),
    )
    assert [int(number) for _, batch in SEEN for number in batch] == [7]


@fault("per-record elements need not wait for a full batch: EventBatch could become Beam's own batching.")
def test_a_record_reaches_a_batched_consumer_before_its_bundle_ends():
    run(
        beam.Create([[1, 2, 3]]),
        beam.FlatMap(_slowly).with_output_types(numpy.int64),
        beam.ParDo(SeeBatches()),
    )
    assert len(SEEN) > 1, "one batch for all, when the bundle is over"


def _slowly(numbers):
    for number in numbers:
        yield numpy.int64(number)
        time.sleep(0.3)


PICKLED: list[int] = []


class Element:
    """Tells when it is pickled."""

    def __reduce__(self):
        PICKLED.append(1)
        return Element, ()


def _element(number: int) -> Element:
    return Element()


@fault("BatchCoder.estimate_size can go: nothing is encoded in a fused chain to learn its size.")
def test_a_fused_chain_encodes_nothing():
    PICKLED.clear()
    run(beam.Create([*range(1000)], reshuffle=False), beam.Map(_element), beam.Map(id))
    assert not PICKLED


class Later(beam.DoFn):
    TIMER = TimerSpec("later", TimeDomain.REAL_TIME)

    def process(self, element, later=beam.DoFn.TimerParam(TIMER)):  # noqa: B008  Beam reads it
        SEEN.append((time.monotonic(), "set"))
        later.set(time.time() + 2)

    @on_timer(TIMER)
    def fired(self):
        SEEN.append((time.monotonic(), "fired"))


@fault(
    "a sink's linger may be a timer instead of the source's wait: real-time timers fire when they are due."
)
def test_a_real_time_timer_fires_when_it_is_due():
    refused = None
    try:
        run(Counting(30, nap_s=0.08).read(), beam.Map(lambda number: ("key", number)), beam.ParDo(Later()))
    except Exception as error:
        refused = error
    assert refused is None
    first = next(moment for moment, what in SEEN if what == "set")
    fired = [moment - first for moment, what in SEEN if what == "fired"]
    assert fired
    assert min(fired) > 1.8


@fault("choose_runner need not replace the DirectRunner: it is one runner, and fetches nothing.")
def test_the_direct_runner_tries_no_other_first(monkeypatch):
    tried = []

    def start(self, options):
        tried.append(self)
        raise RuntimeError("not here")

    monkeypatch.setattr(prism_runner.PrismRunner, "default_job_server", start)
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        _ = pipeline | beam.Create([1])
    assert not tried
