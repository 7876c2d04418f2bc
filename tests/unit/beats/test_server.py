"""The server over real loopback sockets: what a client hears, and when."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from penstock.io.beats.server import beats_server
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.server.complaints import Complaints
from penstock.io.beats.transport.sockets import listen
from penstock.io.meters import METERS
from penstock.transforms.batch import EventBatch
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.lumberjack import (
    Client,
    ack,
    compressed,
    data_event,
    event,
    payloads,
    whole_window,
    window,
)


class Pipeline(Protocol):
    """What `pump` starts."""

    events: list[bytes]


Serve = Callable[..., BeatsServer]


def take(server: BeatsServer) -> EventBatch:
    batch = server.take(10)
    assert batch is not None
    return batch


def name_of(client: Client) -> str:
    return f"127.0.0.1:{client.socket.getsockname()[1]}"


def test_a_window_is_acknowledged_after_its_events_are_durable(serve: Serve) -> None:
    server = serve()
    events = payloads(5)
    with Client(server.address) as client:
        client.send(whole_window(events))
        batch = take(server)
        assert [e.data for e in batch.events] == events
        assert [e.index for e in batch.events] == [0, 1, 2, 3, 4]
        origin = batch.events[0].origin
        assert origin.position() is None
        assert origin.describe() == {
            "source": "beats",
            "client": name_of(client),
        }
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.read_ack()
        client.socket.settimeout(10)
        server.acknowledge(batch.receipt.tokens)
        assert client.read_ack() == (b"2", 5)


def test_keepalives_come_until_the_acknowledgement_and_never_after(serve: Serve) -> None:
    server = serve(keepalive_interval=0.1)
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)))
        batch = take(server)
        assert [client.read_ack() for _ in range(3)] == [(b"2", 0)] * 3
        server.acknowledge(batch.receipt.tokens)
        assert set(client.acks_until(3)[:-1]) <= {0}
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.read_ack()


def test_acknowledged_twice_by_the_pipeline_is_sent_once(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)))
        batch = take(server)
        server.acknowledge(batch.receipt.tokens)
        server.acknowledge(batch.receipt.tokens)
        assert client.read_ack() == (b"2", 3)
        client.half_close()
        assert client.read_to_end() == b""


def test_what_a_failed_bundle_held_is_handed_out_again_and_acknowledged_once(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)) + whole_window(payloads(2, 3)))
        first = take(server)
        wait_until(lambda: server.pending_events == 5)
        server.requeue()
        again = take(server)
        assert [e.data for e in again.events][:3] == [e.data for e in first.events][:3]
        server.acknowledge(again.receipt.tokens)
        while not server.settled:
            server.acknowledge(take(server).receipt.tokens)
        client.half_close()
        assert client.read_to_end() == ack(3) + ack(2)


def test_a_window_larger_than_what_may_be_pending_passes_in_parts(serve: Serve) -> None:
    server = serve(max_pending_records=100)
    seen: list[bytes] = []
    events = payloads(1000)
    with Client(server.address) as client:
        client.send(whole_window(events))
        while len(seen) < 1000:
            batch = take(server)
            assert server.pending_events <= 100
            seen += [e.data for e in batch.events]
            server.acknowledge(batch.receipt.tokens)
        acks = client.acks_until(1000)
    assert seen == events
    assert acks == sorted(set(acks))
    assert len(acks) > 5


def test_nothing_is_read_beyond_what_may_be_pending(serve: Serve) -> None:
    server = serve(max_pending_records=10, keepalive_interval=0.1)
    sent = 0
    with Client(server.address) as client, Client(server.address) as other:
        client.send(whole_window(payloads(10)))
        wait_until(lambda: server.pending_events == 10)
        client.socket.settimeout(0.3)
        chunk = whole_window([b"x" * 1000] * 1000, level=0)
        with pytest.raises(TimeoutError):  # noqa: PT012
            while sent < 1 << 28:
                sent += client.socket.send(chunk)
        assert sent < 1 << 25, "the socket was read although nothing more could be pending"
        assert server.pending_events == 10
        # Another client that waits for room hears that it is not forgotten.
        other.send(whole_window(payloads(3)))
        assert other.read_ack() == (b"2", 0)


def test_a_silent_client_holds_nothing_of_the_others(serve: Serve) -> None:
    server = serve(max_pending_records=10)
    silent = [Client(server.address) for _ in range(10)]
    for number, client in enumerate(silent):
        # All stop in the middle: behind a window, in a header, in a compressed frame.
        client.send((window(10), window(10) + b"2J\0", window(10) + compressed(b"x" * 999)[:-1])[number % 3])
    with Client(server.address) as client:
        for _ in range(20):
            client.send(whole_window(payloads(10)))
            # The window is cut in two stretches; a batch may hold one of them or both.
            taken = 0
            while taken < 10:
                batch = take(server)
                server.acknowledge(batch.receipt.tokens)
                taken += len(batch.events)
            client.acks_until(10)
    for client in silent:
        client.close()


def test_half_closed_after_a_window_is_acknowledged_then_closed(serve: Serve) -> None:
    server = serve(keepalive_interval=0.1)
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)))
        client.half_close()
        batch = take(server)
        for _ in range(3):
            assert client.read_ack() == (b"2", 0), "it is kept alive"
        server.acknowledge(batch.receipt.tokens)
        assert client.read_to_end().replace(ack(0), b"") == ack(3)


@pytest.mark.parametrize("held", [False, True])
def test_idle_clients_are_closed_unless_they_wait_for_us(serve: Serve, held: bool) -> None:
    server = serve(client_inactivity_timeout=0.3, keepalive_interval=0.1)
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)))
        batch = take(server)
        for _ in range(8 * held):  # for longer than the timeout
            assert client.read_ack() == (b"2", 0)
        started = time.monotonic()
        server.acknowledge(batch.receipt.tokens)
        client.acks_until(3)
        assert client.read_to_end() == b""
        assert time.monotonic() - started > 0.2


def test_without_a_timeout_idle_clients_stay(serve: Serve) -> None:
    server = serve(client_inactivity_timeout=0)
    with Client(server.address) as client:
        time.sleep(0.3)
        client.send(whole_window(payloads(1)))
        server.acknowledge(take(server).receipt.tokens)
        assert client.read_ack() == (b"2", 1)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not Lumberjack"),
        (window(2**32 - 1), "Raise --max_window_size"),
        (window(1) + b"2J\0\0\0\1\xff\xff\xff\xff", "Raise --max_frame_bytes"),
        (window(1) + compressed(bytes(100 << 20), 9), "Raise --max_inflate_ratio"),
    ],
)
def test_a_client_that_breaks_the_rules_is_closed_with_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, sent: bytes, said: str
) -> None:
    server = serve()
    with caplog.at_level(logging.INFO), Client(server.address) as honest, Client(server.address) as client:
        name = name_of(client)
        client.send(sent)
        assert client.read_to_end() == b""
        wait_until(lambda: any(name in r.getMessage() for r in caplog.records))
        lines = [r.getMessage() for r in caplog.records if name in r.getMessage()]
        assert len(lines) == 1
        assert said in lines[0]
        honest.send(whole_window(payloads(1)))
        server.acknowledge(take(server).receipt.tokens)
        assert honest.read_ack() == (b"2", 1)


def test_more_clients_than_allowed_are_refused_with_the_option_named(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(max_connections=2)
    with Client(server.address) as first, Client(server.address), caplog.at_level(logging.WARNING):
        first.send(window(0))
        assert first.read_ack() == (b"2", 0)
        with Client(server.address) as third:
            assert third.read_to_end() == b""
        assert "--max_connections" in caplog.text
        first.close()
        wait_until(lambda: len(server._connections) == 1)
        with Client(server.address) as fourth:
            fourth.send(window(0))
            assert fourth.read_ack() == (b"2", 0)


def test_unfinished_frames_are_bounded_and_those_that_have_begun_finish(
    serve: Serve, pump: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty clients send frames of 1.8 MB at once, where 8 MiB may be held: they wait, and none is cut off."""
    server = serve(max_pending_bytes=8 << 20, max_frame_bytes=2 << 20)
    pipeline = pump(server)
    payload = [b"%d %s" % (number, bytes(1_800_000)) for number in range(20)]
    clients = [Client(server.address, timeout_s=60) for _ in payload]
    most = 0

    def send(client: Client, data: bytes) -> None:
        client.send(window(1) + event(1, data))

    threads = [
        threading.Thread(target=send, args=pair, daemon=True) for pair in zip(clients, payload, strict=True)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, server._intake.holdings.taken)
        time.sleep(0.001)
    for client in clients:
        assert client.acks_until(1)[-1] == 1
        client.close()
    assert most <= 4 << 20, "half of the bound is the pool"
    assert sorted(pipeline.events) == sorted(payload)
    assert "disconnected" not in caplog.text
    wait_until(lambda: server._intake.holdings.taken == 0)


