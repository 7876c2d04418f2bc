"""Steps are those of the pipeline as it was built, and count batches that go through them."""

import threading
import time

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from penstock.io.chain.live_objects import LiveReceipt
from penstock.pipelines.status.seen import look_here
from penstock.pipelines.status.step_meters import Step, StepTotals, waiting_steps
from penstock.pipelines.status.steps import MeteredDoFn, steps_of
from penstock.transforms.batch import DeadLetter, Event, EventBatch


class Origin:
    arrived_ms = 0

    def position(self):
        return None

    def describe(self):
        return {}


def batch(count, size=10):
    return EventBatch(LiveReceipt("s", []), [Event(b"x", Origin(), n) for n in range(count)], [], size=size)


class Make(beam.DoFn):
    def process(self, number):
        yield batch(number)

    def finish_bundle(self):
        yield WindowedValue(batch(5), MIN_TIMESTAMP, (GlobalWindow(),))


class Refuse(beam.DoFn):
    def setup(self):
        self.ready = True

    def process(self, batch):
        assert self.ready
        first, *others = batch.events
        return iter([batch.with_events(others, [DeadLetter(first, "E", "", "refuse")])])


class Break(beam.DoFn):
    def process(self, batch):
        raise RuntimeError("broken")


class WithTimestamp(beam.DoFn):
    def process(self, batch, timestamp=beam.DoFn.TimestampParam):
        yield batch


class End(beam.DoFn):
    def process(self, batch):
        return None


class Composite(beam.PTransform):
    def expand(self, batches):
        return batches | "a" >> beam.ParDo(Refuse()) | "b" >> beam.ParDo(Refuse())


def totals(name):
    return look_here([], 0.0).total_of(name)


def difference(now, before):
    return {field: value - getattr(before, field) for field, value in vars(now).items()}


def test_the_graph_and_its_counts():
    pipeline = beam.Pipeline(runner=FnApiRunner())
    made = pipeline | "numbers" >> beam.Create([3, 4]) | "make" >> beam.ParDo(Make())
    refused = made | "refuse twice" >> Composite()
    _ = refused | "end" >> beam.ParDo(End())
    _ = refused | "timed" >> beam.ParDo(WithTimestamp()) | "user's map" >> beam.Map(lambda each: each)
    steps = steps_of(pipeline)
    assert [(step.name, step.after) for step in steps] == [
        ("numbers", []),
        ("make", ["numbers"]),
        ("refuse twice", ["make"]),
        ("end", ["refuse twice"]),
        ("timed", ["refuse twice"]),
        ("user's map", ["timed"]),
    ]
    assert [step.name for step in steps if step.metered] == ["make", "refuse twice", "end"]
    before = {step.name: totals(step.name) for step in steps}
    pipeline.run().wait_until_finish()
    now = {name: difference(totals(name), before[name]) for name in before}
    bundles = now["make"]["events_out"] // 5
    assert now["make"]["events_in"] == 0
    assert now["make"]["events_out"] >= 3 + 4 + 5
    twice = now["refuse twice"]
    assert twice["events_in"] == now["make"]["events_out"]
    assert twice["refused"] == 2 * twice["batches"]
    assert twice["events_out"] == twice["events_in"] - twice["refused"]
    assert twice["bytes_in"] == 10 * twice["batches"]
    assert now["end"]["events_in"] == twice["events_out"]
    assert now["end"]["events_out"] == 0
    assert 0 < twice["busy_s"] < 60
    assert not any(each["failures"] for each in now.values())
    assert bundles >= 1


def test_a_failure_counts_where_it_happened_and_goes_on():
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = (
        pipeline
        | beam.Create([1])
        | "make it" >> beam.ParDo(Make())
        | "pass" >> beam.ParDo(Refuse())
        | "break" >> beam.ParDo(Break())
    )
    names = [step.name for step in steps_of(pipeline)]
    before = {name: totals(name) for name in names}
    with pytest.raises(RuntimeError, match="broken"):
        pipeline.run().wait_until_finish()
    assert difference(totals("break"), before["break"])["failures"] >= 1
    assert difference(totals("pass"), before["pass"])["failures"] == 0


def test_a_call_that_goes_on_counts_as_busy_and_is_told():
    began, go_on = threading.Event(), threading.Event()

    class Wait(beam.DoFn):
        def process(self, batch):
            began.set()
            assert go_on.wait(20)
            yield batch

    metered = MeteredDoFn(Wait(), "waits")
    thread = threading.Thread(target=lambda: list(metered.process(batch(1))))
    thread.start()
    assert began.wait(20)
    waiting_steps()
    first = totals("waits").busy_s
    time.sleep(0.05)
    assert waiting_steps()["waits"] >= 0.05
    middle = totals("waits").busy_s
    assert first + 0.05 <= middle < 20
    go_on.set()
    thread.join()
    assert "waits" not in waiting_steps()
    end = totals("waits").busy_s
    assert middle <= end < middle + 20
    waiting_steps()
    assert totals("waits").busy_s == end


def test_a_failed_call_is_no_longer_going_on():
    with pytest.raises(RuntimeError):
        list(MeteredDoFn(Break(), "breaks").process(batch(1)))
    assert "breaks" not in waiting_steps()


def test_names():
    assert Step("a") == Step("a", [], False)
    assert totals("no such step") == StepTotals(0, 0, 0, 0, 0, 0, 0)
