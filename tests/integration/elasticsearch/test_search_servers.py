"""The sink's features, and the whole job, on every real search server that can be had, one server at a time.

What each feature gave is kept in docs/search_servers.json, which the documentation's table is made from. With
`PENSTOCK_WRITE_TABLE=1` a run writes what it finds there instead of comparing.
"""

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from local.demo import evidence, logstash_files
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.demo.search_api import SearchApi
from local.servers import cache
from local.servers.aws_server import CREDENTIALS, REGION
from penstock.io.elasticsearch.options import DEFAULT_INDEX
from tests import servers
from tests.tools.jobs.pipeline import Pipeline, log_file
from tests.tools.jobs.status_page import page_of, status
from tests.tools.machine.waiting import wait_until
from tests.tools.search.features import FEATURES
from tests.tools.search.results import require_told
from tests.tools.search.sink import Api, Sink

SERVERS = (
    *("opensearch-2.19.6", "opensearch-3.9.0"),
    *("elasticsearch-6.6.0", "elasticsearch-6.8.23", "elasticsearch-7.17.29", "elasticsearch-8.19.21"),
    cache.ELASTICSEARCH,
)

EVENTS = 8000
RATE = 1000
READING = (  # as in the tests of kills: a dead worker's leases are free after 2 s, and reads are small
    *("--checkpoint_interval_seconds", "1", "--shard_reads_per_second", "2"),
    *("--additional_settings", "failoverTimeMillis=2000,maxRecords=5"),
)
DEFAULTS = ("--checkpoint_interval_seconds", "60")
"""What the job does unless told otherwise; the tool that starts it tells it otherwise."""

pytestmark = pytest.mark.xdist_group("search")  # one worker runs them all, so one server at a time


@pytest.fixture(scope="module", params=SERVERS)
def search_server(request):
    if request.param == cache.ELASTICSEARCH:
        yield request.param, servers.own_shared_elasticsearch()
        return
    with servers.private_search_server(request.param) as server:
        yield request.param, server


@pytest.mark.parametrize("feature", FEATURES)
def test_the_sink_does_with_a_server_what_the_documentation_says(search_server, feature, unique_name):
    name, server = search_server
    require_told(name, feature, FEATURES[feature](Sink(server.url, unique_name)))


@pytest.mark.parametrize(
    "search_server",
    ["opensearch-3.9.0", "elasticsearch-8.19.21"],
    indirect=True,
)
def test_the_local_demonstration_of_logstashs_files_has_its_data_stream(search_server):
    _, server = search_server
    SearchApi(server.url).put_index_template("logs", logstash_files.TEMPLATE)
    api, sink = Api(server.url), Sink(server.url, "unused")
    try:
        given = {"data_stream": "true", "index": DEFAULT_INDEX}
        assert sink.write([b'{"message":"a line","host":{"name":"a"}}'], stamped=True, **given).written == 1
        (document,) = api.every("logs-generic-default")
        assert document["_index"].startswith(".ds-logs-generic-default-")
        (mapping,) = api("GET", "/logs-generic-default/_mapping").values()
        host = mapping["mappings"]["properties"]["host"]["properties"]["name"]
        assert host["type"] == "keyword"
    finally:
        # The small Elasticsearch has no API to delete one; its node goes with the tests.
        api("DELETE", "/_data_stream/logs-generic-default", may_fail=True)
        api("DELETE", "/_index_template/logs", may_fail=True)


# -- the whole job ---------------------------------------------------------------------------------------


class _Server:
    """What `Pipeline` asks of a server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, **options):
        return Api(self.url)


class _Pipeline(Pipeline):
    def count(self) -> int:
        return self.client.count(self.index)

    def ids(self) -> dict[str, tuple[str, int]]:
        """Index and id of each document -> the line that it holds."""
        return {
            f"{hit['_index']}/{hit['_id']}": (
                hit["_source"]["log"]["file"]["path"],
                hit["_source"]["log"]["offset"],
            )
            for hit in self.client.every(self.index)
        }


@pytest.mark.kills
@pytest.mark.parametrize(
    "search_server",
    [
        "opensearch-2.19.6",
        *(
            pytest.param(each, marks=pytest.mark.full)
            for each in ("opensearch-3.9.0", "elasticsearch-6.6.0", "elasticsearch-7.17.29")
        ),
    ],
    indirect=True,
)
def test_each_document_once_whatever_is_killed_and_read_again(search_server, aws, unique_name, tmp_path):
    name, server = search_server
    pipeline = _Pipeline(tmp_path, _Server(server.url), aws, unique_name)
    try:
        _kill_both_in_the_middle(pipeline, DEFAULTS if name == "opensearch-3.9.0" else READING)
        found = pipeline.ids()
        lines = Counter(found.values())
        assert (len(lines), max(lines.values())) == (EVENTS, 1)
        _backfill(pipeline)
        assert pipeline.ids() == found
        assert not pipeline.dead_letters()
        require_told(name, "the whole job, killed twice and backfilled: each document once", "yes")
    finally:
        pipeline.close()


def _kill_both_in_the_middle(pipeline, reading):
    file = log_file(pipeline.folder / "a.log", EVENTS)
    beats, kinesis = pipeline.start_beats(), pipeline.start_kinesis(*reading)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=RATE, window=200, backoff_s=(0.1, 0.3))
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    wait_until(lambda: shipper.counts.acknowledged >= EVENTS // 8, "the first lines acknowledged")
    beats.kill()
    assert shipper.counts.acknowledged < EVENTS, "killed too late to prove anything"
    wait_until(lambda: pipeline.count() >= 100, "the first documents")
    kinesis.kill()  # with most lines still to come: nobody takes them now
    jobs = [pipeline.start_beats(), pipeline.start_kinesis(*reading)]
    thread.join(300)
    assert shipper.counts.done, shipper.counts
    pipeline.wait_for(EVENTS)
    for job in jobs:
        job.finish()


def _backfill(pipeline):
    """Archives the stream, and reads the archive into the same indices."""
    name, place = pipeline.name, f"s3://{pipeline.name}/lake"
    pipeline.aws.client("s3").create_bucket(Bucket=name)
    aws = ("--region", REGION, "--endpoint_url", pipeline.aws.endpoint_url)
    options = [
        *("--kinesis_stream_name", name, "--application_name", f"{name}-archive", *aws),
        *("--archive", place, "--roll_seconds", "3600", "--status_port", "0"),
    ]
    archiving = Job("kinesis-to-s3", options, pipeline.folder, "archive").wait_ready()
    pipeline.started.append(archiving)
    events = evidence.count_stream(pipeline.aws.client("kinesis"), name).events
    assert events >= EVENTS
    page = page_of(archiving)
    wait_until(lambda: status(page)["totals"]["in"] >= events, "the stream is read")
    archiving.finish()
    command = [
        *(sys.executable, "-P", "-m", "penstock", "s3-to-elasticsearch", "--input", f"{place}/", *aws),
        *("--hosts", pipeline.elasticsearch.url, "--index", name + "-%{+YYYY.MM.dd}", "--codec", "json"),
        *("--dead_letters", f"file://{pipeline.folder}/dead_letters/backfill.jsonl"),
    ]
    environment = {**os.environ, **CREDENTIALS}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=pipeline.folder
    )
    assert done.returncode == 0, done.stderr
