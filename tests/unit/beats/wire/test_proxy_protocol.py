"""The PROXY header of load balancers, version 1 and 2: parsed, and believed only when asked for."""

import struct
import time
from collections.abc import Callable

import pytest

from penstock.io.beats.origin import BeatsClient, client_at
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.beats.wire._proxy_protocol import Header, parse
from penstock.io.errors import ProtocolError
from tests.tools.machine.waiting import wait_until
from tests.tools.peers.lumberjack import Client, payloads, whole_window

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, addresses: bytes) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(addresses)) + addresses


V4 = v2(0x21, 0x11, bytes([10, 1, 2, 3, 10, 9, 9, 9]) + struct.pack(">HH", 4711, 5044))
V6 = v2(0x21, 0x21, bytes(15) + b"\1" + bytes(16) + struct.pack(">HH", 4711, 5044))
V1 = b"PROXY TCP4 10.1.2.3 10.9.9.9 4711 5044\r\n"

GOOD = {
    "version 1": (V1, ("10.1.2.3", 4711)),
    "version 1, IPv6": (b"PROXY TCP6 ::1 ::2 4711 5044\r\n", ("::1", 4711)),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", None),
    "version 1, unknown with addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "version 2": (V4, ("10.1.2.3", 4711)),
    "version 2, IPv6": (V6, ("::1", 4711)),
    "version 2, with more behind the addresses": (
        v2(0x21, 0x11, V4[16:] + b"\x03\0\4abcd"),
        ("10.1.2.3", 4711),
    ),
    "version 2, the balancer's own": (v2(0x20, 0, b""), None),
    "version 2, a Unix socket": (v2(0x21, 0x31, bytes(216)), None),
}


@pytest.mark.parametrize("name", GOOD)
def test_headers(name: str) -> None:
    header, client = GOOD[name]
    assert parse(header + b"2W\0\0\0\1") == Header(len(header), client)
    for cut in range(len(header)):
        assert parse(header[:cut]) is None


BAD = {
    "none": b"2W\0\0\0\1",
    "no line": b"PROXY TCP4 " + b"1" * 100,
    "too few words": b"PROXY TCP4 10.1.2.3\r\n",
    "no address": b"PROXY TCP4 localhost 10.9.9.9 1 2\r\n",
    "another family": b"PROXY TCP4 ::1 ::2 1 2\r\n",
    "no family": b"PROXY TCP5 10.1.2.3 10.9.9.9 1 2\r\n",
    "no port": b"PROXY TCP4 10.1.2.3 10.9.9.9 70000 2\r\n",
    "no words": b"PROXY \r\n",
    "another version": v2(0x11, 0x11, bytes(12)),
    "cut off": v2(0x21, 0x11, bytes(8)),
    "too long": SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header(name: str) -> None:
    with pytest.raises(ProtocolError, match="--proxy_protocol expects a PROXY header"):
        parse(BAD[name])


@pytest.mark.parametrize("header", [V1, V4])
@pytest.mark.parametrize("slowly", [False, True])
def test_events_carry_the_address_that_the_balancer_names(
    serve: Callable[..., BeatsServer], header: bytes, slowly: bool
) -> None:
    server = serve(proxy_protocol=True)
    with Client(server.address) as client:
        if slowly:
            for byte in header:
                client.send(bytes([byte]))
                time.sleep(0.002)
            client.send(whole_window(payloads(2)))
        else:
            client.send(header + whole_window(payloads(2)))
        batch = server.take(10)
        assert batch is not None
        assert batch.events[0].origin.describe()["client"] == "10.1.2.3:4711"
        server.acknowledge(batch.receipt.tokens)
        assert client.acks_until(2)[-1] == 2


def test_a_client_without_a_header_is_refused(
    serve: Callable[..., BeatsServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(proxy_protocol=True, ssl_handshake_timeout=300)
    with Client(server.address) as client:
        client.send(whole_window(payloads(1)))
        assert client.read_to_end() == b""
    with Client(server.address) as client:
        client.send(b"PROXY ")
        assert client.read_to_end() == b""
    assert "there is none" in caplog.text
    assert "did not come within --ssl_handshake_timeout" in caplog.text


def test_unasked_for_a_header_is_not_believed(
    serve: Callable[..., BeatsServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    with Client(server.address) as client:
        client.send(V1 + whole_window(payloads(1)))
        assert client.read_to_end() == b""
    assert "not Lumberjack" in caplog.text


def test_half_headers_wait_without_costing_anything(serve: Callable[..., BeatsServer]) -> None:
    server = serve(proxy_protocol=True, ssl_handshake_timeout=60_000)
    clients = [Client(server.address) for _ in range(400)]
    for client in clients:
        client.send(V1[:9])
    wait_until(lambda: server.connection_count == 400, "400 clients")
    before = time.process_time()
    time.sleep(1.0)
    spent = time.process_time() - before
    with Client(server.address) as honest:
        honest.send(V1 + whole_window(payloads(1)))
        batch = server.take(10)
        assert batch is not None
        server.acknowledge(batch.receipt.tokens)
        assert honest.acks_until(1)[-1] == 1
    clients[0].send(V1[9:] + whole_window(payloads(1)))
    assert server.take(10) is not None, "the rest of a header may come late"
    for client in clients:
        client.close()
    assert spent < 0.35, "400 clients were looked at 50 times per second: 0.5 CPU-s per second, and more"


@pytest.mark.parametrize("address", ["::ffff:10.1.2.3", "10.1.2.3"])
def test_an_ipv4_address_is_shown_as_one(address: str) -> None:
    assert client_at(address, 1) == BeatsClient("10.1.2.3", 1)
    assert client_at("2001:db8::ffff:1", 1).address == "2001:db8::ffff:1"
