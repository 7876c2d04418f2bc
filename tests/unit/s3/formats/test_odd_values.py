"""One odd value costs itself: every shape of Avro's specification, every nested type of Arrow, and dates at the edges."""

import datetime
import decimal
import io
import uuid

import fastavro
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.io.s3.formats import _avro_blocks, _parquet

UTC = datetime.UTC
MOMENT = datetime.datetime(2026, 11, 22, 6, 0, 0, 123456, UTC)


def avro(kind, *values, codec="null"):
    """A file of records whose one field `v` is of that type."""
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "n", "type": "int"}, {"name": "v", "type": kind}],
    }
    output = io.BytesIO()
    fastavro.writer(output, schema, [{"n": n, "v": value} for n, value in enumerate(values)], codec=codec)
    return output.getvalue()


INNER = {"type": "record", "name": "inner", "fields": [{"name": "a", "type": ["null", "long"]}]}
LINKED = {"type": "record", "name": "node", "fields": [{"name": "next", "type": ["null", "node"]}]}
MONEY = {"logicalType": "decimal", "precision": 9, "scale": 2}
TIME = {"type": "long", "logicalType": "timestamp-millis"}


@pytest.mark.parametrize(
    ("kind", "value", "seen"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("int", -5, -5),
        ("long", 2**62, 2**62),
        ("float", 1.5, 1.5),
        ("double", float("nan"), None),
        ("bytes", b"text", "text"),
        ("bytes", b"\xff\x00", "/wA="),
        ("string", "é", "é"),
        ({"type": "array", "items": INNER}, [{"a": 1}, {"a": None}], [{"a": 1}, {"a": None}]),
        ({"type": "map", "values": {"type": "array", "items": "int"}}, {"k": [1]}, {"k": [1]}),
        ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "fixed", "name": "f", "size": 2}, b"ab", "ab"),
        (INNER, {"a": 7}, {"a": 7}),
        (LINKED, {"next": {"next": None}}, {"next": {"next": None}}),
        (["null", INNER, "string"], {"a": 7}, {"a": 7}),
        (["null", {"type": "array", "items": "int"}], [1], [1]),
        (["null", {"type": "map", "values": "int"}], {"k": 1}, {"k": 1}),
        (["null", {"type": "enum", "name": "e", "symbols": ["A"]}], "A", "A"),
        (["null", TIME], MOMENT, "2026-11-22T06:00:00.123000Z"),
        (["null", TIME], None, None),
        ({"type": "long", "logicalType": "timestamp-micros"}, MOMENT, "2026-11-22T06:00:00.123456Z"),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_500_000_001, "1970-01-01T00:00:01.500000001Z"),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, datetime.datetime(2026, 1, 1), "2026-01-01T00:00:00Z"),  # noqa: DTZ001
        ({"type": "int", "logicalType": "date"}, datetime.date(9999, 12, 31), "9999-12-31"),
        ({"type": "int", "logicalType": "time-millis"}, datetime.time(1, 2, 3), "01:02:03"),
        ({"type": "long", "logicalType": "time-micros"}, datetime.time(1, 2, 3, 4), "01:02:03.000004"),
        ({"type": "bytes", **MONEY}, decimal.Decimal("1.50"), "1.50"),
        ({"type": "fixed", "name": "d", "size": 8, **MONEY}, decimal.Decimal("-1.50"), "-1.50"),
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=1), str(uuid.UUID(int=1))),
        ({"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"}, uuid.UUID(int=1).bytes, str(uuid.UUID(int=1))),
        ({"type": "fixed", "name": "p", "size": 12, "logicalType": "duration"}, b"\x01" + bytes(11), "\x01" + "\0" * 11),
        ({"type": "string", "logicalType": "nobody-knows"}, "x", "x"),
    ],
)  # fmt: skip
def test_every_shape_of_avro_is_a_document(read, kind, value, seen):
    documents, letters, reader = read(avro(kind, value))
    assert (documents, letters) == ([{"n": 0, "v": seen}], [])
    assert reader.finished


@pytest.mark.parametrize(
    ("kind", "value"), [("long", 5), (["null", "string"], "x"), ({"type": "array", "items": "int"}, [1])]
)
def test_an_avro_file_without_records_has_its_values_in_a_field(read, kind, value):
    output = io.BytesIO()
    fastavro.writer(output, kind, [value, value])
    assert read(output.getvalue())[0] == [{"value": value}] * 2


