"""ORC beside Parquet: the same values, ids and bounds; what is damaged is one letter."""

import datetime
import decimal
import io
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.io.s3.formats._recognise import is_orc
from penstock.io.s3.formats._rows import listed
from penstock.io.s3.formats.orc import _reading as _orc

JAVA = Path(pa.__file__).parent / "tests/data/orc"
"""Samples of Apache ORC, which pyarrow's own tests read too."""

TABLE = pa.table(
    {
        "n": pa.array(range(5000)),
        "text": ['q"é\n'] * 5000,
        "@timestamp": pa.array([datetime.datetime(2026, 11, 22, 6)] * 5000, pa.timestamp("ns")),  # noqa: DTZ001
        "day": [datetime.date(2026, 11, 22)] * 5000,
        "price": [decimal.Decimal("1.50")] * 5000,
        "bytes": [b"\xff\x00"] * 5000,
        "float": [float("nan"), 1.5] * 2500,
        "flag": [True, None] * 2500,
        "list": [[1, None]] * 5000,
        "inner": [{"a": 1, "b": "x"}] * 5000,
        "map": pa.array([[("k", 1)]] * 5000, pa.map_(pa.string(), pa.int64())),
    }
)


def written(table, **options):
    output = io.BytesIO()
    orc.write_table(table, output, **options)
    return output.getvalue()


@pytest.mark.parametrize("compression", ["uncompressed", "zlib", "snappy", "lz4", "zstd"])
def test_rows_are_those_of_the_same_table_in_parquet(read, compression):
    output = io.BytesIO()
    pq.write_table(TABLE, output)
    documents, letters, reader = read(written(TABLE, compression=compression, stripe_size=1 << 14))
    assert (documents, letters) == (read(output.getvalue())[0], [])
    assert reader.finished
    assert read(written(TABLE), columns=["n", "inner.a", "no such"])[0][1] == {
        "n": 1,
        "inner": {"a": 1, "b": "x"},
    }


@pytest.mark.parametrize(
    ("content", "rows", "told"),
    [
        (written(TABLE)[:-5], 0, "the ORC file cannot be read: "),
        (written(TABLE)[:4000], 0, "the ORC file cannot be read: "),
        (written(TABLE.slice(0, 0)), 0, None),
    ],
)
def test_what_is_cut_short_is_one_letter(read, content, rows, told):
    documents, letters, reader = read(content)
    assert len(documents) == rows
    assert [error for error, _ in letters] == (["DamagedObject"] if told else [])
    assert all(told in reason for _, reason in letters)
    assert reader.finished


def test_a_line_may_begin_like_orc():
    assert not is_orc(b"ORCHARD,apple\n")


def test_a_damaged_stripe_is_one_letter_and_the_next_one_is_read(read):
    numbers = random.Random(1).choices(range(1 << 40), k=200_000)
    content = bytearray(written(pa.table({"n": numbers}), compression="zlib", stripe_size=1 << 17))
    clean, stripes = bytes(content), orc.ORCFile(io.BytesIO(content)).nstripes
    assert stripes > 4
    for place in (len(content) // 2, len(content) * 3 // 4):
        content[place : place + 200] = b"\xff" * 200
    documents, letters, reader = read(bytes(content))
    lost = numbers.copy()
    for error, reason in letters:
        assert error == "DamagedObject"
        first, last = map(int, re.search(r"from row (\d+) on \(it ends with row (\d+)\)", reason).groups())
        lost[first : last + 1] = [None] * (last + 1 - first)
    assert len(letters) == 2
    assert [document["n"] for document in documents] == [number for number in lost if number is not None]
    assert reader.finished
    assert ids_of(bytes(content)) < ids_of(clean)  # rows behind the damage have the numbers that they had


def ids_of(content):
    found = _orc.read_orc(io.BytesIO(content), [], b"p", lambda *_: None)
    return {(rows.first + n, text) for rows in found for n, text in enumerate(listed(rows).texts)}


def test_a_time_that_arrow_has_no_form_for_is_told_with_the_way_out(read):
    times = pa.array([0] * 3000 + [253_402_300_799_000] + [0] * 90_000, pa.timestamp("ms"))
    content = written(pa.table({"n": range(93_001), "t": times}), stripe_size=1 << 14)
    documents, letters, _ = read(content)
    (reason,) = [reason for _, reason in letters]
    assert re.match(r"stripe \d of the ORC file cannot be read from row [0-3]\d*", reason)
    assert "column t: " in reason
    assert reason.endswith("Give --columns without that column")
    assert documents[-1]["n"] == 93_000
    assert len(read(content, columns=["n"])[0]) == 93_001


@pytest.mark.parametrize("path", sorted(JAVA.glob("*.orc")), ids=lambda path: path.name)
def test_files_that_the_java_library_wrote_are_read_whole(read, path):
    content = path.read_bytes()
    documents, letters, _ = read(content)
    assert (len(documents), letters) == (orc.ORCFile(io.BytesIO(content)).nrows, [])
