"""A server says what it is, which tells what it has; the sink then sends it nothing else."""

import threading

import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions, as_opensearch, needed_role
from penstock.io.elasticsearch._dialects import ELASTICSEARCH, OPENSEARCH, dialect_of, plugin_denies
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.cluster.client import NoAnswer
from penstock.io.elasticsearch.cluster.preflight import prepare, require_cluster, trials
from penstock.io.elasticsearch.cluster.template import index_template
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import AccessDenied, OptionError, PeerError
from penstock.io.preflight.trials import Mark
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.events import event


def root(number, tagline="You Know, for Search", **further):
    return {"version": {"number": number, **further}, "tagline": tagline}


OPEN = "The OpenSearch Project: https://opensearch.org/"


@pytest.mark.parametrize(
    ("reply", "name", "typed", "composable", "data_streams", "lifecycle", "supported"),
    [
        (root("6.5.4"), "Elasticsearch 6.5.4", True, False, False, "ilm", False),
        (root("6.6.0", build_flavor="oss"), "Elasticsearch 6.6.0", True, False, False, "ilm", True),
        (root("6.8.23"), "Elasticsearch 6.8.23", True, False, False, "ilm", True),
        (root("7.0.0"), "Elasticsearch 7.0.0", False, False, False, "ilm", True),
        (root("7.8.1"), "Elasticsearch 7.8.1", False, True, False, "ilm", True),
        (root("7.10.2"), "Elasticsearch 7.10.2", False, True, True, "ilm", True),
        (root("9.4.3"), "Elasticsearch 9.4.3", False, True, True, "ilm", True),
        (root("10.0.0-SNAPSHOT"), "Elasticsearch 10.0.0-SNAPSHOT", False, True, True, "ilm", False),
        (root("1.3.2", OPEN, distribution="opensearch"), "OpenSearch 1.3.2", False, True, True, "ism", True),
        (
            root("2.19.6", OPEN, distribution="opensearch"),
            "OpenSearch 2.19.6",
            False,
            True,
            True,
            "ism",
            True,
        ),
        (root("3.9.0", OPEN, distribution="opensearch"), "OpenSearch 3.9.0", False, True, True, "ism", True),
        (root("4.0.0", OPEN, distribution="opensearch"), "OpenSearch 4.0.0", False, True, True, "ism", False),
        # Its compatibility mode, which Amazon's console offers: it leaves the distribution out.
        (root("7.10.2", OPEN), "OpenSearch 7.10.2", False, True, True, "ism", True),
    ],
)
def test_a_server_is_known_by_its_root_page(
    reply, name, typed, composable, data_streams, lifecycle, supported
):
    found = dialect_of(200, reply)
    assert str(found) == name
    told = (found.typed, found.composable, found.data_streams, found.lifecycle, found.supported)
    assert told == (typed, composable, data_streams, lifecycle, supported)


def test_a_server_that_does_not_tell_its_version():
    assert (
        dialect_of(403, {"error": {"reason": "action [cluster:monitor/main] is unauthorized"}})
        is ELASTICSEARCH
    )
    reason = (
        "no permissions for [cluster:monitor/main] and User [name=u, backend_roles=[], requestedTenant=null]"
    )
    assert dialect_of(403, {"error": {"reason": reason}}) is OPENSEARCH
    for nonsense in (
        None,
        [],
        "<html>",
        {},
        {"version": "9"},
        root(9),
        root("nine"),
        root("1.0", distribution="solr"),
    ):
        assert dialect_of(200, nonsense) is None


