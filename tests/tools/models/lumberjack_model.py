"""A second, naive reading of what a Beats client sends, to hold the protocol core against.

It reads all bytes at once, by recursion, and copies as it likes. Nothing in it is quick, nothing is shared with the core.
`compare` feeds the core the same bytes in pieces, and tells where they differ: events, places, acknowledgements, limits.
"""

import dataclasses
import itertools
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from penstock.io.errors import ProtocolError
from tests.tools.peers.lumberjack import compressed, data_event, event, window


@dataclasses.dataclass
class Rules:
    """The limits, by the core's own names; `ratio_free` is the core's constant."""

    max_window_size: int = 200
    max_frame_bytes: int = 30_000
    max_inflated_bytes: int = 60_000
    max_inflate_ratio: int = 20
    max_nesting: int = 2
    stretch_events: int = 7
    stretch_bytes: int = 400
    ratio_free: int = 8 << 20


class Window(NamedTuple):
    """A window as the client announced it, with what came of it."""

    version: int
    events: list[tuple[int, bytes]]
    """Sequence number and payload."""
    ended: bool


class _Broken(Exception):
    """The client broke a rule; its argument is the word by which the core's message is known."""


class Reference:
    """What a connection's bytes mean.

    Attributes:
        windows: in order; those without an event and without an end are left out.
        broken: a word of the core's message, when the client broke a rule.
    """

    def __init__(self, data: bytes, rules: Rules) -> None:
        self.windows: list[Window] = []
        self.broken: str | None = None
        self._rules = rules
        self._open: tuple[int, int, list[tuple[int, bytes]]] | None = None  # version, size, events
        try:
            self._read(data, 0, None)
        except _Broken as kind:
            self.broken = str(kind)
        if self._open is not None and self._open[2]:
            self.windows.append(Window(self._open[0], self._open[2], False))

    def _read(self, data: bytes, depth: int, left: list[int] | None) -> None:
        at = 0
        while at < len(data):
            if data[at] not in b"12":
                raise _Broken("not Lumberjack")
            if len(data) - at < 6:
                return self._unfinished(depth)
            kind, number = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 6], "big")
            if kind == b"W":
                self._window(data[at], number)
                at += 6
            elif kind == b"C":
                taken = self._compressed(data[at + 6 :], number, depth, left)
                if not taken:
                    return self._unfinished(depth)
                at += 6 + number
            elif kind == b"D" or data[at : at + 2] == b"2J":
                if self._open is None:
                    raise _Broken("outside")
                found = self._json(data[at:]) if kind == b"J" else self._pairs(data[at:], left)
                if found is None:
                    return self._unfinished(depth)
                self._event(number, found[0])
                at += found[1]
            else:
                raise _Broken("frame type")
        return None

    def _unfinished(self, depth: int) -> None:
        if depth:
            raise _Broken("in the middle of a frame")

    def _window(self, version: int, size: int) -> None:
        if size > self._rules.max_window_size:
            raise _Broken("--max_window_size")
        self._end(self._open is not None and bool(self._open[2]))
        self._open = (version, size, [])
        if not size:
            self._end(True)

    def _end(self, whole: bool) -> None:
        if whole and self._open is not None:
            self.windows.append(Window(self._open[0], self._open[2], True))
        self._open = None

    def _event(self, number: int, payload: bytes) -> None:
        assert self._open is not None
        self._open[2].append((number, payload))
        if len(self._open[2]) == self._open[1]:
            self._end(True)

    def _compressed(self, rest: bytes, length: int, depth: int, left: list[int] | None) -> bool:
        rules = self._rules
        if length > rules.max_frame_bytes:
            raise _Broken("--max_frame_bytes")
        if depth >= rules.max_nesting:
            raise _Broken("--max_nesting")
        if len(rest) < length:
            return False
        left = [rules.max_inflated_bytes] if left is None else left
        allowed = min(left[0], max(rules.ratio_free, rules.max_inflate_ratio * length))
        stream = zlib.decompressobj()
        try:
            inflated = stream.decompress(rest[:length], allowed + 1)
            if len(inflated) > allowed:  # damage further on may be seen first
                stream.decompress(stream.unconsumed_tail, 1 << 20)
        except zlib.error:
            raise _Broken("compressed frame") from None
        if len(inflated) > allowed:
            raise _Broken("--max_inflate")
        if not stream.eof or stream.unused_data:
            raise _Broken("compressed frame")
        left[0] -= len(inflated)
        self._read(inflated, depth + 1, left)
        return True

    def _json(self, data: bytes) -> tuple[bytes, int] | None:
        if len(data) < 10:
            return None
        length = int.from_bytes(data[6:10], "big")
        if length > self._rules.max_frame_bytes:
            raise _Broken("--max_frame_bytes")
        return (data[10 : 10 + length], 10 + length) if len(data) >= 10 + length else None

    def _pairs(self, data: bytes, left: list[int] | None) -> tuple[bytes, int] | None:
        longest = self._rules.max_frame_bytes
        if len(data) < 10:
            return None
        strings = 2 * int.from_bytes(data[6:10], "big")
        if strings * 64 > longest:
            raise _Broken("--max_frame_bytes")
        at, texts = 10, []
        for _ in range(strings):
            if len(data) < at + 4:
                return None
            length = int.from_bytes(data[at : at + 4], "big")
            if at + 4 + length > longest:
                raise _Broken("--max_frame_bytes")
            if len(data) < at + 4 + length:
                return None
            texts.append(data[at + 4 : at + 4 + length].decode("utf-8", "replace"))
            at += 4 + length
        payload = json.dumps(
            dict(zip(texts[::2], texts[1::2], strict=True)), ensure_ascii=False, separators=(",", ":")
        ).encode()
        if len(payload) > longest:
            raise _Broken("--max_frame_bytes")
        if left is not None:
            left[0] -= max(0, len(payload) - at)
            if left[0] < 0:
                raise _Broken("--max_inflated_bytes")
        return payload, at


