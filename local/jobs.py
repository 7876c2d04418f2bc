"""The two jobs as child processes, started as a user would start them."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from local.aws_server import CREDENTIALS, REGION
from local.processes import LocalError, Process

__all__ = ["APPLICATION", "STREAM", "Job", "beats_to_kinesis", "kinesis_to_elasticsearch"]

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
    """

    def __init__(self, name: str, options: Sequence[str], folder: Path, log_name: str = "") -> None:
        # -P: the folder it runs in is not on its path.
        command = [sys.executable, "-P", "-m", "penstock.pipelines", name, *options]
        log = folder / f"{log_name or name}.log"
        super().__init__(name, command, log, environment=CREDENTIALS, cwd=folder)

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


def _aws(endpoint_url: str) -> list[str]:
    return ["--region", REGION, "--endpoint_url", endpoint_url]


def beats_to_kinesis(
    folder: Path, endpoint_url: str, port: int, *further: str, stream: str = STREAM, log_name: str = ""
) -> Job:
    """Starts the job that listens on 127.0.0.1:`port`."""
    options = [
        *("--beats_host", "127.0.0.1", "--beats_port", str(port)),
        *("--stream_name", stream, "--randomized_partition_key", "--max_pending_records", "10000"),
        *_aws(endpoint_url),
        *("--dead_letters", f"file://{folder}/dead_letters/beats-to-kinesis.jsonl"),
        *further,
    ]
    return Job("beats-to-kinesis", options, folder, log_name)


def kinesis_to_elasticsearch(
    folder: Path,
    endpoint_url: str,
    hosts: str,
    index: str,
    *further: str,
    stream: str = STREAM,
    application: str = APPLICATION,
    log_name: str = "",
) -> Job:
    """Starts the job that writes to `index` on `hosts`."""
    options = [
        *("--kinesis_stream_name", stream, "--application_name", application),
        *("--checkpoint_interval_seconds", "10", "--codec", "json"),
        *_aws(endpoint_url),
        *("--hosts", hosts, "--index", index),
        *("--dead_letters", f"file://{folder}/dead_letters/kinesis-to-elasticsearch.jsonl"),
        *further,
    ]
    return Job("kinesis-to-elasticsearch", options, folder, log_name)
