"""Jobs of a test on the run's Flink cluster, with a stream, an application and an index of their own.

All tests on the cluster belong to one group (`pytestmark = FLINK`): pytest-xdist runs them one after another.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.demo.beats_client import Shipper
from local.demo.jobs import FlinkJob, Job
from local.demo.logs import LogFile
from local.flink import pool
from local.flink.cluster import FlinkCluster
from local.processes import Process
from local.servers.elasticsearch_server import free_port
from tests.tools.jobs.pipeline import Pipeline
from tests.tools.machine.waiting import wait_until

FLINK = [pytest.mark.servers, pytest.mark.xdist_group("flink")]

# Generous: a restart is a matter of seconds, but not on a machine that does much else.
TIMEOUT_S = 200.0

# Frequent, so that a restart goes back to the middle of what happens, not to its beginning.
CHECKPOINTS = ("--checkpointing_interval", "1000", "--max_read_time_seconds", "1")
# A dead worker's leases are free after 2 s also where nobody can see that it is dead.
LEASES = ("--checkpoint_interval_seconds", "1", "--additional_settings", "failoverTimeMillis=2000")


class FlinkPipeline(Pipeline):
    """`Pipeline`, with both jobs on Flink; a further job by `submit`."""

    def __init__(
        self, cluster: FlinkCluster, folder: Path, elasticsearch: Any, aws: Any, name: str, shards: int = 2
    ):
        super().__init__(folder, elasticsearch, aws, name, shards)
        self.cluster = cluster

    def start_beats(self, *options: str, ready: bool = True) -> Job:
        return super().start_beats(*CHECKPOINTS, *options, ready=ready)

    def start_kinesis(self, *options: str, ready: bool = True) -> Job:
        return super().start_kinesis(*LEASES, *CHECKPOINTS, *options, ready=ready)

    def make_job(self, name: str, options: Any, folder: Path, log_name: str = "", **further: Any) -> FlinkJob:
        flink_name = f"{name}-{self.name}"
        return FlinkJob(
            name, options, folder, log_name, cluster=self.cluster, flink_name=flink_name, **further
        )

    def submit(self, name: str, *options: str, runner: Any = ()) -> FlinkJob:
        """Any job, by all of its options; `runner`: the runner's, if not those of the cluster's job server."""
        job = self.make_job(name, options, self.folder, f"{name}-{len(self.started)}", runner=runner)
        self.started.append(job)
        return job

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """`wait_until` that fails at once, and with their last words, when a job or the cluster has."""

        def checked() -> Any:
            value = condition()
            if not value:
                self.cluster.check()
                for job in self.started:
                    if job.exit_code not in (None, 0, -9):
                        job.check()
            return value

        try:
            return wait_until(checked, what, TIMEOUT_S)
        except AssertionError as error:
            jobs = "".join(job.last_words() for job in self.started)
            raise AssertionError(f"{error}{jobs}\n{self.cluster.worker_log()[-4000:]}") from None

    def close(self) -> None:
        """Kills those who submitted, and cancels what they left in the cluster."""
        super().close()
        for job in self.cluster.rest.jobs():
            if job["name"].endswith(self.name) and job["end-time"] == -1:
                self.cluster.rest.cancel(job["jid"])


def kill_workers(cluster: FlinkCluster) -> None:
    """SIGKILL to every Python worker."""
    pids = cluster.workers()
    assert pids, "no worker runs"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def another_pool(folder: Path, **environment: str) -> Iterator[str]:
    """A worker pool beside the cluster's, with an environment of its own; gives its address."""
    port = free_port()
    folder.mkdir()
    program = Path(pool.__file__)
    command = [sys.executable, "-P", str(program), str(port), str(folder)]
    process = Process("a worker pool", command, folder / "pool.log", environment=environment)
    try:
        wait_until(lambda: b"serving at" in process.log.read_bytes(), "the pool", TIMEOUT_S)
        yield f"127.0.0.1:{port}"
    finally:
        process.stop()


@contextmanager
def shipping(port: int, file: LogFile, rate: float | None) -> Iterator[Shipper]:
    """A Beats client at work for as long as the block lasts."""
    shipper = Shipper("127.0.0.1", port, [file.path], rate=rate, window=100, backoff_s=(0.1, 0.3))
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    try:
        yield shipper
    finally:
        shipper.stop()
        thread.join(10)
