"""Files that bring their library down cost themselves: what they are read in may die, at any time, by anything."""

import io
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import fastavro
import orjson
import pyarrow as pa
import pyarrow.orc as orc_files
import pyarrow.parquet as pq
import pytest

from penstock.io.chain.live_objects import LIVE
from penstock.io.errors import PenstockError
from penstock.io.s3.formats import _avro_blocks
from penstock.io.s3.formats._recognise import PARQUET
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader, plan
from penstock.io.s3.tables import process
from penstock.io.s3.tables.process import Workers

PATIENCE_S = 60
ROWS = 30_000
"""More than the sockets hold."""


@pytest.fixture(autouse=True)
def _no_worker_is_left():
    LIVE.close()
    yield
    LIVE.close()


def workers():
    return LIVE.share("s3 table workers", Workers)


def busy():
    (worker,) = workers()._busy
    return worker


def parquet(rows=ROWS, **options):
    output = io.BytesIO()
    table = pa.table({"n": range(rows), "text": [f"{n:0200}" for n in range(rows)]})
    pq.write_table(table, output, row_group_size=5000, **options)
    return output.getvalue()


def avro(rows=ROWS):
    output = io.BytesIO()
    fields = [{"name": "n", "type": "long"}, {"name": "text", "type": "string"}]
    schema = {"type": "record", "name": "r", "fields": fields}
    fastavro.writer(output, schema, ({"n": n, "text": f"{n:0200}"} for n in range(rows)))
    return output.getvalue()


def orc(rows=ROWS):
    output = io.BytesIO()
    orc_files.write_table(pa.table({"n": range(rows), "text": [f"{n:0200}" for n in range(rows)]}), output)
    return output.getvalue()


def nested(depth):
    """A Parquet file of no rows whose schema nests so deep; Arrow recurses for each (thrift's compact protocol)."""
    group = b"\x35\x02\x18\x01a\x15\x02\x00"  # optional, named a, one child
    elements = b"\x48\x01r\x15\x02\x00" + group * depth + b"\x15\x02\x25\x02\x18\x01x\x00"
    count = _avro_blocks._varint(
        (depth + 2) // 2
    )  # Avro's are zigzag, thrift's here are not: depth must be even
    footer = b"\x15\x02\x19\xfc" + count + elements + b"\x16\x00\x19\x0c\x00"
    return PARQUET + footer + struct.pack("<I", len(footer)) + PARQUET


def reader_of(folder, content, store=None):
    path = folder / "object"
    path.write_bytes(content)
    store = store or LocalFiles()
    return UnitReader(WorkUnit(store.stat("", str(path))), S3ReadOptions(input=["x"]), store)


def numbers(events):
    return [orjson.loads(event.data)["n"] for event in events]


def read(reader):
    events, letters = [], []
    for found, refused in reader.pieces():
        events += found
        letters += [(letter.error, letter.reason) for letter in refused]
    return events, letters


def test_a_file_that_ends_the_process_is_one_letter_and_its_neighbours_are_complete(tmp_path):
    good = parquet(500)
    for content, expected in (
        (good, 500),
        (nested(20_000), None),
        (avro(500), 500),
        (nested(4), 0),
        (good, 500),
    ):
        reader = reader_of(tmp_path, content)
        events, letters = read(reader)
        if expected is None:
            ((kind, reason),) = letters
            assert kind == "UnreadableObject"
            assert "ended the process that reads such files: it ended by SIGSEGV, twice" in reason
            assert not reader.finished
        else:
            assert letters == []
            assert numbers(events) == list(range(expected))
            assert reader.finished


def test_a_file_that_ends_the_process_when_it_is_planned_is_read_as_one_unit(tmp_path):
    path = tmp_path / "object"
    path.write_bytes(nested(20_000))
    store = LocalFiles()
    found = store.stat("", str(path))
    assert plan(found, S3ReadOptions(input=["x"], split_bytes=16 << 20), store) == [WorkUnit(found)]


@pytest.mark.parametrize("content", [parquet, orc, avro], ids=["parquet", "orc", "avro"])
def test_a_worker_killed_without_a_fault_of_its_object_is_replaced(tmp_path, content):
    pieces = reader_of(tmp_path, content()).pieces()
    events, letters = next(pieces)
    os.kill(busy().pid, signal.SIGKILL)
    for found, refused in pieces:
        events, letters = events + found, letters + refused
    assert letters == []
    assert numbers(events) == list(range(ROWS))


