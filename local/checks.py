"""`./run_local.sh test`: linters, types, and the tests, cheapest first. All run, whatever fails."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.processes import Terminated

__all__ = ["run"]

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED_S = 30.0
PYTEST = ("-m", "pytest", "-q")
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("tests/typecheck.py",)),
    ("dependencies", ("tests/audit.py",)),
    ("unit tests", (*PYTEST, "-n", "2", "-m", "not servers and not kills")),
    # Last, so that its closing line is the last line of all. Most of these wait for their servers most of the time, so
    # there are more of them than cores.
    (
        "tests with real servers",
        (*PYTEST, "-n", "3", "--dist", "loadgroup", "-m", "servers or kills", "--durations", "10"),
    ),
)


def run(arguments: Sequence[str]) -> int:
    """Everything, or pytest alone with the arguments given. Returns 0 only if all passed.

    Python runs with -P: the checkout must not be on `sys.path`, its `io` is not the standard library's.
    """
    python = [sys.executable, "-P"]
    if arguments:
        return _call([*python, "-m", "pytest", *arguments])
    failed = []
    for name, command in STEPS:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        if _call([*python, *command]):
            failed.append(name)
        if name != STEPS[-1][0]:
            print(f"   {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        print(f"run_local.sh test: FAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def _call(command: Sequence[str]) -> int:
    """Runs a step; when we are interrupted, so is it, and we wait until it has ended its servers."""
    with subprocess.Popen(command, cwd=ROOT) as step:
        try:
            return step.wait()
        except KeyboardInterrupt as reason:
            # subprocess.call would kill it after a quarter of a second, and its servers would stay. A Ctrl-C has
            # reached it by itself.
            if isinstance(reason, Terminated):
                step.send_signal(signal.SIGTERM)
            try:
                step.wait(INTERRUPTED_S)
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                step.kill()
            raise
