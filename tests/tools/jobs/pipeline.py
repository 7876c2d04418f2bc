"""Both jobs on the run's servers, with a stream, an application and an index that no other test uses."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from local.demo import evidence, jobs
from local.demo.beats_client import Counts, Shipper
from local.demo.jobs import Job
from local.demo.logs import LogFile, offsets
from local.servers.elasticsearch_server import free_port
from tests.tools.machine.waiting import TIMEOUT_S, wait_until


def log_file(path: Path, lines: int, prefix: str = "line") -> LogFile:
    """A file of that many lines, the like of which a real log has."""
    with path.open("w") as file:
        for number in range(lines):
            file.write(f"2026-11-01T10:00:00Z host app[12]: {prefix} {number} {'.' * (number * 7 % 160)}\n")
    return LogFile(path, path.stat().st_size, lines)


def texts(file: LogFile) -> dict[int, str]:
    """What each line says, by its offset."""
    data = file.path.read_bytes()
    return {begin: data[begin:after].decode().rstrip("\r\n") for begin, after in offsets(file.path, file.end)}


class Shipping:
    """Ships files to a port, each by a Beat of its own, all at the same time."""

    def __init__(self, port: int, files: Iterable[LogFile], **more: Any) -> None:
        self._shippers = [Shipper("127.0.0.1", port, [each.path], **more) for each in files]
        self._threads = [threading.Thread(target=each.run, daemon=True) for each in self._shippers]
        for thread in self._threads:
            thread.start()

    def acknowledged(self) -> int:
        """How many lines are acknowledged by now."""
        return sum(each.counts.acknowledged for each in self._shippers)

    def join(self, seconds: float) -> list[Counts]:
        """Waits that long for each Beat, and gives what became of their lines."""
        for thread in self._threads:
            thread.join(seconds)
        return [each.counts for each in self._shippers]


class Pipeline:
    """Starts, ends and starts again; everything is killed by `close`."""

    def __init__(self, folder: Path, elasticsearch: Any, aws: Any, name: str, shards: int = 2) -> None:
        self.folder = folder
        self.name = name
        self.index = f"{name}-*"
        self.port = free_port()
        self.elasticsearch = elasticsearch
        self.aws = aws
        self.client = elasticsearch.client(request_timeout=30)
        self.started: list[Job] = []
        aws.create_stream(name, shards)

    def make_job(self, *arguments: Any) -> Job:
        return Job(*arguments)

    def start_beats(self, *options: str, ready: bool = True) -> Job:
        job = jobs.beats_to_kinesis(
            self.folder, self.aws.endpoint_url, self.port, *options,
            stream=self.name, log_name=f"beats-{len(self.started)}", start=self.make_job,
        )  # fmt: skip
        return self._started(job, ready)

    def start_kinesis(self, *options: str, ready: bool = True) -> Job:
        job = jobs.kinesis_to_elasticsearch(
            self.folder, self.aws.endpoint_url, self.elasticsearch.url, self.name + "-%{+YYYY.MM.dd}", *options,
            stream=self.name, application=self.name, log_name=f"kinesis-{len(self.started)}", start=self.make_job,
        )  # fmt: skip
        return self._started(job, ready)

    def _started(self, job: Job, ready: bool) -> Job:
        self.started.append(job)
        if ready:
            job.wait_ready()
        return job

    def close(self) -> None:
        for job in self.started:
            job.kill()

    def count(self) -> int:
        """Documents in the index, after a refresh."""
        return evidence.count_documents(self.client, self.index)

    def wait_for(self, documents: int, timeout_s: float = TIMEOUT_S) -> None:
        """Until that many documents are there; a job that ended meanwhile fails at once."""

        def enough() -> bool:
            for job in self.started[-2:]:
                if job.exit_code not in (None, 0, -9):
                    job.check()
            return self.count() >= documents

        wait_until(enough, f"{documents} documents in {self.index}", timeout_s)

    def documents(self) -> list[dict[str, Any]]:
        """All of them, for tests of a few hundred."""
        return evidence.documents(self.client, self.index)

    def dead_letters(self) -> list[dict[str, Any]]:
        """What both jobs have set aside."""
        found = []
        for file in (self.folder / "dead_letters").glob("*.jsonl"):
            found += [json.loads(line) for line in file.read_text().splitlines()]
        return found

    def lines_in_stream(self) -> set[tuple[str, int]]:
        """File and offset of every event in the stream, however often it is there."""
        return {
            (event["log"]["file"]["path"], event["log"]["offset"])
            for data in evidence.stream_events(self.aws.client("kinesis"), self.name)
            for event in (json.loads(data),)
        }
