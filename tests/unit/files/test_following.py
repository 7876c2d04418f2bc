"""Lines of files: each once while files grow, rotate and are cut off, also when the reader is killed in between."""

import gzip
import io
import json
import os
import random
import time

import apache_beam as beam
import orjson
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.live_objects import LIVE
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.errors import OptionError, StateError
from penstock.io.files import following, line_source
from penstock.io.files._line_cutter import MAX_LINE_BYTES, LineCutter
from penstock.io.files.following import FileFollower
from penstock.io.files.line_source import FollowOptions
from penstock.io.files.sink import WriteToFiles
from penstock.io.files.source import ReadFromStdin
from penstock.transforms.codecs.lines._multiline import Multiline
from penstock.transforms.identity import position_id
from tests.tools.machine.waiting import wait_until

STACK = Multiline(r"^\s")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(following, "_LOOK_S", 0.02)
    monkeypatch.setattr(following, "_IDLE_S", 0.01)
    monkeypatch.setattr(following, "_FLUSH_S", 0.05)
    LIVE.close()
    yield
    LIVE.close()


class Reader:
    """A follower, and what came of it; `kill` leaves it as a kill does."""

    def __init__(self, folder, pattern="*.log", **options):
        options.setdefault("positions", str(folder / "positions"))
        options.setdefault("from_end", False)
        self.source = FileFollower("file:x", FollowOptions(path=(str(folder / pattern),), **options))
        self.lines, self.ids = [], []

    def until(self, count, acknowledge=True):
        """Waits for so many lines in all."""
        deadline = time.monotonic() + 60
        while len(self.lines) < count and time.monotonic() < deadline:
            batch = self.source.take(0.05)
            if batch is None:
                assert self.source.failure is None, self.source.failure
                continue
            self.lines += [orjson.loads(event.data)["message"] for event in batch.events]
            self.ids += [position_id(event) for event in batch.events]
            if acknowledge:
                self.source.acknowledge(batch.receipt.tokens)
        assert len(self.lines) >= count, self.lines
        return self.lines

    def looks(self):
        """Waits until it has looked for files, and has read all of them."""
        deadline = time.monotonic() + 60
        while not self.source.ready and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.source.ready
        return self

    def nothing_more(self):
        look, looks = self.source._look, []

        def counted():
            look()
            looks.append(1)

        self.source._look = counted
        wait_until(lambda: len(looks) >= 3, "two looks, each with a read of all files")
        assert self.source.take(0.0) is None
        return self

    def stop(self):
        self.source.close()

    def kill(self):
        self.source.stop()
        self.source._thread.join(10)


def write(path, *lines, mode="ab"):
    with path.open(mode) as file:
        file.write(b"".join(b"%b\n" % line.encode() for line in lines))


def test_lines_come_with_their_path_and_host_and_once_over_restarts(tmp_path):
    log = tmp_path / "a.log"
    write(log, "1", "2")
    reader = Reader(tmp_path)
    batch = reader.source.take(30)
    assert orjson.loads(batch.events[0].data) == {
        "message": "1", "host": {"name": os.uname().nodename}, "log": {"file": {"path": str(log)}}
    }  # fmt: skip
    reader.source.acknowledge(batch.receipt.tokens)
    reader.stop()
    write(log, "3")
    with log.open("ab") as file:
        file.write(b"half")
    reader = Reader(tmp_path)
    assert reader.until(1) == ["3"]
    reader.nothing_more()
    write(log, " a line")
    assert reader.until(2) == ["3", "half a line"]
    reader.stop()
    Reader(tmp_path).looks().nothing_more().stop()


def test_what_was_not_acknowledged_comes_again_with_the_same_ids(tmp_path):
    write(tmp_path / "a.log", *map(str, range(100)))
    first = Reader(tmp_path)
    first.until(100, acknowledge=False)
    first.kill()
    second = Reader(tmp_path)
    second.until(100)
    assert second.lines == first.lines
    assert second.ids == first.ids
    assert len(set(second.ids)) == 100
    second.stop()


def test_rotation_by_renaming_loses_and_doubles_nothing(tmp_path):
    log = tmp_path / "a.log"
    reader = Reader(tmp_path, "a.log*")
    expected = []
    for turn in range(5):
        lines = [f"{turn}-{n}" for n in range(200)]
        expected += lines
        write(log, *lines[:100])
        log.rename(tmp_path / f"a.log.{turn}")
        write(tmp_path / f"a.log.{turn}", *lines[100:])
        write(log)
    reader.until(len(expected))
    reader.nothing_more().stop()
    assert sorted(reader.lines) == sorted(expected)


