"""Every job does the same around its graph; here a toy job runs as a program of its own."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.machine import forked
from tests.tools.machine.waiting import wait_until

TOY = Path(__file__).parents[2] / "tools" / "jobs" / "toy_job.py"


def start(mode, *arguments):
    return subprocess.Popen(
        forked.command(TOY, mode, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process, seconds=60):
    try:
        out, error = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, error


def wait_for(process, *patterns):
    """Reads what it says until each of them has come."""
    lines, missing = [], set(patterns)
    while missing and (line := process.stderr.readline()):
        lines.append(line)
        missing -= {each for each in missing if re.search(each, line)}
    assert not missing, "".join(lines)


def wait_until_ready(process):
    wait_for(process, "ready: counting toys")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_cleanly_with_everything_acknowledged(number):
    process = start("works")
    wait_for(process, "ready: counting toys", "toy has 200 acknowledged")
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
    wait_for(process, "stopping: no more is read")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, _, error = finish(process, 20)
    assert code == 128 + signal.SIGTERM
    assert "second signal" in error


def test_a_stop_is_bounded_and_what_waits_is_left():
    # 50 toys may wait, and the sink takes five of them in half a second.
    process = start("slow", "--stop_timeout", "2")
    wait_for(process, "ready: counting toys", "toy is full")
    process.send_signal(signal.SIGTERM)
    code, out, error = finish(process)
    assert code == 0, error
    left = int(re.search(r"stopped; (\d+) events that were read are not acknowledged", error)[1])
    assert 0 < left < 50
    assert "takes longer than --stop_timeout (2 s)" in error
    assert "everything read is written" not in error
    assert out == "closed: settled=True pending=0\n"


def test_a_stop_that_a_sink_never_ends_is_cut_off():
    process = start("hangs", "--stop_timeout", "0.5")
    wait_until_ready(process)
    process.send_signal(signal.SIGTERM)
    code, out, error = finish(process)
    assert code == 0, error
    assert error.endswith("was cut off; what was not acknowledged comes again.\n")
    assert out.startswith("closed: settled=False")


def handles(process, number):
    """Whether the process has a handler of that signal; field SigCgt of proc(5)."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return int(caught[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("when", ["while it is imported", "while peers are tried"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_before_the_run_is_a_line_and_no_failure(when, number, tmp_path):
    imports = ("-X", "importtime") if when == "while it is imported" else ()  # tells how far it is
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", *imports, "-m", "penstock", "beats-to-kinesis"),
                *("--stream_name", "s", "--endpoint_url", endpoint, "--request_timeout", "60000"),
                *("--access_key", "a", "--secret_key", "b", "--beats_port", "0"),
                *("--dead_letters", f"file://{tmp_path}/letters.jsonl"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        if when == "while peers are tried":
            connection, _ = mute.accept()
        else:
            while "penstock.pipelines.stopping.early_stop" not in process.stderr.readline():
                assert process.poll() is None
            wait_until(lambda: handles(process, number), "its handler")
            connection = contextlib.nullcontext()
        with connection:
            process.send_signal(number)
            code, _, error = finish(process)
    assert (code, error.splitlines()[-1]) == (
        0,
        "penstock beats-to-kinesis: stopped before it ran; nothing was read.",
    )


def test_two_sources_in_one_job_share_and_stop_cleanly():
    process = start("two")
    wait_for(process, "^toy has 200 acknowledged", "^other toy has 200 acknowledged")
    process.send_signal(signal.SIGTERM)
    code, out, error = finish(process)
    assert code == 0, error
    assert out == 2 * "closed: settled=True pending=0\n"
    first, second = map(int, re.findall(r"toy acknowledged (\d+)", error))
    assert 0.5 < first / second < 2
    assert "everything read is written and acknowledged" in error
