import pytest

from local.demo import logs
from local.processes import LocalError


def test_lines_are_named_as_a_beat_names_them(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n\ntwo\r\n\r\nz\xc3\xbc\nunfinished")
    assert list(logs.offsets(path, path.stat().st_size)) == [(0, 4), (5, 10), (12, 16)]
    assert list(logs.offsets(path, 9)) == [(0, 4)]


def test_a_limit_ends_inside_a_file(tmp_path):
    one, two = tmp_path / "1.log", tmp_path / "2.log"
    one.write_text("a\nb\n")
    two.write_text("c\nd\ne\n")
    assert logs.choose([one, two], 3) == [logs.LogFile(one, 4, 2), logs.LogFile(two, 2, 1)]
    assert logs.choose([one, two], 2) == [logs.LogFile(one, 4, 2)]
    assert [file.lines for file in logs.choose([one, two, one], None)] == [2, 3]


def test_the_sample_where_the_machine_has_no_logs(monkeypatch):
    monkeypatch.setattr(logs, "_machine_logs", list)
    (chosen,) = logs.choose([], None)
    assert chosen.path == logs.SAMPLE.resolve()
    assert chosen.lines == 1000


def test_binary_and_packed_files_are_no_logs(monkeypatch, tmp_path):
    (tmp_path / "wtmp").write_bytes(b"\x07\0\0\0user")
    (tmp_path / "old.gz").write_bytes(b"packed\n")
    (tmp_path / "empty").touch()
    (tmp_path / "real.log").write_text("a\n")
    walked = [(str(tmp_path), [], ["wtmp", "old.gz", "empty", "real.log", "gone"])]
    monkeypatch.setattr(logs.os, "walk", lambda folder: walked)
    assert logs._machine_logs() == [tmp_path / "real.log"]


def test_nothing_to_ship_is_said(tmp_path):
    empty = tmp_path / "empty.log"
    empty.write_text("no newline")
    with pytest.raises(LocalError, match="no complete line"):
        logs.choose([empty], None)
