"""Reading, failing and stopping on Beam's own in-memory runner, with a source and sinks made here."""

import base64
import collections
import functools
import pickle
import pickletools
import threading
import time
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.io.unbounded_source import _UnboundedSourceRestrictionCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.chain import _flink_keys, unbounded
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.batch_coder import BatchCoder
from penstock.io.chain.live_objects import LIVE, Chunk, LiveReceipt, LiveSource
from penstock.io.chain.unbounded import Pacing, Split, read_batches, readers_of
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.errors import OptionError, StateError
from penstock.transforms.batch import DeadLetter, Event, EventBatch


class Origin:
    arrived_ms = 0

    def position(self):
        return b"here"

    def describe(self):
        return {"peer": "test"}


class Counter(LiveSource):
    """Offers `count` chunks of one event each, then waits to be stopped."""

    def __init__(self, count, key):
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
    batches = read_batches(pipeline, key, functools.partial(Counter, count), pacing=Pacing(0.5, 1.5))
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


def planned(key, count):
    """A split in a process whose reading DoFn was set up."""
    unbounded._PLANS[key] = unbounded.Plan(key, functools.partial(Counter, count), Pacing(5, 5), apart=False)
    return Split(key)


def test_a_mark_survives_its_coder_and_gives_the_position_back():
    source = planned("marks", 1)
    reader = source.create_reader(None, None)
    mark = reader.get_checkpoint_mark()
    coder = source.get_checkpoint_mark_coder()
    again = coder.decode(coder.encode(mark))
    source.create_reader(None, again)
    assert LIVE.find("marks").given == mark.position == 0


def test_a_reader_closed_after_its_mark_keeps_what_is_handed_out():
    source = planned("parked", 3)
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
    batch = EventBatch(LiveReceipt("k", [1, 2]), [Event(b"%04d" % n * 250, origin, n) for n in range(50)], [])
    coder = coders.registry.get_coder(EventBatch)
    encoded = coder.encode(batch)
    again = coder.decode(encoded)
    assert again.receipt == batch.receipt
    assert [(event.data, event.index) for event in again.events] == [
        (b"%04d" % n * 250, n) for n in range(50)
    ]
    assert len(encoded) / 2 < coder.estimate_size(batch) < len(encoded) * 2


# -- what runners store -------------------------------------------------------------------------------

# Written by 0.1.0. A later release must read them: they stand in users' savepoints.
MARK_1 = b'{"position": {"shards": {"shardId-000000000000": "4959:11"}}, "v": 1}'
SPLIT_1 = '{"key": "kinesis:poc:app", "n": 1, "of": 2, "salt": 27, "v": 1}'


# The same two, and a watermark, as Beam 2.77 writes them into Flink's state.
RESTRICTION_1 = base64.b64decode(
    "wAFRbHBvT1RGQldTWlRXZDEzZEFzQUFEWjc0RW9FQWdCUUJUQ1FrQUMvTGQ4cVFnUU9BQ0FBYWhxSWFhQUJrTkdnR1RUSVJUUnRKa1lnMEFhRFRFQlpR"
    "R3VGdElCUURNM1l2eHR4QmVoT1BQYnpnR09RY05SS3J1UktVVkFnaTRTck1ScG5xV0IzU3hDQ2lEaU1QaXhlcGlRb1IyazdLMFQyTVFlTFRLRFNoejNy"
    "aHBEOFhja1U0VUpEZGQzUUxBPT1GAXsicG9zaXRpb24iOiB7InNoYXJkcyI6IHsic2hhcmRJZC0wMDAwMDAwMDAwMDAiOiAiNDk1OToxMSJ9fSwgInYi"
    "OiAxfYAAAYvP5WgAAAA="
)


BATCH_1 = base64.b64decode(
    "gAWVEgEAAAAAAACMGXBlbnN0b2NrLnRyYW5zZm9ybXMuYmF0Y2iUjApFdmVudEJhdGNolJOUKIwQa2luZXNpczpsb2dzOmFwcJRdlChLB0sIZV2UaACM"
    "BUV2ZW50lJOUKEMHeyJhIjoxfZSMHXBlbnN0b2NrLmlvLmtpbmVzaXMucG9zaXRpb25zlIwNS2luZXNpc1JlY29yZJSTlCiMBGxvZ3OUjBRzaGFyZElkLTAw"
    "MDAwMDAwMDAwMJSMBDQ5NTmUjANrZXmUigYAoiADogFLAXSUUpRLAEsATk5OiXSUUpRhXZRoAIwKRGVhZExldHRlcpSTlChoE4wBWJSMAXKUjAZkZWNvZGWU"
    "TksBiXSUUpRhSwVLB3SUUpQu"
)


def test_a_batch_of_an_earlier_release_is_read():
    """Flink keeps batches that stood between two steps; 0.1.0 had the source's key and the tokens where the receipt is."""
    batch = BatchCoder().decode(BATCH_1)
    assert batch.receipt == LiveReceipt("kinesis:logs:app", [7, 8])
    assert [(event.data, event.origin.sequence_number) for event in batch.events] == [(b'{"a":1}', "4959")]
    assert [letter.error for letter in batch.dead_letters] == ["X"]
    assert (batch.timestamp_ms, batch.size) == (5, 7)


def test_a_savepoint_of_an_earlier_release_resumes():
    restriction = _UnboundedSourceRestrictionCoder().decode(RESTRICTION_1)
    assert restriction.source.text() == SPLIT_1
    assert restriction.checkpoint_mark.position == {"shards": {"shardId-000000000000": "4959:11"}}
    assert not restriction.is_done