@pytest.mark.parametrize(
    ("reason", "actions"),
    [
        ("no permissions for [indices:admin/create] and User [name=u]", "indices:admin/create"),
        ("no permissions for [indices:data/write/bulk[s]] and User [name=u]", "indices:data/write/bulk[s]"),
        (
            "no permissions for [indices:data/write/update, indices:data/write/delete] and User [name=u]",
            "indices:data/write/update, indices:data/write/delete",
        ),
        ("action [indices:admin/create] is unauthorized for user [u]", ""),
        (None, ""),
    ],
)
def test_what_opensearchs_security_denies(reason, actions):
    assert plugin_denies({"error": {"reason": reason}}) == plugin_denies(reason) == actions


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({}, b'{"a":1}'),
        ({"action": "%{op}", "document_id": "%{op}"}, b'{"op":"update"}'),
        ({"routing": "r"}, b"{}"),
    ],
)
def test_a_type_is_sent_where_one_is_wanted(options, data):
    one = event(data)
    one.id, one.timestamp = "i1", "2026-11-22T01:02:03Z"
    six = dialect_of(200, root("6.6.0"))
    head, _ = DocumentMaker(ElasticsearchOptions(**options), six).document(one).split(b"\n", 1)
    plain, _ = DocumentMaker(ElasticsearchOptions(**options)).document(one).split(b"\n", 1)
    ((_, meta),) = orjson.loads(head).items()
    assert meta.pop("_type") == "doc"
    assert b"_type" not in plain
    ((_, expected),) = orjson.loads(plain).items()
    assert meta == expected


def test_the_template_is_one_that_the_server_takes():
    typed, untyped, composable = (
        index_template(ElasticsearchOptions(), dialect=dialect_of(200, root(version)))
        for version in ("6.6.0", "7.7.1", "7.8.0")
    )
    assert typed["mappings"]["doc"] == untyped["mappings"] == composable["template"]["mappings"]
    assert typed["index_patterns"] == composable["index_patterns"]
    assert "template" not in typed


@pytest.mark.parametrize(("version", "kept"), [("6.6.0", "_template"), ("9.4.3", "_index_template")])
def test_the_template_goes_where_the_server_keeps_it(version, kept):
    def answer(request):
        if request.path == "/":
            return 200, orjson.dumps(root(version))
        return (404 if request.method == "GET" else 200), b"{}"

    with fake_http(answer) as fake:
        assert require_cluster(ElasticsearchOptions(hosts=[fake.url], manage_template=True)) == version
    asked = [f"{request.method} {request.path}" for request in fake.requests if request.path != "/"]
    assert asked == [f"GET /{kept}/penstock", f"PUT /{kept}/penstock"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (root("9.4.3"), ""),
        (root("6.6.0"), ": documents have a _type, the template is one of _template, no data streams"),
        (
            root("2.19.6", OPEN, distribution="opensearch"),
            ": ISM instead of ILM (--ism_policy), privileges can't be asked for before the first bulk",
        ),
    ],
    ids=["Elasticsearch 9", "Elasticsearch 6", "OpenSearch"],
)
def test_the_start_says_which_server_was_found_and_what_is_different_there(reply, said, caplog):
    caplog.set_level("INFO", logger="penstock")
    with fake_http(lambda request: (200, orjson.dumps(reply))) as fake:
        prepare(ElasticsearchOptions(hosts=[fake.url]))
    name = f"{'OpenSearch' if 'ISM' in said else 'Elasticsearch'} {reply['version']['number']}"
    assert caplog.messages == [f"writing to {name} at {fake.url}{said}"]


def test_a_server_without_data_streams_refuses_them_at_the_start():
    with (
        fake_http(lambda request: (200, orjson.dumps(root("7.8.0")))) as fake,
        pytest.raises(PeerError, match=r"^Elasticsearch 7.8.0 at .* has no data streams. Give --index"),
    ):
        require_cluster(ElasticsearchOptions(hosts=[fake.url], data_stream="true"))


ISM = {"_seq_no": 7, "_primary_term": 2, "policy": {"policy_id": "hot", "default_state": "hot", "states": []}}


