"""The sink against a real Elasticsearch: what it is sent, what it refuses, and what stands in the index then."""

import threading
from pathlib import Path

import orjson
import pytest

from penstock.io.dead_letters import open_store, read_letters
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.transforms.batch import DeadLetter, Event
from penstock.transforms.decode import JsonDecoder
from tests.tools.samples.events import ToyOrigin, event, filebeat_events
from tests.tools.search.sink import Sink

ROOT = Path(__file__).parents[3]


@pytest.fixture
def target(elasticsearch, unique_name):
    yield Sink(elasticsearch.url, unique_name)
    client = elasticsearch.client()
    for name in client.indices.get(index=f"{unique_name}*"):
        client.indices.delete(index=name)


@pytest.fixture
def client(elasticsearch):
    return elasticsearch.client()


def _needs(client, module: str) -> None:
    """The small integration-test distribution of 8.x (`ELASTICSEARCH_HOSTS` may name one) lacks some modules."""
    found = client.nodes.info(node_id="_local", filter_path="nodes.*.modules.name")["nodes"]
    if module not in {each["name"] for node in found.values() for each in node["modules"]}:
        pytest.skip(f"this server has no {module}")


def _documents(client, index: str) -> dict[str, dict]:
    client.indices.refresh(index=index)
    hits = client.search(index=index, size=1000, version=True)["hits"]["hits"]
    return {hit["_id"]: hit for hit in hits}


def test_check_finds_the_version(target):
    assert require_cluster(target.options()).partition(".")[0] in ("8", "9")


def test_filebeats_events_stand_there_once_however_often_they_are_sent(target, client):
    payloads = filebeat_events()
    first = target.write(payloads, bulk_max_count=30)
    assert (first.written, first.replayed, first.letters) == (len(payloads), 0, [])
    reordered = [orjson.dumps(dict(reversed(orjson.loads(p).items()))) for p in payloads]
    elsewhere = [Event(p, ToyOrigin(b"elsewhere"), i) for i, p in enumerate(reordered)]
    again = target.write(elsewhere, http_compression=True)
    assert (again.written, again.replayed, again.letters) == (0, len(payloads), [])
    found = _documents(client, target.index)
    assert sorted(hit["_source"]["log"]["offset"] for hit in found.values()) == sorted(
        orjson.loads(payload)["log"]["offset"] for payload in payloads
    )


def test_the_index_is_that_of_the_events_own_day_in_utc(target, client):
    target.write(
        [b'{"@timestamp":"2026-11-22T23:30:00.000-05:00"}', b'{"@timestamp":"2026-11-22T00:00:00Z"}', b"{}"],
        index=target.index + "-%{+YYYY.MM.dd}",
    )
    client.indices.refresh(index=f"{target.index}*")
    found = {name.rpartition("-")[2] for name in client.indices.get(index=f"{target.index}*")}
    assert found == {"2026.11.23", "2026.11.22", "2026.11.18"}


def test_what_elasticsearch_refuses_gets_its_reason_and_stops_nothing_else(target, client):
    client.indices.create(index=target.index, mappings={"properties": {"n": {"type": "long"}}})
    report = target.write(
        [
            b'{"n":1}',
            b'{"n":"text"}',
            b'{"n":{"a":1}}',
            b'{"n":2,"n":3}',
            b'{"n":4}',
            b'{"a.b":1,"a":2}',
            b'{"n":1e999}',
        ]
    )
    assert report.written == 2
    reasons = {letter.event.data: (letter.status, letter.error, letter.reason) for letter in report.letters}
    assert len(reasons) == 5
    assert {status for status, _, _ in reasons.values()} == {400}
    assert reasons[b'{"n":"text"}'][1] == "document_parsing_exception"
    assert "failed to parse field [n] of type [long]" in reasons[b'{"n":"text"}'][2]
    assert "Duplicate field 'n'" in reasons[b'{"n":2,"n":3}'][2]


