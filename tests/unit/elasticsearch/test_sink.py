import apache_beam as beam
import orjson
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.testing.util import assert_that

from penstock.io.chain.live_objects import LIVE
from penstock.io.elasticsearch import ElasticsearchOptions, WriteToElasticsearch
from penstock.io.errors import AccessDenied
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import batch, event


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    LIVE.close()


def _answer(request):
    items = []
    for source in request.body.split(b"\n")[1::2]:
        if source == b'{"bad":1}':
            items.append(
                {"create": {"status": 400, "error": {"type": "document_parsing_exception", "reason": "r"}}}
            )
        else:
            items.append({"create": {"status": 409 if source == b'{"old":1}' else 201}})
    return 200, orjson.dumps({"errors": True, "items": items})


def _run(url: str, check) -> beam.metrics.metric.MetricResults:
    pipeline = beam.Pipeline()
    events = [event(b'{"a":1}', 0), event(b'{"bad":1}', 1), event(b'{"old":1}', 2)]
    for one in events:
        one.id = f"i{one.index}"
    batches = pipeline | beam.Create([batch(*events), batch()])
    assert_that(batches | WriteToElasticsearch(ElasticsearchOptions(hosts=[url])), check)
    result = pipeline.run()
    result.wait_until_finish()
    return result.metrics()


def test_the_batch_goes_on_with_what_was_refused_and_the_work_is_counted():
    def check(batches):
        full = next(each for each in batches if each.dead_letters)
        assert [e.data for e in full.events] == [b'{"a":1}', b'{"old":1}']
        assert [(x.event.data, x.status) for x in full.dead_letters] == [(b'{"bad":1}', 400)]
        assert full.receipt.tokens == [1]
        assert len(batches) == 2

    with fake_http(_answer) as fake:
        metrics = _run(fake.url, check).query(MetricsFilter().with_namespace("elasticsearch"))
    assert [request.method for request in fake.requests] == ["GET", "POST"], "an empty batch needs no request"
    counters = {counter.key.metric.name: counter.committed for counter in metrics["counters"]}
    assert counters == {
        "documents": 1,
        "replays": 1,
        "refused": 1,
        "bulks": 1,
        "bytes": len(fake.requests[1].body),
    }
    (latency,) = metrics["distributions"]
    assert latency.key.metric.name == "latency_ms"
    assert latency.committed.count == 1


def test_a_denial_ends_the_pipeline_and_is_kept_for_the_last_words():
    with (
        fake_http(lambda request: (401, b"{}")) as fake,
        pytest.raises(Exception, match="asks who we are"),
    ):
        _run(fake.url, lambda batches: None)
    assert isinstance(LIVE.failure, AccessDenied)


def test_equal_options_share_one_writer_and_the_key_shows_no_secret():
    from penstock.io.elasticsearch.sink import _key

    first = ElasticsearchOptions(user="u", password="hush")
    assert _key(first) == _key(ElasticsearchOptions(user="u", password="hush"))
    assert _key(first) != _key(ElasticsearchOptions(user="u", password="hash"))
    assert "hush" not in _key(first)
