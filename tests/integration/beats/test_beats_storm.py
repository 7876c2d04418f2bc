"""The sink fails at random, clients are cut off at random, the server restarts: every event is delivered all the same."""

import contextlib
import json
import random
import socket
import threading
import time
from pathlib import Path

from local.demo.beats_client import Shipper
from penstock.io.beats import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.transforms.batch import EventBatch

CLIENTS = 12
LINES = 4000
SEED = 20261122


class Sink:
    """Writes a batch, or fails before, in the middle of, or after the write."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self.written: set[tuple[str, int]] = set()
        self.writes = self.failures = 0

    def write(self, batch: EventBatch) -> bool:
        chance = self._luck.random()
        count = len(batch.events)
        if chance < 0.1:
            count = self._luck.randrange(count + 1)
        for event in batch.events[:count]:
            document = json.loads(event.data)
            self.written.add((document["log"]["file"]["path"], document["log"]["offset"]))
            self.writes += 1
        self.failures += chance < 0.15
        return chance >= 0.15


class Job:
    """A server, and the rest of a pipeline behind it."""

    def __init__(self, port: int, sink: Sink) -> None:
        options = BeatsOptions(
            port=port, max_pending_records=1500, keepalive_interval=0.2, record_max_buffered_time=0
        )
        self.server = BeatsServer("storm", options)
        self._sink = sink
        self._killed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._killed and not self.server.drained:
            batch = self.server.take(0.1)
            if batch is None:
                continue
            if self._sink.write(batch):
                self.server.acknowledge(batch.receipt.tokens)
            else:
                self.server.requeue()

    def end(self, *, cleanly: bool) -> None:
        if cleanly:
            self.server.stop()
        else:
            self._killed = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.server.close()


def test_every_event_is_delivered(tmp_path: Path) -> None:
    luck = random.Random(SEED)
    expected: set[tuple[str, int]] = set()
    shippers: list[Shipper] = []
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for number in range(CLIENTS):
        path = tmp_path / f"{number}.log"
        offset = 0
        with path.open("wb") as file:
            for line_number in range(LINES):
                line = b"client %d line %d %s\n" % (number, line_number, b"." * luck.randrange(200))
                expected.add((str(path), offset))
                offset += len(line)
                file.write(line)
        window = luck.choice([1, 7, 50, 500, 2048, 4000])
        shippers.append(
            Shipper(
                "127.0.0.1", port, [path], window=window, level=luck.choice([0, 3]), backoff_s=(0.01, 0.1)
            )
        )
    sink = Sink(luck)
    job = Job(port, sink)
    threads = [threading.Thread(target=shipper.run, daemon=True) for shipper in shippers]
    for thread in threads:
        thread.start()
    restarts = 0
    deadline = time.monotonic() + 500
    while any(thread.is_alive() for thread in threads):
        assert time.monotonic() < deadline, [shipper.counts for shipper in shippers]
        time.sleep(luck.random() * 0.15)
        for connection in job.server._all_connections():
            if luck.random() < 0.2:
                connection.replies.abandon()
        if restarts < 6:  # no matter of luck: a fast machine is done after a few gusts
            restarts += 1
            job.end(cleanly=restarts % 2 == 0)
            job = Job(port, sink)
    job.end(cleanly=True)
    assert [shipper.counts.acknowledged for shipper in shippers] == [LINES] * CLIENTS
    assert sink.written == expected
    # The storm was one: bundles failed, clients came again, and what was written twice was sent again.
    assert sink.failures > 10
    assert restarts >= 3
    assert sum(shipper.counts.reconnects for shipper in shippers) > CLIENTS
    assert sink.writes > len(expected)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        raise AssertionError("the port is still open")
