"""`./run_local.sh test` that is interrupted leaves no process and no folder behind, whenever and however it happens."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.processes import end_marked, marked
from tests.tools.machine.waiting import wait_until

ROOT = Path(__file__).parents[2]
MARK = "ENDLESS"
Command = subprocess.Popen[bytes]


def ctrl_c(command: Command) -> None:
    """A terminal's: to all of its group."""
    os.killpg(command.pid, signal.SIGINT)


def impatient_ctrl_c(command: Command) -> None:
    ctrl_c(command)
    time.sleep(0.5)
    ctrl_c(command)


def terminated(command: Command) -> None:
    """A supervisor's: to the command alone."""
    command.send_signal(signal.SIGTERM)


def pytest_killed(command: Command) -> None:
    """The system's, when memory is short: pytest has no time to end anything."""
    os.kill(int(subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(command.pid)])), signal.SIGKILL)


@pytest.mark.parametrize(
    ("moment", "interrupt"),
    [
        ("starting", ctrl_c),
        ("running", ctrl_c),
        ("running", impatient_ctrl_c),
        ("running", terminated),
        ("running", pytest_killed),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(
    moment: str, interrupt: Callable[[Command], None], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = subprocess.Popen(
        [
            *(sys.executable, "-P", str(ROOT / "local" / "__main__.py")),
            *("test", str(ROOT / "tests" / "tools" / "jobs" / "endless.py"), "-n", "1", "-p", "no:cacheprovider"),
        ],
        cwd=ROOT,
        env={
            **os.environ, MARK: str(tmp_path), "TMPDIR": str(temporary), "PYTEST_DEBUG_TEMPROOT": str(tmp_path)
        },
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        if moment == "starting":
            wait_until(lambda: len(marked(MARK, str(tmp_path))) > 1)
        else:
            wait_until((tmp_path / "running").exists)
            assert len(marked(MARK, str(tmp_path))) >= 5, (
                "the command, pytest, its worker, the job and its child"
            )
        interrupt(command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(120)
        assert command.returncode not in (None, 0)
        assert not marked(MARK, str(tmp_path))
        kept = [path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-")]
        assert not kept, "only each test's own folder stays, to be looked at"
    finally:
        end_marked(MARK, str(tmp_path))
