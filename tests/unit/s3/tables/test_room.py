"""Rows go through memory that the process which may die shares: they come out as they went in, or it is no message."""

import io
import itertools
import mmap
import struct

import fastavro
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.io.chain.live_objects import LIVE
from penstock.io.s3.formats._rows import Columns, Rows, piece_of
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import S3Record
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.tables import process, worker
from penstock.io.s3.tables._gathering import Gathering
from penstock.io.s3.tables._messages import Laid, Lying, arrays_of, put_back, without
from penstock.io.s3.tables.room import ROOM_BYTES, lay, new_room, taken
from tests.unit.s3.tables.test_tables import command, parquet, read, reader_of

VALUES = st.lists(st.binary(max_size=20), max_size=8)


@pytest.fixture(autouse=True)
def _no_worker_is_left():
    LIVE.close()
    yield
    LIVE.close()


def room():
    with new_room() as file:
        return mmap.mmap(file.fileno(), ROOM_BYTES)


@given(st.lists(st.tuples(VALUES, st.integers(0, 8), st.integers(0, 8)), max_size=4))
def test_what_is_laid_is_taken(given):
    arrays = [pa.array(values, pa.binary()).slice(start, size) for values, start, size in given]
    shared = room()
    assert taken(shared, lay(shared, arrays)) == [array.to_pylist() for array in arrays]


