"""A test that is never done, for tests/integration/test_interrupted.py: its job hears no signal and has a child.

Both are in sessions of their own, as jobs' worker processes are. The folder in $ENDLESS hears how far the test is.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEAF = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print(flush=True); time.sleep(600)"
JOB = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True); {DEAF}"


@pytest.fixture
def job() -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", JOB]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()  # both are deaf now
    (Path(os.environ["ENDLESS"]) / "running").touch()
    yield process
    process.wait()  # a clean end that never comes


def test_without_end(job: "subprocess.Popen[bytes]") -> None:
    time.sleep(600)
