"""`run_local.sh flink`: how it is called, and what is written for a cluster before anything starts."""

import re
from pathlib import Path

import pytest

from local import command
from local.demo import background
from local.demo import demonstration as demo
from local.flink import cache as flink_cache
from local.flink.cache import Flink
from local.flink.cluster import FlinkCluster
from local.flink.rest import FlinkRest
from local.flink.settings import write_files
from local.processes import LocalError
from tests.tools.peers.fake_http import fake_http


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("demo", False, False, "elasticsearch")),
        (["--lines", "5"], ("demo", False, False, "elasticsearch")),
        (["--filebeat", "--server", "opensearch"], ("demo", False, True, "opensearch")),
        (["flink"], ("demo", True, False, "elasticsearch")),
        (["flink", "--lines", "5", "--filebeat"], ("demo", True, True, "elasticsearch")),
        (["up"], ("up", False, "elasticsearch")),
        (["flink", "up", "--server", "opensearch"], ("up", True, "opensearch")),
    ],
)
def test_the_demonstration_and_up_run_where_and_with_what_they_are_asked_to(monkeypatch, arguments, expected):
    called = []
    monkeypatch.setattr(
        demo, "run",
        lambda *_, on_flink, build_filebeat, product: called.append(("demo", on_flink, build_filebeat, product)) or 0,
    )  # fmt: skip
    monkeypatch.setattr(
        background, "up", lambda *_, on_flink, product: called.append(("up", on_flink, product)) or 0
    )
    monkeypatch.setattr(command, "clean_up_on_signals", lambda: None)
    monkeypatch.setattr("sys.argv", ["run_local.sh", *arguments])
    assert command.main() == 0
    assert called == [expected]


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(flink_cache, "find_java_home", lambda minimum: (None, ["/usr (11)"]))
    monkeypatch.setattr(flink_cache, "find_maven", lambda: None)
    monkeypatch.setattr(flink_cache, "cache_folder", lambda: tmp_path)
    java, maven, *_ = flink_cache.missing_for_flink()
    assert "JDK 17 or newer (found only /usr (11))" in java
    assert "apt-get install maven" in maven


def test_every_address_in_the_configuration_is_loopback(tmp_path):
    cluster = FlinkCluster(Flink([], Path("job-server.jar"), Path("java")), tmp_path)
    write_files(tmp_path, 8081, 1)
    text = (tmp_path / "conf" / "config.yaml").read_text()
    hosts = re.findall(r"^\S*(?:host|address): (.*)$", text, re.MULTILINE)
    assert len(hosts) >= 5
    assert set(hosts) == {"127.0.0.1"}
    for option in (*cluster.options, *cluster.flink_runner_options):
        assert "0.0.0.0" not in option


def test_a_refusal_of_flink_is_told_in_its_words():
    refuse = fake_http(lambda request: (404, b'{"errors": ["Job 0 not found"]}'))
    with refuse as server, pytest.raises(LocalError, match="Job 0 not found"):
        FlinkRest(server.url).state("0")


def test_what_is_left_running_tells_how_to_submit_to_it():
    state = {
        "folder": "/f",
        "beats": "127.0.0.1:5044",
        "elasticsearch": "http://e",
        "aws": "http://a",
        "pages": [],
    }
    options = "--runner PortableRunner --job_endpoint 127.0.0.1:1"
    assert options in background._guide({**state, "flink": "http://f", "flink_options": options})
    assert "Flink" not in background._guide({**state, "flink": "", "flink_options": ""})
