"""The run's servers: one of each for all pytest-xdist workers, private ones for tests that hurt them.

Plan. The controller makes a folder for the run and tells it by an environment variable. Whoever first needs
a shared server starts it under a file lock and leaves its address there; the others read it. The same variable
marks whatever the workers start, and what that starts: the controller ends all of it when the workers are gone,
even if one was killed in the middle of a test. Where there is no /proc to tell, servers leave pid and start time.
"""

import contextlib
import fcntl
import functools
import io
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from elasticsearch import Elasticsearch

from local.flink.cache import find_flink
from local.flink.cluster import FlinkCluster
from local.processes import Handle, LocalError, Process, end_marked
from local.servers import cache
from local.servers.aws_server import CREDENTIALS, REGION, AwsServer, create_stream
from local.servers.elasticsearch_server import ElasticsearchServer, answers
from local.servers.search.fetch import find_search_server
from local.servers.search.kinds import KINDS
from local.servers.search.server import Elasticsearch8, SearchServer
from local.terminal import Progress
from tests.tools.peers.emulators import unavailable

FOLDER_VARIABLE = "PENSTOCK_TEST_RUN"
PATIENCE_S = 120.0
"""How long a call to a server may take. The client's own ten seconds are short where all cores are busy."""


def run_folder() -> Path:
    return Path(os.environ[FOLDER_VARIABLE])


PASSWORD = "the-superuser-of-the-tests"
"""Of the user `elastic` of the shared server that has security switched on."""


class SharedElasticsearch:
    """The address of a server that others use too."""

    def __init__(self, url: str, password: str | None = None) -> None:
        self.url, self.password = url, password

    def client(self, **options: Any) -> Elasticsearch:
        if self.password:
            options = {"basic_auth": (ElasticsearchServer.user, self.password), **options}
        return Elasticsearch(self.url, **{"request_timeout": PATIENCE_S, **options})


class SharedAws:
    """The address of a moto that others use too."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint_url)

    def create_stream(self, name: str, shards: int) -> None:
        create_stream(self.client("kinesis"), name, shards)


def shared_elasticsearch() -> SharedElasticsearch:
    for url in os.environ.get("ELASTICSEARCH_HOSTS", "").split(","):
        if url and answers(url):
            return SharedElasticsearch(url)
    return own_shared_elasticsearch()


def own_shared_elasticsearch() -> SharedElasticsearch:
    """The run's own: of the release that `local` fetches, whatever runs elsewhere."""
    return SharedElasticsearch(_shared("elasticsearch", _start_shared_elasticsearch))


def shared_secured_elasticsearch() -> SharedElasticsearch:
    start = functools.partial(_start_shared_elasticsearch, password=PASSWORD)
    return SharedElasticsearch(_shared("secured", start), PASSWORD)


def _start_shared_elasticsearch(folder: Path, **options: Any) -> str:
    home, java_home = cache.find_elasticsearch(Progress(io.StringIO()))
    return _RegisteredElasticsearch(home, java_home, folder, **options).start().url


def shared_aws() -> SharedAws:
    return SharedAws(_shared("aws", _start_shared_aws))


def _start_shared_aws(folder: Path) -> str:
    server = AwsServer(folder)
    _register(server.process)
    return server.wait_ready().endpoint_url


@contextlib.contextmanager
def private_elasticsearch() -> Iterator[Callable[..., ElasticsearchServer]]:
    with contextlib.ExitStack() as stack:

        def factory(**options: Any) -> ElasticsearchServer:
            home, java_home = cache.find_elasticsearch(Progress(io.StringIO()))
            folder = _folder("elasticsearch")
            server = _RegisteredElasticsearch(home, java_home, folder, **options)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.callback(server.kill)
            return server.start()

        yield factory


@contextlib.contextmanager
def private_search_server(name: str, **options: Any) -> Iterator[ElasticsearchServer]:
    """A server of its own of any kind in `KINDS`, such as `opensearch-2.19.6`."""
    kind = KINDS[name]
    try:
        home, java_home = find_search_server(kind, Progress(io.StringIO()))
    except LocalError as error:  # such as a Java that is neither too old nor too new
        unavailable(str(error))
    folder = _folder(name)
    server: ElasticsearchServer
    if kind.launched:
        server = _RegisteredElasticsearch8(home, java_home, folder, **options)
    else:
        server = _RegisteredSearchServer(kind, home, java_home, folder, **options)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


class _Registered(ElasticsearchServer):
    def start(self, *arguments: Any, **options: Any) -> ElasticsearchServer:
        super().start(*arguments, wait=False)
        assert self.process is not None
        _register(
            self.process
        )  # before it is ready, since we may be interrupted; each start is a new process
        self.wait_ready()
        return self


class _RegisteredElasticsearch(_Registered):
    pass


class _RegisteredElasticsearch8(_Registered, Elasticsearch8):
    pass


class _RegisteredSearchServer(_Registered, SearchServer):
    pass


@contextlib.contextmanager
def private_aws() -> Iterator[Callable[[], AwsServer]]:
    with contextlib.ExitStack() as stack:

        def factory() -> AwsServer:
            server = AwsServer(_folder("aws"))
            _register(server.process)
            stack.callback(server.stop)
            return server.wait_ready()

        yield factory


class _RegisteredFlink(FlinkCluster):
    def _java(self, *arguments: Any) -> Process:
        return _registered(super()._java(*arguments))

    def _beam_job_server(self) -> Process:
        return _registered(super()._beam_job_server())

    def _python_pool(self, *arguments: Any) -> Process:
        return _registered(super()._python_pool(*arguments))


def _registered(process: Process) -> Process:
    _register(process)
    return process


@contextlib.contextmanager
def flink_cluster() -> Iterator[FlinkCluster]:
    """Two task managers of one slot each."""
    flink = find_flink(Progress(io.StringIO()))
    environment = {**CREDENTIALS, "PYTHONPATH": str(Path(__file__).parent / "upstream" / "on_workers")}
    cluster = _RegisteredFlink(flink, _folder("flink"), environment=environment)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


def _folder(name: str) -> Path:
    folder = run_folder() / f"{name}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    return folder


def _register(process: Process) -> None:
    (run_folder() / f"{process.pid}.process").write_text(json.dumps(process.to_json()))


def _shared(name: str, start: Callable[[Path], str]) -> str:
    """The address of the run's server of that name, started by whoever asks first."""
    with (run_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = run_folder() / f"{name}.address"
        if not address.exists():
            address.write_text(start(_folder(name)))
        return address.read_text()


def end_all() -> None:
    """Ends what this run started, and its folder. Called once, by the controller, last."""
    folder = run_folder()
    for file in folder.glob("*.process"):
        kept = json.loads(file.read_text())
        Handle(kept["name"], kept["pid"], kept["started"]).kill()
    end_marked(FOLDER_VARIABLE, str(folder))
    shutil.rmtree(folder, ignore_errors=True)
