"""Memory that runs out in a sink costs a pause, smaller requests, and at most the event that is too large; never the job."""

import threading

import orjson
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.chain.live_objects import LIVE
from penstock.io.chain.sinks import in_parts
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.sink import _WriteDoFn
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.kinesis import KinesisWriteOptions
from penstock.io.kinesis.write.routing import PartitionKeys
from penstock.io.kinesis.write.sink import _WriteToKinesisDoFn
from penstock.io.kinesis.write.writer import KinesisWriter
from tests.simulator import KinesisSimulator
from tests.tools.models.kpl import user_records
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import batch, event


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("penstock.io.chain.sinks.delays", lambda *_: iter(lambda: 0.001, None))
    yield
    LIVE.close()


def events(count, large=()):
    made = [event(b'{"n":%d}' % number, number) for number in range(count)]
    for one in made:
        one.id = f"i{one.index}"
    for number in large:
        made[number].data = b'{"large":%d}' % number
    return made


def short_of_memory(inner, most):
    """As if memory sufficed for so many events, and for none that is large."""

    def write(self, part, *further):
        if len(part) > most or any(b"large" in each.data for each in part):
            raise MemoryError
        return inner(self, part, *further)

    return write


def test_a_batch_to_elasticsearch_is_written_in_parts(monkeypatch):
    stored = []

    def answer(request):
        ids = [orjson.loads(line)["create"]["_id"] for line in request.body.split(b"\n")[:-1:2]]
        stored.extend(ids)
        return 200, orjson.dumps(
            {"errors": False, "items": [{"create": {"status": 201, "_id": each}} for each in ids]}
        )

    monkeypatch.setattr(BulkWriter, "write", short_of_memory(BulkWriter.write, 3))
    with fake_http(answer) as fake:
        sink = _WriteDoFn(ElasticsearchOptions(hosts=[fake.url], pipeline="p"))
        (made,) = sink.process(batch(*events(20, large=(7, 19))))
    assert sorted(stored) == sorted(f"i{number}" for number in range(20) if number not in (7, 19))
    assert [(letter.event.index, letter.error) for letter in made.dead_letters] == [
        (7, "OutOfMemory"),
        (19, "OutOfMemory"),
    ]
    assert len(made.events) == 18


def test_a_batch_to_kinesis_is_written_in_parts(monkeypatch):
    monkeypatch.setattr(KinesisWriter, "write", short_of_memory(KinesisWriter.write, 3))
    with KinesisSimulator() as kinesis:
        kinesis.create_stream("orders")
        aws = AwsOptions(
            endpoint_url=kinesis.endpoint_url, access_key="a", secret_key="b", region="us-east-1"
        )
        options = KinesisWriteOptions("orders", metrics_level="none")
        sink = _WriteToKinesisDoFn(options, aws, PartitionKeys([], randomized=True, function=None))
        (made,) = sink.process(batch(*events(20, large=(0,))))
        LIVE.close()
        found = [user[2] for _, key, data, _ in kinesis.records("orders") for user in user_records(data, key)]
    assert sorted(found) == sorted(b'{"n":%d}' % number for number in range(1, 20))
    assert [letter.event.index for letter in made.dead_letters] == [0]


def test_a_shortage_that_ends_costs_no_event():
    tries = []

    def write(part):
        tries.append(len(part))
        if len(tries) < 4:
            raise MemoryError
        return len(part)

    results, letters = in_parts(events(8), write, "x", threading.Event())
    assert (sum(results), letters) == (8, [])
    assert tries[:4] == [8, 4, 2, 1]


def test_a_stop_does_not_wait_for_memory():
    stopping = threading.Event()

    def write(part):
        stopping.set()
        raise MemoryError

    with pytest.raises(MemoryError):
        in_parts(events(8), write, "x", stopping)
