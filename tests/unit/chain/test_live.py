"""LiveSource: what is queued, handed out and acknowledged, and what never may happen to it."""

import threading
import time

import pytest

from penstock.io.chain.live_objects import Chunk, LiveSource, Registry
from penstock.io.errors import Unreachable
from penstock.transforms.batch import EVENT_BYTES, Event


class Nowhere:
    def position(self):
        return None

    def describe(self):
        return {"peer": "test"}


ORIGIN = Nowhere()


class Recorder(LiveSource):
    def __init__(self, **options):
        defaults = {"max_pending_events": 100, "max_pending_bytes": 10_000}
        super().__init__("recorder", **{**defaults, **options})
        self.acknowledged = []

    def _acknowledged(self, chunks):
        self.acknowledged += [chunk.context for chunk in chunks]


def chunk(name, events=1, size=10, arrived_ms=1):
    return Chunk([Event(b"%d" % i, ORIGIN, i) for i in range(events)], size, name, arrived_ms)


def test_a_batch_takes_whole_chunks_in_order_up_to_its_bounds():
    live = Recorder(max_batch_events=5)
    for name, events in (("a", 2), ("b", 3), ("c", 1)):
        assert live.offer(chunk(name, events))
    first = live.take(0)
    assert len(first.events) == 5
    assert len(first.receipt.tokens) == 2
    second = live.take(0)
    assert len(second.events) == 1
    live.acknowledge(second.receipt.tokens)
    live.acknowledge(first.receipt.tokens)
    assert live.acknowledged == ["c", "a", "b"]
    assert live.settled


def test_a_chunk_larger_than_a_batch_travels_alone():
    live = Recorder(max_batch_events=5)
    live.offer(chunk("big", 50))
    live.offer(chunk("small"))
    assert len(live.take(0).events) == 50
    assert len(live.take(0).events) == 1


@pytest.mark.parametrize(("bound", "first"), [("max_pending_events", 60), ("max_pending_bytes", 1)])
def test_offer_blocks_until_an_acknowledgement_makes_room(bound, first):
    live = Recorder(**{bound: 100 if bound == "max_pending_events" else 61 * EVENT_BYTES})
    live.offer(chunk("a", first, size=60))
    let_in = threading.Event()

    def producer():
        live.offer(chunk("b", 60, size=60))
        let_in.set()

    thread = threading.Thread(target=producer)
    thread.start()
    batch = live.take(0)
    assert not let_in.wait(0.2), "handing out is not acknowledging: there is no room yet"
    live.acknowledge(batch.receipt.tokens)
    assert let_in.wait(60)
    thread.join()
    assert live.pending_events == 60


def test_a_chunk_beyond_the_bound_is_let_in_when_nothing_is_pending():
    live = Recorder(max_pending_events=10)
    assert live.offer(chunk("huge", 5000))


def test_offer_gives_up_when_asked_and_when_stopping():
    live = Recorder(max_pending_events=1)
    live.offer(chunk("a"))
    assert not live.offer(chunk("b"), give_up=lambda: True)
    live.stop()
    assert not live.offer(chunk("c"))


def test_a_failed_bundle_is_handed_out_again_in_order_and_acknowledged_once():
    live = Recorder(max_batch_events=2)
    for name in "abcd":
        live.offer(chunk(name))
    first, second = live.take(0), live.take(0)
    for event in first.events:
        event.id, event.timestamp, event.document, event.changed = "id", "now", {"a": 2}, True
    assert live.requeue() == 4
    assert {(e.id, e.timestamp, e.document, e.changed) for e in first.events} == {(None, None, None, False)}
    live.acknowledge(first.receipt.tokens)  # a zombie of the failed bundle
    assert live.acknowledged == []
    again = [live.take(0), live.take(0)]
    assert [batch.receipt.tokens for batch in again] == [first.receipt.tokens, second.receipt.tokens]
    for batch in again:
        live.acknowledge(batch.receipt.tokens)
        live.acknowledge(batch.receipt.tokens)
    assert live.acknowledged == ["a", "b", "c", "d"]
    assert live.pending_events == 0
    assert live.pending_bytes == 0


def test_after_stop_what_is_queued_is_still_handed_out_and_then_it_is_drained():
    live = Recorder()
    live.offer(chunk("a"))
    live.stop()
    assert not live.drained
    batch = live.take(30)
    assert live.drained
    assert live.take(30) is None
    assert not live.settled
    live.acknowledge(batch.receipt.tokens)
    assert live.settled


def test_take_wakes_up_for_data_stop_and_failure():
    for wake in (
        lambda live: live.offer(chunk("a")),
        LiveSource.stop,
        lambda live: live.fail(Unreachable("x")),
    ):
        live = Recorder()
        threading.Timer(0.05, wake, [live]).start()
        began = time.monotonic()
        live.take(30)
        assert time.monotonic() - began < 60


def test_linger_waits_for_a_fuller_batch_but_not_for_ever():
    live = Recorder(linger_s=0.3, max_batch_events=3)
    live.offer(chunk("a"))
    timer = threading.Timer(0.05, lambda: [live.offer(chunk(name)) for name in "bc"])
    timer.start()
    assert len(live.take(0).events) == 3
    live.offer(chunk("d"))
    assert len(live.take(0).events) == 1


def test_the_batch_carries_the_oldest_arrival():
    live = Recorder()
    live.offer(chunk("a", arrived_ms=2000))
    live.offer(chunk("b", arrived_ms=1000))
    assert live.take(0).timestamp_ms == 1000


def test_discard_forgets_queued_and_handed_out_without_acknowledging():
    live = Recorder(max_batch_events=1)
    for name in "abc":
        live.offer(chunk(name))
    batch = live.take(0)
    live._discard(lambda each: each.context in "ab")
    live.acknowledge(batch.receipt.tokens)
    assert live.acknowledged == []
    assert (live.pending_events, live.pending_bytes) == (1, 10 + EVENT_BYTES)
    assert live.take(0).events[0].data == b"0"


def test_the_registry_makes_one_source_a_key_and_stops_late_ones():
    registry = Registry()
    one = registry.get("k", Recorder)
    assert registry.get("k", Recorder) is one
    registry.stop()
    assert one.stopping
    assert registry.get("late", Recorder).stopping
    registry.close()
    assert registry.find("k") is None
    assert not registry.stopping.is_set()


def test_the_registry_keeps_the_first_failure():
    registry = Registry()
    first = Unreachable("first")
    registry.fail(first)
    registry.fail(Unreachable("second"))
    assert registry.failure is first
