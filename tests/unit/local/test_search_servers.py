"""A search server is put together from files of Maven Central, without Maven."""

import xml.etree.ElementTree as ET

import orjson
import pytest

from local.demo import evidence
from local.demo.search_api import SearchApi
from local.processes import LocalError
from local.servers import cache
from local.servers.search import chosen, fetch
from local.servers.search.kinds import KINDS
from tests.tools.peers.fake_http import fake_http


def test_an_opensearch_is_laid_out_from_its_jars(tmp_path):
    kind = KINDS["opensearch-3.9.0"]
    fetch._write_projects(tmp_path, kind.parts)
    modules = [each.text for each in ET.parse(tmp_path / "pom.xml").iter() if each.tag.endswith("module")]
    assert modules == [place.replace("/", "-") for place in kind.parts]
    told = (tmp_path / "lib" / "pom.xml").read_text()
    assert "<artifactId>opensearch</artifactId><version>3.9.0</version>" in told
    assert "<artifactId>log4j-core</artifactId><version>2.25.5</version>" in told

    for place in modules:
        jars = tmp_path / place / "jars"
        jars.mkdir()
        for name in ("lucene-core-10.jar", f"{place}.jar", "netty-codec-native-quic-4-osx-aarch_64.jar"):
            (jars / name).touch()
    made = tmp_path / "made"
    fetch._lay_out(tmp_path, made, kind)
    assert {path.name for path in (made / "lib").iterdir()} == {"lucene-core-10.jar", "lib.jar"}
    netty = made / "modules" / "transport-netty4"
    assert {path.name for path in netty.glob("*.jar")} == {"modules-transport-netty4.jar"}, (
        "the server's jars twice end it"
    )
    described = (netty / "plugin-descriptor.properties").read_text().splitlines()
    assert "classname=org.opensearch.transport.Netty4ModulePlugin" in described
    assert "opensearch.version=3.9.0" in described


def test_all_that_a_machine_lacks_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "find_java_home", lambda oldest, newest: (None, ["/usr (25)"]))
    monkeypatch.setattr(cache, "find_maven", lambda: None)
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(cache, "FREE_BYTES", 1 << 60)
    with pytest.raises(LocalError) as lacking:
        fetch.find_search_server(KINDS["opensearch-2.19.6"], None)
    for each in (
        "a real opensearch-2.19.6",
        "a JDK 17 to 23 (found only /usr (25))",
        "Maven",
        "ELASTICSEARCH_HOSTS",
    ):
        assert each in str(lacking.value)
    with pytest.raises(LocalError, match=r"a JDK 21 or newer(?s:.*)disk space: "):
        cache.find_elasticsearch(None)


@pytest.mark.parametrize(
    ("product", "java", "name"),
    [
        ("elasticsearch", 25, "elasticsearch-8.19.21"),
        ("opensearch", 25, "opensearch-3.9.0"),
        ("opensearch", 17, "opensearch-2.19.6"),
    ],
)
def test_a_demonstration_takes_the_small_server_for_which_there_is_a_java(
    product, java, name, monkeypatch, tmp_path
):
    found = []
    monkeypatch.setattr(
        fetch, "find_java_home", lambda oldest, newest: (tmp_path if oldest <= java <= newest else None, [])
    )
    monkeypatch.setattr(
        chosen, "find_search_server", lambda kind, _: found.append(kind.name) or (tmp_path, tmp_path)
    )
    server = chosen.find_server(product, None)(tmp_path / "node")
    assert found == [name]
    assert server.product in ("Elasticsearch", name)


def test_a_search_server_is_asked_in_the_words_of_the_official_client(tmp_path):
    def answer(request):
        if "/none/" in request.path:
            return 503, b'{"error":"no shard"}'
        return 200, orjson.dumps({"count": 3, "hits": {"hits": []}, "_scroll_id": "s"})

    with fake_http(answer) as fake:
        api = SearchApi(fake.url)
        assert evidence.count_documents(api, "a-*") == 3
        assert evidence.count_documents(api, "none") == 0
        assert evidence.arrival(api, "a-*", []).documents == 0
    asked = [(each.method, each.path, each.body) for each in fake.requests]
    both = "?ignore_unavailable=true&allow_no_indices=true"
    assert asked[:2] == [("POST", f"/a-%2A/_refresh{both}", b""), ("GET", f"/a-%2A/_count{both}", b"")]
    method, path, body = asked[-2]
    assert (method, path) == (
        "POST",
        "/a-%2A/_search?scroll=2m&ignore_unavailable=true&allow_no_indices=true",
    )
    assert orjson.loads(body) == {"size": 10000, "_source": ["log.file.path", "log.offset"], "sort": ["_doc"]}
    assert asked[-1] == ("DELETE", "/_search/scroll?", b'{"scroll_id": "s"}')