def test_a_whole_bulk_that_is_refused_for_one_document_loses_only_that(target, client):
    events = [event(b'{"n":%d}' % n, n) for n in range(20)]
    decoded, _ = JsonDecoder(keep_documents=False).decode(events)
    decoded[7].id = "x" * 600
    writer = BulkWriter(target.options(), threading.Event())
    report = writer.write(decoded)
    writer.close()
    assert report.written == 19
    (letter,) = report.letters
    assert letter.event is decoded[7]
    assert letter.status == 400
    assert "512 bytes" in letter.reason
    assert len(_documents(client, target.index)) == 19


def test_newlines_and_odd_names_stay_inside_their_document(target, client):
    one = event(b'{"a":\n1,"t":"x\\n{\\"delete\\":{}}\\n"}')
    one.id = 'we"ird\\ id\u2028é'
    writer = BulkWriter(target.options(), threading.Event())
    assert writer.write([one]).written == 1
    writer.close()
    (hit,) = _documents(client, target.index).values()
    assert hit["_id"] == one.id
    assert hit["_source"] == {"a": 1, "t": 'x\n{"delete":{}}\n'}


def test_actions_by_event(target, client):
    def act(op: str, n: int) -> bytes:
        return b'{"op":"%s","key":"k","n":%d}' % (op.encode(), n)

    options = {"action": "%{op}", "document_id": "%{key}"}
    assert target.write([act("index", 1)], **options).written == 1
    assert target.write([act("index", 2)], **options).written == 1
    (refused,) = target.write([act("create", 3)], **options).letters
    assert (refused.status, refused.error) == (409, "version_conflict_engine_exception")
    assert target.write([act("update", 4)], **options).written == 1
    assert _documents(client, target.index)["k"]["_source"]["n"] == 4
    assert target.write([act("delete", 0)], **options).written == 1
    assert target.write([act("delete", 0)], **options).written == 1  # gone already
    (missing,) = target.write([act("update", 5)], **options).letters
    assert (missing.status, missing.error) == (404, "document_missing_exception")
    assert _documents(client, target.index) == {}


def test_updates_upserts_and_scripts(target, client):
    _needs(client, "lang-painless")
    options = {"action": "update", "document_id": "%{key}"}
    event_7 = [b'{"key":"k","n":7}']
    target.write(event_7, **options, doc_as_upsert=True)
    assert _documents(client, target.index)["k"]["_source"] == {"key": "k", "n": 7}
    target.write(event_7, **options, script="ctx._source.n += params.event.n", script_lang="painless")
    assert _documents(client, target.index)["k"]["_source"]["n"] == 14
    client.put_script(id=target.index, script={"lang": "painless", "source": "ctx._source.n *= params.e.n"})
    target.write(event_7, **options, script=target.index, script_type="indexed", script_var_name="e")
    assert _documents(client, target.index)["k"]["_source"]["n"] == 98
    target.write([b'{"key":"new"}'], **options, script="ctx._source.n = 1", scripted_upsert=True)
    assert _documents(client, target.index)["new"]["_source"] == {"n": 1}
    target.write([b'{"key":"up","n":1}'], **options, upsert='{"from":"upsert"}')
    assert _documents(client, target.index)["up"]["_source"] == {"from": "upsert"}
    (broken,) = target.write(event_7, **options, script="nonsense(").letters
    assert broken.status == 400
    assert "compile error" in broken.reason
    client.delete_script(id=target.index)


