"""Several live sources as one read: they share evenly, wake the reader, and each is acknowledged by itself."""

import functools
import threading
import time

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.beats import BeatsOptions, ReadFromBeats
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE, Chunk, LiveSource
from penstock.io.chain.read_all import ReadFromAll, SeveralSources
from penstock.io.chain.unbounded import read_batches
from penstock.io.errors import DeliveryError, PipelineError
from penstock.transforms.batch import Event
from tests.tools.machine.waiting import wait_until


class Origin:
    arrived_ms = 0

    def position(self):
        return b"here"

    def describe(self):
        return {}


class Busy(LiveSource):
    """Has always something: `full`, or offers as many events as asked for."""

    def __init__(self, count, key):
        super().__init__(key, max_pending_events=200, max_pending_bytes=1 << 20, max_batch_events=10)
        self.given = None
        threading.Thread(target=self._produce, args=(count,), daemon=True).start()

    def _produce(self, count):
        for number in range(count):
            if not self.offer(Chunk([Event(b"%d" % number, Origin(), number)], 1, number)):
                return

    def position(self):
        return f"{self.key} so far"

    def resume(self, position):
        self.given = position


class Read(beam.PTransform):
    def __init__(self, key, count):
        super().__init__()
        self._key, self._count = key, count

    def expand(self, begin):
        return read_batches(begin, self._key, functools.partial(Busy, self._count)) | "Pass" >> beam.Map(
            lambda each: each
        )


@pytest.fixture(autouse=True)
def _clean():
    LIVE.close()
    yield
    LIVE.close()


def acknowledged(key):
    source = LIVE.find(key)
    return 0 if source is None else source.acknowledged_events


def test_two_busy_sources_share_evenly_and_stop_cleanly():
    def stop():
        wait_until(lambda: acknowledged("a") + acknowledged("b") >= 4000, "4,000 acknowledged")
        LIVE.stop()

    threading.Thread(target=stop, daemon=True).start()
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | ReadFromAll([Read("a", 1 << 30), Read("b", 1 << 30), Read("quiet", 3)]) | Acknowledge()
    pipeline.run().wait_until_finish()
    done = {key: acknowledged(key) for key in ("a", "b", "quiet")}
    assert done["quiet"] == 3
    # An unfair reader starves one of them whole: a bundle more or less is the moment of the stop.
    assert 0.5 < done["a"] / done["b"] < 2, done
    assert all(source.settled for source in LIVE.sources)


@pytest.fixture
def several():
    sources = [Busy(0, "a"), Busy(0, "b")]
    return SeveralSources("a + b", sources), *sources


def offer(source):
    source.offer(Chunk([Event(b"x", Origin(), 0)], 1, 0))


def test_what_comes_to_any_of_them_wakes_the_reader(several):
    both, _, second = several
    threading.Timer(0.2, offer, (second,)).start()
    began = time.monotonic()
    assert both.take(120.0).receipt.source == "b"
    assert time.monotonic() - began < 60
    threading.Timer(0.2, lambda: [source.stop() for source in several[1:]]).start()
    assert both.take(120.0) is None
    assert both.drained
    assert time.monotonic() - began < 100


def test_a_failure_of_one_ends_the_waiting(several):
    both, first, _ = several
    threading.Timer(0.2, first.fail, (DeliveryError("denied"),)).start()
    assert both.take(120.0) is None
    assert str(both.failure) == "denied"


def test_a_failed_bundle_comes_again_and_positions_are_each_ones_own(several):
    both, first, second = several
    offer(first)
    offer(second)
    assert {both.take(0).receipt.source, both.take(0).receipt.source} == {"a", "b"}
    assert both.requeue() == 2
    assert {both.take(0).receipt.source, both.take(0).receipt.source} == {"a", "b"}
    assert both.position() == {"a": "a so far", "b": "b so far"}
    both.resume({"a": 1})
    assert (first.given, second.given) == (1, None)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda begin: begin | ReadFromAll([beam.Create([1])]), "can't take Create"),
        (lambda begin: begin | ReadFromAll([Read("a", 1), Read("a", 1)]), "each source once"),
        (lambda begin: begin | ReadFromAll([]), "one or more of them"),
    ],
)
def test_what_it_cannot_read_is_refused(build, words):
    with pytest.raises(PipelineError, match=words):
        build(beam.Pipeline(runner=FnApiRunner()))


def test_two_reads_beside_each_other_are_refused_where_one_would_starve():
    pipeline = beam.Pipeline(runner=FnApiRunner())
    for number, read in enumerate((Read("a", 1), ReadFromBeats(BeatsOptions(port=0)))):
        _ = pipeline | f"read {number}" >> read | f"done {number}" >> Acknowledge()
    with pytest.raises(PipelineError, match=r"one endless source at a time.*read 0, read 1.*ReadFromAll"):
        pipeline.run()