@pytest.mark.parametrize(
    ("status", "template", "told"),
    [
        (200, None, "added"),
        (200, {"index_patterns": ["other-*"], "priority": 1}, "added"),
        (200, [{"index_patterns": ["logstash-*", "x"], "priority": 1}], "there"),
        (404, None, "--ism_policy hot: OpenSearch 2.19.6 at .* has no such policy"),
        (400, None, "--ism_policy hot: OpenSearch 2.19.6 at .* has no ISM"),
        (403, None, "read the ISM policy hot: OpenSearch at .* denies it"),
    ],
)
def test_the_ism_policy_gets_the_templates_pattern(status, template, told):
    policy = {**ISM, "policy": {**ISM["policy"], "ism_template": template}}

    def answer(request):
        if request.path == "/":
            return 200, orjson.dumps(root("2.19.6", OPEN, distribution="opensearch"))
        if request.path.startswith("/_plugins/_ism"):
            return (status if request.method == "GET" else 200), orjson.dumps(policy if status == 200 else {})
        return (404 if request.method == "GET" else 200), b"{}"

    with fake_http(answer) as fake:
        options = ElasticsearchOptions(hosts=[fake.url], manage_template=True, ism_policy="hot")
        if status != 200:
            with pytest.raises(PeerError, match=told):
                require_cluster(options)
            return
        require_cluster(options)
    changes = [
        request
        for request in fake.requests
        if request.path.startswith("/_plugins") and request.method == "PUT"
    ]
    assert len(changes) == (told == "added")
    for change in changes:
        assert change.path == "/_plugins/_ism/policies/hot?if_seq_no=7&if_primary_term=2"
        put = orjson.loads(change.body)["policy"]
        assert put["ism_template"][-1] == {"index_patterns": ["logstash-*"], "priority": 200}
        assert (put["default_state"], "policy_id" in put) == ("hot", False)
        assert len(put["ism_template"]) == (2 if template else 1), "what was there stays"


SHUT = {"Message": "Your request: '/_ilm/policy/hot' is not allowed."}


def test_an_amazon_domain_with_elasticsearch_keeps_pages_shut_and_has_opensearchs_plugins():
    def answer(request):
        if request.path == "/":
            return 200, orjson.dumps(root("7.10.2", build_flavor="oss"))
        if request.path.startswith(("/_ilm", "/_security")):
            return 401, orjson.dumps(SHUT)
        if request.path.startswith("/_opendistro/_ism"):
            return 200, orjson.dumps(ISM)
        if request.path.startswith("/_bulk"):
            reason = "no permissions for [indices:admin/create] and User [name=u, backend_roles=[]]"
            return 403, orjson.dumps({"error": {"reason": reason}})
        return (404 if request.method == "GET" else 200), b"{}"

    with fake_http(answer) as fake:
        common = {"hosts": [fake.url], "manage_template": True, "user": "u", "password": "p", "index": "x"}
        require_cluster(ElasticsearchOptions(**common, ilm_policy="hot"))
        options = ElasticsearchOptions(**common, ism_policy="hot")
        require_cluster(options)
        assert any(request.path.startswith("/_opendistro/_ism/policies/hot?if") for request in fake.requests)
        one = event(b"{}")
        one.id = "i1"
        with pytest.raises(AccessDenied, match="PUT _opendistro/_security/api/roles/penstock"):
            BulkWriter(options, threading.Event()).write([one])


def test_ism_is_opensearchs():
    with (
        fake_http(
            lambda request: (200, orjson.dumps(root("9.4.3"))) if request.path == "/" else (400, b"{}")
        ) as fake,
        pytest.raises(PeerError, match=r"--ism_policy hot: Elasticsearch 9.4.3 at .* has no ISM"),
    ):
        require_cluster(ElasticsearchOptions(hosts=[fake.url], manage_template=True, ism_policy="hot"))
    for wrong in ({"ilm_policy": "x", "manage_template": True}, {}):
        with pytest.raises(OptionError, match="--ism_policy"):
            ElasticsearchOptions(ism_policy="hot", **wrong)


@pytest.mark.parametrize(
    ("options", "cluster", "index"),
    [
        ({}, [], {"logstash-*": ["indices:data/write/index", "create_index"]}),
        ({"action": "delete", "index": "a"}, [], {"a": ["indices:data/write/delete", "create_index"]}),
        (
            {
                "manage_template": True,
                "ism_policy": "p",
                "sniffing": True,
                "index": "r",
                "ilm_rollover_alias": "r",
            },
            [
                *("indices:admin/index_template/get", "indices:admin/index_template/put"),
                *("cluster:admin/opendistro/ism/policy/get", "cluster:admin/opendistro/ism/policy/write"),
                "cluster:monitor/nodes/info",
            ],
            {"r": ["indices:data/write/index", "create_index"], "r-*": ["manage"]},
        ),
    ],
)
def test_the_role_in_opensearchs_words(options, cluster, index):
    role = as_opensearch(needed_role(ElasticsearchOptions(**options)))
    assert role["cluster_permissions"] == ["cluster:monitor/main", "indices:data/write/bulk", *cluster]
    found = {each["index_patterns"][0]: each["allowed_actions"] for each in role["index_permissions"]}
    assert found == {name: ["indices:data/write/bulk*", *actions] for name, actions in index.items()}


