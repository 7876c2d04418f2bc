"""The outputs file and stdout: what an event looks like, what is on disk, and which names an event may choose."""

import errno
import gzip
import os
import threading

import pytest

from penstock.io.errors import OptionError, StopTimeout
from penstock.io.files import file_writer
from penstock.io.files._text import text_function
from penstock.io.files.file_writer import MAX_OPEN, FileWriter
from penstock.io.files.sink import WriteToFiles, WriteToStdout
from penstock.testing import through
from penstock.transforms.batch import Event

TIME = "2026-11-22T10:00:00.000Z"


class Origin:
    arrived_ms = 0

    def position(self):
        return None

    def describe(self):
        return {}


def event(data, **fields):
    return Event(data, Origin(), 0, **fields)


SAMPLE = event(
    b'{"@timestamp":"2026-11-22T10:00:00.000Z","message":"a \\"b\\"\\n","n":1.5,"ok":true,"no":null,"tags":["x","y"],'
    b'"host":{"name":"h"},"empty":{},"@metadata":{"k":1}}'
)
STAMPED = b'{"a":2,"@timestamp":"2026-11-22T10:00:00.000Z"}\n'
PICTURE = """{
    "@timestamp" => 2026-11-22T10:00:00.000Z,
       "message" => "a \\"b\\"\\n",
             "n" => 1.5,
            "ok" => true,
            "no" => nil,
          "tags" => [
        [0] "x",
        [1] "y"
    ],
          "host" => {
        "name" => "h"
    },
         "empty" => {}
}
"""


@pytest.mark.parametrize(
    ("arguments", "given", "text"),
    [
        (("rubydebug",), SAMPLE, PICTURE.encode()),
        (("dots",), SAMPLE, b"."),
        (("json_lines",), event(b'{"a": 1}'), b'{"a": 1}\n'),
        (("json_lines",), event(b'{"a":2,"@metadata":{"b":2}}', timestamp=TIME), STAMPED),
        (("json_lines",), event(b'{"a": 1}', document={"a": 2, "@timestamp": TIME}, changed=True), STAMPED),
        (("json",), event(b'{"a": 1}'), b'{"a": 1}'),
        (("line", "%{a} %{[b][c]} %{d} %{+YYYY}"), event(b'{"a":1,"b":{"c":"x"}}', timestamp=TIME), b"1 x %{d} 2026\n"),
        (("line", "%{a}", "|"), event(b'{"a":"\xc3\xbc"}'), "ü|".encode()),
        (("plain", None), SAMPLE, b'2026-11-22T10:00:00.000Z {"name":"h"} a "b"\n'),
    ],
)  # fmt: skip
def test_an_event_looks_as_logstash_writes_it(arguments, given, text):
    assert text_function(*arguments)(given) == text


def writer(path, *, compress=False, append=True, stopping=None):
    return FileWriter(
        str(path),
        text_function("json_lines"),
        compress=compress,
        append=append,
        stopping=stopping or threading.Event(),
    )


def test_events_choose_their_file_within_the_folder(tmp_path):
    to = writer(tmp_path / "logs" / "%{name}-%{+YYYY}.log")
    letters = to.write([
        event(b'{"name":"a"}', timestamp=TIME), event(b'{"name":"b/c"}', timestamp=TIME), event(b'{"name":"../../x"}'),
        event(b'{"other":1}'), event(b'{"name":"a"}', timestamp=TIME),
    ])  # fmt: skip
    assert [letter.error for letter in letters] == ["ValueError", "MissingField"]
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.log")}
    assert found == {"logs/a-2026.log": b'{"name":"a"}\n' * 2, "logs/b/c-2026.log": b'{"name":"b/c"}\n'}
    to.close()


def test_a_link_leads_out_of_the_folder_to_no_file(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    assert len(writer(tmp_path / "in" / "%{name}").write([event(b'{"name":"link/x"}')])) == 1


def test_files_are_bounded_renamed_ones_are_made_anew_and_a_half_line_ends(tmp_path):
    to = writer(tmp_path / "%{n}")
    to.write([event(b'{"n":%d}' % n) for n in range(3 * MAX_OPEN)])
    assert len(to._open) == MAX_OPEN
    assert len(list(tmp_path.iterdir())) == 3 * MAX_OPEN
    (tmp_path / "1").rename(tmp_path / "old")
    (tmp_path / "2").write_bytes(b'{"n":2}\n{"half')
    to.write([event(b'{"n":%d}' % n) for n in (1, 2)])
    assert (tmp_path / "old").read_bytes() == (tmp_path / "1").read_bytes() == b'{"n":1}\n'
    assert (tmp_path / "2").read_bytes() == b'{"n":2}\n{"half\n{"n":2}\n'
    to.close()


def test_gzip_and_a_file_that_is_begun_anew(tmp_path):
    for _ in range(2):
        zipped, fresh = writer(tmp_path / "z.gz", compress=True), writer(tmp_path / "f", append=False)
        for _ in range(2):
            zipped.write([event(b'{"n":1}')])
            fresh.write([event(b'{"n":1}')])
    assert gzip.decompress((tmp_path / "z.gz").read_bytes()) == b'{"n":1}\n' * 4
    assert (tmp_path / "f").read_bytes() == b'{"n":1}\n' * 2


def test_a_full_disk_is_waited_for_and_leaves_no_half_write(tmp_path, monkeypatch):
    fails = iter([True, True])
    real = os.write
    monkeypatch.setattr(file_writer, "delays", lambda *bounds: iter([0.0] * 9))

    def full(file, data):
        if next(fails, False):
            real(file, data[:3])
            raise OSError(errno.ENOSPC, "no space left")
        return real(file, data)

    monkeypatch.setattr(file_writer.os, "write", full)
    to = writer(tmp_path / "f")
    assert to.write([event(b'{"n":1}')]) == []
    assert (tmp_path / "f").read_bytes() == b'{"n":1}\n'
    fails = iter([True] * 9)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(StopTimeout, match="come again"):
        writer(tmp_path / "f", stopping=stopping).write([event(b'{"n":2}')])
    assert (tmp_path / "f").read_bytes() == b'{"n":1}\n'


def test_a_path_that_can_never_be_written_ends_the_job_or_costs_its_event(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(OptionError, match=r"cannot write .*: Is a directory"):
        writer(tmp_path / "d").write([event(b'{"n":1}')])
    letters = writer(tmp_path / "%{n}").write([event(b'{"n":"d"}'), event(b'{"n":"e"}')])
    assert [letter.error for letter in letters] == ["IsADirectoryError"]
    assert (tmp_path / "e").exists()


def test_the_steps_write_and_hand_on(tmp_path, capsys):
    assert through(WriteToFiles(str(tmp_path / "f")), {"a": 1}, b"no JSON")[:1] == [{"a": 1}]
    assert (tmp_path / "f").read_bytes() == b'{"a":1}\n'
    through(WriteToStdout(codec="line", line_format="%{a}"), {"a": 1}, {"a": 2})
    assert capsys.readouterr().out.endswith("1\n2\n")
    with pytest.raises(OptionError, match="codec"):
        WriteToStdout(codec="xml")
