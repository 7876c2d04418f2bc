"""A real Filebeat: what it ships arrives, and only once where nothing breaks."""

import collections
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.io.beats import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer
from tests.tools.machine import go_programs
from tests.tools.samples.certificates import Authority

LINES = 30_000


class Job:
    """A server, and a sink that keeps the offsets of what it is given."""

    def __init__(self, delay_s: float = 0.0, **options: Any) -> None:
        self.server = BeatsServer("filebeat", BeatsOptions(**{"port": 0, **options}))
        self.offsets: collections.Counter[int] = collections.Counter()
        self.killed = False
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.killed and not self.server.drained:
            batch = self.server.take(0.1)
            if batch is None:
                continue
            time.sleep(self._delay_s)
            self._delay_s = 0.0
            if self.killed:
                return
            with self._lock:
                self.offsets.update(json.loads(event.data)["log"]["offset"] for event in batch.events)
            self.server.acknowledge(batch.receipt.tokens)

    def seen(self) -> set[int]:
        with self._lock:
            return set(self.offsets)

    def close(self, *, kill: bool = False) -> None:
        self.killed = kill
        self.server.stop()
        self._thread.join(30)
        self.server.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("".join(f"line {number} {'.' * (number % 100)}\n" for number in range(LINES)))
    return path


@pytest.fixture
def ship(tmp_path: Path, log: Path) -> Iterator[Callable[..., None]]:
    program = go_programs.filebeat()
    processes: list[subprocess.Popen[bytes]] = []

    def start(port: int, **output: Any) -> None:
        config = tmp_path / "filebeat.yml"
        source = {"type": "filestream", "id": "test", "enabled": True, "paths": [str(log)]}
        settings = {
            "filebeat.inputs": [source],
            "output.logstash": {"hosts": [f"127.0.0.1:{port}"], **output},
            "path.home": str(tmp_path),
            "path.data": str(tmp_path / "data"),
            "logging.to_stderr": True,
        }
        config.write_text(json.dumps(settings))
        config.chmod(0o600)
        with (tmp_path / "filebeat.log").open("wb") as messages:
            processes.append(subprocess.Popen([str(program), "-e", "-c", str(config)], stderr=messages))

    yield start
    for process in processes:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def wait_for(job: Job, lines: int) -> None:
    end = time.monotonic() + 120
    while len(job.offsets) < lines or job.server.pending_events:
        assert time.monotonic() < end, len(job.offsets)
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("pending", "level"),
    [
        (100, 3),
        (10_000, 0),
        *(
            pytest.param(*each, marks=pytest.mark.full)
            for each in ((100, 0), (1000, 0), (1000, 3), (10_000, 3))
        ),
    ],
)
def test_each_line_arrives_once(ship: Callable[..., None], pending: int, level: int) -> None:
    job = Job(max_pending_records=pending)
    ship(job.server.address[1], compression_level=level)
    wait_for(job, LINES)
    job.close()
    assert sum(job.offsets.values()) == len(job.offsets) == LINES


def test_keepalives_hold_it_while_a_write_takes_longer_than_its_patience(ship: Callable[..., None]) -> None:
    job = Job(delay_s=12.0, keepalive_interval=1.0)
    ship(job.server.address[1], timeout=4)
    wait_for(job, LINES)
    counts = job.server.statistics.take().counts
    job.close()
    assert counts["keepalives"] >= 10
    assert counts["connections"] == 1, "it did not have to connect anew"
    assert sum(job.offsets.values()) == LINES


def test_what_a_killed_server_had_not_acknowledged_comes_again(ship: Callable[..., None]) -> None:
    first = Job(max_pending_records=100)
    port = first.server.address[1]
    ship(port)
    end = time.monotonic() + 120
    while len(first.offsets) < LINES // 10:
        assert time.monotonic() < end
        time.sleep(0.005)
    first.close(kill=True)
    assert len(first.offsets) < LINES
    second = Job(port=port)
    while len(first.seen() | second.seen()) < LINES or second.server.pending_events:
        assert time.monotonic() < end
        time.sleep(0.1)
    second.close()


def test_with_certificates_on_both_sides(ship: Callable[..., None], tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    certificate, key = ca.issue("server", passphrase="hush")
    mine, my_key = ca.issue("beat")
    job = Job(
        ssl_enabled=True,
        ssl_certificate=str(certificate),
        ssl_key=str(key),
        ssl_key_passphrase="hush",
        ssl_client_authentication="required",
        ssl_certificate_authorities=[str(ca.certificate)],
    )
    tls = {"certificate_authorities": [str(ca.certificate)], "certificate": str(mine), "key": str(my_key)}
    ship(job.server.address[1], ssl=tls)
    wait_for(job, LINES)
    job.close()
    assert sum(job.offsets.values()) == len(job.offsets) == LINES
