"""A Beat that only sends: prebuilt windows of 2048 events, compression 3, two under way, as fast as they are taken.

usage: python -P benchmarks/beats_load.py HOST PORT CLIENTS WINDOWS [EVENTS_PER_SECOND]

Ends when every window of every client is acknowledged; prints the number of events. WINDOWS 0: until it is killed, and
prints twice per second the monotonic clock and how many events are acknowledged. A process of its own, so that its CPU
time is not that of the server under test.
"""

import socket
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness import events

WINDOW = 2048
UNDER_WAY = 2
DISTINCT = 16
ACKNOWLEDGED: dict[int, int] = {}
"""Events acknowledged so far, by thread."""


def windows() -> list[bytes]:
    """`DISTINCT` windows as Filebeat sends them: W, then C with all events."""
    made = []
    payloads = events(WINDOW * DISTINCT)
    for first in range(0, len(payloads), WINDOW):
        frames = b"".join(
            b"2J" + struct.pack(">II", number, len(payload)) + payload
            for number, payload in enumerate(payloads[first : first + WINDOW], 1)
        )
        body = zlib.compress(frames, 3)
        made.append(b"2W" + struct.pack(">I", WINDOW) + b"2C" + struct.pack(">I", len(body)) + body)
    return made


def run(address: tuple[str, int], made: list[bytes], count: int, pause_s: float) -> None:
    """Sends `count` windows over one connection and waits for their acknowledgements."""
    with socket.create_connection(address, timeout=120) as connection:
        reader = connection.makefile("rb")
        sent = acknowledged = 0
        began = time.monotonic()
        while acknowledged < count or not count:
            while (sent < count or not count) and sent - acknowledged < UNDER_WAY:
                wait = began + sent * pause_s - time.monotonic()
                if wait > 0 and sent == acknowledged:
                    time.sleep(wait)
                elif wait > 0:
                    break
                connection.sendall(made[sent % len(made)])
                sent += 1
            frame = reader.read(6)
            if len(frame) < 6:
                sys.exit("the server closed the connection")
            acknowledged += struct.unpack(">I", frame[2:])[0] == WINDOW
            ACKNOWLEDGED[threading.get_ident()] = acknowledged * WINDOW


def main() -> None:
    host, port, clients, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    rate = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    pause_s = WINDOW * clients / rate if rate else 0.0
    made = windows()
    threads = [
        threading.Thread(target=run, args=((host, port), made, count, pause_s)) for _ in range(clients)
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    while not count:
        time.sleep(0.5)
        print(time.monotonic(), sum(list(ACKNOWLEDGED.values())), flush=True)
    for thread in threads:
        thread.join()
    print(clients * count * WINDOW)


if __name__ == "__main__":
    main()
