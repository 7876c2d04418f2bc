#!/usr/bin/env python3
"""`beats_client` is a small real Beats client: it ships log files over Lumberjack as Filebeat 7.17 does.

Problem. Trying out, and testing, the whole path needs a client that behaves like Filebeat where it matters:
windows in flight, patience with keep-alives, and sending again whatever was not acknowledged.

Plan. Files are streamed line by line into windows. A window is one `W` and one compressed frame; a few windows are
in flight at a time (pipelining). When the connection breaks or stays silent, the client waits a second or two,
connects anew, and sends every unacknowledged event again, first, in order. As Filebeat encodes a map anew
each time, so the keys of an event that is sent again stand in another order: equal events, different bytes.

    python local/demo/beats_client.py --host 127.0.0.1 --port 5044 /var/log/syslog
"""

import argparse
import collections
import dataclasses
import json
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

__all__ = ["Counts", "Shipper", "Source"]

VERSION = "7.17.29"
LINE_BYTES = 10 << 20  # Filebeat's message_max_bytes


@dataclasses.dataclass(frozen=True)
class Source:
    """A file to ship: its whole lines up to `end` bytes (None: up to where it ends when it is read)."""

    path: Path
    end: int | None = None


@dataclasses.dataclass
class Counts:
    """How far a shipper is.

    Attributes:
        shipped: events sent, each counted once.
        acknowledged: events that the server said are safe.
        resent: events sent again, each time counted.
        reconnects: connections after the first.
        done: all files are read and all of their events acknowledged.
        error: the last reason for connecting anew.
    """

    shipped: int = 0
    acknowledged: int = 0
    resent: int = 0
    reconnects: int = 0
    done: bool = False
    error: str = ""


Event = dict[str, Any]


class _Window:
    """Events in flight; `sent` tells whether they went out before."""

    def __init__(self, events: list[Event], sent: bool = False) -> None:
        self.events = events
        self.sent = sent
        self.acknowledged = 0


