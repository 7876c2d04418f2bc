"""Lumberjack frames as a client writes them, and a bare client: independent of penstock's own code."""

import json
import socket
import struct
import zlib
from collections.abc import Sequence


def window(size: int, version: bytes = b"2") -> bytes:
    return version + b"W" + struct.pack(">I", size)


def event(sequence: int, payload: bytes) -> bytes:
    return b"2J" + struct.pack(">II", sequence & 0xFFFFFFFF, len(payload)) + payload


def data_event(sequence: int, pairs: Sequence[tuple[bytes, bytes]], version: bytes = b"1") -> bytes:
    strings = b"".join(struct.pack(">I", len(text)) + text for pair in pairs for text in pair)
    return version + b"D" + struct.pack(">II", sequence, len(pairs)) + strings


def compressed(frames: bytes, level: int = 3, version: bytes = b"2") -> bytes:
    body = zlib.compress(frames, level)
    return version + b"C" + struct.pack(">I", len(body)) + body


def ack(sequence: int, version: bytes = b"2") -> bytes:
    return version + b"A" + struct.pack(">I", sequence)


def payloads(count: int, start: int = 0, size: int = 0) -> list[bytes]:
    return [json.dumps({"n": n, "message": "x" * size}).encode() for n in range(start, start + count)]


def whole_window(events: Sequence[bytes], level: int = 3) -> bytes:
    """One W and one C frame, as Filebeat sends a batch."""
    inner = b"".join(event(number, payload) for number, payload in enumerate(events, 1))
    return window(len(events)) + (compressed(inner, level) if level else inner)


class Client:
    """A blocking client; every wait ends after `timeout_s`. `receive_buffer` (bytes) makes the kernel hold less."""

    def __init__(self, address: tuple[str, int], timeout_s: float = 10.0, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(address)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_ack(self) -> tuple[bytes, int]:
        """The next acknowledgement frame: version and sequence number; EOFError at the end."""
        frame = b""
        while len(frame) < 6:
            data = self.socket.recv(6 - len(frame))
            if not data:
                raise EOFError(frame)
            frame += data
        assert frame[1:2] == b"A", frame
        return frame[:1], struct.unpack(">I", frame[2:])[0]

    def acks_until(self, sequence: int) -> list[int]:
        """All sequence numbers up to that one, keep-alives too."""
        seen: list[int] = []
        while not seen or seen[-1] != sequence:
            seen.append(self.read_ack()[1])
        return seen

    def read_to_end(self) -> bytes:
        """What else comes until the server closes."""
        data = b""
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