def test_the_next_version_reads_this_one_and_this_one_refuses_the_next(monkeypatch):
    """An upgrade between savepoint and resumption, and a downgrade."""
    monkeypatch.setattr(unbounded, "_VERSION", 2)
    coder = _UnboundedSourceRestrictionCoder()
    written_by_the_next = coder.encode(coder.decode(RESTRICTION_1))
    assert coder.decode(written_by_the_next).source.count == 2
    monkeypatch.setattr(unbounded, "_VERSION", 1)
    with pytest.raises(StateError, match="has version 2"):
        coder.decode(written_by_the_next)


def test_what_an_earlier_release_stored_is_understood():
    mark = Split("any").get_checkpoint_mark_coder().decode(MARK_1)
    assert mark.position == {"shards": {"shardId-000000000000": "4959:11"}}
    split = Split.parse(SPLIT_1)
    assert (split.key, split.number, split.count, split.salt) == ("kinesis:poc:app", 1, 2, 27)
    assert split.text() == SPLIT_1


def test_what_a_later_release_stored_is_refused_with_what_to_do():
    coder = Split("any").get_checkpoint_mark_coder()
    with pytest.raises(
        StateError, match=r"a position .* has version 2, .* knows up to 1. Run the penstock that wrote it"
    ):
        coder.decode(MARK_1.replace(b'"v": 1', b'"v": 2'))
    with pytest.raises(StateError, match="a split"):
        Split.parse(SPLIT_1.replace('"v": 1', '"v": 2'))


def test_a_stored_split_holds_no_options_and_no_code():
    """Else a job resumed from a savepoint would read with the options, and the classes, of the one that stopped."""
    pickled = pickle.dumps(Split("kinesis:poc:app", 1, 2, 27))
    operations = [(code.name, argument) for code, argument, _ in pickletools.genops(pickled)]
    names = [
        text for name, text in operations if name == "SHORT_BINUNICODE" and text.startswith(("_", "penstock"))
    ]
    assert names == ["penstock.io.chain.unbounded", "_parse_split"]
    assert pickle.loads(pickled).text() == SPLIT_1


def test_a_savepoint_of_another_source_is_refused():
    with pytest.raises(StateError, match="which this job does not read"):
        Split("kinesis:other:app").create_reader(None, None)


# -- how splits spread -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "group"), [("a", 119), ("ab", 44), ("abcdefghijklmnop", 25), ("x" * 300, 124)]
)
def test_the_hash_is_that_of_beam_and_flink(element, group):
    """The numbers come from the Java classes themselves (Beam 2.70, Flink 1.19.3)."""
    assert _flink_keys.key_group(element.encode(), 128) == group


@pytest.mark.parametrize("parallelism", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_splits_land_on_as_many_subtasks_as_there_are(count, parallelism):
    groups = [
        _flink_keys.key_group(split.text().encode(), 128) for split in Split.spread("kinesis:poc:app", count)
    ]
    counts = collections.Counter(_flink_keys.subtask(group, parallelism, 128) for group in groups)
    assert len(counts) == min(count, parallelism)
    assert max(counts.values()) - min(counts.values()) <= (count % parallelism != 0)


@pytest.mark.parametrize(
    ("options", "wanted", "expected"),
    [
        ([], 0, 1),
        (["--runner=FlinkRunner"], 0, 1),
        (["--runner=FlinkRunner", "--parallelism=4"], 0, 4),
        (["--runner=FlinkRunner", "--parallelism=4"], 8, 8),
        (["--runner=PrismRunner"], 0, 1),
    ],
)
def test_there_is_a_split_for_each_parallel_task(options, wanted, expected):
    assert readers_of(beam.Pipeline(options=PipelineOptions(options)), wanted, "--read_splits") == expected


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "reads splits one after another"),
        (["--runner=FlinkRunner", "--parallelism=3"], "1 of its tasks would have nothing to read"),
    ],
)
def test_splits_that_would_stand_still_are_refused(options, why):
    with pytest.raises(OptionError, match=why):
        readers_of(beam.Pipeline(options=PipelineOptions(options)), 2, "--read_splits")


# -- how long a reader takes ---------------------------------------------------------------------------


def test_a_reader_that_is_alone_waits_for_as_long_as_it_may():
    reader = planned("alone", 0).create_reader(None, None)
    stop = threading.Timer(1.0, LIVE.stop)
    stop.start()
    began = time.monotonic()
    assert not reader.advance()
    assert time.monotonic() - began > 0.9, "the stop woke it; of itself it would have waited for 5 s"


def test_readers_of_one_process_take_turns():
    """Beam reads the splits of a task one after another: none may keep the others waiting for long."""
    idle = planned("idle", 0).create_reader(None, None)
    busy = planned("busy", 90).create_reader(None, None)
    began = time.monotonic()
    assert not idle.advance()
    assert time.monotonic() - began < 4, "alone it would have waited for 5 s"
    batches = 0
    while busy.advance():
        batches += 1
        time.sleep(0.3)
    assert batches
    assert time.monotonic() - began > 1.4
    assert busy._live._queue, "its turn ended before its data did"
    busy.get_checkpoint_mark()
    assert busy.advance(), "the next bundle is another turn"


@pytest.mark.parametrize(
    ("runner", "read_time", "expected"),
    [
        ("DirectRunner", 10, Pacing(30, 3600)),
        ("FlinkRunner", 10, Pacing(10, 10)),
        ("PrismRunner", None, Pacing(0.5, 1.5)),
    ],
)
def test_the_runner_says_how_long_a_bundle_may_be(runner, read_time, expected):
    assert Pacing.of(runner, read_time) == expected