def compare(
    data: bytes, cuts: Sequence[int], rules: Rules, receiver: Any, ledger: Any, due: Callable[..., Any]
) -> None:
    """Raises `AssertionError` where the core's reading of `data`, cut at those places, isn't the reference's.

    Args:
        data: what a client sends.
        cuts: places to cut it at.
        rules: the limits that the core was given.
        receiver: the core's `Receiver`, fresh.
        ledger: its `Ledger`, fresh.
        due: its `Due`.
    """
    reference = Reference(data, rules)
    stretches, broken, dues, longest = [], None, [], 0
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    try:
        for begin, end in itertools.pairwise(places):
            if receiver.receive(data[begin:end]):
                while (stretch := receiver.next_stretch()) is not None:
                    stretches.append(stretch)
            longest = max(longest, receiver.buffered_bytes)
    except ProtocolError as error:
        broken = str(error)
        assert receiver.buffered_bytes == 0
        assert _error_of(receiver) == broken, "an error is final"
    assert longest <= len(data) + 2 * rules.max_inflated_bytes, "no more is held than came and was inflated"
    assert (broken is None) == (reference.broken is None), (broken, reference.broken)
    assert broken is None or (reference.broken or "") in broken, (broken, reference.broken)
    _same_events(stretches, reference, rules)
    expected = [window.events[-1][0] if window.events else 0 for window in reference.windows if window.ended]
    finals = [stretch.ack for stretch in stretches if stretch.final]
    # What a broken rule ends may have been parsed up to the last whole stretch only.
    assert finals == expected, (finals, expected)
    for stretch in stretches:
        dues.append(due(stretch.ack, stretch.final, stretch.version, 0.0))
        ledger.add(dues[-1])
    _acknowledged(dues, ledger, cuts)


def _error_of(receiver: Any) -> str | None:
    try:
        receiver.next_stretch()
    except ProtocolError as error:
        return str(error)
    return None


def _same_events(stretches: Sequence[Any], reference: Reference, rules: Rules) -> None:
    windows = iter(reference.windows)
    window, at = None, 0
    for stretch in stretches:
        if window is None:
            window, at = next(windows), 0
        count = len(stretch.payloads)
        sent = window.events[at : at + count]
        assert stretch.payloads == [
            _same_json(payload, got) for (_, payload), got in zip(sent, stretch.payloads, strict=True)
        ]
        assert stretch.first == (at if count or at else 0), (stretch.first, at)
        assert stretch.size == sum(map(len, stretch.payloads))
        assert stretch.version == window.version
        assert count <= rules.stretch_events
        assert sum(map(len, stretch.payloads[:-1])) + 10 * (count - 1) < rules.stretch_bytes
        at += count
        if stretch.final:
            assert at == len(window.events)
            assert window.ended
            window = None
        else:
            assert count
            numbers = [number for number, _ in window.events[:at]]
            # A part may be acknowledged when its last number tells how many events came.
            assert stretch.ack == (at if numbers[-1] == at else None)
    left = ([] if window is None else window.events[at:]) + [each for rest in windows for each in rest.events]
    assert len(left) < max(1, rules.stretch_events), "a whole stretch was kept back"
    assert sum(len(payload) + 10 for _, payload in left) < rules.stretch_bytes or not left