def test_a_renamed_file_outside_of_the_pattern_is_read_to_its_end(tmp_path):
    log = tmp_path / "a.log"
    write(log, "1")
    reader = Reader(tmp_path)
    reader.until(1)
    log.rename(tmp_path / "old")
    write(tmp_path / "old", "2")
    write(log, "3")
    assert sorted(reader.until(3)) == ["1", "2", "3"]
    reader.stop()


@pytest.mark.parametrize("running", [True, False])
def test_a_file_that_is_cut_off_and_written_anew_is_new(tmp_path, running):
    log = tmp_path / "a.log"
    write(log, "first", "2")
    reader = Reader(tmp_path)
    reader.until(2)
    before = set(reader.ids)
    if not running:
        reader.stop()
    write(log, "other", "2", "3", mode="r+b") if not running else write(log, "x", mode="wb")
    if running:
        assert reader.until(3)[2:] == ["x"]
    else:
        reader = Reader(tmp_path)
        assert reader.until(3) == ["other", "2", "3"]
        assert not before & set(reader.ids), "other contents have other ids"
    reader.stop()


def test_files_that_were_there_are_read_from_their_end_and_new_ones_from_their_beginning(tmp_path):
    write(tmp_path / "a.log", "old")
    write(tmp_path / "b.skip.log", "skipped")
    reader = Reader(tmp_path, from_end=True, exclude=("*.skip.log",)).looks()
    write(tmp_path / "a.log", "1")
    write(tmp_path / "c.log", "2")
    assert sorted(reader.until(2)) == ["1", "2"]
    reader.stop()


def test_whole_files_packed_ones_too_and_a_last_line_without_its_end(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1\n2\n3"))
    (tmp_path / "b").write_bytes(b"4\n5")
    reader = Reader(tmp_path, "[ab]*", whole=True)
    assert sorted(reader.until(5)) == list("12345")
    reader.stop()
    Reader(tmp_path, "[ab]*", whole=True).looks().nothing_more().stop()


def test_many_files_need_few_open_ones_and_few_events_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "MAX_OPEN", 5)
    monkeypatch.setattr(line_source, "_MAX_PENDING_EVENTS", 50)
    for n in range(40):
        write(tmp_path / f"{n}.log", *(f"{n}-{k}" for k in range(10)))
    reader = Reader(tmp_path)
    reader.until(400)
    assert sum(each.file is not None for each in reader.source._files.values()) <= 6
    assert len(set(reader.lines)) == len(reader.lines) == 400
    reader.stop()


def test_lines_that_belong_together_are_one_event_also_when_no_more_come(tmp_path):
    log = tmp_path / "a.log"
    write(log, "a", " b", "c", " d")
    reader = Reader(tmp_path, multiline=STACK)
    assert reader.until(2) == ["a\n b", "c\n d"]
    reader.stop()
    write(log, "e")
    assert Reader(tmp_path, multiline=STACK).until(1) == ["e"]


def test_positions_that_are_not_ours_are_refused(tmp_path):
    for content in (b"1 2 3\n", b'{"v": 99, "files": {}}', json.dumps({"v": 1, "files": {"a": 1}}).encode()):
        (tmp_path / "positions").write_bytes(content)
        with pytest.raises(StateError, match="Move it away"):
            Reader(tmp_path)
    with pytest.raises(OptionError, match="absolute"):
        FollowOptions(path=("x.log",))


@pytest.mark.parametrize("rule", [None, STACK])
def test_any_cut_of_the_bytes_gives_the_same_lines(rule):
    data = b"one\n two\n\nthree\xff\r\n" * 50 + b"x" * (MAX_LINE_BYTES + 5) + b"\nend"
    whole = LineCutter(0, rule)
    expected = whole.feed(data) + whole.finish()
    assert whole.done == len(data)
    chance = random.Random(1)
    for _ in range(5):
        cutter, stream, found = LineCutter(0, rule), io.BytesIO(data), []
        while block := stream.read(chance.choice((1, 7, 1000, 200_000))):
            found += cutter.feed(block)
            for at, line in found[-1:]:
                assert data[at : at + len(line)] == line
        found += cutter.finish()
        assert b"\n".join(line for _, line in found).replace(b"\n", b"") == data.replace(b"\n", b"")
        if rule is None:
            assert [each for each in found if len(each[1]) < MAX_LINE_BYTES][:100] == expected[:100]


def test_the_standard_input_ends_the_pipeline(tmp_path, monkeypatch):
    read, into = os.pipe()
    os.write(into, b"a\nb\n\xffc")
    os.close(into)
    monkeypatch.setattr(line_source.sys, "stdin", os.fdopen(read, "rb"))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | ReadFromStdin("in")
            | WriteToFiles(str(tmp_path / "out"), codec="line", line_format="%{message}")
            | WriteDeadLetters(f"file://{tmp_path}/letters")
            | Acknowledge()
        )
    assert (tmp_path / "out").read_text() == "a\nb\n\\xffc\n"