class Shipper:
    """Ships files to one server and returns when every event is acknowledged.

    Args:
        host: the server's name or address.
        port: its port.
        sources: files, or paths; read one after another.
        rate: events per second at most; None: as fast as the server takes them.
        window: events in a window at most (bulk_max_size).
        pipelining: windows in flight.
        level: zlib's compression level.
        timeout_s: a server that stays silent for that long while we wait is left.
        tls: a context makes it a TLS connection.
        progress: called with the counts about once a second, from the shipping thread.
        backoff_s: shortest and longest wait before connecting anew.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sources: Sequence[Source | Path | str],
        *,
        rate: float | None = None,
        window: int = 2048,
        pipelining: int = 2,
        level: int = 3,
        timeout_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
        progress: Callable[[Counts], None] | None = None,
        backoff_s: tuple[float, float] = (1.0, 2.0),
    ) -> None:
        self.counts = Counts()
        self._address = (host, port)
        self._sources = [each if isinstance(each, Source) else Source(Path(each)) for each in sources]
        self._rate = rate
        self._size = window
        self._pipelining = pipelining
        self._level = level
        self._timeout_s = timeout_s
        self._tls = tls
        self._progress = progress
        self._backoff_s = backoff_s
        self._stopping = threading.Event()
        self._reported = 0.0
        self._started = time.monotonic()
        self._read = 0
        self._events = self._read_events()
        self._ended = False
        self._again: collections.deque[_Window] = collections.deque()
        self._in_flight: collections.deque[_Window] = collections.deque()
        name = socket.gethostname()
        self._agent = {
            "name": name, "type": "filebeat", "version": VERSION, "hostname": name,
            "ephemeral_id": str(uuid.uuid4()), "id": str(uuid.uuid4()),
        }  # fmt: skip

    def stop(self) -> None:
        """Ends `run` soon, whatever is unacknowledged. From any thread."""
        self._stopping.set()

    def run(self) -> Counts:
        """Ships everything; returns when all of it is acknowledged, or after `stop`."""
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._ship(connection)
                break
            except (OSError, EOFError, ValueError) as error:
                self.counts.error = f"{type(error).__name__}: {error}"
                self.counts.reconnects += 1
                self._take_back()
                self._report()
                self._stopping.wait(random.uniform(*self._backoff_s))
        self.counts.done = self._ended and not self._in_flight and not self._again
        self._report(force=True)
        return self.counts

    # -- files -----------------------------------------------------------------------------------------

    def _read_events(self) -> Iterator[Event]:
        for source in self._sources:
            offset = 0
            with source.path.open("rb") as file:
                while line := file.readline(LINE_BYTES):
                    begin, offset = offset, offset + len(line)
                    if not line.endswith(b"\n") or (source.end is not None and offset > source.end):
                        break  # still being written
                    if text := line.rstrip(b"\r\n"):
                        yield self._event(source.path, begin, text)

    def _event(self, path: Path, offset: int, text: bytes) -> Event:
        now = time.time()
        return {
            "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            + f".{int(now * 1000) % 1000:03d}Z",
            "@metadata": {"beat": "filebeat", "type": "_doc", "version": VERSION},
            "log": {"offset": offset, "file": {"path": str(path)}},
            "message": text.decode("utf-8", "replace"),
            "input": {"type": "filestream"},
            "ecs": {"version": "1.12.0"},
            "host": {"name": self._agent["name"]},
            "agent": self._agent,
        }

    def _next_window(self) -> _Window | None:
        """What is to be sent next: first what must be sent again. None: nothing yet, or no more."""
        if self._again:
            return self._again.popleft()
        wanted = self._size
        if self._rate:
            wanted = min(wanted, int((time.monotonic() - self._started) * self._rate) + 1 - self._read)
        events: list[Event] = []
        while len(events) < wanted and not self._ended:
            event = next(self._events, None)
            if event is None:
                self._ended = True
            else:
                events.append(event)
        self._read += len(events)
        return _Window(events) if events else None

    # -- the wire --------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=self._timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return connection
        try:
            return self._tls.wrap_socket(connection, server_hostname=self._address[0])
        except BaseException:
            connection.close()
            raise

    def _ship(self, connection: socket.socket) -> None:
        while not self._stopping.is_set():
            window = self._next_window() if len(self._in_flight) < self._pipelining else None
            if window is not None:
                self._in_flight.append(window)
                self._send(connection, window)
            elif self._in_flight:
                self._read_ack(connection)
            elif self._ended:
                return
            else:
                self._stopping.wait(min(0.05, 1 / (self._rate or 20)))
            self._report()

    def _send(self, connection: socket.socket, window: _Window) -> None:
        parts = []
        for number, event in enumerate(window.events, 1):
            if window.sent:
                event = _in_another_order(event)
            payload = orjson.dumps(event)
            parts.append(b"2J" + struct.pack(">II", number, len(payload)) + payload)
        body = zlib.compress(b"".join(parts), self._level)
        if window.sent:
            self.counts.resent += len(window.events)
        else:
            self.counts.shipped += len(window.events)
        window.sent = True
        connection.sendall(
            b"2W" + struct.pack(">I", len(parts)) + b"2C" + struct.pack(">I", len(body)) + body
        )

    def _read_ack(self, connection: socket.socket) -> None:
        """Waits for one acknowledgement; a keep-alive only renews the patience."""
        frame = b""
        until = time.monotonic() + self._timeout_s
        while len(frame) < 6:
            connection.settimeout(0.5)  # looks at `stop` in between
            try:
                data = connection.recv(6 - len(frame))
            except TimeoutError:
                if self._stopping.is_set():
                    return
                if time.monotonic() > until:
                    raise
                continue
            finally:
                connection.settimeout(self._timeout_s)
            if not data:
                message = "the server closed the connection"
                raise EOFError(message)
            frame += data
        window = self._in_flight[0]
        number = struct.unpack(">I", frame[2:])[0]
        if frame[:2] != b"2A" or number > len(window.events):
            message = f"unexpected acknowledgement {frame!r} of a window of {len(window.events)}"
            raise ValueError(message)
        if number > window.acknowledged:
            self.counts.acknowledged += number - window.acknowledged
            window.acknowledged = number
        if window.acknowledged == len(window.events):
            self._in_flight.popleft()

    def _take_back(self) -> None:
        """What is in flight must be sent again, in order, but for what a partial acknowledgement covers."""
        for window in reversed(self._in_flight):
            self._again.appendleft(_Window(window.events[window.acknowledged :], window.sent))
        self._in_flight.clear()

    def _report(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._progress is not None and (force or now - self._reported >= 1.0):
            self._reported = now
            self._progress(self.counts)


def _in_another_order(event: Event) -> Event:
    keys = list(event)
    random.shuffle(keys)
    return {
        key: _in_another_order(event[key]) if isinstance(event[key], dict) else event[key] for key in keys
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Ships log files over the Beats protocol, as Filebeat does.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5044)
    parser.add_argument("--rate", type=float, help="events per second at most")
    parser.add_argument("--window", type=int, default=2048, help="events in a window")
    parser.add_argument("--ca", help="TLS, with the certificate authorities in this file")
    given = parser.parse_args()
    for path in given.files:
        if not os.access(path, os.R_OK):
            parser.error(f"{path} can't be read")
    shipper = Shipper(
        given.host, given.port, given.files, rate=given.rate, window=given.window,
        tls=ssl.create_default_context(cafile=given.ca) if given.ca else None,
        progress=lambda counts: print(
            f"\r{counts.shipped} shipped, {counts.acknowledged} acknowledged, {counts.resent} sent again {counts.error}",
            end="", file=sys.stderr, flush=True,
        ),
    )  # fmt: skip
    try:
        counts = shipper.run()
    except KeyboardInterrupt:
        counts = shipper.counts
    print(file=sys.stderr)
    print(json.dumps(dataclasses.asdict(counts)))
    return 0 if counts.done else 1


if __name__ == "__main__":
    sys.exit(main())