def _same_json(expected: bytes, got: bytes) -> bytes:
    """The payload that came, where it is the same JSON: encoders escape differently."""
    if expected == got:
        return got
    try:
        return got if json.loads(expected) == json.loads(got) else expected
    except ValueError:
        return expected


def _acknowledged(dues: Sequence[Any], ledger: Any, order: Sequence[int]) -> None:
    """Makes the stretches durable in some order; each window's number goes out once, in order, and never too early."""
    rest = list(range(len(dues)))
    acks: list[tuple[int, int]] = []
    for turn in itertools.count():
        if not rest:
            break
        index = rest.pop((order[turn % len(order)] if order else 0) % len(rest))
        dues[index].done = True
        frames = ledger.due()
        durable = next((number for number, each in enumerate(dues) if not each.done), len(dues))
        now = [struct.unpack(">BBI", frames[at : at + 6]) for at in range(0, len(frames), 6)]
        allowed = [
            (each.version, each.ack or 0) for each in dues[:durable] if each.final or each.ack is not None
        ]
        assert all((version, number) in allowed for version, _, number in now)
        acks += [(version, number) for version, _, number in now]
    finals = [(each.version, each.ack or 0) for each in dues if each.final]
    parts = {(each.version, each.ack) for each in dues if not each.final}
    assert ledger.settled == (not dues or all(each.done for each in dues))
    remaining = iter(acks)
    assert all(any(ack == each for ack in remaining) for each in finals), (
        "a window's end was not told, or out of order"
    )
    assert len(acks) <= len(finals) + len(dues)
    assert all(ack in parts or ack in finals for ack in acks)
    assert sum(ack in finals and ack not in parts for ack in acks) == sum(
        each not in parts for each in finals
    ), "a window's end was told twice"


def sent_by_chance(luck: random.Random) -> bytes:
    """What a client may send: mostly honest windows, in every form; often with one thing wrong."""
    data = b""
    for _ in range(luck.randrange(1, 5)):
        size = (
            luck.choice([0, 1, 2, 3, 7, 8, 20, 30, 200, 201])
            if luck.random() < 0.5
            else luck.randrange(1, 25)
        )
        version = luck.choice([b"1", b"2", b"2"])
        frames = b""
        number = 0 if luck.random() < 0.7 else luck.choice([5, 2**32 - 3, 100])
        for _ in range(max(0, size + luck.choice([0, 0, 0, 0, -1, 1])) if size < 40 else luck.randrange(40)):
            number += 1 if luck.random() < 0.95 else -2
            frames += _event_by_chance(luck, number & 0xFFFFFFFF)
            if luck.random() < 0.03:
                frames = compressed(frames, luck.choice([0, 1, 9]), luck.choice([b"1", b"2"]))
        body = window(size, version) + frames
        if luck.random() < 0.3:
            body = compressed(body, 9)
        if luck.random() < 0.02:
            stream = zlib.compress(body) + b"x"
            body = b"2C" + len(stream).to_bytes(4, "big") + stream
        data += body
    for _ in range(luck.choice([0, 0, 0, 1, 2])):
        place = luck.randrange(len(data))
        data = data[:place] + luck.randbytes(luck.randrange(3)) + data[place + luck.randrange(3) :]
    return data


def _event_by_chance(luck: random.Random, number: int) -> bytes:
    size = (
        luck.choice([0, 1, 10, 60, 300, 500])
        if luck.random() < 0.98
        else luck.choice([29_990, 30_000, 30_001])
    )
    if luck.random() < 0.75:
        return event(number, luck.randbytes(size) if luck.random() < 0.5 else b"a" * size)
    letters = [b"a", b"\1", b"\xff", b'"', "é".encode(), b"\n"]
    texts = [b"".join(luck.choices(letters, k=luck.randrange(6))) for _ in range(2 * luck.randrange(5))]
    if luck.random() < 0.1:
        texts += [b"big", luck.choice(letters) * luck.choice([400, 5_000, 20_000])]
    if luck.random() < 0.02:
        texts += [b"x", b"y"] * luck.choice([225, 229, 240])
    return data_event(
        number, list(zip(texts[::2], texts[1::2], strict=True)), luck.choice([b"1", b"1", b"2"])
    )
