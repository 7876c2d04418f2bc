"""`features` tries the sink on a search server, one function for each feature: it asserts, and gives the cell of the table.

`tests/integration/elasticsearch/test_search_servers.py` runs them on real servers. What they gave is kept in
`docs/search_servers.json`, from which `docs/make_search_servers.py` makes the table of `docs/elasticsearch.md`.
"""

import dataclasses
import subprocess
import sys
from collections.abc import Callable

import orjson
import pytest

from penstock.io.aws.session import AwsOptions
from penstock.io.dead_letters import open_store, read_letters
from penstock.io.elasticsearch._dialects import OPENSEARCH, dialect_of
from penstock.io.elasticsearch.cluster.client import Client
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.errors import PeerError
from penstock.transforms.batch import DeadLetter, Event
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import ToyOrigin, event, filebeat_events
from tests.tools.search.gate import Gate, TokenService, forwarded_to, gate_before
from tests.tools.search.sink import Sink

FEATURES: dict[str, Callable[[Sink], str]] = {}
YES = "yes"
NOT_TRIED = "not tried"
"""The server has it, but not in the small build that can be had."""


def feature(name: str) -> Callable[[Callable[[Sink], str]], Callable[[Sink], str]]:
    def keep(function: Callable[[Sink], str]) -> Callable[[Sink], str]:
        FEATURES[name] = function
        return function

    return keep


def _modules(sink: Sink) -> set[str]:
    nodes = sink.api("GET", "/_nodes/_local?filter_path=nodes.*.modules.name")["nodes"]
    return {each["name"] for node in nodes.values() for each in node["modules"]}


@feature("found by `GET /`")
def found(sink: Sink) -> str:
    version = require_cluster(sink.options())
    assert version
    renamed = "compatibility.override_main_response_version"
    if sink.api("PUT", "/_cluster/settings", {"persistent": {renamed: True}}, may_fail=True) is None:
        return YES
    # OpenSearch 2 can say that it is 7.10.2, as Amazon's console offers.
    assert require_cluster(sink.options()) == "7.10.2"
    client = Client(sink.options())
    assert dialect_of(*client.root()) == dataclasses.replace(OPENSEARCH, version="7.10.2")
    client.close()
    sink.api("PUT", "/_cluster/settings", {"persistent": {renamed: None}})
    return YES


@feature("`create` with ids: a replay adds nothing")
def create(sink: Sink) -> str:
    payloads = filebeat_events()
    first = sink.write(payloads, bulk_max_count=30)
    assert (first.written, first.replayed, first.letters) == (len(payloads), 0, [])
    reordered = [orjson.dumps(dict(reversed(orjson.loads(p).items()))) for p in payloads]
    elsewhere = [Event(p, ToyOrigin(b"elsewhere"), i) for i, p in enumerate(reordered)]
    again = sink.write(elsewhere, http_compression=True)
    assert (again.written, again.replayed, again.letters) == (0, len(payloads), [])
    stored = sorted(hit["_source"]["log"]["offset"] for hit in sink.api.documents(sink.index).values())
    assert stored == sorted(orjson.loads(payload)["log"]["offset"] for payload in payloads)
    return YES


@feature("`index`, `update`, `delete`, upserts")
def actions(sink: Sink) -> str:
    def act(op: str, number: int) -> bytes:
        return b'{"op":"%s","key":"k","n":%d}' % (op.encode(), number)

    options = {"action": "%{op}", "document_id": "%{key}"}
    assert sink.write([act("index", 1)], **options).written == 1
    assert sink.write([act("index", 2)], **options).written == 1
    (refused,) = sink.write([act("create", 3)], **options).letters
    assert (refused.status, refused.error) == (409, "version_conflict_engine_exception")
    assert sink.write([act("update", 4)], **options).written == 1
    assert sink.api.documents(sink.index)["k"]["_source"]["n"] == 4
    assert sink.write([act("delete", 0)], **options).written == 1
    assert sink.write([act("delete", 0)], **options).written == 1
    (missing,) = sink.write([act("update", 5)], **options).letters
    assert (missing.status, missing.error) == (404, "document_missing_exception")
    upsert = {"action": "update", "document_id": "%{key}", "doc_as_upsert": True}
    assert sink.write([b'{"key":"new","n":1}'], **upsert).written == 1
    assert sink.api.documents(sink.index)["new"]["_source"] == {"key": "new", "n": 1}
    return YES


