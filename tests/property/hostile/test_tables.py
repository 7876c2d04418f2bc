"""Parquet, ORC and Avro whose bytes are changed anywhere cost rows and letters, never the job, and no row without a word."""

import hashlib
import io
import itertools
import random
import resource
import time

import fastavro
import pyarrow as pa
import pyarrow.orc as orc_files
import pyarrow.parquet as pq
import pytest

from penstock.io.chain.live_objects import LIVE
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.transforms.decode import JsonDecoder
from tests.tools.samples.corpus import CORPUS

ROWS = 300
FILES = 40
"""Changed files of each kind; a few milliseconds each."""
PATIENCE_S = 120
MEMORY_BYTES = 192 << 20
KINDS = {
    "UnreadableObject",
    "DamagedObject",
    "UnreadableValue",
    "UnsupportedFormat",
    "UndecodableLines",
    "NotAnObject",
}


@pytest.fixture(autouse=True)
def _no_worker_is_left():
    LIVE.close()
    yield
    LIVE.close()


def made():
    numbers = range(ROWS)
    texts = [hashlib.sha256(b"%d" % number).hexdigest() for number in numbers]
    table = pa.table(
        {"n": numbers, "t": texts, "f": [n / 3 for n in numbers], "l": [[n] * (n % 4) for n in numbers]}
    )
    plain = {
        "compression": "none",
        "use_dictionary": False,
        "write_page_checksum": True,
        "row_group_size": 100,
    }
    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "n", "type": "long"},
            {"name": "t", "type": ["null", "string"]},
            {"name": "l", "type": {"type": "array", "items": "long"}},
        ],
    }
    found = {}
    for name, write in {
        "parquet": lambda file: pq.write_table(table, file, **plain),
        "orc": lambda file: orc_files.write_table(table, file, compression="zlib"),
        "avro.snappy": lambda file: fastavro.writer(
            file, schema, table.to_pylist(), "snappy", sync_interval=2000
        ),
        "avro.null": lambda file: fastavro.writer(
            file, schema, table.to_pylist(), "null", sync_interval=2000
        ),
    }.items():
        write(file := io.BytesIO())
        found[name] = file.getvalue()
    return found


TABLES = {
    key: entry[0] for key, entry in CORPUS.items() if key.endswith((".parquet", ".avro", ".orc"))
} | made()


def changed(chance, content):
    """The bytes with a few changes; more often than not near the end, where footers are."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        size = len(data)
        near = max(0, size - chance.choice((20, 200, 2000, size, size)))
        at = chance.randrange(near, size)
        match chance.randrange(7):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                del data[at : at + chance.randrange(1, 9)]
            case 4:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 5:
                data[at : at + 4] = chance.choice(
                    (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\xff\xff\x0f")
                )
            case 6:
                del data[at:]
        if not data:
            break
    return bytes(data)


def read(path, content):
    """Gives events and letters, those of the decoder among them, as the job would have them."""
    path.write_bytes(content)
    store = LocalFiles()
    unit = WorkUnit(store.stat("", str(path)))
    decoder = JsonDecoder(keep_documents=False)
    events, letters = [], []
    for found, refused in UnitReader(
        unit, S3ReadOptions(input=["x"]), store, decoder=lambda: decoder
    ).pieces():
        letters += refused
        if found and found[0].id is None:
            found, refused = decoder.decode(found)
            letters += refused
        events += found
    return events, letters


@pytest.mark.parametrize("kind", ["parquet", "orc", "avro"])
def test_a_file_changed_anywhere_gives_rows_and_letters(tmp_path, kind):
    chance = random.Random(19)
    files = [content for key, content in TABLES.items() if kind in key]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, content in zip(range(FILES * 4), itertools.cycle(files)):
        wrong = changed(chance, content)
        begun = time.monotonic()
        events, letters = read(tmp_path / "object", wrong)
        assert time.monotonic() - begun < PATIENCE_S
        assert {letter.error for letter in letters} <= KINDS | {"JSONDecodeError"}, (number, letters)
        assert all(letter.reason for letter in letters)
        indexes = [event.index for event in events]
        assert indexes == sorted(set(indexes)), number
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MEMORY_BYTES


def bodies():
    """Files whose rows have checksums: name, content, and where the bytes of rows begin and end."""
    parquet, avro = TABLES["parquet"], TABLES["avro.snappy"]
    footer = int.from_bytes(parquet[-8:-4], "little")
    return [
        ("parquet", parquet, 4, len(parquet) - 8 - footer),
        ("avro.snappy", avro, avro.index(avro[-16:]) + 16, len(avro)),
    ]


@pytest.mark.parametrize(
    ("content", "begin", "end"), [case[1:] for case in bodies()], ids=[case[0] for case in bodies()]
)
def test_where_there_are_checksums_no_row_changes_or_goes_without_a_word(tmp_path, content, begin, end):
    chance = random.Random(19)
    whole, letters = read(tmp_path / "object", content)
    assert len(whole) == ROWS
    assert letters == []
    right = {event.index: event.data for event in whole}
    for _ in range(FILES * 4):
        wrong = bytearray(content)
        at = chance.randrange(begin, end)
        wrong[at] ^= 1 << chance.randrange(8)
        events, letters = read(tmp_path / "object", bytes(wrong))
        assert letters or len(events) == ROWS, at
        assert all(right[event.index] == event.data for event in events), at


@pytest.mark.parametrize("fewer", [1, 5])
def test_rows_that_an_avro_block_does_not_count_are_told(tmp_path, fewer):
    content = TABLES["avro.null"]
    count = content.index(content[-16:]) + 16
    rows = content[count] >> 1
    assert fewer < rows < 0x40, "the count is one byte"
    wrong = content[:count] + bytes((rows - fewer << 1,)) + content[count + 1 :]
    events, (letter,) = read(tmp_path / "object", wrong)
    assert len(events) == ROWS - fewer
    assert letter.error == "DamagedObject"
    assert f"claims {rows - fewer} rows, behind which" in letter.reason
