"""Trials look at a cluster before a job runs, here at a server that answers as it is told."""

import dataclasses
import json

import pytest

from penstock.io.elasticsearch import ElasticsearchOptions, needed_role, trials
from penstock.io.elasticsearch.cluster._disk import fullest, must_stay_free
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.errors import NotFound
from penstock.io.preflight.trials import Mark, try_all
from tests.tools.peers.fake_http import fake_http

GIB = 1 << 30
WATERMARKS = {
    "cluster.routing.allocation.disk.threshold_enabled": "true",
    "cluster.routing.allocation.disk.watermark.low": "85%",
    "cluster.routing.allocation.disk.watermark.low.max_headroom": "200gb",
    "cluster.routing.allocation.disk.watermark.high": "90%",
    "cluster.routing.allocation.disk.watermark.high.max_headroom": "150gb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "95%",
    "cluster.routing.allocation.disk.watermark.flood_stage.max_headroom": "100gb",
}


def disks(**free):
    nodes = {
        name: {
            "name": name,
            "fs": {"total": {"total_in_bytes": 100 * GIB, "available_in_bytes": int(share * 100 * GIB)}},
        }
        for name, share in free.items()
    }
    return {"nodes": nodes}


class Cluster:
    """Replies by the beginning of `METHOD path`; the longest one counts."""

    def __init__(self):
        self.replies = {
            "GET /": (200, {"version": {"number": "9.1.2"}}),
            "POST /_security/user/_has_privileges": (200, {"has_all_requested": True}),
            "GET /_cluster/health": (200, {"status": "green", "number_of_data_nodes": 3}),
            "GET /_nodes/stats/fs": (200, disks(a=0.5, b=0.4)),
            "GET /_cluster/settings": (200, {"defaults": WATERMARKS}),
            "GET /logstash-*/_settings": (200, {}),
            "GET /_index_template/penstock": (404, {}),
            "GET /_ingest/pipeline/geo": (200, {"geo": {}}),
        }
        self.changed = []

    def answer(self, request):
        if request.method not in ("GET", "HEAD") and not request.path.startswith("/_security/user/_has"):
            self.changed.append(request)
        asked = f"{request.method} {request.path}"
        status, reply = self.replies[max((each for each in self.replies if asked.startswith(each)), key=len)]
        return status, json.dumps(reply).encode()


@pytest.fixture
def cluster():
    return Cluster()


def look(cluster, **options):
    with fake_http(cluster.answer) as fake:
        found = try_all(trials(ElasticsearchOptions(hosts=[fake.url], **options)))
        made = {trial.name: finding for trial, finding in found}
    assert cluster.changed == [], "a check has written"
    return made


SECURE = {"user": "shipper", "password": "hush-hush"}


def test_all_is_well(cluster):
    found = look(cluster, **SECURE, pipeline="geo", manage_template=True)
    assert {name: finding.mark for name, finding in found.items()} == dict.fromkeys(
        [
            "Elasticsearch", "Elasticsearch privileges", "index template", "ingest pipeline",
            "Elasticsearch health", "Elasticsearch disks", "Elasticsearch write blocks",
        ],
        Mark.OK,
    )  # fmt: skip
    assert found["Elasticsearch"].text.startswith("Elasticsearch 9.1.2 at http://127.0.0.1:")
    assert found["Elasticsearch privileges"].text == "create_doc, auto_configure on logstash-*"
    assert found["Elasticsearch disks"].text == "the fullest, of node b, is 60% full (40.0 GiB free)"


def test_a_server_that_is_no_elasticsearch_leaves_the_rest_untried(cluster):
    cluster.replies["GET /"] = (200, {"version": {"number": "2.0", "distribution": "somethingelse"}})
    found = look(cluster)
    assert found.pop("Elasticsearch").mark is Mark.FAILED
    assert {finding.mark for finding in found.values()} == {Mark.NOT_TRIED}


def test_a_missing_privilege_is_a_role_to_add(cluster):
    cluster.replies["POST /_security/user/_has_privileges"] = (
        200,
        {
            "has_all_requested": False,
            "cluster": {"manage_index_templates": False, "read_ilm": True},
            "index": {"logstash-*": {"create_doc": True, "auto_configure": False}},
        },
    )
    found = look(cluster, **SECURE, manage_template=True, ilm_policy="hot")["Elasticsearch privileges"]
    assert found.mark is Mark.FAILED
    assert found.role == {
        "cluster": ["manage_index_templates"],
        "indices": [{"names": ["logstash-*"], "privileges": ["auto_configure"]}],
    }
    assert "shipper lacks the index privilege auto_configure on logstash-*" in found.text
    assert "the cluster privilege manage_index_templates" in found.text
    assert "hush-hush" not in found.text


