"""What a server has, by what it says of itself; and what the sink then sends it."""

import orjson
import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch._dialects import ELASTICSEARCH, OPENSEARCH, dialect_of
from penstock.io.elasticsearch.bulk._actions import DocumentMaker
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.cluster.template import index_template
from penstock.io.errors import PeerError
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


def test_a_server_without_data_streams_refuses_them_at_the_start():
    with (
        fake_http(lambda request: (200, orjson.dumps(root("7.8.0")))) as fake,
        pytest.raises(PeerError, match=r"^Elasticsearch 7.8.0 at .* has no data streams. Give --index"),
    ):
        require_cluster(ElasticsearchOptions(hosts=[fake.url], data_stream="true"))
