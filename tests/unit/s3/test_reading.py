"""Every format, whole and in parts, and what becomes of rotten objects; on files, which have the same face as S3."""

import bz2
import decimal
import gzip
import io
import json
import os

import fastavro
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.io.s3 import reading
from penstock.io.s3.formats import _lines
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader, plan
from penstock.transforms.decode import JsonDecoder

STORE = LocalFiles()


def read(path, **options):
    """Events and letters of a whole file."""
    settings = S3ReadOptions(input=[str(path)], **options)
    reader = UnitReader(WorkUnit(STORE.stat("", str(path))), settings, STORE)
    events, letters = [], []
    for found, refused in reader.pieces():
        events += found
        letters += refused
    return events, letters, reader


def documents(events):
    return [orjson.loads(event.data) for event in events]


ROWS = [{"number": n, "text": "x" * (n % 50), "inner": {"list": [n, {"a": "]}{["}]}} for n in range(3000)]
FLAT = [{"number": row["number"], "text": row["text"]} for row in ROWS]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    "content",
    [LINES, b"\xef\xbb\xbf" + LINES, json.dumps(ROWS).encode(), json.dumps({"Records": ROWS}).encode(),
     json.dumps({"Records": ROWS}, indent=2).encode(), json.dumps(ROWS, indent=1).encode()],
)  # fmt: skip
def test_text_is_known_by_content(tmp_path, compress, content):
    path = tmp_path / "wrong.parquet"
    path.write_bytes(compress(content))
    events, letters, reader = read(path)
    assert documents(events) == ROWS
    assert [event.index for event in events] == list(range(3000))
    assert not letters
    assert reader.finished


def test_plain_lines_keep_their_text(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\r\n\n  two\nthree without end")
    events, _, _ = read(path)
    assert [(event.data, event.index) for event in events] == [
        (b"one", 0),
        (b"  two", 2),
        (b"three without end", 3),
    ]


def test_a_line_too_long_is_a_letter_and_the_others_arrive(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before\n" + b"x" * 3_000_000 + b"\nafter\n")
    for options in ({}, {"format": "lines"}):
        events, letters, reader = read(path, max_line_bytes=1_000_000, **options)
        assert [(event.data, event.index) for event in events] == [(b"before", 0), (b"after", 2)]
        assert [(letter.error, letter.event.index) for letter in letters] == [("LineTooLong", 1)]
        assert len(letters[0].event.data) == _lines.KEPT_OF_TOO_LONG
        assert reader.finished


def test_large_lines_are_read_in_parts_with_the_same_events(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MIN_SPLIT_BYTES", 1)
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    whole, _, _ = read(path)
    found = STORE.stat("", str(path))
    options = S3ReadOptions(input=[str(path)])
    object.__setattr__(options, "split_bytes", 20_011)
    units = plan(found, options, STORE)
    assert len(units) == -(-found.size // 20_011)
    parts = [
        event for unit in units for events, _ in UnitReader(unit, options, STORE).pieces() for event in events
    ]
    assert parts == whole
    assert documents(parts) == ROWS
    assert parts[1].index == len(LINES.split(b"\n")[0]) + 1


def parquet(rows, **options):
    output = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), output, **options)
    return output.getvalue()


def test_parquet_in_parts_only_the_columns_asked_for(tmp_path):
    path = tmp_path / "x"
    rows = [
        {"@timestamp": "2026-11-22T12:00:00Z", "n": n, "d": decimal.Decimal("1.10"), "b": b"\xff"}
        for n in range(1000)
    ]
    path.write_bytes(parquet(rows, row_group_size=100))
    events, letters, _ = read(path)
    assert not letters
    assert documents(events)[7] == {"@timestamp": "2026-11-22T12:00:00Z", "n": 7, "d": "1.10", "b": "/w=="}
    assert [event.index for event in events] == list(range(1000))
    assert events[0].timestamp == "2026-11-22T12:00:00Z"
    assert len({event.id for event in events}) == 1000
    found = STORE.stat("", str(path))
    options = S3ReadOptions(input=["x"], columns=["n", "not there"])
    object.__setattr__(options, "split_bytes", 2000)
    units = plan(found, options, STORE)
    assert len(units) > 2
    parts = [
        event for unit in units for found, _ in UnitReader(unit, options, STORE).pieces() for event in found
    ]
    assert documents(parts) == [{"n": n} for n in range(1000)]
    assert [event.id for event in parts] == [event.id for event in events]


def test_rows_have_the_ids_that_the_decoder_would_give_them(tmp_path):
    beat = {
        "@timestamp": "2026-11-22T12:00:00Z",
        "agent": {"ephemeral_id": "e"},
        "log": {"file": {"path": "/x"}, "offset": 5},
    }
    for rows in ([beat], [{"n": 1}, {"n": 2}]):
        path = tmp_path / "x"
        path.write_bytes(parquet(rows))
        events, _, _ = read(path)
        ids = [(event.id, event.timestamp) for event in events]
        for event in events:
            event.id = event.timestamp = None
        decoded, letters = JsonDecoder().decode(events)
        assert not letters
        assert [(event.id, event.timestamp) for event in decoded] == ids


def avro(rows, codec="null", **options):
    output = io.BytesIO()
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "n", "type": "long"}, {"name": "t", "type": "string"}],
    }
    fastavro.writer(output, schema, rows, codec=codec, **options)
    return output.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2", "xz", "lz4"])
