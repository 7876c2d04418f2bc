"""Clients that break the rules, each kind in threads of this process, until its standard input ends.

usage: hostile_beats.py PORT [KIND=CLIENTS ...]     Each connection begins with a PROXY header.
"""

import contextlib
import random
import socket
import sys
import threading
import time
from collections.abc import Callable

from tests.tools.peers.lumberjack import Client, compressed, data_event, event, payloads, whole_window, window

HEADER = b"PROXY TCP4 10.6.6.6 10.9.9.9 4711 5044\r\n"
ENDED = threading.Event()

BOMB = window(20) + compressed(b"".join(event(n, b'{"m":"' + b"a" * 500_000 + b'"}') for n in range(20)), 9)
GOOD_THEN_GARBAGE = window(50) + compressed(
    b"".join(event(n, b'{"hostile":"' + b"b" * 150_000 + b'"}') for n in range(50)) + b"x", 9
)
PLAIN_THEN_GARBAGE = window(2) + event(1, b'{"hostile":"' + b"c" * 200_000 + b'"}') + b"x"
ESCAPES = window(8, b"1") + compressed(data_event(1, [(b"hostile", b"\1" * 700_000)]) * 8, 9, b"1")
PAIRS = window(1, b"1") + data_event(1, [(b"%d" % n, b"") for n in range(100_000)])
HALF = window(1) + b"2J\0\0\0\1\0\4\0\0" + b'{"m":"' + b"d" * (255 << 10)
FRAME = window(1) + b"2J\0\0\0\1\0\x60\0\0" + b'{"m":"' + b"e" * (1 << 20)


def _send(client: Client, data: bytes) -> None:
    client.send(HEADER + data)
    client.socket.settimeout(2)
    while not ENDED.is_set() and client.socket.recv(65536):
        pass


def bomb(client: Client) -> None:
    _send(client, BOMB)


def garbage(client: Client) -> None:
    _send(client, random.choice([GOOD_THEN_GARBAGE, PLAIN_THEN_GARBAGE, b"GET / HTTP/1.1\r\n\r\n"]))


def version_1(client: Client) -> None:
    _send(client, random.choice([ESCAPES, PAIRS]))


def unfinished(client: Client) -> None:
    """Sends all but the end of a frame, and waits."""
    with contextlib.suppress(OSError):
        client.socket.settimeout(1)
        client.send(HEADER + HALF)
    ENDED.wait(20)


def trickling(client: Client) -> None:
    """Sends a large frame a few KiB per second: too much to be called slow."""
    with contextlib.suppress(TimeoutError):
        client.socket.settimeout(2)
        client.send(HEADER + FRAME)
    client.socket.settimeout(10)
    while not ENDED.wait(1.0):
        client.send(b"e" * 3000)


def half_header(client: Client) -> None:
    client.send(HEADER[:12])
    ENDED.wait(15)


def saturating(client: Client) -> None:
    """Never waits for an acknowledgement before it sends the next windows."""
    data = whole_window(payloads(2000, size=300)) * 4
    client.socket.settimeout(60)
    client.send(HEADER)
    reader = threading.Thread(target=_drain, args=(client,), daemon=True)
    reader.start()
    while not ENDED.is_set():
        client.send(data)


def _drain(client: Client) -> None:
    with contextlib.suppress(OSError):
        while client.socket.recv(65536):
            pass


def deaf(client: Client) -> None:
    """Sends windows of 0 and reads no answer."""
    client.socket.settimeout(5)
    client.send(HEADER)
    while not ENDED.is_set():
        client.send(window(0) * 10_000)


def resetting(client: Client) -> None:
    client.send(HEADER + whole_window([b'{"hostile":1}'] * 100))
    client.reset()


KINDS: dict[str, Callable[[Client], None]] = {
    name: globals()[name]
    for name in (
        "bomb",
        "garbage",
        "version_1",
        "unfinished",
        "trickling",
        "half_header",
        "saturating",
        "deaf",
        "resetting",
    )
}


def run(kind: str, port: int) -> None:
    while not ENDED.is_set():
        try:
            with Client(("127.0.0.1", port), timeout_s=20) as client:
                KINDS[kind](client)
        except (OSError, EOFError):
            pass
        ENDED.wait(0.05)


def main() -> None:
    port = int(sys.argv[1])
    threading.stack_size(256 << 10)
    for word in sys.argv[2:]:
        kind, count = word.split("=")
        for _ in range(int(count)):
            threading.Thread(target=run, args=(kind, port), daemon=True).start()
    sys.stdin.read()
    ENDED.set()
    time.sleep(0.1)


if __name__ == "__main__":
    socket.setdefaulttimeout(20)
    main()
