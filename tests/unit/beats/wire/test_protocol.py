"""The protocol core: bytes in; events, acknowledgement numbers and errors out."""

import json
import struct
import zlib
from pathlib import Path

import pytest

from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver, Stretch
from penstock.io.errors import ProtocolError
from tests.tools.peers.lumberjack import compressed, data_event, event, payloads, whole_window, window

FIXTURES = Path(__file__).parents[1] / "fixtures"


def parse(data: bytes, limits: Limits | None = None, step: int = 0) -> list[Stretch]:
    """All stretches of `data`, fed whole or `step` bytes at a time."""
    receiver = Receiver(limits or Limits())
    stretches: list[Stretch] = []
    for start in range(0, len(data), step or len(data)):
        if receiver.receive(data[start : start + (step or len(data))]):
            while (stretch := receiver.next_stretch()) is not None:
                stretches.append(stretch)
    return stretches


def error_of(data: bytes, limits: Limits | None = None) -> str:
    receiver = Receiver(limits or Limits())
    receiver.receive(data)
    with pytest.raises(ProtocolError) as caught:  # noqa: PT012
        while receiver.next_stretch() is not None:
            pass
    with pytest.raises(ProtocolError) as again:
        receiver.next_stretch()
    assert str(again.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("step", [0, 1, 7, 4096])
@pytest.mark.parametrize("name", ["compressed", "uncompressed"])
def test_what_filebeat_sends(name: str, step: int) -> None:
    stretches = parse((FIXTURES / f"filebeat_7.17_{name}.bin").read_bytes(), step=step)
    assert [(len(s.payloads), s.first, s.ack, s.final) for s in stretches] == [(50, 0, 50, True)] * 4
    numbers = [int(json.loads(p)["message"][:7]) for s in stretches for p in s.payloads]
    assert numbers == list(range(200))
    assert all(sum(map(len, s.payloads)) == s.size for s in stretches)


A, B, C, D = payloads(4)
PAIRS = [(b"line", b"hello"), (b"host", b"web-1")]
OBJECT = b'{"line":"hello","host":"web-1"}'

CASES = {
    "one window": (window(2) + event(1, A) + event(2, B), [([A, B], 2)]),
    "an empty window": (window(0), [([], 0)]),
    "sequence numbers start anywhere": (window(2) + event(5, A) + event(6, B), [([A, B], 6)]),
    "sequence numbers descend": (window(2) + event(9, A) + event(3, B), [([A, B], 3)]),
    "sequence numbers wrap": (window(2) + event(0xFFFFFFFF, A) + event(0, B), [([A, B], 0)]),
    "two compressed frames": (
        window(3) + compressed(event(1, A)) + compressed(event(2, B) + event(3, C)),
        [([A, B, C], 3)],
    ),
    "compressed and plain frames": (window(2) + compressed(event(1, A)) + event(2, B), [([A, B], 2)]),
    "a window inside a compressed frame": (
        compressed(window(1) + event(1, A) + window(1) + event(1, B)),
        [([A], 1), ([B], 1)],
    ),
    "a window that goes on behind its compressed frame": (
        compressed(window(2) + event(1, A)) + event(2, B),
        [([A, B], 2)],
    ),
    "a compressed frame inside another": (window(1) + compressed(compressed(event(1, A))), [([A], 1)]),
    "an empty compressed frame": (window(1) + compressed(b"") + event(1, A), [([A], 1)]),
    "a new window before the last is full": (
        window(3) + event(1, A) + window(2) + event(1, B) + event(2, C),
        [([A], 1), ([B, C], 2)],
    ),
    "a window of 0 before the last is full": (
        window(3) + event(1, A) + window(0) + window(1) + event(1, B),
        [([A], 1), ([], 0), ([B], 1)],
    ),
    "a new window before anything of the last": (window(3) + window(1) + event(1, A), [([A], 1)]),
    "pipelined windows": (
        whole_window([A, B]) + whole_window([C]) + whole_window([D], level=0),
        [([A, B], 2), ([C], 1), ([D], 1)],
    ),
    "version 1": (window(1, b"1") + data_event(1, PAIRS), [([OBJECT], 1)]),
    "version 1, compressed": (
        window(2, b"1") + compressed(data_event(1, PAIRS) + data_event(2, []), version=b"1"),
        [([OBJECT, b"{}"], 2)],
    ),
    "version 1, of equal keys the last, bad UTF-8 replaced": (
        window(1, b"1") + data_event(1, [(b"a", b"1"), (b"a", b"\xff")]),
        [(['{"a":"\ufffd"}'.encode()], 1)],
    ),
    "both versions in a window": (window(2) + event(1, A) + data_event(2, PAIRS), [([A, OBJECT], 2)]),
    "events that aren't JSON": (window(2) + event(1, b"") + event(2, b"\x00{"), [([b"", b"\x00{"], 2)]),
}


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize("name", CASES)
def test_what_clients_may_send(name: str, step: int) -> None:
    data, expected = CASES[name]
    stretches = parse(data, step=step)
    assert [(s.payloads, s.ack) for s in stretches] == expected
    assert all(s.final for s in stretches)
    assert {s.version for s in stretches} == {data[0] if b"W" in data[1:2] else 0x32}


def test_a_large_window_comes_in_stretches_each_with_its_number() -> None:
    events = payloads(10)
    stretches = parse(whole_window(events), Limits(stretch_events=4))
    assert [(s.payloads, s.first, s.ack, s.final) for s in stretches] == [
        (events[:4], 0, 4, False),
        (events[4:8], 4, 8, False),
        (events[8:], 8, 10, True),
    ]


def test_a_stretch_ends_with_the_event_that_fills_its_bytes() -> None:
    events = [b"x" * 60] * 5
    stretches = parse(whole_window(events), Limits(stretch_bytes=100))
    assert [(len(s.payloads), s.ack, s.final) for s in stretches] == [
        (2, 2, False),
        (2, 4, False),
        (1, 5, True),
    ]


def test_a_client_that_counts_otherwise_hears_of_its_window_only_at_the_end() -> None:
    data = window(4) + b"".join(event(n, A) for n in (5, 6, 7, 8))
    assert [(s.ack, s.final) for s in parse(data, Limits(stretch_events=2))] == [(None, False), (8, True)]


def test_a_short_window_whose_events_went_ahead_ends_with_an_empty_stretch() -> None:
    data = window(4) + event(1, A) + event(2, B) + window(1) + event(1, C)
    stretches = parse(data, Limits(stretch_events=2))
    assert [(s.payloads, s.ack, s.final) for s in stretches] == [
        ([A, B], 2, False),
        ([], 2, True),
        ([C], 1, True),
    ]


ERRORS = {
    "not Lumberjack": (b"GET / HTTP/1.1\r\n", "begins with byte 0x47"),
    "an unknown frame": (b"2X\0\0\0\0", "frame type 0x58"),
    "an acknowledgement from a client": (b"2A\0\0\0\1", "frame type 0x41"),
    "a JSON event of version 1": (window(1) + b"1J\0\0\0\1\0\0\0\0", "frame type 0x4a of version 1"),
    "an event outside of any window": (event(1, A), "outside of any window"),
    "more events than announced": (window(1) + event(1, A) + event(2, B), "outside of any window"),
    "an event in a window of 0": (window(0) + event(1, A), "outside of any window"),
    "a version 1 event outside": (data_event(1, PAIRS), "outside of any window"),
    "a window too large": (
        window(0xFFFFFFFF),
        "window of 4294967295 events, limit is 100000. Raise --max_window_size",
    ),
    "an event too long": (
        window(1) + b"2J" + struct.pack(">II", 1, 0xC0000000),
        "event announces 3221225472 bytes, limit is 16777216. Raise --max_frame_bytes",
    ),
    "a compressed frame too long": (b"2C\xff\xff\xff\xff", "compressed frame announces 4294967295 bytes"),
    "too many pairs": (window(1) + b"1D" + struct.pack(">II", 1, 0xFFFFFFFF), "--max_frame_bytes"),
    "a string too long": (window(1) + b"1D" + struct.pack(">III", 1, 1, 0xFFFFFFF0), "--max_frame_bytes"),
    "a damaged stream": (b"2C\0\0\0\4abcd", "compressed frame of 4 bytes is damaged"),
    "a wrong checksum": (
        b"2C" + struct.pack(">I", 19) + zlib.compress(b"x" * 100, 0)[:18] + b"!",
        "is damaged|ends in the middle of its stream",
    ),
    "a stream cut off": (
        b"2C" + struct.pack(">I", 20) + zlib.compress(bytes(range(100)))[:20],
        "ends in the middle of its stream",
    ),
    "more behind a stream": (
        b"2C" + struct.pack(">I", 11) + zlib.compress(b"")[:8] + b"abc",
        "goes on behind the end",
    ),
    "a frame cut off inside": (window(1) + compressed(event(1, A)[:-1]), "ends in the middle of a frame"),
    "a header cut off inside": (window(1) + compressed(b"2J\0"), "ends in the middle of a frame"),
    "a version 1 frame cut off inside": (
        window(1) + compressed(data_event(1, PAIRS)[:-1]),
        "ends in the middle of a frame",
    ),
    "too deep": (
        compressed(compressed(compressed(window(0)))),
        "nested more than 2 deep. Raise --max_nesting",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_ends_a_connection(name: str) -> None:
    data, expected = ERRORS[name]
    with pytest.raises(ProtocolError, match=expected):
        raise ProtocolError(error_of(data))


def test_what_came_before_an_error_in_whole_windows_is_still_given() -> None:
    receiver = Receiver(Limits())
    receiver.receive(whole_window([A]) + b"2X\0\0\0\0")
    first = receiver.next_stretch()
    assert first is not None
    assert first.payloads == [A]
    with pytest.raises(ProtocolError, match="0x58"):
        receiver.next_stretch()


def test_a_length_that_is_only_announced_costs_nothing() -> None:
    receiver = Receiver(Limits())
    receiver.receive(window(1) + b"2J" + struct.pack(">II", 1, 16 << 20) + b"abc")
    assert receiver.next_stretch() is None
    assert receiver.buffered_bytes == 13
    assert receiver.in_window


def test_a_bomb_is_refused_at_the_limit() -> None:
    bomb = compressed(bytes(100 << 20), 9)
    assert "inflates to more than 100 times its length. Raise --max_inflate_ratio" in error_of(bomb)
    message = error_of(bomb, Limits(max_inflated_bytes=4 << 20))
    assert "inflates to more than 4194304 bytes. Raise --max_inflated_bytes" in message


def test_nested_frames_share_one_allowance() -> None:
    # Incompressible, so that it is the inflated bytes that count, layer upon layer.
    noise = b"".join(struct.pack(">Q", (n * 0x9E3779B97F4A7C15) & (2**64 - 1)) for n in range(1 << 16))
    nested = compressed(compressed(window(1) + event(1, noise)))
    assert len(parse(nested, Limits(max_inflated_bytes=3 * len(noise)))) == 1
    assert "--max_inflated_bytes" in error_of(nested, Limits(max_inflated_bytes=3 * len(noise) // 2))
    # ... and the next outermost frame begins anew.
    single = compressed(window(1) + event(1, noise))
    assert len(parse(single * 3, Limits(max_inflated_bytes=3 * len(noise) // 2))) == 3


def test_repetitive_events_may_exceed_the_ratio_while_they_are_small() -> None:
    same = whole_window([b'{"message":"' + b"=" * 2000 + b'"}'] * 2048, level=9)
    assert len(parse(same)) == 1