def test_an_index_that_refuses_everything_costs_its_own_events(target, client):
    """Blocked by its settings, and closed: their events wait, then are letters with the way out; the others go on."""
    names = {name: f"{target.index}-{name}" for name in ("open", "locked", "closed")}
    for name in names.values():
        client.indices.create(index=name)
    client.indices.put_settings(index=names["locked"], settings={"index.blocks.write": True})
    client.indices.close(index=names["closed"])
    payloads = [b'{"to":"%b","n":%d}' % (name.encode(), n) for n, name in enumerate(list(names) * 3)]
    options = {"index": target.index + "-%{to}", "blocked_index_timeout": 1, "retry_initial_interval": 0.2}
    report = target.write(payloads, **options)
    assert report.written == 3
    told = {orjson.loads(letter.event.data)["to"]: letter.reason for letter in report.letters}
    assert (len(report.letters), told.keys()) == (6, {"locked", "closed"})
    assert (
        f'PUT {names["locked"]}/_settings {{"index.blocks.write": null}} lifts the block.' in told["locked"]
    )
    assert f"POST {names['closed']}/_open opens it." in told["closed"]

    client.indices.put_settings(index=names["locked"], settings={"index.blocks.write": None})
    client.indices.open(index=names["closed"])
    again = target.write(payloads, **options)
    assert (again.written, again.replayed, again.letters) == (6, 3, [])


def test_versions(target, client):
    options = {"action": "index", "document_id": "%{key}", "version": "%{v}", "version_type": "external"}
    for version, written in ((5, 1), (4, 0), (5, 0), (9, 1)):
        report = target.write([b'{"key":"k","v":%d}' % version], **options)
        assert (report.written, report.replayed, report.letters) == (written, 1 - written, [])
    assert _documents(client, target.index)["k"]["_version"] == 9


def test_routing(target, client):
    client.indices.create(
        index=target.index, settings={"number_of_shards": 3}, mappings={"_routing": {"required": True}}
    )
    report = target.write([b'{"user":"u%d"}' % n for n in range(5)], routing="%{user}")
    assert report.written == 5
    assert {hit["_routing"] for hit in _documents(client, target.index).values()} == {
        f"u{n}" for n in range(5)
    }
    (missing,) = target.write([b"{}"]).letters
    assert (missing.status, missing.error) == (400, "routing_missing_exception")


def test_pipelines(target, client):
    _needs(client, "ingest-common")
    client.ingest.put_pipeline(id=target.index, processors=[{"set": {"field": "by", "value": "pipeline"}}])
    client.ingest.put_pipeline(id=f"{target.index}-drop", processors=[{"drop": {}}])
    client.ingest.put_pipeline(id=f"{target.index}-fail", processors=[{"fail": {"message": "on purpose"}}])
    report = target.write(
        [b'{"p":""}', b'{"p":"-drop"}', b'{"p":"-fail"}', b'{"p":"-missing"}'][1:],
        pipeline=target.index + "%{p}",
    )
    assert report.written == 1  # what a pipeline drops is done with
    assert {letter.event.data: letter.status for letter in report.letters} == {
        b'{"p":"-fail"}': 500,
        b'{"p":"-missing"}': 400,
    }
    assert target.write([b"{}"], pipeline=target.index).written == 1
    assert [hit["_source"] for hit in _documents(client, target.index).values()] == [{"by": "pipeline"}]
    for suffix in ("", "-drop", "-fail"):
        client.ingest.delete_pipeline(id=target.index + suffix)


def test_big_integers_and_decimals_arrive_digit_by_digit(target, client):
    target.write([b'{"n":123456789012345678901234567890.10}'])
    found = client.transport.perform_request(
        "GET", f"/{target.index}/_search?q=*:*", headers={"accept": "application/json"}
    )
    client.indices.refresh(index=target.index)
    (hit,) = _documents(client, target.index).values()
    assert hit["_source"]["n"] == 1.2345678901234568e29
    assert found.meta.status == 200


def test_dead_letters_in_elasticsearch(target, client):
    store = open_store(f"elasticsearch:{target.index}-refused", elasticsearch=target.options())
    letters = [
        DeadLetter(event(b"\xff nope", 1), "JSONDecodeError", "why", "decode"),
        DeadLetter(event(b'{"n":"x"}', 2), "document_parsing_exception", "y" * 1000, "elasticsearch", 400, 1),
    ]
    store.append(letters)
    store.append(letters)
    client.indices.refresh(index=f"{target.index}-refused")
    assert sorted(letter.event.data for letter in read_letters(store)) == [b'{"n":"x"}', b"\xff nope"]
    store.close()