def test_what_does_not_fit_is_left():
    shared = room()
    assert lay(shared, [pa.array([bytes(ROOM_BYTES)], pa.binary())]) is None
    assert lay(shared, [pa.array([b""] * (ROOM_BYTES // 4), pa.binary())]) is None
    half = pa.array([b"x" * (ROOM_BYTES // 2 - 64)], pa.binary())
    assert taken(shared, lay(shared, [half, half])) == [half.to_pylist()] * 2


@pytest.mark.parametrize(
    ("edges", "lying"),
    [
        ((0, 5, 3), Lying(2, 5)),
        ((0, -1, 5), Lying(2, 5)),
        ((-8, 0, 5), Lying(2, 5)),
        ((0, 5, 1 << 30), Lying(2, 5)),
        ((0, 5, 6), Lying(2, 5)),
        ((0, 5, 5), Lying(-2, 5)),
        ((0, 5, 5), Lying(2, -5)),
        ((0, 5, 5), Lying(2, ROOM_BYTES)),
        ((0, 5, 5), Lying(1 << 40, 5)),
        ((0, 5, 5), Lying(-(1 << 62), 1 << 62)),
    ],
)  # fmt: skip
def test_what_a_broken_worker_says_lies_there_is_an_error(edges, lying):
    shared = room()
    shared[:12] = struct.pack("<3i", *edges)
    with pytest.raises(ValueError, match=r".+"):
        taken(shared, [lying])


def test_nobody_cuts_the_room_off():
    """Who reads where there is nothing any more would be killed."""
    with new_room() as file:
        for size in (0, ROOM_BYTES - 1, ROOM_BYTES + 1):
            with pytest.raises(PermissionError):
                file.truncate(size)


def test_places_that_are_no_columns_are_an_error():
    laid = Laid(Columns([([], None)]), [], [3])
    with pytest.raises(ValueError, match="column 3 of 1"):
        put_back(laid, [[b"x"]])
    with pytest.raises(ValueError, match="argument"):
        put_back(Laid(Rows(), [], [0]), [[], []])


def test_columns_of_bytes_lie_in_the_room_and_the_others_do_not():
    message = Columns([([1, 2], None), (pa.array([b"a", b"b"], pa.binary()), None), (["s"], [2])])
    arrays = arrays_of(message)
    assert list(arrays) == [1]
    shared = room()
    laid = Laid(without(message, arrays), lay(shared, list(arrays.values())), list(arrays))
    assert put_back(laid, taken(shared, laid.lying)).values() == [[1, 2], [b"a", b"b"], ["s", "s"]]


@pytest.mark.parametrize(
    "lie",
    [
        "[Lying(1 << 40, 5)], [0]",
        "[Lying(2, -1)], [0]",
        "[Lying(1, 1 << 23)], [0, 0]",
        "[Lying(1, 5)], [0]",
    ],
)
def test_a_worker_that_lies_about_the_room_is_a_letter(tmp_path, monkeypatch, lie):
    code = "from penstock.io.s3.tables._messages import Lying\n"
    code += "def lied(_, channel):\n"
    code += "    channel._room[:8] = (9).to_bytes(4, 'little') + (2).to_bytes(4, 'little')\n"
    code += f"    channel.send(worker.Laid(worker.Rows(), {lie}))\n    yield worker.Done()\n"
    monkeypatch.setattr(process, "COMMAND", command(code + "worker._done = lied"))
    events, letters = read(reader_of(tmp_path, parquet(10)))
    ((kind, reason),) = letters
    assert events == []
    assert kind == "UnreadableObject"
    assert "what is no message" in reason


def test_rows_that_are_larger_than_the_room_come_beside_those_that_are_not(tmp_path):
    output = io.BytesIO()
    texts = ["a", "b" * ROOM_BYTES, "c", "d" * (ROOM_BYTES - 100), "e"]
    pq.write_table(pa.table({"text": texts}), output, row_group_size=1)
    events, letters = read(reader_of(tmp_path, output.getvalue()))
    assert letters == []
    assert [orjson.loads(event.data)["text"] for event in events] == texts


def test_avro_blocks_are_gathered_and_their_events_are_the_same(tmp_path, monkeypatch):
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "n", "type": "long"}, {"name": "@timestamp", "type": "string"},
    ]}  # fmt: skip
    output = io.BytesIO()
    rows = [{"n": n, "@timestamp": f"2026-11-22T12:00:00.{n % 1000:03}Z"} for n in range(9000)]
    fastavro.writer(output, schema, rows, sync_interval=1000)
    content = bytearray(output.getvalue())
    del content[len(content) // 2]  # one block is broken; its letter stands between the rows
    first = reader_of(tmp_path, bytes(content))
    pieces = list(first.pieces())
    assert len(pieces) < 12
    found = [(event.id, event.data, event.index, event.timestamp) for events, _ in pieces for event in events]
    assert [letter.error for _, letters in pieces for letter in letters] == ["DamagedObject"]
    LIVE.close()
    monkeypatch.setattr(
        process, "COMMAND", command("worker.Gathering.add = lambda self, each: self._send(each)")
    )
    single = list(UnitReader(first.unit, S3ReadOptions(input=["x"]), LocalFiles()).pieces())
    assert len(single) > 100
    assert found == [
        (event.id, event.data, event.index, event.timestamp) for events, _ in single for event in events
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1500), st.booleans())))
def test_gathering_keeps_numbers_and_order(given):
    sent: list[Rows] = []
    gathering = Gathering(sent.append)
    first, expected = 0, []
    for numbered, count, refused in given:
        texts = [b"%d" % number for number in range(first, first + count)]
        numbers = list(range(first, first + count)) if numbered else None
        letters = [(first, "Refused", "r")] if refused else []
        gathering.add(Rows(texts, 0 if numbered else first, numbers, letters=letters))
        expected += texts + [kind for _, kind, _ in letters]
        first += count
    gathering.flush()
    gathering.flush()
    found = []
    for rows in sent:
        events, letters = piece_of(rows, S3Record("", "k", "e", 0, "row"), "hash")
        assert [b"%d" % event.index for event in events] == [event.data for event in events]
        found += [event.data for event in events] + [letter.error for letter in letters]
    assert found == expected
    assert all(len(rows.texts) < 2000 + 1500 for rows in sent)
    small = [not rows.letters and len(rows.texts) < 500 for rows in sent]
    assert not any(a and b for a, b in itertools.pairwise(small))


def test_a_file_that_is_read_whole_is_asked_for_in_large_parts():
    content = bytes(range(256)) * 10_000
    asked = []

    class Channel:
        task = 0

        def bytes_of(self, _, offset, size):
            asked.append((offset, size))
            return content[offset : offset + size]

    for whole in (True, False):
        asked.clear()
        file = worker._File(Channel(), len(content), whole=whole)
        for offset, size in (
            (0, 4),
            (4, 1000),
            (500, 100_000),
            (2_000_000, 5),
            (2_559_990, 100),
            (0, 0),
            (7, -1),
        ):
            file.seek(offset)
            end = len(content) if size < 0 else offset + size
            assert file.read(size) == content[offset:end]
        assert len(asked) == (4 if whole else 6)
        assert all(size <= max(1 << 20, len(content)) for _, size in asked)
