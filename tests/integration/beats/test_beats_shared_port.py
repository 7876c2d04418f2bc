"""Two jobs share a port; one is killed in the middle: its clients go to the other, and nothing is lost."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.demo.beats_client import Shipper
from tests.tools.machine.waiting import wait_until

PROGRAM = Path(__file__).parents[2] / "tools" / "jobs" / "beats_job.py"
CLIENTS = 10
LINES = 20_000


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int, str, int], subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(port: int, name: str, readers: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", str(PROGRAM), str(port), str(tmp_path / name), str(readers)]
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def listeners(port: int) -> int:
    """How many sockets listen on 127.0.0.1:`port`."""
    wanted = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1] == wanted and row[3] == "0A" for row in rows)


def written(path: Path) -> list[tuple[str, int]]:
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [(event["log"]["file"]["path"], event["log"]["offset"]) for event in map(json.loads, lines)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ship(folder: Path, port: int) -> tuple[set[tuple[str, int]], list[Shipper], list[threading.Thread]]:
    expected: set[tuple[str, int]] = set()
    shippers = []
    for number in range(CLIENTS):
        path = folder / f"{number}.log"
        lines = [b"client %d line %d\n" % (number, line) for line in range(LINES)]
        path.write_bytes(b"".join(lines))
        offset = 0
        for line in lines:
            expected.add((str(path), offset))
            offset += len(line)
        shippers.append(Shipper("127.0.0.1", port, [path], window=500, backoff_s=(0.05, 0.2)))
    threads = [threading.Thread(target=shipper.run, daemon=True) for shipper in shippers]
    for thread in threads:
        thread.start()
    return expected, shippers, threads


@pytest.mark.kills
def test_a_killed_job_loses_nothing(
    start: Callable[[int, str, int], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port = free_port()
    first, second = start(port, "first", 1), start(port, "second", 1)
    wait_until(lambda: listeners(port) == 2)
    expected, shippers, threads = ship(tmp_path, port)
    wait_until(lambda: sum(shipper.counts.acknowledged for shipper in shippers) > CLIENTS * LINES // 5)
    first.kill()
    first.wait()
    for thread in threads:
        thread.join(120)
    assert [shipper.counts.acknowledged for shipper in shippers] == [LINES] * CLIENTS
    assert sum(shipper.counts.reconnects for shipper in shippers) > 0, "the kill came too late to matter"
    second.terminate()
    assert second.wait(30) == 0
    by_first, by_second = written(tmp_path / "first"), written(tmp_path / "second")
    assert by_first
    assert by_second
    assert set(by_first) | set(by_second) == expected


def test_a_job_alone_on_a_shared_port(
    start: Callable[[int, str, int], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port = free_port()
    job = start(port, "only", 1)
    wait_until(lambda: listeners(port) == 1)
    expected, shippers, threads = ship(tmp_path, port)
    for thread in threads:
        thread.join(120)
    assert [shipper.counts.resent for shipper in shippers] == [0] * CLIENTS
    assert listeners(port) == 1
    job.terminate()
    assert job.wait(60) == 0
    assert sorted(written(tmp_path / "only")) == sorted(expected)
