"""`ReadFromKinesis` in a Beam pipeline on the DirectRunner: read, acknowledge, checkpoint, stop; a denial ends it."""

import threading

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE
from penstock.io.kinesis import KinesisReadOptions, ReadFromKinesis
from tests.simulator import KinesisSimulator
from tests.tools.machine.waiting import wait_until
from tests.unit.kinesis.kpl.test_deaggregation import field, sealed, user_record

pytestmark = pytest.mark.servers

COLLECTED = []


class Collect(beam.DoFn):
    def process(self, batch):
        COLLECTED.extend(batch.events)
        yield batch


@pytest.fixture
def simulator():
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders", 3)
        yield kinesis


@pytest.fixture
def environment(simulator, aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", simulator.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", aws.endpoint_url)
    COLLECTED.clear()
    yield
    LIVE.close()


def run(options, stop_when):
    ended = threading.Event()

    def watch():
        try:
            wait_until(lambda: stop_when() or ended.is_set(), "the moment of the stop")
        finally:
            LIVE.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", "--streaming"]))
    _ = pipeline | ReadFromKinesis(options, AwsOptions()) | beam.ParDo(Collect()) | Acknowledge()
    try:
        result = pipeline.run()
        result.wait_until_finish()
        return result
    finally:
        ended.set()
        watcher.join()
        LIVE.close()


def test_a_pipeline_reads_acknowledges_and_goes_on_where_it_stopped(simulator, aws, environment, unique_name):
    options = KinesisReadOptions("orders", application_name=f"app-{unique_name}")
    expected = set()
    for number in range(60):
        payloads = [b"%d.%d" % (number, n) for n in range(1 + number % 4)]
        message = field(1, b"k") + b"".join(user_record(each) for each in payloads)
        simulator.put("orders", sealed(message) if len(payloads) > 1 else payloads[0], f"key-{number}")
        expected.update(payloads)
    result = run(options, lambda: len(COLLECTED) >= len(expected))
    assert sorted(event.data for event in COLLECTED) == sorted(expected)
    gauges = result.metrics().query(MetricsFilter().with_namespace("kinesis"))["gauges"]
    assert {each.key.metric.name for each in gauges} == {
        f"{name}.shardId-00000000000{n}"
        for name in ("MillisBehindLatest", "durable_until_ms")
        for n in range(3)
    }
    COLLECTED.clear()
    simulator.put("orders", b"later", "key")
    run(options, lambda: len(COLLECTED) >= 1)
    assert [event.data for event in COLLECTED] == [b"later"]


def test_a_denial_under_way_ends_the_pipeline_and_says_why(simulator, aws, environment, unique_name):
    simulator.put("orders", b"x", "key")
    simulator.faults.refuse("GetRecords", "AccessDeniedException", times=None)
    options = KinesisReadOptions("orders", application_name=f"app-{unique_name}")
    with pytest.raises(Exception, match="kinesis:GetRecords"):
        run(options, lambda: False)
    assert COLLECTED == []