def test_a_worker_killed_again_and_again_is_one_letter_behind_what_was_read(tmp_path):
    reader = reader_of(tmp_path, parquet())
    events, letters = [], []
    killed = set()
    for found, refused in reader.pieces():
        events += found
        letters += refused
        for worker in workers()._busy:
            killed.add(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
    (letter,) = letters
    assert len(killed) == 2
    assert "SIGKILL" in letter.reason
    assert letter.event.origin.key.endswith("object")
    assert letter.event.index == len(events)
    assert numbers(events) == list(range(len(events)))
    assert not reader.finished


def test_a_worker_that_is_stuck_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE_S", 0.5)
    stopped = []
    letters = []
    for _, refused in reader_of(tmp_path, parquet()).pieces():
        letters += refused
        for worker in workers()._busy:
            os.kill(worker.pid, signal.SIGSTOP)
            stopped.append(worker)
    (letter,) = letters
    assert "said nothing for" in letter.reason
    assert not any(worker.is_alive for worker in stopped)


def test_a_stop_waits_for_no_worker(tmp_path):
    store = LocalFiles()
    reader = reader_of(tmp_path, parquet(), store)
    pieces = reader.pieces()
    next(pieces)
    worker = busy()
    os.kill(worker.pid, signal.SIGSTOP)
    timer = threading.Timer(0.2, store.stopping.set)
    timer.start()
    letters = [refused for _, refused in pieces if refused]
    timer.join()
    assert letters == []
    assert not reader.finished
    assert not worker.is_alive


def test_a_worker_goes_from_object_to_object_and_each_thread_has_its_own(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    first, second = [], []
    for folder in folders:
        folder.mkdir()
        pieces = reader_of(folder, parquet()).pieces()
        events, _ = next(pieces)
        first.append((pieces, events))
    pids = {worker.pid for worker in workers()._busy}
    assert len(pids) == 2
    for pieces, events in first:
        for found, _ in pieces:
            events += found
        second.append(numbers(events))
    assert second == [list(range(ROWS))] * 2
    assert {worker.pid for worker in workers()._idle} == pids
    read(reader_of(tmp_path, avro(10)))
    assert {worker.pid for worker in workers()._idle} == pids


def test_a_worker_has_no_credentials_and_may_write_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    next(reader_of(tmp_path, parquet()).pieces())
    LIVE.close()
    pieces = reader_of(tmp_path, parquet()).pieces()
    next(pieces)
    about = Path(f"/proc/{busy().pid}")
    assert b"AWS_" not in (about / "environ").read_bytes()
    limits = (about / "limits").read_text()
    assert re.search(r"Max core file size +0 ", limits)
    assert re.search(rf"Max file size +{1 << 20} ", limits)
    assert "unlimited" not in re.search(r"Max address space.*", limits)[0]
    pieces.close()


def command(code):
    return ("-c", f"import os, signal\nfrom penstock.io.s3.tables import worker\n{code}\nworker.main()")


def test_a_worker_starts_without_the_libraries_that_it_needs_not(tmp_path, monkeypatch):
    """They would be two thirds of the time that its start takes, and half of its memory."""
    needless = "{'apache_beam', 'boto3', 'hypothesis'}"
    monkeypatch.setattr(
        process, "COMMAND", command(f"import sys; assert not sys.modules.keys() & {needless}")
    )
    assert read(reader_of(tmp_path, parquet(10)))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("worker.MEMORY_BYTES = 16 << 20", "more than 16 MiB of memory|SIGABRT|SIGSEGV"),
        ("worker._parquet.read_row_groups = lambda *_: os.abort()", "SIGABRT"),
        ("worker._parquet.read_row_groups = lambda *_: os._exit(3)", "exit code 3"),
        (r"worker._done = lambda _, channel: channel._socket.sendall(b'\0\0\0\1\xc1') or ()", "no message"),
    ],
    ids=["memory", "abort", "exit", "nonsense"],
)  # fmt: skip
def test_whatever_ends_a_worker_is_in_the_letter(tmp_path, monkeypatch, code, what):
    monkeypatch.setattr(process, "COMMAND", command(code))
    output = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * (64 << 20)]}), output)
    reader = reader_of(tmp_path, output.getvalue() if "MEMORY" in code else parquet(10))
    _, letters = read(reader)
    ((_, reason),) = letters
    assert re.search(what, reason)


def test_a_worker_that_cannot_start_ends_the_job_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "COMMAND", ("-c", "import nowhere_to_be_found"))
    with pytest.raises(PenstockError, match=r"cannot start the process .* 'nowhere_to_be_found"):
        read(reader_of(tmp_path, parquet(10)))


READING = """
import sys, time
from penstock.io.s3.objects import LocalFiles
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.io.s3.tables.reading import LIVE, Workers

store = LocalFiles()
pieces = UnitReader(WorkUnit(store.stat("", sys.argv[1])), S3ReadOptions(input=["x"]), store).pieces()
next(pieces)
(worker,) = LIVE.share("s3 table workers", Workers)._busy
print(worker.pid, flush=True)
if len(sys.argv) < 3:
    time.sleep(600)
"""


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("ends_by_itself", [False, True])
def test_no_worker_outlives_its_reader(tmp_path, ends_by_itself):
    (tmp_path / "object").write_bytes(parquet())
    arguments = [str(tmp_path / "object"), *(["end"] if ends_by_itself else [])]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", READING, *arguments], stdout=subprocess.PIPE, text=True
    ) as reader:
        pid = int(reader.stdout.readline())
        if not ends_by_itself:
            assert not gone(pid)
            reader.kill()
        reader.wait(PATIENCE_S)
    end = time.monotonic() + PATIENCE_S
    while not gone(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_ends_with_its_reader_even_in_the_middle_of_c_code():
    code = "import re\nfrom penstock.io.s3.tables import worker\nworker._end_with_the_reader()\nprint(flush=True)\n"
    code += 're.match(r"(a+)+$", "a" * 60 + "b")  # for ever, and no Python runs meanwhile'
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        child.stdin.close()
        assert child.wait(PATIENCE_S) == -signal.SIGIO