@feature("daily indices; a refused document costs itself")
def refusals(sink: Sink) -> str:
    options = {"index": sink.index + "-%{+YYYY.MM.dd}"}
    first = b'{"@timestamp":"2026-11-22T23:30:00.000-05:00","n":1}'
    assert sink.write([first], **options).written == 1
    report = sink.write(
        [first, b'{"@timestamp":"2026-11-23T00:00:00Z","n":"text"}', b'{"n":1,"n":2}'], **options
    )
    assert (report.written, report.replayed) == (0, 1)
    assert sorted(letter.status for letter in report.letters) == [400, 400]
    reasons = " ".join(letter.reason for letter in report.letters)
    assert 'For input string: "text"' in reasons
    assert "uplicate field 'n'" in reasons or 'Duplicate Object property "n"' in reasons
    return YES


@feature("external versions")
def versions(sink: Sink) -> str:
    options = {"action": "index", "document_id": "%{key}", "version": "%{v}", "version_type": "external"}
    for version, written in ((5, 1), (4, 0), (5, 0), (9, 1)):
        report = sink.write([b'{"key":"k","v":%d}' % version], **options)
        assert (report.written, report.replayed, report.letters) == (written, 1 - written, [])
    assert sink.api.documents(sink.index)["k"]["_version"] == 9
    return YES


@feature("routing")
def routing(sink: Sink) -> str:
    assert sink.write([b'{"user":"u%d"}' % n for n in range(5)], routing="%{user}").written == 5
    found = sink.api.documents(sink.index)
    assert {hit["_routing"] for hit in found.values()} == {f"u{n}" for n in range(5)}
    return YES


@feature("scripts")
def scripts(sink: Sink) -> str:
    if "lang-painless" not in _modules(sink):
        return NOT_TRIED
    options = {"action": "update", "document_id": "%{key}"}
    seven = [b'{"key":"k","n":7}']
    sink.write(seven, **options, doc_as_upsert=True)
    sink.write(seven, **options, script="ctx._source.n += params.event.n")
    assert sink.api.documents(sink.index)["k"]["_source"]["n"] == 14
    stored = {"script": {"lang": "painless", "source": "ctx._source.n *= params.e.n"}}
    sink.api("PUT", f"/_scripts/{sink.index}", stored)
    sink.write(seven, **options, script=sink.index, script_type="indexed", script_var_name="e")
    assert sink.api.documents(sink.index)["k"]["_source"]["n"] == 98
    sink.write([b'{"key":"new"}'], **options, script="ctx._source.n = 1", scripted_upsert=True)
    assert sink.api.documents(sink.index)["new"]["_source"] == {"n": 1}
    (broken,) = sink.write(seven, **options, script="nonsense(").letters
    assert broken.status == 400
    assert "compile error" in broken.reason
    sink.api("DELETE", f"/_scripts/{sink.index}")
    return YES


@feature("ingest pipelines")
def pipelines(sink: Sink) -> str:
    if "ingest-common" not in _modules(sink):
        return NOT_TRIED
    steps = {
        "": {"set": {"field": "by", "value": "pipeline"}},
        "-drop": {"drop": {}},
        "-fail": {"fail": {"message": "no"}},
    }
    for suffix, processor in steps.items():
        sink.api("PUT", f"/_ingest/pipeline/{sink.index}{suffix}", {"processors": [processor]})
    report = sink.write(
        [b'{"p":"-drop"}', b'{"p":"-fail"}', b'{"p":"-missing"}'], pipeline=sink.index + "%{p}"
    )
    assert report.written == 1, "what a pipeline drops is done with"
    assert {letter.event.data for letter in report.letters} == {b'{"p":"-fail"}', b'{"p":"-missing"}'}
    assert sink.write([b"{}"], pipeline=sink.index).written == 1
    assert [hit["_source"] for hit in sink.api.documents(sink.index).values()] == [{"by": "pipeline"}]
    for suffix in steps:
        sink.api("DELETE", f"/_ingest/pipeline/{sink.index}{suffix}")
    return YES


