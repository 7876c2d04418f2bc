"""A line too long to hold is decoded as it comes: what Firehose joins, and the snapshots of AWS Config."""

import gzip
import itertools
import os
import random
import subprocess
import sys

import orjson
import pytest

from penstock.io.s3.formats import _lines
from penstock.io.s3.origin import S3Record
from penstock.transforms.codecs.long_records import long_records_of
from penstock.transforms.codecs.options import DecodeOptions
from tests.unit.codecs import samples

ORIGIN = S3Record("", "k", "e", 0, "line")
ITEMS = [{"n": n, "text": "}{" * (n % 5), "list": [1]} for n in range(200)]
CONFIG = orjson.dumps({"fileVersion": "1.0", "account": {"id": "1"}, "configurationItems": ITEMS, "end": 1})
FIREHOSE = b"".join(map(orjson.dumps, ITEMS))
LOGS = samples.subscription("a", "] [") + samples.subscription("b", stream="x")
TEXT = b"\n".join(
    [
        b'{"before":1}',
        CONFIG,
        b'{"between":1}',
        FIREHOSE + b"\r",
        b"",
        CONFIG + FIREHOSE,
        b'{"after":1}',
        CONFIG,
    ]
)


def blocks_of(text, size):
    return [text[position : position + size] for position in range(0, len(text), size)]


def decoded(pieces, decode):
    events, letters = [], []
    for found, refused in pieces:
        raw, done = [e for e in found if e.id is None], [e for e in found if e.id is not None]
        made, more = decode.decoder(keep_documents=False).decode(raw)
        events += done + made
        letters += refused + more
    events.sort(key=lambda event: (event.index, event.part))
    parts = decode.codec != "cloudwatch_logs"  # which names its events itself
    return [(e.index, e.part if parts else 0, e.id, orjson.loads(e.data)) for e in events], letters


DECODES = {
    "json": (DecodeOptions(), TEXT),
    "expand": (DecodeOptions(expand="configurationItems", expand_copy=["account.id"]), TEXT),
    "cloudwatch_logs": (DecodeOptions(codec="cloudwatch_logs"), LOGS + b"\n" + LOGS * 20),
    "auto": (DecodeOptions(codec="auto"), TEXT + b"\n" + LOGS * 20),
    "auto, expand": (DecodeOptions(codec="auto", expand="configurationItems"), TEXT + b"\n" + LOGS * 20),
}


@pytest.mark.parametrize("how", DECODES)
@pytest.mark.parametrize("size", [97, 1000, 4096])
def test_long_lines_give_what_they_give_whole(how, size, monkeypatch):
    decode, text = DECODES[how]
    whole, letters = decoded(_lines.read_lines([text], ORIGIN, 1 << 20), decode)
    by_offset, _ = decoded(_lines.read_part([text], 0, None, ORIGIN, 1 << 20), decode)
    assert not letters
    monkeypatch.setattr(_lines, "_LONG", 50)
    monkeypatch.setattr("penstock.transforms.codecs._json_cutter.HOLD", 200)
    long = long_records_of(decode.decoder())
    assert decoded(_lines.read_lines(blocks_of(text, size), ORIGIN, 1 << 20, long), decode) == (whole, [])
    parts, edges = [], [0, len(text) // 3, len(text) // 2, len(text)]
    for start, end in itertools.pairwise(edges):
        blocks = blocks_of(text[max(0, start - 1) :], size)
        parts += list(_lines.read_part(blocks, start, end, ORIGIN, 1 << 20, long))
    assert decoded(parts, decode) == (by_offset, [])


def test_a_line_beyond_the_limit_is_read_where_its_values_are_not(read):
    decode = DecodeOptions(expand="configurationItems")
    for content in (CONFIG + b"\n" + FIREHOSE, gzip.compress(CONFIG + b"\n" + FIREHOSE)):
        documents, letters, _ = read(content, decoder=decode.decoder, max_line_bytes=400)
        assert (len(documents), letters) == (400, [])
        documents, letters, _ = read(content, max_line_bytes=400)  # no codec of JSON
        assert (len(documents), {error for error, _ in letters}) == (0, {"LineTooLong"})


def test_fields_behind_the_list_are_copied_while_the_record_can_be_held(monkeypatch):
    monkeypatch.setattr(_lines, "_LONG", 50)
    monkeypatch.setattr("penstock.transforms.codecs._json_cutter.HOLD", 200)
    decode = DecodeOptions(expand="configurationItems", expand_copy=["end"])
    long = long_records_of(decode.decoder())
    documents, letters = decoded(_lines.read_lines(blocks_of(CONFIG, 100), ORIGIN, 1 << 20, long), decode)
    assert not letters
    assert {document["end"] for _, _, _, document in documents} == {1}
    documents, (letter,) = decoded(_lines.read_lines(blocks_of(CONFIG, 100), ORIGIN, 1000, long), decode)
    assert not documents
    assert "end of --expand_copy" in letter.reason


MEASURE = """
import resource, sys
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.transforms.codecs.options import DecodeOptions
decode = DecodeOptions(expand="configurationItems", expand_copy=["fileVersion"])
store = LocalFiles()
reader = UnitReader(WorkUnit(store.stat("", sys.argv[1])), S3ReadOptions(input=["x"]), store, (), decode.decoder)
def read():
    count = 0
    for events, letters in reader.pieces():
        assert not letters, letters[0].reason
        count += len(events)
    return count
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read(), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_the_memory_of_a_large_snapshot_is_bounded(tmp_path):
    """100 MB here; as much with 500 (tried by hand)."""
    chance = random.Random(24)
    item = orjson.dumps(
        {"resourceId": chance.randbytes(500).hex(), "configuration": {"tags": [{"key": "a"}] * 20}}
    )
    count = int(os.environ.get("PENSTOCK_TEST_MB", "100")) * 1_000_000 // len(item)
    with (tmp_path / "snapshot.json").open("wb") as file:
        file.write(b'{"fileVersion":"1.0","configurationItems":[' + item)
        for _ in range(count - 1):
            file.write(b"," + item)
        file.write(b'],"configSnapshotId":"x"}')
    command = [sys.executable, "-P", "-c", MEASURE, str(tmp_path / "snapshot.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    read, megabytes = map(int, done.stdout.split())
    assert read == count
    assert megabytes < 64, f"{megabytes} MB more than before"
