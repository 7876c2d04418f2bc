"""Whatever bytes come, and however they are split, the core reads what a second, naive reading of them says.

Coverage-guided fuzzing of `penstock.io.beats.wire` (and of the PROXY header's parser) with atheris:

    python fuzz/beats_protocol.py [-max_total_time=60] [libFuzzer options] [CORPUS]

The reference is `tests/tools/models/lumberjack_model.py`: the same events at the same places, the same acknowledgements, the
same limits, fed whole, in pieces, and byte by byte. The only exception allowed is `ProtocolError`: a peer broke the rules.
Compressed frames are built here around parts of the input, since no fuzzer guesses a checksum. The seeds are captures of a
real Filebeat, and what the reference's own generator makes. Every crash becomes a case in
tests/unit/beats/wire/test_protocol.py; faults that the reference must notice are in test_protocol_model.py.
"""

import dataclasses
import random
import struct
import sys
import zlib
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # for `fuzz` and `tests`; behind all else, since the root holds a folder named io

with atheris.instrument_imports(include=["penstock.io.beats"]):
    from penstock.io.beats.wire import _inflate
    from penstock.io.beats.wire._acks import Due, Ledger
    from penstock.io.beats.wire._limits import Limits
    from penstock.io.beats.wire._protocol import Receiver
    from penstock.io.beats.wire._proxy_protocol import MAX_HEADER_BYTES, parse

from fuzz.running import run  # noqa: E402
from penstock.io.errors import ProtocolError  # noqa: E402
from tests.tools.models.lumberjack_model import Rules, compare, sent_by_chance  # noqa: E402

RULES = Rules(ratio_free=3000)
LIMITS = Limits(**{name: value for name, value in dataclasses.asdict(RULES).items() if name != "ratio_free"})
_inflate.RATIO_FREE_BYTES = RULES.ratio_free
MARK = b"\xfeZ"  # what stands between two of these becomes a compressed frame
BYTE_BY_BYTE = 2000


def compressed(body: bytes) -> bytes:
    deflated = zlib.compress(body, 1)
    return b"2C" + struct.pack(">I", len(deflated)) + deflated


def built(data: bytes) -> bytes:
    """The input with compressed frames in it."""
    parts = data.split(MARK)
    return b"".join(compressed(part) if number % 2 else part for number, part in enumerate(parts))


def test_one_input(raw: bytes) -> None:
    """One input: its first bytes say where to cut, the rest is what a client sends."""
    if len(raw) < 4:
        return
    data = built(raw[4:])
    cuts = [cut * len(data) // 256 for cut in raw[:4]]
    step = 1 if len(data) <= BYTE_BY_BYTE else 97
    for places in ([], cuts, list(range(0, len(data), step))):
        compare(data, places, RULES, Receiver(LIMITS), Ledger(), Due)
    try:
        header = parse(raw[4:])
    except ProtocolError:
        return
    assert header is None or 0 < header.length <= min(len(raw) - 4, MAX_HEADER_BYTES)


def seeds(folder: Path) -> None:
    """Writes what a real Filebeat sent, windows of the reference's generator, and two PROXY headers."""
    captures = sorted((ROOT / "tests" / "unit" / "beats" / "fixtures").glob("*.bin"))
    samples = [capture.read_bytes() for capture in captures]
    samples += [sent_by_chance(random.Random(seed)) for seed in range(50)]
    event = b"2J\0\0\0\1\0\0\0\7" + b'{"a":1}'
    samples += [
        b"2W\0\0\0\2" + MARK + event + event + MARK + b"2W\0\0\0\0",
        MARK + b"2W\0\0\0\3" + event + MARK + event * 2,
    ]
    samples += [
        b"PROXY TCP4 10.1.2.3 10.9.9.9 4711 5044\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
    ]
    for number, sample in enumerate(samples):
        (folder / f"seed{number}").write_bytes(b"\x20\x50\x80\xc0" + sample)


if __name__ == "__main__":
    run(test_one_input, seeds)