@feature("`--manage_template`")
def template(sink: Sink) -> str:
    options = sink.options(
        manage_template=True, template_name=sink.index, index=sink.index + "-%{+YYYY.MM.dd}"
    )
    composable = sink.api("GET", f"/_index_template/{sink.index}-none", may_fail=True)
    require_cluster(options)
    require_cluster(options)  # it stays
    kept = next(
        place
        for place in ("_index_template", "_template")
        if sink.api("GET", f"/{place}/{sink.index}", may_fail=True) is not None
    )
    assert composable is None
    payloads = filebeat_events()
    assert sink.write(payloads, index=options.index).written == len(payloads)
    (found,) = [each["mappings"] for each in sink.api("GET", f"/{sink.index}-*").values()]
    mappings = found.get("doc", found)
    assert mappings["properties"]["log"]["properties"]["offset"] == {"type": "long"}
    assert mappings["properties"]["input"]["properties"]["type"] == {"type": "keyword", "ignore_above": 1024}
    sink.api("DELETE", f"/{kept}/{sink.index}")
    return YES if kept == "_index_template" else "yes, as `_template`"


@feature("`--ism_policy`")
def ism(sink: Sink) -> str:
    """No build that can be had has the plugin, so only the refusal is tried; a server that has it fails here."""
    with pytest.raises(PeerError, match="has no ISM"):
        require_cluster(sink.options(manage_template=True, ism_policy="hot"))
    client = Client(sink.options())
    dialect = dialect_of(*client.root())
    client.close()
    assert dialect is not None
    return f"{NOT_TRIED}: no build with ISM" if dialect.lifecycle == "ism" else "no: refused at the start"


@feature("data streams")
def data_streams(sink: Sink) -> str:
    given = {
        "data_stream_dataset": sink.index,
        "data_stream_namespace": "x",
        "index": "logstash-%{+YYYY.MM.dd}",
    }
    options = sink.options(**given, manage_template=True, template_name=sink.index)
    client = Client(sink.options())
    dialect = dialect_of(*client.root())
    client.close()
    assert dialect is not None
    if not dialect.data_streams:
        with pytest.raises(PeerError, match="has no data streams"):
            require_cluster(options)
        return "no: refused at the start"
    probe = {"index_patterns": [f"{sink.index}-probe*"], "data_stream": {}}
    if sink.api("PUT", f"/_index_template/{sink.index}-probe", probe, may_fail=True) is None:
        return NOT_TRIED
    sink.api("DELETE", f"/_index_template/{sink.index}-probe")
    require_cluster(options)
    name = f"logs-{sink.index}-x"
    try:
        payloads = filebeat_events()[:20]
        assert sink.write(payloads, **given).written == 20
        assert sink.write(payloads, **given).replayed == 20
        (no_time,) = sink.write([b'{"m":1}'], **given).letters
        assert (no_time.status, "@timestamp" in no_time.reason) == (400, True)
        assert sink.write([b'{"m":1}'], stamped=True, **given).written == 1
        assert sink.api.count(name) == 21
        (index,) = sink.api("GET", f"/{name}")
        if not index.startswith(".ds-logs-"):
            return NOT_TRIED
    finally:
        sink.api("DELETE", f"/_data_stream/{name}", may_fail=True)
        sink.api("DELETE", f"/_index_template/{sink.index}", may_fail=True)
    return YES


@feature("gzip")
def compression(sink: Sink) -> str:
    payloads = [b'{"n":%d,"t":"%s"}' % (number, b"x" * 500) for number in range(500)]
    assert sink.write(payloads, http_compression=True, compression_level=3).written == 500
    assert sink.api.count(sink.index) == 500
    return YES


@feature("`--sniffing`")
def sniffing(sink: Sink) -> str:
    other_name = sink.api.url.replace("127.0.0.1", "localhost")
    client = Client(sink.options(sniffing=True, sniffing_delay=0.001, hosts=[other_name]))
    try:
        for _ in range(200):
            client.call("GET", "/_cluster/health")
            if len(client._transport.node_pool) == 2:
                return YES
    finally:
        client.close()
    pytest.fail("the node's own address was not found")


