"""`stack` starts servers and jobs side by side, and ends them in the order that loses nothing."""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from local.demo import jobs
from local.flink.cache import find_flink
from local.flink.cluster import FlinkCluster
from local.processes import Process
from local.servers.aws_server import CREDENTIALS, AwsServer
from local.servers.elasticsearch_server import ElasticsearchServer, answers, free_port
from local.servers.search.chosen import find_server
from local.terminal import Progress

__all__ = ["SHARDS", "Stack", "foreign_elasticsearch"]

SHARDS = 2
BEATS_PORT = 5044
ELASTICSEARCH_PORT = 9200
AWS_PORT = 4566
FLINK_PORT = 8081

# For a demonstration of a minute: what is chosen for months lets a start and a savepoint wait for 20 s.
QUICK = ["--checkpointing_interval", "1000", "--max_read_time_seconds", "1"]
PAGE_PORTS = (9600, 9601)  # where Logstash has its own numbers


def foreign_elasticsearch(progress: Progress) -> str | None:
    """The server that `ELASTICSEARCH_HOSTS` names, if it answers; says so if it does not."""
    hosts = os.environ.get("ELASTICSEARCH_HOSTS", "")
    first = hosts.split(",")[0].strip()
    if first and not first.startswith(("http://", "https://")):
        first = f"http://{first}"
    if first and not answers(first):
        progress.begin("")
        progress.done(f"{first} (ELASTICSEARCH_HOSTS) does not answer: we start an Elasticsearch of our own")
        return None
    return first or None


class Stack:
    """moto, an Elasticsearch and both jobs. `start` them, then `stop` or `kill`.

    Args:
        folder: for everything they write.
        index: where documents go, as in `--index`.
        foreign: the URL of an Elasticsearch that runs already; None starts one.
        usual_ports: take the ports that people know (5044, 9200, 4566, 8081) where they are free; the jobs show their
            status pages then.
        product: the search server, `elasticsearch` or `opensearch`.
        on_flink: the jobs run on a Flink cluster, started here, instead of a process each.

    Attributes:
        flink: the cluster, with `on_flink`.
        pages: the jobs' status pages, where they have them.
    """

    def __init__(
        self,
        folder: Path,
        index: str,
        foreign: str | None,
        *,
        usual_ports: bool = False,
        on_flink: bool = False,
        product: str = "elasticsearch",
    ) -> None:
        self.flink: FlinkCluster | None = None
        self._on_flink = on_flink
        self._product = product
        self.folder = folder
        self.index = index
        self.elasticsearch_url = ""
        self.endpoint_url = ""
        self.beats_port = 0
        self.pages: list[str] = []
        self.beats_job: jobs.Job | None = None
        self.kinesis_job: jobs.Job | None = None
        self.aws: AwsServer | None = None
        self._elasticsearch: ElasticsearchServer | None = None
        self._foreign = foreign
        self._usual_ports = usual_ports

    @property
    def processes(self) -> list[Process]:
        """What was started, in the order in which it is to be ended."""
        servers = [self.aws.process if self.aws else None]
        servers.append(self._elasticsearch.process if self._elasticsearch else None)
        cluster = self.flink.processes if self.flink else []
        return [each for each in (self.beats_job, self.kinesis_job, *cluster, *servers) if each is not None]

    def start(self, progress: Progress) -> None:
        """Starts all of it; raises `LocalError` naming what did not start, with its last words."""
        server = None if self._foreign else find_server(self._product, progress)
        flink = find_flink(progress) if self._on_flink else None
        progress.begin("starting moto (Kinesis, DynamoDB)")
        self.aws = AwsServer(self.folder, self._port(AWS_PORT))
        if server is None:
            self.elasticsearch_url = self._foreign or ""
        else:
            folder = self.folder / "elasticsearch"
            port = self._port(ELASTICSEARCH_PORT)
            self._elasticsearch = server(folder, port=port).start(wait=False)
            self.elasticsearch_url = self._elasticsearch.url
        self.endpoint_url = self.aws.wait_ready(lambda: progress.update("")).endpoint_url
        self.aws.create_stream(jobs.STREAM, SHARDS)
        progress.done(f"moto: Kinesis and DynamoDB at {self.endpoint_url}")

        # The Beats job needs no Elasticsearch: it loads while that boots.
        self.beats_port = free_port(BEATS_PORT if self._usual_ports else None)
        start: Callable[..., jobs.Job] = jobs.Job
        if flink is not None:
            progress.begin("starting Flink: job manager, task managers, Python workers")
            port = self._port(FLINK_PORT)
            self.flink = FlinkCluster(flink, self.folder / "flink", web_port=port, environment=CREDENTIALS)
            self.flink.start(lambda: progress.update(""))
            progress.done(f"Flink at {self.flink.url}, which is its page for a browser too")
            start = functools.partial(jobs.FlinkJob, cluster=self.flink)
        self.beats_job = jobs.beats_to_kinesis(
            self.folder, self.endpoint_url, self.beats_port, *self._further(PAGE_PORTS[0]), start=start
        )
        if self._elasticsearch:
            progress.begin(f"starting {self._elasticsearch.product}")
            self._elasticsearch.wait_ready(lambda: progress.update(""))
            progress.done(f"{self._elasticsearch.product} at {self.elasticsearch_url}")
        else:
            progress.begin("")
            progress.done(f"Elasticsearch at {self.elasticsearch_url}, from ELASTICSEARCH_HOSTS")
        progress.begin("starting the jobs")
        self.kinesis_job = jobs.kinesis_to_elasticsearch(
            self.folder,
            self.endpoint_url,
            self.elasticsearch_url,
            self.index,
            *self._further(PAGE_PORTS[1]),
            start=start,
        )
        self.beats_job.wait_ready(lambda: progress.update("beats-to-kinesis"))
        self.kinesis_job.wait_ready(lambda: progress.update("kinesis-to-elasticsearch"))
        progress.done(f"both jobs run; Beats are welcome at 127.0.0.1:{self.beats_port}")

    def _port(self, usual: int) -> int | None:
        return free_port(usual) if self._usual_ports else None

    def _further(self, usual: int) -> list[str]:
        """A job's option for a status page at a port; on Flink, whose own page tells of the jobs, they have none."""
        if self._on_flink:
            return [] if self._usual_ports else QUICK
        if not self._usual_ports:
            return []
        port = free_port(usual)
        self.pages.append(f"http://127.0.0.1:{port}/")
        return ["--status_port", str(port)]

    def check(self) -> None:
        """Raises `LocalError` when one of the processes has ended."""
        for process in self.processes:
            process.check()

    def kill(self) -> None:
        """Ends everything at once, and drops Elasticsearch's data; logs stay."""
        for process in self.processes:
            with contextlib.suppress(OSError):
                process.kill()
        shutil.rmtree(self.folder / "elasticsearch" / "data", ignore_errors=True)
