"""Both streaming jobs on a real Flink cluster: what it shows of them, and what clusters do to them.

The jobs are started once, and every test ships a file of its own through them while something breaks. After each,
every line is in Elasticsearch exactly once, and what the Beats client was told is safe was safe when it was told.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import pytest

from local.demo import evidence
from local.demo.beats_client import Shipper
from local.demo.jobs import Job
from local.flink.cluster import FlinkCluster
from tests.servers import SharedAws, SharedElasticsearch
from tests.tools.jobs.flink import FLINK, FlinkPipeline, kill_workers, shipping
from tests.tools.jobs.pipeline import log_file
from tests.tools.machine.listening import listening
from tests.tools.machine.next_release import has_commit, install_commit, install_next_release, stored_versions
from tests.tools.peers.tcp_proxy import TcpProxy, tcp_proxy

pytestmark = FLINK

LINES = 3000
BEFORE_ROOMS = "005a5e9"
RATE = 600
SHARDS = 2
IN_FLIGHT = 2 * 100  # the shipper's windows, two at a time
MINUTE_S = 60.0
READ_TIME_S = 5.0  # more than it takes from the end of a bundle to Flink's REST API


class Both(FlinkPipeline):
    """Both jobs, with a proxy before Elasticsearch, and one between the first job and the stream."""

    proxy: TcpProxy
    stream_proxy: TcpProxy
    shipped = 0

    def submit_both(self, savepoints: Sequence[str] = ()) -> None:
        """From savepoints of `stop_both`, or from nothing but the lease table."""
        beats, kinesis = ((f"--savepoint_path={each}",) for each in savepoints) if savepoints else ((), ())
        stream = f"http://127.0.0.1:{self.stream_proxy.port}"
        self.beats = self.start_beats(*beats, "--endpoint_url", stream, ready=False)
        self.kinesis = self.start_kinesis(*kinesis, ready=False)

    def stop_both(self) -> list[str]:
        """Where their savepoints lie."""
        wait_running(self)
        return [job.stop_with_savepoint() for job in (self.beats, self.kinesis)]

    def ship(self, trouble: Callable[[Shipper], None], lines: int = LINES) -> None:
        """Ships a file while `trouble` happens, from its first quarter on, and proves that nothing is lost or doubled."""
        file = log_file(self.folder / f"{uuid.uuid4().hex}.log", lines)
        before = self.count()
        with shipping(self.port, file, RATE) as shipper:
            self.until(lambda: shipper.counts.acknowledged >= LINES / 4, "a quarter of the lines")
            trouble(shipper)
            assert not shipper.counts.done, "it came too late to prove anything"
            self.until(lambda: shipper.counts.done, f"the last acknowledgement ({shipper.counts})")
        self.until(lambda: self.count() >= before + lines, "all documents")
        found = evidence.arrival(self.client, self.index, [file])
        assert found.exactly_once, found
        assert found.documents == before + lines
        self.shipped += lines
        assert not self.dead_letters()

    def metrics(self, job: Job) -> dict[str, str]:
        """Metric to value. Flink puts subtask and operator before a name, the operator cut at 80 characters."""
        found = self.cluster.rest.metrics(job.flink_id)
        return {name.rpartition(".")[2]: value for name, value in found.items()}

    def lag_s(self) -> float:
        """How long ago it is that the slowest shard was durable to its tip, as far as Flink knows."""
        metrics = self.metrics(self.kinesis).items()
        until = [int(value) for name, value in metrics if name.startswith("kinesis_durable_until_ms_")]
        assert len(until) == SHARDS
        return time.time() - min(until) / 1000

    def acknowledged_is_stored(self, shipper: Shipper) -> None:
        """An acknowledgement is a promise: at this moment the stream holds what it was given for."""
        acknowledged = shipper.counts.acknowledged
        assert len(self.lines_in_stream()) >= self.shipped + acknowledged


@pytest.fixture(scope="module")
def both(
    flink: FlinkCluster,
    elasticsearch: SharedElasticsearch,
    aws: SharedAws,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Both]:
    with (
        tcp_proxy(urlsplit(elasticsearch.url).port) as proxy,
        tcp_proxy(urlsplit(aws.endpoint_url).port) as stream_proxy,
    ):
        made = Both(flink, tmp_path_factory.mktemp("flink"), elasticsearch, aws, f"t{uuid.uuid4().hex[:12]}")
        made.elasticsearch = SharedElasticsearch(f"http://127.0.0.1:{proxy.port}")
        made.proxy, made.stream_proxy = proxy, stream_proxy
        try:
            made.submit_both()
            made.beats.wait_ready()
            made.kinesis.wait_ready()
            yield made
        finally:
            made.close()


def wait_running(both: Both) -> None:
    """Until both jobs run; Flink may be restarting them."""
    for job in (both.beats, both.kinesis):
        both.until(lambda job=job: both.cluster.rest.running(job.flink_id), f"{job.name} to run")


def test_metrics_have_names_that_a_person_finds(flink, both):
    both.ship(lambda shipper: None)

    beats = both.until(
        lambda: (found := both.metrics(both.beats)).get("acknowledge_events") == str(LINES) and found,
        "the counters",
    )
    assert beats["beats_events"] == str(LINES)
    assert beats["beats_connections_open"] in ("0", "1")
    assert beats["kinesis_write_events"] == str(LINES)
    assert re.fullmatch(r"DistributionResult\{.*count=\d+.*\}", beats["beats_ack_latency_ms"])
    kinesis = both.until(
        lambda: (found := both.metrics(both.kinesis)).get("acknowledge_events") == str(LINES) and found,
        "the counters",
    )
    lags = {name: value for name, value in kinesis.items() if "shardId" in name}
    assert sorted(lags) == [
        f"kinesis_{name}_shardId-{number:012}"
        for name in ("MillisBehindLatest", "durable_until_ms")
        for number in range(SHARDS)
    ]
    assert all(int(value) >= 0 for value in lags.values())
    assert kinesis["elasticsearch_documents"] == str(LINES)


def test_the_jobs_are_named_and_the_page_answers(flink, both):
    running = {job["name"] for job in flink.rest.jobs() if job["state"] == "RUNNING"}
    assert running == {f"beats-to-kinesis-{both.name}", f"kinesis-to-elasticsearch-{both.name}"}
    steps = " ".join(task["name"] for task in flink.rest.tasks(both.kinesis.flink_id))
    assert "{ReadFromKinesis, Decode, WriteToElasticsearch, WriteDeadLetters, Acknowledge}" in steps


def test_kill_9_of_the_python_workers(flink, both):
    def trouble(shipper):
        kill_workers(flink)
        both.acknowledged_is_stored(shipper)

    both.ship(trouble)
    wait_running(both)


def test_kill_9_of_the_task_managers(flink, both):
    def trouble(shipper):
        for process in list(flink.task_managers):
            flink.kill_task_manager(process)
        both.acknowledged_is_stored(shipper)
        for _ in range(2):
            flink.start_task_manager()

    both.ship(trouble)
    wait_running(both)


@pytest.mark.full
def test_both_sinks_are_down_for_a_minute(flink, both):
    jobs = (both.beats, both.kinesis)
    failures = [flink.rest.failures(job.flink_id) for job in jobs]

    def trouble(shipper):
        counts = shipper.counts
        both.proxy.down()
        down = time.monotonic()
        # The job before the stream doesn't notice: it goes on, and so do its checkpoints.
        checkpoints, before = flink.rest.checkpoints(both.beats.flink_id), counts.acknowledged
        both.until(lambda: flink.rest.checkpoints(both.beats.flink_id) >= checkpoints + 2, "two checkpoints")
        assert counts.acknowledged > before
        both.stream_proxy.down()
        pending = both.until(
            lambda: counts.shipped - counts.acknowledged, "windows without an acknowledgement"
        )
        reconnects, before = counts.reconnects, counts.acknowledged
        time.sleep(MINUTE_S)
        # Back-pressure: the Beat holds its connection, hears keep-alives only, and sends no more than its pipelining.
        assert (counts.reconnects, counts.acknowledged) == (reconnects, before), counts
        assert 0 < pending <= counts.shipped - before <= IN_FLIGHT
        assert both.lag_s() > time.monotonic() - down - 2 * READ_TIME_S, "an operator's alert has seen it"
        both.stream_proxy.up()
        both.proxy.up()

    both.ship(trouble, lines=10 * LINES)  # enough for two checkpoints of a slow machine
    assert [flink.rest.failures(job.flink_id) for job in jobs] == failures, "nothing was restarted"
    both.until(lambda: both.lag_s() < 2 * READ_TIME_S, "the lag of idle shards to be gone")


@pytest.mark.full  # test_flink_submit.py ends a job and goes on each time
def test_cancel_and_submit_again(flink, both):
    def trouble(shipper):
        both.beats.cancel()
        both.kinesis.cancel()
        both.acknowledged_is_stored(shipper)
        both.submit_both()

    both.ship(trouble)


@pytest.fixture
def next_release(tmp_path_factory):
    """The folder of a release that stores positions in a later version."""
    return install_next_release(tmp_path_factory.mktemp("next"))


def test_the_package_is_upgraded_between_savepoint_and_resumption_and_back(
    flink, both, next_release, monkeypatch
):
    """For real: the worker pool and the command that submits are those of the other release."""

    def upgrade(shipper):
        savepoints = both.stop_both()
        both.acknowledged_is_stored(shipper)
        assert [stored_versions(each) for each in savepoints] == [{1}, {1}]
        flink.restart_pool(PYTHONPATH=str(next_release))
        monkeypatch.setenv("PYTHONPATH", str(next_release))
        both.submit_both(savepoints)

    try:
        both.ship(upgrade)
        _, savepoint = both.stop_both()
        # Of earlier bundles Flink keeps what the older release stored (beam#27648).
        assert stored_versions(savepoint) == {1, 2}, "the next release has read and written"
    finally:
        monkeypatch.undo()
        flink.restart_pool()
    both.kinesis = both.start_kinesis(f"--savepoint_path={savepoint}", ready=False)
    refusal = "has version 2, this penstock knows up to 1. Run the penstock that wrote it, or a newer one."
    both.until(lambda: refusal in flink.worker_log(), "the older release's refusal")
    both.kinesis.cancel()
    # What to do then: start without the savepoint.
    both.submit_both()
    both.ship(lambda shipper: None)


@pytest.mark.full
@pytest.mark.skipif(not has_commit(BEFORE_ROOMS), reason="a clone without that history")
def test_savepoints_of_the_version_before_its_modules_moved_are_resumed(
    flink, both, tmp_path_factory, monkeypatch
):
    """Both jobs are submitted and run by that version's own code, stopped with savepoints, and resumed by this one."""
    site = str(install_commit(BEFORE_ROOMS, tmp_path_factory.mktemp("before")))
    for job in (both.beats, both.kinesis):
        job.cancel()
    monkeypatch.setenv("PYTHONPATH", site)
    flink.restart_pool(PYTHONPATH=site)
    try:
        both.submit_both()
        both.ship(lambda shipper: None)

        def upgrade(shipper):
            savepoints = both.stop_both()
            both.acknowledged_is_stored(shipper)
            monkeypatch.undo()
            flink.restart_pool()
            both.submit_both(savepoints)

        both.ship(upgrade)
    finally:
        monkeypatch.undo()
        flink.restart_pool()


def test_what_listens_is_on_loopback(flink, both):
    """Whoever reaches a job server can run code there."""
    pids = {process.pid for process in flink.processes} | set(flink.workers())
    places = set().union(*(listening(pid, below=False) for pid in pids))
    assert len(places) > 5
    assert {address for address, _ in places} <= {"127.0.0.1", "::1"}
