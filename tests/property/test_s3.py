"""However bytes are cut, and however an object is split, the same events come out, each once."""

import datetime
import io
import json

import fastavro
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.io.s3._selection import dates_of_key, literal_prefix, pattern_of
from penstock.io.s3.formats._arrow_values import times_as_text
from penstock.io.s3.formats._avro import read_blocks
from penstock.io.s3.formats._compression import Damaged
from penstock.io.s3.formats._json_array import read_array
from penstock.io.s3.formats._json_columns import json_rows
from penstock.io.s3.formats._lines import read_lines, read_part
from penstock.io.s3.formats._rows import piece_of, row_to_json
from penstock.io.s3.origin import S3Record
from tests.tools.samples.examples import examples

ORIGIN = S3Record("bucket", "key", "etag", 0, "line")
LIMIT = 1 << 20


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def events(pieces):
    return [(event.index, event.data) for found, _ in pieces for event in found]


@given(st.binary(max_size=400).map(lambda data: data.replace(b"\xef\xbb\xbf", b"")), st.integers(1, 50))
@example(b"\r\nx\r\n\r", 1)
def test_lines_are_those_of_the_text_however_it_comes(data, size):
    expected = [
        (number, line.removesuffix(b"\r"))
        for number, line in enumerate(data.split(b"\n"))
        if line.removesuffix(b"\r")
    ]
    assert events(read_lines(cut(data, size), ORIGIN, LIMIT)) == expected


@given(
    st.lists(
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"").replace(b"\xef", b"")), max_size=30
    ),
    st.lists(st.integers(1, 400), max_size=6),
    st.integers(1, 60),
)
@example([b"one", b"two", b"three"], [4], 60)  # a part that begins where a line does
@example([b"one", b"two", b"three"], [3, 5], 60)
def test_every_line_is_read_once_however_an_object_is_split(lines, edges, size):
    data = b"\n".join(lines)
    whole = events(read_part(cut(data, size), 0, None, ORIGIN, LIMIT))
    bounds = sorted({0, *(edge for edge in edges if edge < len(data))})
    found = []
    for start, end in zip(bounds, [*bounds[1:], None], strict=True):
        found += events(read_part(cut(data[max(0, start - 1) :], size), start, end, ORIGIN, LIMIT))
    assert found == whole
    assert [line for _, line in whole] == [
        line.removesuffix(b"\r") for line in lines if line not in (b"", b"\r")
    ]
    assert all(data[at : at + len(line)] == line for at, line in whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=12), st.integers(1, 200), st.sampled_from([None, 1]), st.booleans())
def test_an_array_s_elements_come_back_however_it_is_cut(elements, size, indent, records):
    text = json.dumps({"Records": elements} if records else elements, indent=indent).encode()
    found = events(read_array(cut(text, size), ORIGIN, LIMIT, records=records))
    assert [json.loads(data) for _, data in found] == elements
    assert [number for number, _ in found] == list(range(len(elements)))


@given(
    st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), min_size=1, max_size=12),
    st.integers(1, 99),
    st.data(),
)
def test_an_array_cut_short_gives_a_prefix_and_says_so(elements, size, data):
    text = json.dumps(elements).encode()
    text = text[: data.draw(st.integers(1, len(text) - 1))]
    found = []
    try:
        for piece in read_array(cut(text, size), ORIGIN, LIMIT, records=False):
            found += [json.loads(event.data) for event in piece[0]]
    except Damaged:
        assert found == elements[: len(found)]
    else:
        raise AssertionError("nobody noticed")


@given(
    st.lists(JSON, max_size=12),
    st.lists(JSON, max_size=3),
    st.integers(1, 200),
    st.sampled_from(["", "\n", " , "]),
    st.booleans(),
)
def test_of_two_arrays_the_first_is_read_and_the_second_told(first, second, size, between, records):
    texts = [json.dumps({"Records": each} if records else each) for each in (first, second)]
    found = []
    pieces = read_array(cut(between.join(texts).encode(), size), ORIGIN, LIMIT, records=records)
    with pytest.raises(Damaged, match="more follows"):
        found.extend(json.loads(event.data) for piece in pieces for event in piece[0])
    assert found == first


SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}


@examples(50)
@given(
    st.integers(0, 300), st.integers(1, 200), st.lists(st.integers(1, 3000), max_size=6), st.integers(1, 500)
)
def test_every_avro_row_is_read_once_however_a_file_is_split(count, interval, edges, size):
    output = io.BytesIO()
    fastavro.writer(output, SCHEMA, [{"n": n} for n in range(count)], sync_interval=interval)
    data = output.getvalue()

    class Slow(io.BytesIO):
        def read(self, wanted=-1):
            return super().read(min(wanted, size))

    def rows(start, end):
        read = read_blocks(lambda at: Slow(data[at:]), start, end, [], b"", lambda *_: None)
        return events(piece_of(each, ORIGIN, "") for each in read)

    bounds = sorted({0, *(edge for edge in edges if edge < len(data))})
    found = []
    for start, end in zip(bounds, [*bounds[1:], None], strict=True):
        found += rows(start, end)
    assert [json.loads(row)["n"] for _, row in found] == list(range(count))
    assert found == rows(0, None)


@given(st.text(max_size=20))
def test_a_key_without_special_characters_fits_itself_as_a_glob(key):
    assert pattern_of(literal_prefix(key))(literal_prefix(key))
    dates_of_key(key)  # any key is read without an error


COLUMNS = {
    pa.string(): st.text(max_size=8) | st.sampled_from(['"', "\\", "\n", "\x00", "\x1f", "\x7f", "é\\n"]),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.null(): st.none(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(datetime.UTC)),
}


@st.composite
def record_batches(draw):
    kinds = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    names = draw(st.lists(st.text(max_size=5), min_size=len(kinds), max_size=len(kinds), unique=True))
    count = draw(st.integers(0, 6))
    columns = [
        pa.array(draw(st.lists(st.none() | COLUMNS[kind], min_size=count, max_size=count)), kind) for kind in kinds
    ]  # fmt: skip
    batch = pa.record_batch(columns, names=names)
    return batch.slice(draw(st.integers(0, count)))


@given(record_batches())
def test_json_made_by_columns_says_what_json_made_by_rows_says(batch):
    by_columns = json_rows(batch)
    values = [times_as_text(each) if pa.types.is_timestamp(each.type) else each for each in batch.columns]
    rows = [
        dict(zip(batch.schema.names, row, strict=True))
        for row in zip(*[each.to_pylist() for each in values], strict=True)
    ]
    if by_columns is None:
        assert any(
            isinstance(value, str) and min(value, default=" ") < " " for row in rows for value in row.values()
        )
        return
    assert [orjson.loads(text) for text in by_columns.to_pylist()] == [
        orjson.loads(row_to_json(row)) for row in rows
    ]


def test_json_by_columns_leaves_to_the_slower_way_what_it_does_not_know():
    not_utf8 = pa.array([b"\xff"], pa.binary()).cast(pa.string(), safe=False)
    for column in (pa.array([[1]]), pa.array([b"x"]), pa.array([{"a": 1}]), pa.array(["\x01"]), not_utf8):
        assert json_rows(pa.record_batch([column], names=["a"])) is None
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert json_rows(twice) is None
