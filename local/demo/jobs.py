"""`jobs` starts the two jobs as child processes, as a user would start them."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.flink.cluster import FlinkCluster
from local.processes import LocalError, Process
from local.servers.aws_server import CREDENTIALS, REGION

__all__ = ["APPLICATION", "STREAM", "FlinkJob", "Job", "beats_to_kinesis", "kinesis_to_elasticsearch"]

STREAM = "kinesis_poc"
APPLICATION = "kinesis_poc"
READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 45.0


class Job(Process):
    """One job.

    Args:
        name: its subcommand.
        options: of the command line.
        folder: where it runs and logs.
        log_name: of its log, where one folder holds several runs of the same job.
        environment: on top of ours.
    """

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        folder: Path,
        log_name: str = "",
        environment: Mapping[str, str] = CREDENTIALS,
    ) -> None:
        # -P: the folder it runs in is not on its path.
        command = [sys.executable, "-P", "-m", "penstock", name, *options]
        log = folder / f"{log_name or name}.log"
        super().__init__(name, command, log, environment=environment, cwd=folder)

    @property
    def ready(self) -> bool:
        """Whether it has said that it listens, or reads."""
        with self.log.open("rb") as file:
            return b" ready: " in file.read(1 << 20)

    def wait_ready(self, waiting: Callable[[], None] = lambda: None) -> "Job":
        """Returns when it is ready; raises `LocalError` with its last words when it isn't in time."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.ready:
            self.check()
            if time.monotonic() > deadline:
                message = f"{self.name} is not ready within {READY_TIMEOUT_S:g} s."
                raise LocalError(message + self.last_words())
            waiting()
            time.sleep(0.05)
        return self

    def finish(self) -> None:
        """A clean stop: what was read is written and acknowledged. Raises `LocalError` if it was not clean."""
        ended = self.stop(STOP_TIMEOUT_S)
        if not ended:
            message = f"{self.name} did not stop within {STOP_TIMEOUT_S:g} s and was killed."
            raise LocalError(message + self.last_words())
        if self.exit_code:
            self.check()


class FlinkJob(Job):
    """A job on a Flink cluster: the process is only who submitted it, and waits for its end.

    Args:
        name: its subcommand.
        options: of the command line, without the runner's.
        folder: where it runs and logs.
        log_name: as for `Job`.
        cluster: where it runs; ready.
        flink_name: what Flink calls it; the subcommand by default.
        runner: the runner's options; by default those of the cluster's own job server.
    """

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        folder: Path,
        log_name: str = "",
        *,
        cluster: FlinkCluster,
        flink_name: str = "",
        runner: Sequence[str] = (),
    ) -> None:
        self._cluster = cluster
        self._flink_name = flink_name or name
        self._earlier = {job["jid"] for job in cluster.rest.jobs()}
        options = [*options, *(runner or cluster.options), "--job_name", self._flink_name]
        super().__init__(name, options, folder, log_name)

    @property
    def flink_id(self) -> str | None:
        """Flink's id of the job, once it knows it."""
        for job in self._cluster.rest.jobs():
            if job["name"] == self._flink_name and job["jid"] not in self._earlier:
                return str(job["jid"])
        return None

    @property
    def ready(self) -> bool:
        """Whether all its tasks run and a first checkpoint is complete: its readers are at work."""
        job = self.flink_id
        return job is not None and self._cluster.rest.running(job) and self._cluster.rest.checkpoints(job) > 0

    def check(self) -> None:
        """Raises `LocalError` when it has failed: the submission, or the cluster."""
        super().check()
        self._cluster.check()

    def stop_with_savepoint(self) -> str:
        """Stops it in the cluster; returns where its savepoint lies."""
        job = self.flink_id
        assert job is not None
        place = self._cluster.rest.stop_with_savepoint(job)
        self._wait_end()
        return place

    def cancel(self) -> None:
        """Ends it in the cluster, at once and without a savepoint."""
        job = self.flink_id
        assert job is not None
        self._cluster.rest.cancel(job)
        self._wait_end()

    def finish(self) -> None:
        """A clean stop, by a savepoint. Raises `LocalError` if it was not clean."""
        self.stop_with_savepoint()

    def _wait_end(self) -> None:
        if self.wait(STOP_TIMEOUT_S):
            super().check()


def _aws(endpoint_url: str) -> list[str]:
    return ["--region", REGION, "--endpoint_url", endpoint_url]


def beats_to_kinesis(
    folder: Path,
    endpoint_url: str,
    port: int,
    *further: str,
    stream: str = STREAM,
    log_name: str = "",
    start: Callable[..., Job] = Job,
) -> Job:
    """Starts the job that listens on 127.0.0.1:`port`; `start` is a `Job`, or a `FlinkJob` with its cluster."""
    options = [
        *("--beats_host", "127.0.0.1", "--beats_port", str(port)),
        *("--stream_name", stream, "--randomized_partition_key", "--max_pending_records", "10000"),
        *_aws(endpoint_url),
        *("--dead_letters", f"file://{folder}/dead_letters/beats-to-kinesis.jsonl"),
        *further,
    ]
    return start("beats-to-kinesis", options, folder, log_name)


def kinesis_to_elasticsearch(
    folder: Path,
    endpoint_url: str,
    hosts: str,
    index: str,
    *further: str,
    stream: str = STREAM,
    application: str = APPLICATION,
    log_name: str = "",
    start: Callable[..., Job] = Job,
) -> Job:
    """Starts the job that writes to `index` on `hosts`; `start` as in `beats_to_kinesis`."""
    options = [
        *("--kinesis_stream_name", stream, "--application_name", application),
        *("--checkpoint_interval_seconds", "10", "--codec", "json"),
        *_aws(endpoint_url),
        *("--hosts", hosts, "--index", index),
        *("--dead_letters", f"file://{folder}/dead_letters/kinesis-to-elasticsearch.jsonl"),
        *further,
    ]
    return start("kinesis-to-elasticsearch", options, folder, log_name)
