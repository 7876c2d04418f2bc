"""What every job does around its graph, on a toy job that runs as a program of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOY = Path(__file__).parents[1] / "tools" / "toy_job.py"


def start(mode, *arguments):
    return subprocess.Popen(
        [sys.executable, TOY, mode, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process, seconds=60):
    try:
        out, error = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, error


def wait_until_ready(process):
    lines = []
    while line := process.stderr.readline():
        lines.append(line)
        if "ready: counting toys" in line:
            return
    pytest.fail("".join(lines))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_cleanly_with_everything_acknowledged(number):
    process = start("works")
    wait_until_ready(process)
    time.sleep(0.3)
    process.send_signal(number)
    code, out, error = finish(process)
    assert code == 0, error
    assert out == "closed: settled=True pending=0\n"
    assert "everything read is written and acknowledged" in error
    assert "Traceback" not in error


def test_an_idle_job_stops_by_itself_when_asked():
    code, out, error = finish(start("works", "--stop_when_idle", "0.5"))
    assert code == 0, error
    assert out == "closed: settled=True pending=0\n"
    assert "idle for 0.5 s" in error


@pytest.mark.parametrize(
    ("mode", "code", "says"),
    [
        ("fails", 1, "penstock toy: cannot write 5 toys to the shelf: it is full. Make room.\n"),
        ("refuses", 1, "penstock toy: cannot reach the shelf at 127.0.0.1:1. Check --shelf.\n"),
        ("option", 2, "penstock toy: --shelf is too high.\n"),
    ],
)
def test_a_failure_is_one_last_line_and_an_exit_code(mode, code, says):
    got, _, error = finish(start(mode))
    assert got == code, error
    assert error.endswith(says)
    assert "Traceback" not in error


def test_a_bug_is_one_line_that_says_how_to_see_more():
    code, _, error = finish(start("crashes"))
    assert code == 1
    assert "a bug of ours" in error.splitlines()[-1]
    assert "--log_level debug" in error.splitlines()[-1]
    assert "Traceback" not in error


def test_a_second_signal_ends_a_job_that_hangs():
    process = start("hangs")
    wait_until_ready(process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, _, error = finish(process, 20)
    assert code == 128 + signal.SIGTERM
    assert "second signal" in error