@pytest.mark.parametrize(
    ("kind", "beyond"),
    [
        ({"type": "int", "logicalType": "date"}, 2**31 - 1),
        (["null", {"type": "long", "logicalType": "timestamp-millis"}], 253_402_300_800_000),
        ({"type": "array", "items": {"type": "long", "logicalType": "timestamp-micros"}}, [2**62]),
    ],
)
def test_a_date_beyond_python_s_costs_its_row_only(read, kind, beyond):
    # Written as plain numbers, since fastavro refuses to write what it can't read; then the schema says what they are.
    plain = orjson.loads(orjson.dumps(kind).replace(b"logicalType", b"logicalTyqe"))
    good = [1] if isinstance(beyond, list) else 1
    values = [good] * 3000 + [beyond] + [good] * 3000
    content = avro(plain, *values).replace(b"logicalTyqe", b"logicalType")
    documents, letters, reader = read(content)
    assert [document["n"] for document in documents] == [*range(3000), *range(3001, 6001)]
    ((error, reason),) = letters
    assert error == "UnreadableValue"
    assert reason.startswith("row 3000 of the Avro block at byte ")
    assert reader.finished


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_broken_avro_block_costs_itself(read, codec):
    """Its compression, or a row in it: the blocks behind it are found by their lengths."""
    content = avro("string", *["x" * 50 for _ in range(4000)], codec=codec)
    blocks = list(_blocks_of(content))
    assert len(blocks) > 3
    offset, size = blocks[1]
    broken = bytearray(content)
    broken[offset + 40 : offset + 140] = b"\xff" * 100
    documents, letters, _ = read(bytes(broken))
    ((error, reason),) = letters
    assert error == "DamagedObject"
    assert f"the Avro block at byte {offset}" in reason
    rows = {document["n"] for document in documents}
    assert {0, 3999} <= rows
    assert len(rows) >= 4000 - size


def _blocks_of(content):
    """Of each block, where it begins and how many rows it has."""
    header = _avro_blocks.read_header(io.BytesIO(content))
    rest = _avro_blocks.Container(header, io.BytesIO(content[header.size :]), header.size)
    return [(block.offset, block.rows) for block in rest.blocks(None)]


# -- Parquet ------------------------------------------------------------------------------------------

NS = 1_500_000_001
SAME = [
    (pa.null(), None, None),
    (pa.int8(), -1, -1),
    (pa.uint64(), 2**64 - 1, 2**64 - 1),
    (pa.float16(), 1.5, 1.5),
    (pa.float64(), float("inf"), None),
    (pa.bool_(), True, True),
    (pa.string(), 'q"é', 'q"é'),
    (pa.large_string(), "x", "x"),
    (pa.binary(), b"\xff\x00", "/wA="),
    (pa.binary(2), b"ab", "ab"),
    (pa.date32(), datetime.date(1, 1, 1), "0001-01-01"),
    (pa.date64(), datetime.date(9999, 12, 31), "9999-12-31"),
    (pa.time32("ms"), datetime.time(1, 2, 3), "01:02:03"),
    (pa.time64("us"), datetime.time(1, 2, 3, 4), "01:02:03.000004"),
    (pa.time64("ns"), NS, "00:00:01.500000001"),
    (pa.timestamp("s"), 0, "1970-01-01T00:00:00.000Z"),
    (pa.timestamp("ms", "Europe/Berlin"), -1, "1969-12-31T23:59:59.999Z"),
    (pa.timestamp("us"), datetime.datetime(9999, 12, 31), "9999-12-31T00:00:00.000000Z"),  # noqa: DTZ001
    (pa.timestamp("ns"), NS, "1970-01-01T00:00:01.500000001Z"),
    (pa.duration("us"), 1_500_000, 1.5),
    (pa.duration("ns"), NS, 1.500000001),
    (pa.decimal128(5, 2), decimal.Decimal("1.50"), "1.50"),
    (pa.decimal256(50, 2), decimal.Decimal("-1.50"), "-1.50"),
    (pa.dictionary(pa.int8(), pa.string()), "x", "x"),
]


@pytest.mark.parametrize("shape", ["plain", "list", "struct", "map", "deep"])
@pytest.mark.parametrize(("kind", "value", "seen"), SAME, ids=[str(kind) for kind, _, _ in SAME])
def test_every_type_of_arrow_is_a_value_at_every_depth(read, kind, value, seen, shape):
    made = {
        "plain": (kind, value, seen),
        "list": (pa.list_(kind), [value, None], [seen, None]),
        "struct": (pa.struct([("a", kind)]), {"a": value}, {"a": seen}),
        "map": (pa.map_(pa.string(), kind), [("k", value)], {"k": seen}),
        "deep": (
            pa.list_(pa.struct([("m", pa.map_(pa.int32(), pa.list_(kind)))])),
            [{"m": [(1, [value])]}, None],
            [{"m": {"1": [seen]}}, None],
        ),
    }
    if pa.types.is_dictionary(kind) and shape != "plain":
        pytest.skip("pyarrow makes no nested dictionaries from Python")
    nested, given, expected = made[shape]
    column = pa.array([given, None, given], nested)
    documents, letters, _ = read(parquet({"v": column}))
    assert letters == []
    assert [document["v"] for document in documents] == [expected, None, expected]


def parquet(columns, **options):
    output = io.BytesIO()
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    pq.write_table(table, output, **options)
    return output.getvalue()


