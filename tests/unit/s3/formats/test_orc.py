"""ORC beside Parquet: the same values, ids and bounds; what is damaged is one letter."""

import datetime
import decimal
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.io.s3.formats import _orc
from penstock.io.s3.formats._recognise import is_orc

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
        (written(TABLE)[:-5], 0, "the ORC file cannot be read from row 0 on: "),
        (written(TABLE)[:4000], 0, "the ORC file cannot be read from row 0 on: "),
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


def test_rows_before_the_damage_are_read(read):
    numbers = random.Random(1).choices(range(1 << 40), k=200_000)
    content = bytearray(written(pa.table({"n": numbers}), compression="zlib"))
    place = len(content) * 3 // 4
    content[place : place + 200] = b"\xff" * 200
    documents, ((error, reason),), _ = read(bytes(content))
    assert documents
    assert [document["n"] for document in documents] == numbers[: len(documents)]
    assert error == "DamagedObject"
    assert f"from row {len(documents)} on" in reason


def test_a_time_that_arrow_has_no_form_for_is_told_with_the_way_out(read):
    times = pa.array([0] * 3000 + [253_402_300_799_000], pa.timestamp("ms"))
    content = written(pa.table({"n": range(3001), "t": times}))
    documents, ((_, reason),), _ = read(content)
    assert len(documents) <= _orc.ROWS
    assert reason.endswith("Give --columns without that column")
    assert len(read(content, columns=["n"])[0]) == 3001