def _aggregation(bucket: dict) -> dict:
    """A chart's bucket as Kibana asks Elasticsearch for it."""
    params = bucket["params"]
    if bucket["type"] == "date_histogram":
        return {"auto_date_histogram": {"field": params["field"], "buckets": 50}}
    terms = {"field": params["field"], "size": params["size"], "order": {"_count": params["order"]}}
    if params["missingBucket"]:
        terms["missing"] = "__missing__"
    return {bucket["type"]: terms}


def test_the_template_takes_filebeats_events_and_every_chart_of_the_dashboard(target, client):
    _needs(client, "aggregations")
    options = target.options(
        manage_template=True, template_name=target.index, index=target.index + "-%{+YYYY.MM.dd}"
    )
    try:
        require_cluster(options)
        payloads = filebeat_events()
        payloads.append(
            b'{"@timestamp":"2026-11-22T13:28:38.181Z","log":{"level":"error"},"host":{"name":"other"},"message":"m"}'
        )
        assert target.write(payloads, index=options.index).written == len(payloads)
        pattern = f"{target.index}-*"
        client.indices.refresh(index=pattern)
        (mappings,) = [found["mappings"] for found in client.indices.get(index=pattern).values()]
        assert mappings["properties"]["log"]["properties"]["offset"] == {"type": "long"}
        assert mappings["properties"]["input"]["properties"]["type"] == {
            "type": "keyword",
            "ignore_above": 1024,
        }
        assert mappings["properties"]["@metadata"] == {"type": "object", "enabled": False}
        assert "@metadata" not in client.search(index=pattern, size=1)["hits"]["hits"][0]["_source"]
        charts = 0
        for line in (ROOT / "kibana/penstock.ndjson").read_text().splitlines():
            saved = orjson.loads(line)
            if saved["type"] == "search":
                columns = saved["attributes"]["columns"]
                assert client.field_caps(index=pattern, fields=columns)["fields"].keys() >= set(columns)
                ((field, order),) = saved["attributes"]["sort"]
                assert client.search(index=pattern, sort=[{field: order}])["hits"]["total"]["value"] == len(
                    payloads
                )
            if saved["type"] != "visualization":
                continue
            metric, bucket = orjson.loads(saved["attributes"]["visState"])["aggs"]
            assert metric["type"] == "count"
            found = client.search(index=pattern, size=0, aggs={"2": _aggregation(bucket)})["aggregations"][
                "2"
            ]["buckets"]
            assert sum(each["doc_count"] for each in found) == len(payloads), saved["id"]
            if saved["id"] == "penstock-by-host":
                assert {each["key"]: each["doc_count"] for each in found} == {
                    "vm": len(payloads) - 1,
                    "other": 1,
                }
            charts += 1
        assert charts == 4
    finally:
        client.options(ignore_status=404).indices.delete_index_template(name=target.index)


def test_a_data_stream(target, client):
    dataset = target.index
    given = {"data_stream_dataset": dataset, "data_stream_namespace": "x", "index": "logstash-%{+YYYY.MM.dd}"}
    try:
        require_cluster(target.options(**given, manage_template=True, template_name=dataset))
        payloads = filebeat_events()[:20]
        assert target.write(payloads, **given).written == 20
        assert target.write(payloads, **given).replayed == 20
        (no_time,) = target.write([b'{"m":1}'], **given).letters
        assert no_time.status == 400
        assert "@timestamp" in no_time.reason
        assert target.write([b'{"m":1}'], stamped=True, **given).written == 1
        name = f"logs-{dataset}-x"
        client.indices.refresh(index=name)
        assert client.count(index=name)["count"] == 21
        (index,) = client.indices.get(index=name)
        assert index.startswith(".ds-logs-")
    finally:
        for path in (f"/_data_stream/logs-{dataset}-x", f"/_index_template/{dataset}"):
            client.options(ignore_status=(400, 404, 405)).perform_request(
                "DELETE", path, headers={"accept": "application/json"}
            )