def test_avro_in_parts(tmp_path, codec):
    path = tmp_path / "x"
    rows = [{"n": n, "t": os.urandom(10).hex()} for n in range(5000)]
    path.write_bytes(avro(rows, codec, sync_interval=2000))
    events, letters, _ = read(path)
    assert not letters
    assert documents(events) == rows
    assert len({event.index for event in events}) == 5000
    found = STORE.stat("", str(path))
    options = S3ReadOptions(input=["x"])
    object.__setattr__(options, "split_bytes", found.size // 7)
    units = plan(found, options, STORE)
    assert len(units) > 6
    parts = [
        event for unit in units for found, _ in UnitReader(unit, options, STORE).pieces() for event in found
    ]
    assert parts == events


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (gzip.compress(LINES)[:-5000], 500),
        (parquet(FLAT)[:-6], 0),
        (parquet(FLAT)[:50], 0),
        (avro([{"n": n, "t": "x" * 50} for n in range(3000)], sync_interval=1000)[:-3000], 2000),
        (b"Obj\x01 not Avro", 0),
        (json.dumps(ROWS).encode()[:-2000], 2500),
        (json.dumps({"Records": ROWS}).encode()[:-2000], 2500),
        (b'{"Records": 5}', None),
    ],
    ids=[
        "gzip",
        "parquet",
        "short parquet",
        "avro",
        "no avro",
        "array",
        "records",
        "no records",
    ],
)
def test_damaged_objects_give_what_is_good_and_one_letter(tmp_path, content, good):
    path = tmp_path / "x"
    path.write_bytes(content)
    events, letters, reader = read(path)
    if good is None:  # one line of JSON after all
        assert len(events) == 1
        return
    assert len(events) >= good
    assert len(events) < 3000
    assert [letter.error for letter in letters] == ["DamagedObject"]
    assert letters[0].event.origin.key == str(path)
    assert reader.finished, "its contents will not change: an upload has another ETag"


@pytest.mark.parametrize(
    "content",
    [
        b'[{"n":1},{"n":2}]\n[{"n":3}]\n',
        b'[{"n":1},{"n":2}] and more',
        b'{"Records":[{"n":1},{"n":2}]}\n{"Records":[{"n":3}]}\n',
        b'{"Records":[{"n":1},{"n":2}],"next":"' + b"x" * (2 << 20) + b'"}\n{"Records":[{"n":3}]}\n',
    ],
)
def test_what_follows_an_array_is_told_not_dropped(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    events, letters, reader = read(path)
    assert [event.data for event in events] == [b'{"n":1}', b'{"n":2}']
    assert [(letter.error, letter.event.index) for letter in letters] == [("DamagedObject", 2)]
    assert "--format lines" in letters[0].reason
    assert reader.finished


def test_what_belongs_to_an_array_s_object_is_no_damage(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b'{"Records":[{"n":1}],"next":null,"ids":[1, 2]}\n\n')
    events, letters, _ = read(path)
    assert ([event.data for event in events], letters) == ([b'{"n":1}'], [])


def test_an_empty_object_is_finished(tmp_path):
    path = tmp_path / "x"
    path.touch()
    assert read(path)[0] == []
    assert read(path)[2].finished
    for form in ("json_array", "json_records"):
        assert read(path, format=form)[:2] == ([], [])


def test_an_array_s_other_elements_are_told_by_the_decoder(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b'[{"a":1}, 5, "t,]x", null, {"a":2}]')
    events, _, _ = read(path)
    decoded, letters = JsonDecoder().decode(events)
    assert [event.index for event in decoded] == [0, 4]
    assert [letter.event.index for letter in letters] == [1, 2, 3]


def test_one_bad_element_does_not_cost_the_others(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"[" + b",".join([b'{"a":1}'] * 50 + [b'{"a":nonsense}'] + [b'{"a":1}'] * 50) + b"]")
    events, letters, _ = read(path)
    assert not letters
    decoded, refused = JsonDecoder().decode(events)
    assert len(decoded) == 100
    assert [letter.event.index for letter in refused] == [50]


def test_a_file_that_is_gone_or_changed_is_not_finished(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(LINES)
    found = STORE.stat("", str(path))
    options = S3ReadOptions(input=["x"])
    path.write_bytes(LINES * 2)
    reader = UnitReader(WorkUnit(found), options, STORE)
    assert [letters[0].error for _, letters in reader.pieces()] == ["ObjectChanged"]
    assert not reader.finished
    path.unlink()
    reader = UnitReader(WorkUnit(found), options, STORE)
    assert [letters[0].error for _, letters in reader.pieces()] == ["ObjectDeleted"]
    assert not reader.finished


def test_schemas_may_change_between_files(tmp_path):
    found = []
    for number, rows in enumerate([[{"a": 1}], [{"b": "x", "a": "text"}]]):
        path = tmp_path / str(number)
        path.write_bytes(parquet(rows))
        found += documents(read(path)[0])
    assert found == [{"a": 1}, {"b": "x", "a": "text"}]


def test_files_of_an_old_pyarrow_are_read():
    folder = os.path.join(os.path.dirname(pa.__file__), "tests", "data", "parquet")
    names = (
        [name for name in sorted(os.listdir(folder)) if name.endswith(".parquet")]
        if os.path.isdir(folder)
        else []
    )
    if not names:
        pytest.skip("this pyarrow ships no example files")
    for name in names:
        events, letters, _ = read(os.path.join(folder, name))
        assert not letters
        assert documents(events)
