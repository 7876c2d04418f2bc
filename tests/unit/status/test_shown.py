"""A toy job as a program of its own: on a terminal, without one, with its page."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
import urllib.request
from pathlib import Path

import pytest

from tests.tools.machine import forked
from tests.tools.machine.screen import rows_of
from tests.tools.machine.waiting import wait_until

TOY = Path(__file__).parents[2] / "tools" / "jobs" / "toy_job.py"
COLUMNS = 60


def start(*arguments, stderr=subprocess.PIPE, **environment):
    return subprocess.Popen(
        forked.command(TOY, *arguments),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **environment},
    )


@contextlib.contextmanager
def on_a_terminal(*arguments, **environment):
    """The job with a terminal of 60 columns as its stderr, and a function that reads what stands in it so far."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = start(*arguments, stderr=theirs, **{"TERM": "xterm", **environment})
    os.close(theirs)
    seen = bytearray()

    def read():
        with contextlib.suppress(OSError):
            while select.select([ours], [], [], 0.1)[0] and (data := os.read(ours, 65536)):
                seen.extend(data)
        return seen.decode()

    try:
        yield process, read
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(read, pattern, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := re.search(pattern, text := read())):
        assert time.monotonic() < deadline, text[-2000:]
    return found


def test_a_line_is_rewritten_and_log_lines_stand_above_it():
    with on_a_terminal("works", NO_COLOR="1") as (process, read):
        until(read, r"toy  in [1-9]\d*/s  out \d+/s  lag")
        assert rows_of(read())[-1].startswith("toy  in ")
        process.send_signal(signal.SIGTERM)
        until(read, "everything read is written and acknowledged")
        assert process.wait(60) == 0
        text = read()
    rows = [row for row in rows_of(text) if not row.startswith("WARNING:root:")]  # Beam's own, before our log
    assert rows[-1] == "", "the line is gone at the end"
    assert not [row for row in rows if row.startswith("toy  in ")]
    assert all(re.match(r"\d{4}-\d\d-\d\d .* (INFO|WARNING) ", row) for row in rows[:-1]), rows
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    lines = [row for row in re.split(r"[\r\n]", plain) if row.startswith("toy ")]
    assert max(map(len, lines)) < COLUMNS
    assert not re.search(r"\x1b\[\d+m", text), "colours although NO_COLOR is set"


def test_a_failure_is_one_whole_line_below_the_others():
    with on_a_terminal("fails") as (process, read):
        assert process.wait(60) == 1
        rows = rows_of(read())
    assert rows[-2:] == ["penstock toy: cannot write 5 toys to the shelf: it is full. Make room.", ""]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--log_format", "json"), {}),
        (("--log_level", "warning"), {}),
        ((), {"TERM": "dumb"}),
    ],
)
def test_where_no_line_is_rewritten(arguments, environment):
    with on_a_terminal("works", "--stop_when_idle", "3", *arguments, **environment) as (process, read):
        assert process.wait(90) == 0
        assert "\x1b" not in read()
        assert "toy  in " not in read()


def test_the_page_of_a_job():
    process = start("works", "--status_port", "0", "--status_max_lag", "30")
    try:
        lines = []
        while not (found := re.search(r"status page: (\S+)", line := process.stderr.readline())):
            lines.append(line)
            assert line, "".join(lines)
        page = found[1]

        def moving():
            with urllib.request.urlopen(f"{page}status.json") as reply:
                told = json.load(reply)
            return told if told["totals"]["out_per_s"] > 0 else None

        told = wait_until(moving, "events per second")
        assert told["job"]["ready"]
        names = [step["name"] for step in told["steps"]]
        assert len(names) == 3
        assert names[-1] == "Acknowledge"
        assert told["steps"][1]["busy"] > 0.1  # it sleeps 10 ms a batch
        assert told["steps"][2]["events"] > 0
        assert told["sources"][0]["text"] == "counting toys"
        with urllib.request.urlopen(f"{page}readyz") as reply:
            assert reply.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("works", "--status_port", str(taken.getsockname()[1]))
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--status_port" in error.splitlines()[-1]
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("--status_port", "70000"), "--status_port"), (("--status_max_lag", "0"), "--status_max_lag")],
)
def test_wrong_options(arguments, named):
    process = start("works", *arguments)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert named in error