@pytest.mark.parametrize(
    ("options", "mark", "words"),
    [
        ({}, Mark.OK, "none asked for"),
        ({"custom_headers": {"Authorization": "Bearer t"}}, Mark.OK, "create_doc"),
        ({**SECURE, "index": "%{kind}"}, Mark.NOT_TRIED, "events name their index"),
    ],
)
def test_when_privileges_are_asked_for(cluster, options, mark, words):
    found = look(cluster, **options)["Elasticsearch privileges"]
    assert found.mark is mark
    assert words in found.text


def test_a_server_without_security(cluster):
    cluster.replies["POST /_security/user/_has_privileges"] = (405, {})
    assert look(cluster, **SECURE)["Elasticsearch privileges"].text == "this server has no security"


@pytest.mark.parametrize(
    ("path", "reply", "name", "mark", "words"),
    [
        ("GET /_cluster/health", (200, {"status": "red", "number_of_data_nodes": 1}), "health", Mark.WARNING, "1 data node"),
        ("GET /_cluster/health", (200, {"status": "yellow", "number_of_data_nodes": 1}), "health", Mark.OK, "yellow"),
        ("GET /_cluster/health", (403, {}), "health", Mark.NOT_TRIED, "needs the cluster privilege monitor"),
        ("GET /_nodes/stats/fs", (403, {}), "disks", Mark.NOT_TRIED, "needs the cluster privilege monitor"),
        ("GET /_nodes/stats/fs", (200, disks(a=0.12)), "disks", Mark.WARNING, "watermark (85%); at the flood stage (95%)"),
        ("GET /_nodes/stats/fs", (200, disks(a=0.5, b=0.07)), "disks", Mark.WARNING, "node b, is 93% full"),
        ("GET /_nodes/stats/fs", (200, disks(a=0.04)), "disks", Mark.FAILED, "beyond the flood stage (95%)"),
        ("GET /_nodes/stats/fs", (200, {}), "disks", Mark.NOT_TRIED, "tells nothing"),
        (
            "GET /logstash-*/_settings",
            (200, {"logstash-1": {"settings": {"index.blocks.read_only_allow_delete": "true"}}, "logstash-2": {}}),
            "write blocks", Mark.WARNING,
            "1 of the indices logstash-* refuse writes (index.blocks.read_only_allow_delete), such as logstash-1: bulks",
        ),
        (
            "GET /logstash-*/_settings",
            (200, {"logstash-1": {"settings": {"index.blocks.write": "true", "index.blocks.metadata": "false"}}}),
            "write blocks", Mark.WARNING,
            'then become dead letters; PUT logstash-1/_settings {"index.blocks.write": null} lifts it',
        ),
        ("GET /logstash-*/_settings", (404, {}), "write blocks", Mark.OK, "no index logstash-* yet"),
        ("GET /logstash-*/_settings", (403, {}), "write blocks", Mark.NOT_TRIED, "view_index_metadata"),
    ],
)  # fmt: skip
def test_what_a_cluster_may_say(cluster, path, reply, name, mark, words):
    cluster.replies[path] = reply
    found = look(cluster)[f"Elasticsearch {name}"]
    assert found.mark is mark, found.text
    assert words in found.text


@pytest.mark.parametrize(
    ("status", "options", "mark", "words"),
    [
        (404, {}, Mark.OK, "the job installs it"),
        (200, {}, Mark.OK, "is there and stays"),
        (200, {"template_overwrite": True}, Mark.WARNING, "the job replaces it"),
        (403, {}, Mark.NOT_TRIED, "403"),
    ],
)
def test_the_template(cluster, status, options, mark, words):
    cluster.replies["GET /_index_template/penstock"] = (status, {})
    found = look(cluster, manage_template=True, **options)["index template"]
    assert found.mark is mark
    assert words in found.text


@pytest.mark.parametrize(
    ("reply", "options", "mark", "words"),
    [
        ((200, {"hot": {}}), {}, Mark.OK, "the job installs it, with the policy hot"),
        ((404, {"error": {"type": "resource_not_found_exception"}}), {}, Mark.FAILED, "--ilm_policy hot: no such policy"),
        ((400, {"error": "no handler found"}), {}, Mark.OK, "there is no ILM, so it names no policy"),
        ((400, {"error": "no handler found"}), {"ilm_enabled": "true"}, Mark.FAILED, "has no ILM (400)"),
    ],
)  # fmt: skip
def test_the_policy_of_the_template(cluster, reply, options, mark, words):
    cluster.replies["GET /_ilm/policy/hot"] = reply
    found = look(cluster, manage_template=True, ilm_policy="hot", **options)["index template"]
    assert found.mark is mark
    assert words in found.text


