"""Reading, failing and stopping on Beam's own in-memory runner, with a source and sinks made here."""

import functools
import threading
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.acknowledge import Acknowledge
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.live import LIVE, Chunk, LiveSource
from penstock.io.unbounded import BatchCoder, BatchSource, Pacing, read_batches
from penstock.transforms.batch import DeadLetter, Event, EventBatch


class Origin:
    arrived_ms = 0

    def position(self):
        return b"here"

    def describe(self):
        return {"peer": "test"}


class Counter(LiveSource):
    """Offers `count` chunks of one event each, then waits to be stopped."""

    def __init__(self, key, count):
        super().__init__(key, max_pending_events=100, max_pending_bytes=1 << 20, max_batch_events=7)
        self.done = []
        self.given = None
        self.closed = False
        origin = Origin()
        thread = threading.Thread(
            target=lambda: [self.offer(Chunk([Event(b"%d" % i, origin, i)], 1, i)) for i in range(count)]
        )
        thread.start()

    def _acknowledged(self, chunks):
        self.done += [chunk.context for chunk in chunks]

    def resume(self, position):
        self.given = position

    def position(self):
        return len(self.done)

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def clean_registry():
    LIVE.close()
    yield
    LIVE.close()


def stop_when(key, condition):
    def wait():
        stop = threading.Event()
        while not stop.wait(0.02):
            source = LIVE.find(key)
            if source is not None and condition(source):
                LIVE.stop()
                return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()


def run(key, count, *steps):
    pipeline = beam.Pipeline(runner=FnApiRunner())
    batches = read_batches(pipeline, key, functools.partial(Counter, key, count), Pacing(0.5, 1.5))
    for number, step in enumerate(steps):
        batches = batches | f"step {number}" >> step
    return pipeline.run().wait_until_finish()


class Refuse(beam.DoFn):
    """Every third event is refused."""

    def process(self, batch):
        kept = [event for event in batch.events if event.index % 3]
        refused = [
            DeadLetter(event, "ValueError", "divisible", "test")
            for event in batch.events
            if event.index % 3 == 0
        ]
        yield batch.with_events(kept, refused)


class Fail(beam.DoFn):
    def process(self, batch):
        raise RuntimeError("the sink is broken")
        yield batch


def test_all_that_is_read_is_acknowledged_before_a_clean_stop():
    stop_when("count", lambda live: len(live.done) >= 50)
    run("count", 500, Acknowledge())
    live = LIVE.find("count")
    assert live.settled
    assert live.done == list(range(len(live.done)))
    assert len(live.done) >= 50


def test_an_emptied_batch_still_acknowledges():
    stop_when("empty", lambda live: len(live.done) == 20)
    run("empty", 20, beam.Map(lambda batch: batch.with_events([])), Acknowledge())
    assert LIVE.find("empty").settled


def test_dead_letters_are_kept_before_their_batch_is_acknowledged(tmp_path):
    stop_when("dead", lambda live: len(live.done) == 20)
    run("dead", 20, beam.ParDo(Refuse()), WriteDeadLetters(f"file://{tmp_path}/refused.jsonl"), Acknowledge())
    assert LIVE.find("dead").settled
    assert (tmp_path / "refused.jsonl").read_text().count("\n") == 7


def test_refused_events_that_nobody_kept_are_never_acknowledged():
    with pytest.raises(Exception, match="Put WriteDeadLetters between"):
        run("unkept", 20, beam.ParDo(Refuse()), Acknowledge())
    assert LIVE.find("unkept").done == []


def test_a_failing_sink_ends_the_run_and_hands_everything_back():
    with pytest.raises(Exception, match="the sink is broken"):
        run("failing", 20, beam.ParDo(Fail()), Acknowledge())
    live = LIVE.find("failing")
    assert live.done == []
    assert live._handed_out == {}, "the reader was closed without a mark, so its batches are queued again"


def test_a_mark_survives_its_coder_and_gives_the_position_back():
    source = BatchSource("marks", lambda: Counter("marks", 1), Pacing(0.1, 1))
    reader = source.create_reader(None, None)
    mark = reader.get_checkpoint_mark()
    coder = source.get_checkpoint_mark_coder()
    again = coder.decode(coder.encode(mark))
    source.create_reader(None, again)
    assert LIVE.find("marks").given == mark.position == 0


def test_a_reader_closed_after_its_mark_keeps_what_is_handed_out():
    source = BatchSource("parked", lambda: Counter("parked", 3), Pacing(5, 5))
    reader = source.create_reader(None, None)
    assert reader.start()
    reader.get_checkpoint_mark()
    reader.close()
    assert LIVE.find("parked")._handed_out
    reader = source.create_reader(None, None)
    reader.advance()
    reader.close()
    assert not LIVE.find("parked")._handed_out


def test_beam_never_encodes_a_batch_of_a_fused_chain(monkeypatch):
    monkeypatch.setattr(BatchCoder, "encode", lambda *_: pytest.fail("a batch was encoded"))
    stop_when("sizes", lambda live: len(live.done) == 20)
    run("sizes", 20, beam.ParDo(PassOn()), Acknowledge())
    assert LIVE.find("sizes").settled


class PassOn(beam.DoFn):
    def process(self, batch: EventBatch) -> Iterator[EventBatch]:
        yield batch


def test_a_batch_survives_its_coder_on_a_runner_that_does_not_fuse():
    origin = Origin()
    batch = EventBatch("k", [1, 2], [Event(b"%04d" % n * 250, origin, n) for n in range(50)], [])
    coder = coders.registry.get_coder(EventBatch)
    encoded = coder.encode(batch)
    again = coder.decode(encoded)
    assert (again.source, again.tokens) == ("k", [1, 2])
    assert [(event.data, event.index) for event in again.events] == [
        (b"%04d" % n * 250, n) for n in range(50)
    ]
    assert len(encoded) / 2 < coder.estimate_size(batch) < len(encoded) * 2
