import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.processes import Handle, LocalError, Process, as_user, started_at

SLEEP = "print('up', flush=True); import time; time.sleep(60)"
CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); {SLEEP}"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def python(tmp_path, code):
    process = Process("child", [sys.executable, "-c", code], tmp_path / "child.log")
    deadline = time.monotonic() + 60
    while not process.tail() and process.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_stop_asks_first_and_kills_after_the_time_out(tmp_path):
    willing, stubborn = python(tmp_path, CHILD), python(tmp_path, STUBBORN)
    assert willing.stop(10) is True
    assert willing.exit_code == -signal.SIGTERM
    assert stubborn.stop(0.3) is False
    assert stubborn.exit_code == -signal.SIGKILL
    willing.kill()


def test_kill_takes_the_whole_group(tmp_path):
    process = python(tmp_path, CHILD)
    listed = subprocess.run(
        ["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True, check=False
    )
    children = [int(pid) for pid in listed.stdout.split()]
    assert len(children) == 2
    process.kill()
    deadline = time.monotonic() + 60
    while any(started_at(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(started_at(pid) for pid in children)


def test_a_recycled_pid_is_a_stranger(tmp_path):
    process = python(tmp_path, CHILD)
    try:
        earlier = Handle("earlier", process.pid, "another time")
        assert not earlier.alive
        earlier.kill()
        earlier.signal(signal.SIGTERM)
        assert process.alive
        same = Handle(**process.to_json())
        assert same.alive
    finally:
        process.kill()
    assert not same.alive


def test_what_ended_tells_its_last_words(tmp_path):
    process = python(tmp_path, "import sys; print('\\n'.join(map(str, range(100)))); sys.exit(3)")
    process.wait(60)
    with pytest.raises(LocalError) as caught:
        process.check()
    text = str(caught.value)
    assert "child ended with exit code 3" in text
    assert str(process.log) in text
    assert text.endswith("| 99")
    assert "| 80" not in text


def test_wait_has_an_end(tmp_path):
    process = python(tmp_path, CHILD)
    try:
        with pytest.raises(LocalError, match=r"still runs after 0\.1 s"):
            process.wait(0.1)
    finally:
        process.kill()


def test_an_interrupted_start_leaves_nothing_behind(tmp_path):
    """A signal at any moment of starting processes: none of them survives `end_all`."""
    code = """
import signal, sys, threading, os, time
from pathlib import Path
from local import processes
processes.clean_up_on_signals()
threading.Timer(float(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
pids = []
try:
    while True:
        pids.append(processes.Process("p", ["sleep", "60"], Path(sys.argv[2]) / "log").pid)
except KeyboardInterrupt:
    pass
finally:
    started = [each.pid for each in processes._started]
    processes.end_all()
assert set(pids) <= set(started)
listed = os.popen(f"ps -o ppid= -C sleep").read().split()
print("left", listed.count(str(os.getpid())))
"""
    program = tmp_path / "program.py"
    root = Path(__file__).parents[3]
    program.write_text(f"import sys, types; m = types.ModuleType('local'); m.__path__ = [{str(root / 'local')!r}]\n"
                       f"sys.modules['local'] = m\n{code}")  # fmt: skip
    for delay in ("0.05", "0.0612", "0.0733"):
        done = subprocess.run(
            [sys.executable, "-P", program, delay, tmp_path],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.stdout == "left 0\n", done.stderr


def test_another_user_runs_the_command_without_a_fork_of_ours():
    assert as_user(None, ["id", Path("/")]) == ["id", "/"]
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    command = as_user("nobody", ["sh", "-c", "id -un; id -G; exit 7"])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.split() == ["nobody", str(pwd.getpwnam("nobody").pw_gid)]
    assert done.returncode == 7
