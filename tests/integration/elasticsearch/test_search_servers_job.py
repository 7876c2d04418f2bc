"""The whole main job on other servers: both jobs are killed in the middle, then a backfill reads the same documents."""

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.servers.aws_server import CREDENTIALS, REGION
from tests import servers
from tests.integration.status.test_status_batch import page_of, status
from tests.tools.jobs.pipeline import Pipeline, log_file, wait_until
from tests.tools.search.results import require_told
from tests.tools.search.sink import Api

pytestmark = [pytest.mark.servers, pytest.mark.kills, pytest.mark.xdist_group("search")]

EVENTS = 4000
RATE = 1000
READING = (  # as in the tests of kills: a dead worker's leases are free after 2 s, and reads are small
    *("--checkpoint_interval_seconds", "1", "--shard_reads_per_second", "2"),
    *("--additional_settings", "failoverTimeMillis=2000,maxRecords=5"),
)


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


@pytest.mark.parametrize(
    "name",
    [
        "opensearch-2.19.6",
        pytest.param("opensearch-3.9.0", marks=pytest.mark.full),
        pytest.param("elasticsearch-6.6.0", marks=pytest.mark.full),
        pytest.param("elasticsearch-7.17.29", marks=pytest.mark.full),
    ],
)
def test_each_document_once_whatever_is_killed_and_read_again(name, aws, unique_name, tmp_path):
    with servers.private_search_server(name) as server:
        pipeline = _Pipeline(tmp_path, _Server(server.url), aws, unique_name)
        try:
            _kill_both_in_the_middle(pipeline)
            found = pipeline.ids()
            lines = Counter(found.values())
            assert (len(lines), max(lines.values())) == (EVENTS, 1)
            _backfill(pipeline)
            assert pipeline.ids() == found
            assert not pipeline.dead_letters()
            require_told(name, "the whole job, killed twice and backfilled: each document once", "yes")
        finally:
            pipeline.close()


def _kill_both_in_the_middle(pipeline):
    file = log_file(pipeline.folder / "a.log", EVENTS)
    beats, kinesis = pipeline.start_beats(), pipeline.start_kinesis(*READING)
    shipper = Shipper("127.0.0.1", pipeline.port, [file.path], rate=RATE, window=200, backoff_s=(0.1, 0.3))
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    wait_until(lambda: shipper.counts.acknowledged >= EVENTS // 4, "a quarter acknowledged")
    beats.kill()
    assert shipper.counts.acknowledged < EVENTS, "killed too late to prove anything"
    wait_until(lambda: pipeline.count() >= 100, "the first documents")
    kinesis.kill()
    assert pipeline.count() < EVENTS, "killed too late to prove anything"
    jobs = [pipeline.start_beats(), pipeline.start_kinesis(*READING)]
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
