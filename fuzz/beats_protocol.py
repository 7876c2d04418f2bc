"""Whatever bytes come, and however they are split: the same stretches, and then a ProtocolError or more to wait for.

Coverage-guided fuzzing of `penstock.io.beats.wire._protocol` (and of the PROXY header's parser) with atheris:

    python fuzz/beats_protocol.py [-max_total_time=60] [libFuzzer options] [CORPUS]

The only exception allowed is `ProtocolError`: a peer broke the rules. Anything else is our bug. Invariants:
- fed whole, in pieces, and byte by byte, the stretches and the error's text are the same;
- no stretch passes its bounds, and no more is held than was sent, inflated, and allowed;
- an error is final: asked again, the core says the same.
Compressed frames are built here around parts of the input, since no fuzzer guesses a checksum.
Every crash becomes a case in tests/unit/beats/test_protocol.py.
"""

import itertools
import os
import struct
import sys
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["penstock.io.beats"]):
    from penstock.io.beats.wire._limits import Limits
    from penstock.io.beats.wire._protocol import Receiver, Stretch
    from penstock.io.beats.wire._proxy_protocol import MAX_HEADER_BYTES, parse

from penstock.io.errors import ProtocolError

LIMITS = Limits(
    max_window_size=200,
    max_frame_bytes=5000,
    max_inflated_bytes=20_000,
    max_nesting=2,
    stretch_events=7,
    stretch_bytes=400,
)
MARK = b"\xfeZ"  # what stands between two of these becomes a compressed frame
HELD = 20_000 * 2 + 5000 * 2


def compressed(body: bytes) -> bytes:
    deflated = zlib.compress(body, 1)
    return b"2C" + struct.pack(">I", len(deflated)) + deflated


def built(data: bytes) -> bytes:
    """The input with compressed frames in it."""
    parts = data.split(MARK)
    return b"".join(compressed(part) if number % 2 else part for number, part in enumerate(parts))


def parsed(data: bytes, cuts: list[int]) -> tuple[list[Stretch], str | None]:
    receiver = Receiver(LIMITS)
    stretches: list[Stretch] = []
    places = sorted({0, len(data), *cuts})
    try:
        for begin, end in itertools.pairwise(places):
            if receiver.receive(data[begin:end]):
                while (stretch := receiver.next_stretch()) is not None:
                    stretches.append(stretch)
                    check(stretch)
            assert receiver.buffered_bytes <= len(data) + HELD
    except ProtocolError as error:
        check_final(receiver, str(error))
        return stretches, str(error)
    return stretches, None


def check(stretch: Stretch) -> None:
    assert len(stretch.payloads) <= LIMITS.stretch_events
    assert stretch.size == sum(map(len, stretch.payloads))
    assert not stretch.final or stretch.ack is not None


def check_final(receiver: Receiver, text: str) -> None:
    receiver.receive(b"2W\0\0\0\0")
    try:
        receiver.next_stretch()
    except ProtocolError as error:
        assert str(error) == text
    else:
        raise AssertionError(text)


def test_one_input(raw: bytes) -> None:
    """One input: its first bytes say where to cut, the rest is what a client sends."""
    if len(raw) < 4:
        return
    data = built(raw[4:])
    cuts = [cut * len(data) // 256 for cut in raw[:4]]
    whole = parsed(data, [])
    assert whole == parsed(data, cuts)
    assert whole == parsed(data, list(range(len(data))))
    try:
        header = parse(raw[4:])
    except ProtocolError:
        return
    assert header is None or 0 < header.length <= min(len(raw) - 4, MAX_HEADER_BYTES)


def seeds(folder: Path) -> None:
    """Honest windows to start from."""
    event = b"2J\0\0\0\1\0\0\0\7" + b'{"a":1}'
    data = b"1D\0\0\0\2\0\0\0\1\0\0\0\1a\0\0\0\1b"
    samples = [
        b"2W\0\0\0\1" + event,
        b"2W\0\0\0\2" + event + data,
        b"2W\0\0\0\2" + MARK + event + event + MARK + b"2W\0\0\0\0",
        MARK + b"2W\0\0\0\3" + event + MARK + event * 2,
        b"2W\0\0\0\5" + event + b"1W\0\0\0\1" + data,
        b"PROXY TCP4 10.1.2.3 10.9.9.9 4711 5044\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
    ]
    for number, sample in enumerate(samples):
        (folder / f"seed{number}").write_bytes(b"\x20\x50\x80\xc0" + sample)


def main() -> None:
    if not any(Path(argument).is_dir() for argument in sys.argv[1:]):
        corpus = Path(os.environ.get("PENSTOCK_FUZZ_CORPUS", Path(__file__).parent / ".corpus"))
        corpus.mkdir(exist_ok=True)
        seeds(corpus)
        sys.argv.append(str(corpus))
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