def test_version_1_is_answered_in_version_1(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(window(1, b"1") + data_event(7, [(b"line", b"hello")]))
        batch = take(server)
        assert batch.events[0].data == b'{"line":"hello"}'
        server.acknowledge(batch.receipt.tokens)
        assert client.read_ack() == (b"1", 7)


def test_an_empty_and_a_short_window_are_answered_in_order(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(window(5) + event(1, b"{}") + event(2, b"{}") + window(0) + whole_window(payloads(3)))
        batch = take(server)
        while len(batch.events) < 5:
            server.acknowledge(batch.receipt.tokens)
            batch = take(server)
            if len(batch.events) == 3:
                break
        server.acknowledge(batch.receipt.tokens)
        assert [client.read_ack()[1] for _ in range(3)] == [2, 0, 3]


@pytest.mark.parametrize(
    "sent",
    [
        window(2) + event(1, b"{}"),
        window(1) + event(1, b"x" * 100)[:-50],
        window(1) + compressed(event(1, b"{}"))[:-5],
        window(1) + b"2C\0\0\0\1x",
        window(1, b"1") + data_event(1, [(b"a", b"b")])[:-1],
    ],
)
def test_a_client_that_announces_more_than_it_sends_loses_only_its_own_window(
    serve: Serve, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    server = serve()
    with Client(server.address) as liar, Client(server.address) as honest:
        liar.send(whole_window(payloads(1)) + sent)
        liar.half_close()
        batch = take(server)
        assert len(batch.events) == 1
        server.acknowledge(batch.receipt.tokens)
        assert liar.read_to_end() in (ack(1), b""), (
            "an error may come before the acknowledgement of what was whole"
        )
        name = name_of(liar)
        wait_until(lambda: name in caplog.text)
        lines = [r.getMessage() for r in caplog.records if name in r.getMessage()]
        assert len(lines) == 1
        assert "is disconnected" in lines[0]
        honest.send(whole_window(payloads(2)))
        server.acknowledge(take(server).receipt.tokens)
        assert honest.read_ack() == (b"2", 2)
    wait_until(lambda: server.settled)


def test_a_window_of_20_000_events(serve: Serve, pump: Callable[..., Pipeline]) -> None:
    server = serve()
    pipeline = pump(server)
    with Client(server.address) as client:
        client.send(whole_window(payloads(20_000)))
        acks = client.acks_until(20_000)
    assert acks == sorted(set(acks))
    assert pipeline.events == payloads(20_000)


def test_a_flood_of_bad_clients_is_no_flood_of_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    complaints = Complaints(per_period=3, period_s=10.0, clock=lambda: now)
    for number in range(50):
        complaints.log(f"10.0.0.{number}", "it speaks garbage")
    assert len(caplog.records) == 3
    now = 11.0
    complaints.log("10.9.9.9", "it speaks garbage")
    assert [record.getMessage() for record in caplog.records[3:]] == [
        "47 more clients were disconnected for reasons like these",
        "10.9.9.9 is disconnected: it speaks garbage",
    ]


def test_a_client_that_comes_and_goes_leaves_no_line(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    with caplog.at_level(logging.INFO), Client(server.address) as client:
        client.send(window(0))
        client.read_ack()
    Client(server.address).reset()
    wait_until(lambda: not server._connections)
    assert "127.0.0.1:" not in "".join(
        r.getMessage() for r in caplog.records if "listening" not in r.getMessage()
    )


def test_windows_of_0_behind_one_that_waits_are_bounded_and_answered_in_order(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        sender = threading.Thread(
            target=client.send, args=(whole_window(payloads(1)) + window(0) * 20_000,), daemon=True
        )
        sender.start()
        batch = take(server)
        [connection] = server._all_connections()
        wait_until(lambda: len(connection.replies._ledger) == 4096)
        time.sleep(0.1)
        assert len(connection.replies._ledger) == 4096
        server.acknowledge(batch.receipt.tokens)
        assert client.acks_until(1)[-1] == 1
        assert [client.read_ack()[1] for _ in range(20_000)] == [0] * 20_000
        sender.join(10)


def test_a_stop_reads_nothing_more_but_acknowledges_what_came(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client, Client(server.address) as idle:
        client.send(whole_window(payloads(3)))
        wait_until(lambda: server.pending_events == 3)
        server.stop()
        client.send(whole_window(payloads(2)))
        batch = take(server)
        assert server.take(0.1) is None
        assert server.drained
        server.acknowledge(batch.receipt.tokens)
        assert client.read_to_end() == ack(3)
        assert idle.read_to_end() == b""
        with pytest.raises((OSError, EOFError)):  # noqa: PT012  refused, reset or closed, by timing
            late = Client(server.address)
            late.send(b"2W\0\0\0\0")
            late.read_ack()


def test_a_close_acknowledges_nothing_that_is_not_durable(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(whole_window(payloads(3)))
        take(server)
        server.close()
        assert client.read_to_end() == b""


def test_a_client_that_resets_disturbs_nobody(serve: Serve) -> None:
    server = serve(keepalive_interval=0.1)
    with Client(server.address) as other:
        client = Client(server.address)
        client.send(whole_window(payloads(3)))
        batch = take(server)
        client.reset()
        wait_until(lambda: len(server._all_connections()) == 1)
        server.acknowledge(batch.receipt.tokens)
        other.send(whole_window(payloads(2)))
        server.acknowledge(take(server).receipt.tokens)
        assert set(other.acks_until(2)[:-1]) <= {0}
    wait_until(lambda: not server._connections)


def test_a_client_that_never_reads_is_let_go(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(*given: Any, **named: Any) -> socket.socket:
        """Its connections hold few acknowledgements: the kernel would take a million."""
        listener = listen(*given, **named)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listener

    monkeypatch.setattr(beats_server, "listen", small)
    server = serve()
    with Client(server.address, timeout_s=60, receive_buffer=4096) as client:
        sender = threading.Thread(target=_send_until_closed, args=(client,), daemon=True)
        sender.start()
        sender.join(60)
        assert not sender.is_alive()
        wait_until(lambda: "does not read its acknowledgements" in caplog.text)


def _send_until_closed(client: Client) -> None:
    try:
        while True:
            client.send(window(0) * 100_000)
    except OSError:
        pass


def test_two_hundred_clients_at_once(serve: Serve, pump: Callable[..., Pipeline]) -> None:
    server = serve(max_pending_records=500)
    pipeline = pump(server)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with Client(server.address, timeout_s=60) as client:
                for window_number in range(3):
                    client.send(whole_window(payloads(100, number * 300 + window_number * 100)))
                    client.acks_until(100)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    expected = {payload for number in range(200) for payload in payloads(300, number * 300)}
    assert len(pipeline.events) == 60_000
    assert set(pipeline.events) == expected


def test_why_connections_end_is_counted_for_metrics_and_told_at_the_right_level(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(client_inactivity_timeout=0.1, max_connections=2)

    def counted(reason: str) -> float:
        return sum(
            meter.value
            for family in METERS.counters
            if family.name == "penstock_beats_closed_total"
            for labels, meter in family.items()
            if labels == (server.key, reason)
        )

    before = {reason: counted(reason) for reason in ("idle", "protocol", "refused", "closed")}
    with caplog.at_level(logging.INFO):
        with Client(server.address) as idle:
            assert idle.read_to_end() == b""
        with Client(server.address) as rude:
            rude.send(b"GET / HTTP/1.1\r\n\r\n")
            rude.read_to_end()
        wait_until(lambda: not server._connections)
        with Client(server.address) as first, Client(server.address), Client(server.address) as third:
            [each.send(window(0)) for each in (first, third)]
            assert third.read_to_end() == b""
        wait_until(lambda: not server._connections)
    assert {reason: counted(reason) - before[reason] for reason in before}.items() >= {
        ("idle", 1.0),
        ("protocol", 1.0),
        ("refused", 1.0),
    }
    assert "client_inactivity_timeout" not in caplog.text, "idle clients are no news"


def test_a_dead_machine_s_connection_is_found_out(serve: Serve) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(window(0))
        client.read_ack()
        [connection] = server._all_connections()
        assert connection._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
