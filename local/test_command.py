"""`test_command` is `./run_local.sh test`: linters, types, and the tests, cheapest first. All run, whatever fails."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from local.processes import Terminated, end_marked, uninterrupted

__all__ = ["run"]

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED_S = 30.0
STEP = "PENSTOCK_TEST_STEP"
"""Marks what a step starts, in the environment."""
TWINS = (
    *("tests/unit/codecs", "tests/unit/transforms", "tests/unit/kinesis/kpl", "tests/property/kinesis"),
    *(f"tests/unit/elasticsearch/test_{name}.py" for name in ("actions", "bulk", "writer")),
    *("tests/unit/kinesis/read/test_shard_reader.py", "tests/unit/kinesis/write/test_writer.py"),
    *("tests/unit/s3/test_backfill.py", "tests/unit/s3/test_reading.py"),
    *(
        f"tests/property/test_{name}.py"
        for name in ("bulk", "decoding", "identity", "native_bulk", "native_scan", "references")
    ),
)
"""The tests of what has a kernel, and of what stands on it."""
PYTEST = ("-m", "pytest", "-q")
# Some wait for peers and clocks, so there are more workers than the two cores of the usual machine.
PURE = (*PYTEST, "-n", "3", "-m", "not servers and not kills and not fuzz and not full")
Step = tuple[str, tuple[str, ...]]
FAST: tuple[Step, ...] = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("tests/typecheck.py",)),
    ("unit tests", (*PURE, "tests/unit", "tests/property")),
)
"""What daily work runs: no servers."""
USUAL: tuple[Step, ...] = (
    *FAST,
    ("dependencies", ("tests/audit.py",)),
    # The twins in Python must do all that the kernels do, where nobody has built those.
    ("without kernels", (*PURE, *TWINS)),
    # Last, so that its closing line is the last line of all. Most of these wait for their servers most of the time, so
    # there are more of them than cores.
    (
        "tests with real servers",
        (
            *(*PYTEST, "-n", "3", "--dist", "loadgroup", "--durations", "10"),
            *("-m", "(servers or kills or fuzz) and not full"),
        ),
    ),
)
"""What CI runs."""
FULL: tuple[Step, ...] = (
    *USUAL,
    ("long tests", (*PYTEST, "-n", "2", "--dist", "loadgroup", "-m", "full")),
)
"""What is too long for each change: soaks, mutations, a million objects."""
CHOICES = {"--fast": FAST, "--full": FULL}


def run(arguments: Sequence[str]) -> int:
    """Runs every usual step, or those of `--fast` or `--full`, or pytest alone with the arguments given.

    Returns 0 only if all passed.

    Python runs with -P: the checkout must not be on `sys.path`, its `io` is not the standard library's.
    """
    python = [sys.executable, "-P"]
    if arguments and (len(arguments) > 1 or arguments[0] not in CHOICES):
        return _call([*python, "-m", "pytest", *arguments])
    steps = CHOICES[arguments[0]] if arguments else USUAL
    failed = []
    for name, command in steps:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        if _call([*python, *command], {"PENSTOCK_NATIVE": "0"} if name == "without kernels" else {}):
            failed.append(name)
        if name != steps[-1][0]:
            print(f"   {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        print(f"run_local.sh test: FAILED: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def _call(command: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})) -> int:
    """Runs a step in a temporary folder of its own; however it ends, what it started ends, and the folder goes."""
    folder = tempfile.mkdtemp(prefix="penstock-")
    Path(folder).chmod(0o755)  # for servers that run as another user
    own = {STEP: folder, "TMPDIR": folder, "PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()}
    environment = {**os.environ, **variables, **own}
    # Some hundred processes would compile the checkout anew, and each worker of pytest all tests.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return _wait(subprocess.Popen(command, cwd=ROOT, env=environment))
    finally:
        with uninterrupted():
            end_marked(STEP, folder)
            shutil.rmtree(folder, ignore_errors=True)


def _wait(step: "subprocess.Popen[bytes]") -> int:
    """The step's exit code. When we are interrupted, so is it, and it gets time to end its servers in order."""
    try:
        return step.wait()
    except KeyboardInterrupt as reason:
        # subprocess.call would kill it after a quarter of a second. A Ctrl-C has reached it by itself.
        if isinstance(reason, Terminated):
            step.send_signal(signal.SIGTERM)
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            step.wait(INTERRUPTED_S)
        raise