@pytest.mark.parametrize(
    ("key", "pairs", "seen"),
    [
        (pa.int64(), [(1, "x")], {"1": "x"}),
        (pa.date32(), [(datetime.date(2026, 1, 1), "x")], {"2026-01-01": "x"}),
        (pa.timestamp("ns"), [(NS, "x")], {"1970-01-01T00:00:01.500000001Z": "x"}),
        (pa.decimal128(3, 1), [(decimal.Decimal("1.5"), "x")], {"1.5": "x"}),
        (pa.binary(), [(b"b", "x")], {"b": "x"}),
        (pa.struct([("a", pa.int8())]), [({"a": 1}, "x")], [{"key": {"a": 1}, "value": "x"}]),
        (pa.list_(pa.int8()), [([1], "x"), ([1], "y")], [{"key": [1], "value": "x"}, {"key": [1], "value": "y"}]),
    ],
    ids=str,
)  # fmt: skip
def test_keys_of_maps(read, key, pairs, seen):
    column = pa.array([None, pairs, []], pa.map_(key, pa.string()))
    documents, letters, _ = read(parquet({"v": column}))
    assert letters == []
    assert [document["v"] for document in documents] == [None, seen, {} if isinstance(seen, dict) else []]


NOT_UTF8 = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (NOT_UTF8, "x"),
        (pa.array([2**31 - 1], pa.date32()), datetime.date(2026, 1, 1)),
        (pa.array([10**15], pa.date64()), datetime.date(2026, 1, 1)),
        (pa.array([253_402_300_800_000], pa.timestamp("ms")), 0),
        (pa.array([-(2**62)], pa.timestamp("us")), 0),
        (pa.array([[2**62]], pa.list_(pa.timestamp("ms"))), [0]),
        (pa.array([2**62], pa.duration("ms")), 0),
    ],
    ids=["text", "date32", "date64", "year 10000", "before year 1", "nested", "duration"],
)
def test_a_value_without_a_right_form_costs_its_row(read, bad, good):
    rows = _parquet.ROWS + 500
    column = pa.concat_arrays([pa.array([good] * rows, bad.type), bad, pa.array([good] * 10, bad.type)])
    documents, letters, reader = read(parquet({"n": pa.array(range(rows + 11)), "v": column}))
    assert [document["n"] for document in documents] == [*range(rows), *range(rows + 1, rows + 11)]
    ((error, reason),) = letters
    assert error == "UnreadableValue"
    assert reason.startswith(f"row {rows}, column v: ")
    assert ("years 1 to 9999" in reason) == (bad.type not in (pa.string(), pa.duration("ms")))
    assert reader.finished


def test_int96_is_right_or_a_letter(read):
    """Spark's old timestamps: 9999-12-31 became 1816-03-29."""
    texts = ["9999-12-31T00:00:00.000000", "2026-11-22T06:00:00.000005", "0001-01-01T00:00:00.000000"]
    texts += ["1677-01-01T00:00:00.000000", "2263-01-01T00:00:00.000000"]
    times = [datetime.datetime.fromisoformat(text) for text in texts] + [None]
    column = pa.array(times, pa.timestamp("us"))
    documents, letters, _ = read(parquet({"@timestamp": column}, use_deprecated_int96_timestamps=True))
    assert letters == []
    seen = [document["@timestamp"] for document in documents]
    assert [each and datetime.datetime.fromisoformat(each).replace(tzinfo=None) for each in seen] == times
    exact = pa.array([NS], pa.timestamp("ns"))
    documents, _, _ = read(parquet({"t": exact}, use_deprecated_int96_timestamps=True))
    assert documents == [{"t": "1970-01-01T00:00:01.500000001Z"}]


def test_two_columns_of_one_name_are_said(read):
    documents, letters, _ = read(_twice())
    assert documents == []
    assert letters == [
        ("DamagedObject", "the Parquet file has two columns of the name a. Give --columns without it")
    ]
    assert read(_twice(), columns=["b"])[0] == [{"b": 3}]


def _twice():
    output = io.BytesIO()
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "b"])
    pq.write_table(table, output)
    return output.getvalue()


def test_a_broken_row_group_costs_itself(read):
    content = bytearray(
        parquet({"n": pa.array(range(3000))}, row_group_size=1000, compression="gzip", use_dictionary=False)
    )
    start = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(1).column(0).data_page_offset
    content[start + 60 : start + 90] = b"\xff" * 30
    documents, letters, reader = read(bytes(content))
    assert [document["n"] for document in documents] == [*range(1000), *range(2000, 3000)]
    ((error, reason),) = letters
    assert error == "DamagedObject"
    assert reason.startswith("row group 1 of the Parquet file cannot be read from row 1000 on: ")
    assert reader.finished


# -- the kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), MemoryError(), KeyError("x"), RecursionError("deep")]
)
def test_whatever_a_reader_raises_is_a_letter(read, monkeypatch, error):
    def broken(*_):
        yield [], []
        raise error

    monkeypatch.setattr("penstock.io.s3.reading.read_lines", broken)
    documents, letters, reader = read(b'{"n": 1}\n')
    assert documents == []
    ((kind, reason),) = letters
    assert kind == "UnreadableObject"
    assert type(error).__name__ in reason
    assert not reader.finished, "another version of penstock may read it: the next run tries again"
