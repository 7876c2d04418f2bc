import pytest

from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.preflight import require_cluster
from penstock.io.elasticsearch.cluster.template import index_template
from penstock.io.errors import AccessDenied, OptionError, PeerError
from tests.tools.peers.fake_http import fake_http

ROOT = b'{"version":{"number":"9.4.3"}}'


def _server(answers: dict[tuple[str, str], tuple[int, bytes]]):
    return fake_http(
        lambda request: answers.get((request.method, request.path.partition("?")[0]), (200, ROOT))
    )


@pytest.mark.parametrize(
    ("options", "patterns"),
    [
        ({}, ["logstash-*"]),
        ({"index": "a-%{+YYYY}-%{x}"}, ["a-*-*"]),
        ({"index": "%{x}%{y}"}, ["logstash-*"]),
        ({"index": "fixed"}, ["fixed"]),
        ({"data_stream_dataset": "nginx"}, ["logs-nginx-default"]),
        ({"ilm_rollover_alias": "app", "index": "app"}, ["app-*"]),
    ],
)
def test_the_template_is_for_the_index_that_is_written_to(options, patterns):
    template = index_template(ElasticsearchOptions(**options))
    assert template["index_patterns"] == patterns
    assert ("data_stream" in template) == ("data_stream_dataset" in options)
    assert (
        template["template"]["mappings"]["properties"]["log"]["properties"]["file"]["properties"]["path"][
            "type"
        ]
        == "keyword"
    )


def test_ilm_is_named_only_where_there_is_some():
    options = ElasticsearchOptions(ilm_policy="p", ilm_rollover_alias="app", index="app")
    assert "index.lifecycle.name" not in index_template(options)["template"]["settings"]
    settings = index_template(options, ilm=True)["template"]["settings"]
    assert settings["index.lifecycle.name"] == "p"
    assert settings["index.lifecycle.rollover_alias"] == "app"


def test_another_template_from_a_file(tmp_path):
    file = tmp_path / "t.json"
    file.write_text('{"index_patterns":["x-*"]}')
    assert index_template(ElasticsearchOptions(template=str(file))) == {"index_patterns": ["x-*"]}
    for wrong in ("{}", "[]", "nope"):
        file.write_text(wrong)
        with pytest.raises(OptionError, match="--template"):
            index_template(ElasticsearchOptions(template=str(file)))


@pytest.mark.parametrize(("there", "overwrite", "puts"), [(404, False, 1), (200, False, 0), (200, True, 1)])
def test_it_is_installed_unless_one_is_there(there, overwrite, puts):
    with _server({("GET", "/_index_template/mine"): (there, b"{}")}) as fake:
        require_cluster(
            ElasticsearchOptions(
                hosts=[fake.url], manage_template=True, template_name="mine", template_overwrite=overwrite
            )
        )
    assert sum(request.method == "PUT" for request in fake.requests) == puts


def test_nothing_is_installed_unasked():
    with _server({}) as fake:
        require_cluster(ElasticsearchOptions(hosts=[fake.url]))
    assert {request.path for request in fake.requests} == {"/"}


def test_a_missing_privilege_is_named():
    denied = b'{"error":{"reason":"unauthorized, granted by the cluster privileges [manage_index_templates,manage,all]"}}'
    with (
        _server({("GET", "/_index_template/penstock"): (403, denied)}) as fake,
        pytest.raises(AccessDenied, match=r"install the index template penstock.*manage_index_templates"),
    ):
        require_cluster(ElasticsearchOptions(hosts=[fake.url], manage_template=True))


@pytest.mark.parametrize(
    ("status", "reply", "enabled", "error"),
    [
        (200, b"{}", "auto", None),
        (400, b'{"error":"no handler"}', "auto", None),
        (405, b"{}", "auto", None),
        (405, b"{}", "false", None),
        (405, b"{}", "true", "has no ILM"),
        (404, b'{"error":{"type":"resource_not_found_exception"}}', "auto", "no such policy"),
    ],
)
def test_ilm_is_looked_for(status, reply, enabled, error):
    answers = {
        ("GET", "/_ilm/policy/p"): (status, reply),
        ("GET", "/_index_template/penstock"): (404, b"{}"),
        ("HEAD", "/_alias/app"): (404, b""),
    }
    with _server(answers) as fake:
        options = ElasticsearchOptions(
            hosts=[fake.url],
            manage_template=True,
            ilm_enabled=enabled,
            ilm_policy="p",
            ilm_rollover_alias="app",
            index="app",
        )
        if error:
            with pytest.raises(PeerError, match=error):
                require_cluster(options)
            return
        require_cluster(options)
    put = [request for request in fake.requests if request.method == "PUT"]
    with_ilm = status == 200
    assert (b"index.lifecycle.name" in put[0].body) == with_ilm
    assert [request.path for request in put[1:]] == (["/app-000001"] if with_ilm else [])
