"""examples/process_worker.sh ends what it started with the process that started it, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import started_at
from tests.tools.machine.waiting import wait_until

SCRIPT = Path(__file__).parents[3] / "examples" / "process_worker.sh"
TASK_MANAGER = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); sys.stdin.read()"
BOOT = """#!/bin/sh
trap 'exit 0' TERM
echo $$ > "$1.new" && mv "$1.new" "$1"
while true; do sleep 0.1; done
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_boot_ends_with_its_task_manager(tmp_path, number):
    boot, told = tmp_path / "boot", tmp_path / "pid"
    boot.write_text(BOOT)
    boot.chmod(0o755)
    command = [sys.executable, "-S", "-c", TASK_MANAGER, str(SCRIPT), str(told)]
    environment = {**os.environ, "BOOT": str(boot)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as manager:
        wait_until(told.exists, "boot's start")
        pid = int(told.read_text())
        assert started_at(pid) is not None
        manager.send_signal(number)
        # Nobody has asked how it ended yet: it is a zombie, and its number is taken still.
        wait_until(lambda: not started_at(pid), "boot's end")


def test_it_ends_as_boot_does(tmp_path):
    boot = tmp_path / "boot"
    boot.write_text("#!/bin/sh\nexit 7\n")
    boot.chmod(0o755)
    assert subprocess.run([SCRIPT], env={**os.environ, "BOOT": str(boot)}, check=False).returncode == 7
