"""A server on a free port, and a pipeline's part played by hand."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.transforms.batch import EventBatch


class Pipeline:
    """Takes batches and acknowledges them, as a runner does, until it is closed."""

    def __init__(self, server: BeatsServer, sink: Callable[[EventBatch], bool] | None = None) -> None:
        self.server = server
        self.events: list[bytes] = []
        self._sink = sink or (lambda batch: True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set() and not self.server.drained:
            batch = self.server.take(0.1)
            if batch is None:
                continue
            if self._sink(batch):
                self.events += [event.data for event in batch.events]
                self.server.acknowledge(batch.receipt.tokens)
            else:
                self.server.requeue()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., BeatsServer]]:
    """Starts servers on free ports; they are closed after the test, and leave no thread behind."""
    servers: list[BeatsServer] = []

    def start(**options: Any) -> BeatsServer:
        # On a machine that is busy, a keep-alive must not come before what a test waits for.
        given = {"keepalive_interval": 20.0, "record_max_buffered_time": 0, **options}
        server = BeatsServer(f"test {len(servers)}", BeatsOptions(port=0, **given))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
    names = ("beats ", *(server.key for server in servers))
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]
    assert not left, left


@pytest.fixture
def pump() -> Iterator[Callable[..., Pipeline]]:
    """Runs the rest of a pipeline behind a server: `sink(batch)` says whether the batch was written."""
    pipelines: list[Pipeline] = []

    def start(server: BeatsServer, sink: Callable[[EventBatch], bool] | None = None) -> Pipeline:
        pipelines.append(Pipeline(server, sink))
        return pipelines[-1]

    yield start
    for pipeline in pipelines:
        pipeline.close()