class Refuser:
    """Answers every bulk as it is told; its address is what the options say."""

    where = "https://it"

    def __init__(self, root_reply, bulk_reply):
        self.root_reply, self.bulk_reply = root_reply, bulk_reply

    def root(self):
        return self.root_reply

    def speak(self, dialect):
        self.dialect = dialect

    def bulk(self, body):
        self.body = body
        return self.bulk_reply

    def close(self):
        pass


SERVERLESS = "https://abc.eu-west-1.aoss.amazonaws.com:443"
TYPELESS = b'{"error":{"type":"action_request_validation_exception","reason":"Validation Failed: 1: type is missing;"}}'
IDS = b'{"errors":true,"items":[{"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"%s"}}}]}'


def _written(fake, **options):
    one = event(b"{}")
    one.id = "i1"
    return BulkWriter(ElasticsearchOptions(**options), threading.Event(), client=fake).write([one])


def test_a_server_that_would_refuse_every_document_ends_the_job():
    six = Refuser((403, {"error": "not allowed"}), (400, TYPELESS))
    with pytest.raises(
        PeerError, match="older than 7 and did not tell its version: grant the cluster privilege monitor"
    ):
        _written(six)
    serverless = Refuser(
        (404, ""), (200, IDS % b"Document ID is not supported in create/index operation request")
    )
    with pytest.raises(
        PeerError, match=r"OpenSearch Serverless at .*needs --document_id none: a replay doubles then"
    ):
        _written(serverless, hosts=[SERVERLESS])
    assert not serverless.dialect.nodes, "which is known by its address alone"
    for reason in (
        b"failed to parse 'Document ID is not supported'",
        b"x: Validation Failed: 1: type is missing;",
    ):
        report = _written(Refuser((200, root("9.4.3")), (200, IDS % reason)))
        assert len(report.letters) == 1, "an event's own words end nothing"


def test_without_order_every_document_gets_an_id():
    fake = Refuser(
        (200, root("2.19.6", OPEN, distribution="opensearch")),
        (200, b'{"errors":false,"items":[{"create":{"status":201}}]}'),
    )
    assert _written(fake, document_id="none").written == 1
    assert b'"_id":"' in fake.body
    fake = Refuser((200, root("9.4.3")), fake.bulk_reply)
    assert _written(fake, document_id="none").written == 1
    assert b"_id" not in fake.body


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "refuses them: then the first bulk ends"), ({"document_id": "none"}, "a second time")],
)
def test_serverless_is_tried_without_a_request(given, told):
    options = ElasticsearchOptions(hosts=[SERVERLESS], **given)
    found = {trial.name: trial for trial in trials(options)}
    finding = found["Elasticsearch"].run()
    assert finding.mark is Mark.WARNING
    assert told in finding.text
    with pytest.raises(PeerError, match="has no data streams"):
        trials(ElasticsearchOptions(hosts=[SERVERLESS], data_stream="true"))[0].run()


def test_the_server_is_asked_for_until_it_answers():
    """It may start later than the job; and what a document looks like is not guessed meanwhile."""
    replies = [NoAnswer("refused"), (503, "starting"), (200, root("6.6.0"))]
    fake = Refuser(None, (200, b'{"errors":false,"items":[{"create":{"status":201}}]}'))
    waits = []

    def answer():
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    fake.root = answer
    stopping = threading.Event()
    stopping.wait = lambda seconds: waits.append(seconds)
    one = event(b"{}")
    one.id = "i1"
    writer = BulkWriter(ElasticsearchOptions(), stopping, client=fake)
    report = writer.write([one])
    assert (report.written, dict(report.retries), len(waits)) == (1, {"no_answer": 1, "503": 1}, 2)
    assert b'"_type":"doc"' in fake.body
    assert writer.write([one]).written == 1, "and then never again"
    writer.close()
