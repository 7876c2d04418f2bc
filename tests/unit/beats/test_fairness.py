"""Clients that take all they can get, and those among them: turns, file descriptors, and what decoding makes of bytes."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.errors import ProtocolError
from penstock.transforms.batch import EventBatch
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.lumberjack import Client, compressed, data_event, payloads, whole_window, window

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("level", [0, 3])
def test_a_single_event_waits_for_few_batches_whoever_saturates(
    serve: Callable[..., BeatsServer], level: int
) -> None:
    """The sink is driven by hand: what counts is how many batches are written before the honest event."""
    server = serve(max_pending_records=1000)
    data = whole_window(payloads(2000, size=100), level)
    greedy = [Client(server.address, timeout_s=60) for _ in range(12)]
    threads = [threading.Thread(target=_send_for_ever, args=(client, data), daemon=True) for client in greedy]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(connection.replies.waiting for connection in server._all_connections()) >= 8)
    batches = []
    for _ in range(3):
        with Client(server.address) as honest:
            honest.send(whole_window([b'{"honest":1}']))
            wait_until(lambda: waits_among_them(server, honest))
            count, found = 0, False
            while not found:
                batch = server.take(10)
                assert batch is not None
                count += 1
                found = any(event.data == b'{"honest":1}' for event in batch.events)
                server.acknowledge(batch.receipt.tokens)
                time.sleep(0.02)  # what is given back reaches those who wait
            batches.append(count)
            assert honest.acks_until(1)[-1] == 1
        wait_until(lambda: len(server._all_connections()) == 12)
    for client in greedy:
        client.close()
    # What is pending, a turn of each who had one, and then this: 4 to 11 batches. With turns held until all that
    # a client had sent was taken in, it was 95 to 1,609.
    assert max(batches) <= 20, batches


def waits_among_them(server: BeatsServer, client: Client) -> bool:
    """Whether a client's window has come in."""
    port = client.socket.getsockname()[1]
    return any(
        connection.client.port == port and connection.replies.waiting
        for connection in server._all_connections()
    )


def _send_for_ever(client: Client, data: bytes) -> None:
    try:
        while True:
            client.send(data)
    except OSError:
        pass


def test_the_rest_is_served_whoever_is_refused_for_want_of_files(tmp_path: Path) -> None:
    """A process that may open 300 files keeps some for its sink, says so, and answers the clients that it has."""
    program = tmp_path / "few_files.py"
    program.write_text(
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))\n"
        f"sys.argv = ['beats_server.py', '0', 'max_connections=2000']\n"
        f"runpy.run_path({str(ROOT / 'tests/tools/peers/beats_server.py')!r}, run_name='__main__')\n"
    )
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    waiting: list[Client] = []
    try:
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        with Client(address, timeout_s=60) as established:
            established.send(whole_window(payloads(3)))
            assert established.acks_until(3)[-1] == 3
            waiting = [Client(address, timeout_s=60) for _ in range(400)]
            opened = len(os.listdir(f"/proc/{process.pid}/fd"))
            before = _cpu_s(process.pid)
            for _ in range(5):
                established.send(whole_window(payloads(3)))
                assert established.acks_until(3)[-1] == 3
                time.sleep(0.2)
            assert _cpu_s(process.pid) - before < 0.5, "nothing spins"
            assert opened <= 300 - 100, "a reserve is kept"
    finally:
        for client in waiting:
            client.close()
        process.kill()
        process.communicate()
    said = log.read_text()
    assert "--max_connections 2000: this process may have 300 files open" in said
    assert "as many as this process may have open" in said
    assert "cannot accept" not in said


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


AMPLIFIED = {  # each made only when it is sent: that takes seconds in all
    "control characters": lambda: (
        window(9, b"1") + compressed(data_event(1, [(b"k", b"\1" * 2_000_000)]) * 9, 9, b"1")
    ),
    "no UTF-8": lambda: (
        window(9, b"1") + compressed(data_event(1, [(b"k", b"\xff" * 4_000_000)]) * 9, 9, b"1")
    ),
    "one string": lambda: window(1, b"1") + data_event(1, [(b"k", b"\1" * 6_000_000)]),
    "many pairs": lambda: window(1, b"1") + data_event(1, [(b"%x" % n, b"") for n in range(200_000)]),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_what_version_1_events_become_is_bounded_like_what_they_are(name: str) -> None:
    limits = Limits(max_inflated_bytes=64 << 20, max_frame_bytes=16 << 20, max_inflate_ratio=10_000)
    receiver = Receiver(limits)
    receiver.receive(AMPLIFIED[name]())
    became = []
    with pytest.raises(ProtocolError, match=r"Raise --max_(inflated|frame)_bytes"):
        became.extend(stretch.size for stretch in iter(receiver.next_stretch, None))
    assert sum(became) <= 64 << 20


@pytest.mark.parametrize("text", ['\x01é€𝄞"\\' * 20_000, "x" * 200_000, "\ud7ff\ue000" * 50_000])
def test_a_long_version_1_event_is_the_same_json_in_steps(text: str) -> None:
    data = text.encode()
    for cut in (len(data), len(data) - 1):  # the end of the last character may be missing
        pairs = [(b"first", data[:cut]), (data[:cut], b"second"), (b"first", b"\xff" + data[:cut])]
        receiver = Receiver(Limits())
        receiver.receive(window(1, b"1") + data_event(1, pairs))
        stretch = receiver.next_stretch()
        assert stretch is not None
        expected = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in pairs}
        assert stretch.payloads == [orjson.dumps(expected)]


def test_what_is_inflated_waits_for_its_room_and_is_the_same() -> None:
    events = payloads(300, size=1000)
    data = whole_window(events) + whole_window(events)
    roomy, tight = Receiver(Limits()), Receiver(Limits())
    tight.inflate_room = 1000
    expected, got, waited = [], [], 0
    assert roomy.receive(data)
    while (stretch := roomy.next_stretch()) is not None:
        expected.append(stretch)
    assert tight.receive(data)
    while True:
        stretch = tight.next_stretch()
        if stretch is not None:
            got.append(stretch)
            tight.inflate_room = 1000
        elif tight.wants_room:
            waited += 1
            assert tight.inflated_held == 0
            tight.inflate_room = 1 << 20
        else:
            break
    assert (got, waited) == (expected, 2)


def test_the_limit_on_files_is_raised(serve: Callable[..., BeatsServer]) -> None:
    serve()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= 1 << 20


def test_a_part_of_an_uncompressed_window_is_let_go_of_when_memory_is_scarce(
    serve: Callable[..., BeatsServer],
) -> None:
    """Half windows of many clients are held as unfinished frames are; they become pending instead."""
    server = serve(max_pending_bytes=2 << 20, max_frame_bytes=1 << 20, max_pending_records=100_000)
    taken: list[EventBatch] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            if (batch := server.take(0.1)) is not None:
                taken.append(batch)
                server.acknowledge(batch.receipt.tokens)

    writer = threading.Thread(target=write)
    writer.start()
    events = payloads(1000, size=300)
    data = whole_window(events, 0)
    clients = [Client(server.address, timeout_s=60) for _ in range(20)]
    for client in clients:
        client.send(data[:-5000])
    wait_until(lambda: server._intake.holdings.taken <= 1 << 20)
    for client in clients:
        client.send(data[-5000:])
    for client in clients:
        assert client.acks_until(1000)[-1] == 1000
        client.close()
    ended.set()
    writer.join()
    assert sum(len(batch.events) for batch in taken) == 20_000
