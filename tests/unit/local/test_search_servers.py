"""How a search server is put together from what Maven Central has, without Maven."""

import xml.etree.ElementTree as ET

import pytest

from local.processes import LocalError
from local.servers.search import fetch
from local.servers.search.kinds import KINDS


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


def test_a_java_that_is_too_new_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "find_java_home", lambda oldest, newest: (None, ["/usr (25)"]))
    with pytest.raises(
        LocalError, match=r"opensearch-2.19.6 needs a JDK 17 to 23 \(found only /usr \(25\)\)"
    ):
        fetch.find_search_server(KINDS["opensearch-2.19.6"], None)
