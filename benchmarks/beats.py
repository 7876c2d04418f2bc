"""The Beats source alone: receive, inflate, split, acknowledge; and what idle clients and a zip bomb cost.

usage: python -P benchmarks/beats.py [--rounds 5] [--windows 150] [--memory]

The process under test takes each batch and acknowledges it at once; the load comes from a process of its own
(`beats_load.py`: windows of 2048 events of 350 bytes, compression 3). The floor does no more than the work that nobody
can leave out, in one process without sockets: `zlib.decompress`, and a bare loop over the frames. The peer, where
there is a Go compiler, is go-lumber's server with an empty JSON decoder: framing only.
"""

import argparse
import contextlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from beats_load import WINDOW, windows
from harness import child_cpu_s, cpu_per_million, print_table, rounds

GOALS = {"penstock, 1 client": 0.8, "penstock, 4 clients": 0.8}
IDLE_CLIENTS = 1000
IDLE_GOAL_MB, BOMB_GOAL_MB = 100, 32

GO_MODULE = "module peer\n\ngo 1.21\n\nrequire github.com/elastic/go-lumber v0.1.1\n"
GO_SERVER = """package main

import (
	"fmt"
	"net"

	"github.com/elastic/go-lumber/server"
)

type skipped struct{}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	decoder := server.JSONDecoder(func(_ []byte, v interface{}) error { *(v.(*interface{})) = skipped{}; return nil })
	s, err := server.NewWithListener(listener, server.V2(true), decoder)
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for batch := range s.ReceiveChan() {
		batch.ACK()
	}
}
"""


def serve() -> None:
    """The process under test: prints its port, then takes and acknowledges until its input ends."""
    from penstock.io.beats import BeatsOptions
    from penstock.io.beats.server.beats_server import BeatsServer

    server = BeatsServer("benchmark", BeatsOptions(port=0, max_pending_records=10_000))
    threading.Thread(target=lambda: (sys.stdin.read(), server.stop()), daemon=True).start()
    print(server.address[1], flush=True)
    while not server.drained:
        batch = server.take(30)
        if batch is not None:
            server.acknowledge(batch.receipt.tokens)
    server.close()


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server that prints its port first; ended with the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def ours() -> list[str]:
    return [sys.executable, "-P", __file__, "--serve"]


def load(port: int, clients: int, count: int) -> int:
    command = [
        sys.executable,
        "-P",
        str(HERE / "beats_load.py"),
        "127.0.0.1",
        str(port),
        str(clients),
        str(count),
    ]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def served(process: subprocess.Popen[str], port: int, clients: int, count: int) -> Callable[[], float]:
    """CPU seconds a million events that the server uses for `count` windows over `clients` connections."""

    def contender() -> float:
        before = child_cpu_s(process.pid)
        done = load(port, clients, count // clients)
        return (child_cpu_s(process.pid) - before) / done * 1e6

    return contender


def floor(made: list[bytes], count: int) -> int:
    """What nobody can leave out: inflating and walking over the frames."""
    unpack = struct.Struct(">HII").unpack_from
    for number in range(count):
        inflated = zlib.decompress(made[number % len(made)][12:])
        position, end = 0, len(inflated)
        while position < end:
            _, _, length = unpack(inflated, position)
            position += 10 + length
    return count * WINDOW


def core(made: list[bytes], count: int) -> int:
    """Our protocol core without sockets: it also makes a `bytes` of each event."""
    from penstock.io.beats.wire._limits import Limits
    from penstock.io.beats.wire._protocol import Receiver

    receiver = Receiver(Limits())
    events = 0
    for number in range(count):
        receiver.receive(made[number % len(made)])
        while (stretch := receiver.next_stretch()) is not None:
            events += len(stretch.payloads)
    return events


@contextlib.contextmanager
def go_lumber() -> Iterator[list[str] | None]:
    """The peer, built in a folder of its own; None where that can't be done."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "go.mod").write_text(GO_MODULE)
        (Path(folder) / "main.go").write_text(GO_SERVER)
        go = shutil.which("go")
        for step in (["mod", "tidy"], ["build", "-o", "peer", "."]):
            done = go and subprocess.run([go, *step], cwd=folder, capture_output=True, text=True, check=False)
            if not done or done.returncode:
                print("no go-lumber in this run:", done.stderr.strip()[-200:] if done else "no Go compiler")
                yield None
                return
        yield [str(Path(folder) / "peer")]


def status_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def measure_idle() -> float:
    """MB that a thousand connected, silent clients cost."""
    with started(ours()) as (process, port), contextlib.ExitStack() as clients:
        load(port, 4, 8)
        before = status_mb(process.pid, "VmRSS")
        for _ in range(IDLE_CLIENTS):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"2W\0\0\0\0")
            client.recv(6)
        return status_mb(process.pid, "VmRSS") - before


def measure_bomb() -> float:
    """MB by which the peak rises over a compressed frame that would become 100 MB."""
    body = zlib.compress(bytes(100 << 20), 9)
    with started(ours()) as (process, port):
        load(port, 1, 8)
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak counts from here
        before = status_mb(process.pid, "VmHWM")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"2W\0\0\0\1" + b"2C" + struct.pack(">I", len(body)) + body)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(6) == b""
        time.sleep(0.2)
        return status_mb(process.pid, "VmHWM") - before


def print_memory() -> None:
    for name, measure, goal in (
        (f"{IDLE_CLIENTS} idle clients", measure_idle, IDLE_GOAL_MB),
        ("a zip bomb of 100 MB", measure_bomb, BOMB_GOAL_MB),
    ):
        figures = [measure() for _ in range(3)]
        print(
            f"  {name:24} {statistics.median(figures):6.1f} MB   ({min(figures):.1f} - {max(figures):.1f}), goal {goal}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=152, help="windows a round, over all clients")
    parser.add_argument("--memory", action="store_true", help="only the memory")
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    if not given.memory:
        made = windows()
        with contextlib.ExitStack() as servers:
            contenders: dict[str, Callable[[], float]] = {
                "floor: zlib, bare loop": lambda: cpu_per_million(lambda: floor(made, given.windows)),
                "penstock's core, no sockets": lambda: cpu_per_million(lambda: core(made, given.windows)),
            }
            for clients in (1, 4):
                server = servers.enter_context(started(ours()))
                load(server[1], 1, 8)
                contenders[f"penstock, {clients} client{'s' * (clients > 1)}"] = served(
                    *server, clients, given.windows
                )
            if (peer := servers.enter_context(go_lumber())) is not None:
                contenders["go-lumber, framing only, 4 clients"] = served(
                    *servers.enter_context(started(peer)), 4, given.windows
                )
            print_table(
                "Beats: receive, split, acknowledge; windows of 2048 events of 350 bytes, compression 3",
                rounds(contenders, given.rounds),
                GOALS,
            )
    print("Memory")
    print_memory()


if __name__ == "__main__":
    main()