def test_a_cluster_that_does_not_tell_its_version(cluster):
    cluster.replies["GET /"] = (403, {})
    found = look(cluster)["Elasticsearch"]
    assert found.mark is Mark.OK
    assert "its version is not told" in found.text


def test_a_template_file_that_is_none_fails_before_the_job(cluster, tmp_path):
    (tmp_path / "t.json").write_text("{}")
    found = look(cluster, template=str(tmp_path / "t.json"))["index template"]
    assert found.mark is Mark.FAILED
    assert "is not a composable index template" in found.text


def test_a_pipeline_that_is_not_there(cluster):
    cluster.replies["GET /_ingest/pipeline/geo"] = (404, {})
    found = look(cluster, pipeline="geo")["ingest pipeline"]
    assert found.mark is Mark.FAILED
    assert "--pipeline geo: Elasticsearch at http://127.0.0.1:" in found.text
    assert "ingest pipeline" not in look(cluster, pipeline="%{[@metadata][pipeline]}")
    with fake_http(cluster.answer) as fake, pytest.raises(NotFound, match="--pipeline geo"):
        require_cluster(ElasticsearchOptions(hosts=[fake.url], pipeline="geo"))


def test_a_pipeline_that_drops(cluster):
    dropping = {"foreach": {"field": "x", "processor": {"drop": {"if": "ctx.level == 'debug'"}}}}
    cluster.replies["GET /_ingest/pipeline/geo"] = (200, {"geo": {"processors": [{"set": {}}, dropping]}})
    found = look(cluster, pipeline="geo")["ingest pipeline"]
    assert found.mark is Mark.WARNING
    assert "what it drops counts as written" in found.text


# -- disks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watermark", "headroom", "total", "free"),
    [
        ("85%", None, 1000, 150.0),
        ("0.85", None, 1000, 150.0),
        ("85%", "100b", 1000, 100.0),
        ("85%", "1gb", 1000, 150.0),
        ("100gb", None, 1000, 100 * GIB),
        ("1.5kb", "1b", 1000, 1536.0),
        ("rubbish", None, 1000, None),
    ],
)
def test_what_must_stay_free(watermark, headroom, total, free):
    found = must_stay_free(watermark, headroom, total)
    assert found == (free if free is None else pytest.approx(free))


def test_settings_made_by_hand_count_more_than_defaults():
    settings = {
        "defaults": WATERMARKS,
        "persistent": {"cluster.routing.allocation.disk.watermark.low": "50%"},
    }
    assert fullest(disks(a=0.4), settings).mark is Mark.WARNING
    settings["transient"] = {"cluster.routing.allocation.disk.threshold_enabled": "false"}
    assert "doesn't watch its disks" in fullest(disks(a=0.01), settings).text


# -- the least role --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "cluster", "indices"),
    [
        ({}, [], {"logstash-*": ["create_doc", "auto_configure"]}),
        ({"action": "index", "index": "a-%{+YYYY}-%{b}"}, [], {"a-*-*": ["index", "auto_configure"]}),
        ({"action": "%{verb}"}, [], {"logstash-*": ["write", "auto_configure"]}),
        ({"sniffing": True}, ["monitor"], {"logstash-*": ["create_doc", "auto_configure"]}),
        ({"data_stream_dataset": "web"}, [], {"logs-web-default": ["create_doc", "auto_configure"]}),
        (
            {"manage_template": True, "ilm_policy": "p", "ilm_rollover_alias": "roll", "index": "roll"},
            ["manage_index_templates", "read_ilm"],
            {"roll": ["create_doc", "auto_configure"], "roll-*": ["manage"]},
        ),
        ({"ilm_policy": "p"}, [], {"logstash-*": ["create_doc", "auto_configure"]}),
    ],
)
def test_the_least_role(options, cluster, indices):
    role = needed_role(ElasticsearchOptions(**options))
    assert role["cluster"] == cluster
    assert {each["names"][0]: each["privileges"] for each in role["indices"]} == indices


def test_the_role_knows_no_secrets():
    options = dataclasses.replace(ElasticsearchOptions(), user="u", password="hush-hush")
    assert "hush" not in json.dumps(needed_role(options))
