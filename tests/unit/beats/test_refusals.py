"""Refused clients are forgotten: those that break the rules again and again leave nothing behind."""

import contextlib
import gc
import resource
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.errors import ProtocolError, Unreachable, without_traceback
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.lumberjack import Client, compressed, data_event, event, window

REFUSED = 150
LARGE = 200_000
GROWTH = 15 << 20  # one kind of refusal that kept its 200 KB would cost 30 MB
LIMITS = Limits()

BOMB = window(20) + compressed(
    b"".join(event(n, b'{"m":"' + b"a" * 500_000 + b'"}') for n in range(1, 21)), 9
)
KINDS = {
    "ratio": BOMB,
    "inflated": BOMB,
    "garbage behind good events": window(20)
    + compressed(b"".join(event(n, b'{"m":"' + b"a" * 60_000 + b'"}') for n in range(1, 20)) + b"x", 9),
    "garbage behind plain events": window(2) + event(1, b"a" * LARGE) + b"x",
    "damaged": window(1) + b"2C\0\0\0\4junk",
    "cut": window(1) + compressed(event(1, b"a" * LARGE)[:-1], 9),
    "nested": window(1) + compressed(compressed(compressed(event(1, b"a" * LARGE), 9), 9), 9),
    "window": window(1) + event(1, b"a" * LARGE)[:-1] + b"a" + window(2**32 - 1),
    "frame": window(2) + event(1, b"a" * LARGE) + b"2J\0\0\0\2\xff\xff\xff\xff",
    "type": window(2) + event(1, b"a" * LARGE) + b"2Q\0\0\0\0",
    "outside": event(1, b"a" * LARGE),
    "version 1": window(1, b"1") + data_event(1, [(b"k", b"\1" * LARGE)]) * 2,
}


@pytest.fixture
def calmed() -> Iterator[None]:
    """The garbage collector as a job has it: what counting references doesn't free, stays."""
    gc.disable()
    yield
    gc.enable()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("calmed")
def test_a_refused_client_s_bytes_are_free_at_once(kind: str) -> None:
    receiver = Receiver(LIMITS)
    forgotten = weakref.ref(receiver)
    receiver.receive(KINDS[kind])
    texts = set()
    for _ in range(2):
        try:
            while receiver.next_stretch() is not None:
                pass
        except ProtocolError as error:
            texts.add(str(error))
    assert len(texts) == 1, "an error is final, with the same text"
    assert receiver.buffered_bytes == 0
    del receiver
    assert forgotten() is None, "a cycle holds the receiver"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("calmed")
def test_hundreds_of_refused_clients_cost_nothing(kind: str, serve: Callable[..., BeatsServer]) -> None:
    # The ratio counts beyond 8 MiB: fewer of these say the same in less time.
    limits, share = ({}, 40) if kind == "ratio" else ({"max_inflated_bytes": 2 << 20}, REFUSED)
    server = serve(max_pending_records=10_000, **limits)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            if (batch := server.take(0.1)) is not None:
                server.acknowledge(batch.receipt.tokens)

    writer = threading.Thread(target=write)
    writer.start()

    def refuse(count: int) -> None:
        for _ in range(count):
            with Client(server.address, timeout_s=60) as client:
                client.send(KINDS[kind])
                client.read_to_end()

    def by_four(count: int) -> None:
        threads = [threading.Thread(target=refuse, args=(count // 4,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    by_four(20)
    before = resident()
    by_four(share)
    ended.set()
    writer.join()
    assert resident() - before < GROWTH


@pytest.mark.usefixtures("calmed")
def test_a_kept_error_holds_nothing_but_its_text() -> None:
    class Held:
        pass

    def fail() -> Unreachable:
        held = Held()
        seen.append(weakref.ref(held))
        try:
            raise ConnectionError(str(held))
        except ConnectionError as cause:
            try:
                message = "no answer"
                raise Unreachable(message) from cause
            except Unreachable as error:
                error.exit_code = 7
                return without_traceback(error)

    seen: list[weakref.ref[Held]] = []
    kept = fail()
    assert seen[0]() is None
    assert (str(kept), type(kept), kept.exit_code) == ("no answer", Unreachable, 7)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        window(0),
        KINDS["garbage behind plain events"],
        window(1) + event(1, b"a" * 99_000)[:-1],
        KINDS["inflated"],
    ],
)
@pytest.mark.usefixtures("calmed")
def test_nothing_is_left_of_a_connection_that_is_over(serve: Callable[..., BeatsServer], sent: bytes) -> None:
    server = serve()
    with Client(server.address) as client:
        wait_until(lambda: bool(server._connections))
        forgotten = [weakref.ref(each) for each in server._connections]
        client.send(sent)
        with contextlib.suppress(OSError):  # it may be closed already
            client.half_close()
        client.read_to_end()
    wait_until(lambda: forgotten[0]() is None)
