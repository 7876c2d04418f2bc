"""Servers in processes of their own: a port shared by several, and what clients cost in memory."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools.peers.lumberjack import Client, ack, compressed, payloads, whole_window, window

PROGRAM = Path(__file__).parents[2] / "tools" / "peers" / "beats_server.py"


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


class Process:
    def __init__(self, port: int, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM), str(port), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def memory_mb(self, field: str = "VmRSS") -> float:
        return memory_mb(self._process.pid, field)

    def forget_peak(self) -> bool:
        try:
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        except OSError:
            return False
        return True

    def finish(self) -> int:
        """Ends it cleanly; how many events it took."""
        out, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return int(out.split()[0])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    with contextlib.ExitStack() as stack:

        def begin(port: int, *options: str) -> Process:
            process = Process(port, *options)
            stack.callback(process.kill)
            return process

        yield begin


def exchange(address: tuple[str, int], events: int) -> None:
    with Client(address, timeout_s=30) as client:
        client.send(whole_window(payloads(events, size=200)))
        client.acks_until(events)


def test_processes_share_a_port(start: Callable[..., Process]) -> None:
    first = start(0, "share_port=true")
    second = start(first.port, "share_port=true")
    for _ in range(40):
        exchange(("127.0.0.1", first.port), 5)
    counts = (first.finish(), second.finish())
    assert sum(counts) == 200
    assert all(counts), "the kernel deals clients out among those who listen"


def test_the_others_go_on_when_one_of_them_ends(start: Callable[..., Process]) -> None:
    first = start(0, "share_port=true")
    second = start(first.port, "share_port=true")
    first.kill()
    for _ in range(10):
        exchange(("127.0.0.1", first.port), 5)
    assert second.finish() == 50


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_thousand_idle_clients_cost_less_than_100_mb(start: Callable[..., Process]) -> None:
    server = start(0)
    address = ("127.0.0.1", server.port)
    exchange(address, 2000)
    before = server.memory_mb()
    with contextlib.ExitStack() as clients:
        for _ in range(1000):
            client = clients.enter_context(socket.create_connection(address, timeout=10))
            client.sendall(window(0))
            assert client.recv(6) == b"2A\0\0\0\0"
        assert server.memory_mb() - before < 100


BOMBS = {
    "zeros": lambda: compressed(bytes(100 << 20), 9),
    "a bomb in a bomb": lambda: compressed(compressed(bytes(100 << 20), 9), 9),
    "events of one letter": lambda: compressed(
        b"".join(b"2J" + struct.pack(">II", n, 1 << 20) + bytes(1 << 20) for n in range(1, 101)), 9
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_100_mb_raises_the_peak_by_less_than_32_mb(
    start: Callable[..., Process], name: str
) -> None:
    server = start(0)
    address = ("127.0.0.1", server.port)
    exchange(address, 2000)
    if not server.forget_peak():
        pytest.skip("needs /proc/PID/clear_refs")
    before = server.memory_mb("VmHWM")
    bomb = (
        window(100) + BOMBS[name]()
    )  # who connects, and sends nothing meanwhile, hears that the server lives
    with Client(address, timeout_s=30) as client:
        client.send(bomb)
        assert client.read_to_end().replace(ack(0), b"") == b""
    exchange(address, 10)
    assert server.memory_mb("VmHWM") - before < 32


STILL = """
import sys
from penstock.io.beats import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer
server = BeatsServer("still", BeatsOptions(port=0, keepalive_interval=0.5))
print(server.address[1], flush=True)
sys.stdin.read()
"""


def test_memory_stays_flat_while_the_sink_stands_still() -> None:
    """200 clients with 1.2 GB of events wait: their frames stay in the kernel, or compressed, and they hear of it."""
    command = [sys.executable, "-P", "-c", STILL]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        before = memory_mb(process.pid)
        data = whole_window([os.urandom(300) * 10 for _ in range(2048)])
        assert len(data) > 600_000
        clients = [Client(address, timeout_s=20) for _ in range(200)]
        senders = [threading.Thread(target=send, args=(client, data), daemon=True) for client in clients]
        for sender in senders:
            sender.start()
        for client in clients:
            assert client.read_ack() == (b"2", 0)
        # 256 KB of each client's frame, four inflated windows that wait for room, and what is pending.
        assert memory_mb(process.pid) - before < 200 * 0.3 + 4 * 8 + 40
        for client in clients:
            client.close()
    finally:
        process.kill()
        process.communicate()


def send(client: Client, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.send(data)
