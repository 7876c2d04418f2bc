"""However bytes are cut, and however an object is split, the same events come out, each once."""

import io
import json

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.io.s3._avro import read_blocks
from penstock.io.s3._compression import Damaged
from penstock.io.s3._json_array import read_array
from penstock.io.s3._lines import read_lines, read_part
from penstock.io.s3._selection import dates_of_key, literal_prefix, pattern_of
from penstock.io.s3.origin import S3Record

ORIGIN = S3Record("bucket", "key", "etag", 0, "line")
LIMIT = 1 << 20


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def events(pieces):
    return [(event.index, event.data) for found, _ in pieces for event in found]


@given(st.binary(max_size=400).map(lambda data: data.replace(b"\xef\xbb\xbf", b"")), st.integers(1, 50))
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


SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}


@settings(max_examples=50, deadline=None)
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

    bounds = sorted({0, *(edge for edge in edges if edge < len(data))})
    found = []
    for start, end in zip(bounds, [*bounds[1:], None], strict=True):
        found += events(read_blocks(lambda at: Slow(data[at:]), start, end, [], ORIGIN))
    assert [json.loads(row)["n"] for _, row in found] == list(range(count))
    assert found == events(read_blocks(lambda at: Slow(data[at:]), 0, None, [], ORIGIN))


@given(st.text(max_size=20))
def test_a_key_without_special_characters_fits_itself_as_a_glob(key):
    assert pattern_of(literal_prefix(key))(literal_prefix(key))
    dates_of_key(key)  # any key is read without an error