@feature("an index that refuses everything costs its own events")
def blocked(sink: Sink) -> str:
    names = {name: f"{sink.index}-{name}" for name in ("open", "locked", "closed")}
    for name in names.values():
        sink.api("PUT", f"/{name}")
    sink.api("PUT", f"/{names['locked']}/_settings", {"index.blocks.write": True})
    sink.api("POST", f"/{names['closed']}/_close")
    payloads = [b'{"to":"%b","n":%d}' % (name.encode(), n) for n, name in enumerate(list(names) * 3)]
    options = {"index": sink.index + "-%{to}", "blocked_index_timeout": 0.5}
    report = sink.write(payloads, **options)
    assert report.written == 3
    told = {orjson.loads(letter.event.data)["to"]: letter.reason for letter in report.letters}
    assert (len(report.letters), told.keys()) == (6, {"locked", "closed"})
    assert (
        f'PUT {names["locked"]}/_settings {{"index.blocks.write": null}} lifts the block.' in told["locked"]
    )
    assert f"POST {names['closed']}/_open opens it." in told["closed"]
    sink.api("PUT", f"/{names['locked']}/_settings", {"index.blocks.write": None})
    sink.api("POST", f"/{names['closed']}/_open")
    sink.api("GET", "/_cluster/health?wait_for_status=yellow&timeout=30s")
    again = sink.write(payloads, **options)
    assert (again.written, again.replayed, again.letters) == (6, 3, [])
    return YES


@feature("dead letters in an index, and their replay")
def letters(sink: Sink) -> str:
    store = open_store(f"elasticsearch:{sink.index}-refused", elasticsearch=sink.options())
    kept = [
        DeadLetter(event(b"\xff nope", 1), "JSONDecodeError", "why", "decode"),
        DeadLetter(event(b'{"n":"x"}', 2), "document_parsing_exception", "y" * 1000, "elasticsearch", 400, 1),
    ]
    store.append(kept)
    store.append(kept)
    sink.api("POST", f"/{sink.index}-refused/_refresh")
    assert sorted(letter.event.data for letter in read_letters(store)) == [b'{"n":"x"}', b"\xff nope"]
    store.close()
    return YES


@feature("signed requests (SigV4) through a proxy that verifies them")
def signed(sink: Sink) -> str:
    gate = Gate({})
    tokens = TokenService(gate)
    with fake_http(tokens.answer) as sts, gate_before(gate, forwarded_to(sink.api.url)) as front:
        aws = AwsOptions("eu-west-1", sts.url, access_key="AKIDEXAMPLE", secret_key="s")
        role = "arn:aws:iam::111122223333:role/search"
        amazon = Sink(front.url, sink.index, aws, aws_sigv4="es", elasticsearch_role_arn=role)
        assert require_cluster(amazon.options(manage_template=True, template_name=sink.index))
        payloads = filebeat_events()
        assert amazon.write(payloads, bulk_max_count=30, http_compression=True).written == len(payloads)
        gate.expired.update(tokens.given)  # the session ends, and the next keys are asked for in flight
        again = amazon.write(payloads, bulk_max_count=30)
        assert (again.written, again.replayed, again.letters) == (0, len(payloads), [])
    assert (len(tokens.given), len(sink.api.documents(sink.index))) == (2, len(payloads))
    return YES


@feature("`penstock check`")
def check(sink: Sink) -> str:
    command = [
        *(
            sys.executable,
            "-P",
            "-m",
            "penstock",
            "check",
            "s3-to-elasticsearch",
            "--input",
            f"file://{__file__}",
        ),
        *(
            "--hosts",
            sink.api.url,
            "--index",
            sink.index,
            "--manage_template",
            "--dead_letters",
            f"file:///tmp/{sink.index}",
        ),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = {line[8:].split("  ")[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("Elasticsearch", "index template", "Elasticsearch health", "Elasticsearch write blocks"):
        assert lines[name].startswith("  ok"), done.stdout
    return YES
