"""`test_command` is `./run_local.sh test`: linters, types, and the tests. All run, whatever fails.

Lanes run side by side, the steps of a lane one after another: much of what the tests do is to wait for servers. The last
lane shows its output as it comes, the others when a step is done.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from local.processes import Terminated, end_marked, uninterrupted

__all__ = ["run", "run_lanes"]

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
UNIT = ("tests/unit", "tests/property")
WITH_SERVERS = ("tests/integration", "tests/upstream")
"""Steps name folders: each worker of pytest collects for a minute where it collects all tests."""
WITHOUT_KERNELS = "without kernels"
Step = tuple[str, tuple[str, ...]]
Lane = tuple[Step, ...]
LINTERS: Lane = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("tests/typecheck.py",)),
)
FEW_EXAMPLES = ("--hypothesis-profile", "fast")
FAST: tuple[Lane, ...] = (
    LINTERS,
    (("unit tests", (*PYTEST, "-n", "4", *FEW_EXAMPLES, "-m", "not built", *UNIT)),),
)
"""What daily work runs: no servers, a third of the usual examples of a property."""
AUDIT: Step = ("dependencies", ("tests/audit.py",))
REST: Lane = (
    AUDIT,
    # The twins in Python must do all that the kernels do, where nobody has built those.
    (WITHOUT_KERNELS, (*PYTEST, "-n", "1", *TWINS)),
)
BESIDE: Lane = (*LINTERS, ("unit tests", (*PYTEST, "-n", "2", *UNIT)), *REST)
SERVERS: Step = (
    "tests with real servers",
    (
        *(*PYTEST, "-n", "3", "--dist", "loadgroup", "--durations", "20"),
        *("-m", "not full", *WITH_SERVERS),
    ),
)
PYTHONS: Step = ("other Pythons", ("tests/pythons.py",))
USUAL: tuple[Lane, ...] = (
    (*LINTERS, ("unit tests", (*PYTEST, "-n", "2", *FEW_EXAMPLES, *UNIT)), AUDIT),
    (SERVERS,),
)
"""A quarter of an hour on two cores: the tests without kernels, and more examples, are left to CI and --full."""
CI: tuple[Lane, ...] = ((*BESIDE, PYTHONS), (SERVERS,))
"""What runs where `CI` is set: each supported Python too."""
EXAMPLES: Step = (
    "unit tests, all examples",
    (*PYTEST, "-n", "1", "--hypothesis-profile", "full", *UNIT),
)
LONG: Step = ("long tests", (*PYTEST, "-n", "2", "--dist", "loadgroup", "-m", "full", *WITH_SERVERS))
FULL: tuple[Lane, ...] = ((*LINTERS, EXAMPLES, *REST, PYTHONS), (SERVERS, LONG))
"""With what is too long for each change: soaks, mutations, a million objects, all examples of a property."""
CHOICES = {"--fast": FAST, "--full": FULL}


def run(arguments: Sequence[str]) -> int:
    """Runs every usual step, or those of `--fast` or `--full`, or pytest alone with the arguments given.

    Where `CI` is set, the usual steps run the unit tests on each Python. Returns 0 only if all passed.

    Python runs with -P: the checkout must not be on `sys.path`, its `io` is not the standard library's.
    """
    if arguments and (len(arguments) > 1 or arguments[0] not in CHOICES):
        return run_lanes(((("", ("-m", "pytest", *arguments)),),))
    if arguments:
        return run_lanes(CHOICES[arguments[0]])
    return run_lanes(CI if os.environ.get("CI") else USUAL)


def run_lanes(lanes: Sequence[Lane]) -> int:
    """Runs the lanes side by side; prints which steps failed. A step without a name prints nothing of its own.

    Returns 0 only if all passed. When we are interrupted, each step gets time to end its servers in order.
    """
    failed: list[str] = []
    with contextlib.ExitStack() as stack:
        waiting = [list(lane) for lane in lanes]
        under_way: dict[int, _UnderWay] = {}
        try:
            while under_way or any(waiting):
                for number, steps in enumerate(waiting):
                    step = under_way.get(number)
                    if step is not None and step.process.poll() is not None:
                        del under_way[number]
                        step.end()
                        if step.process.returncode:
                            failed.append(step.name or "pytest")
                    if steps and number not in under_way:
                        begun = _UnderWay(*steps.pop(0), shown=number == len(waiting) - 1)
                        stack.callback(begun.clean)
                        begun.start()
                        under_way[number] = begun
                time.sleep(0.05)
        except KeyboardInterrupt as reason:
            # A Ctrl-C has reached them by itself.
            for step in under_way.values():
                if isinstance(reason, Terminated):
                    step.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                for step in under_way.values():
                    step.process.wait(INTERRUPTED_S)
            raise
    if any(name for lane in lanes for name, _ in lane):
        told = f"FAILED: {', '.join(failed)}" if failed else "all passed"
        print(f"run_local.sh test: {told}", flush=True)
    return 1 if failed else 0


class _UnderWay:
    """A step in a temporary folder of its own; however it ends, what it started ends, and the folder goes."""

    def __init__(self, name: str, command: Sequence[str], *, shown: bool) -> None:
        self.name, self._command, self._shown = name, command, shown
        self._folder = tempfile.mkdtemp(prefix="penstock-")
        Path(self._folder).chmod(0o755)  # for servers that run as another user
        self._output = Path(self._folder) / "output"
        self._began = time.monotonic()

    def start(self) -> None:
        own = {STEP: self._folder, "TMPDIR": self._folder, "PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()}
        environment = {**os.environ, **own}
        if self.name == WITHOUT_KERNELS:
            environment["PENSTOCK_NATIVE"] = "0"
        # Some hundred processes would compile the checkout anew, and each worker of pytest all tests.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-P", *self._command]
        if self._shown:
            if self.name:
                print(f"== {self.name}", flush=True)
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment)
        else:
            with self._output.open("wb") as output:
                self.process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
                )

    def end(self) -> None:
        """Shows how it went, and cleans up."""
        if not self._shown:
            print(f"\n== {self.name}\n{self._output.read_text(errors='replace')}", end="")
        if self.name:
            print(f"   {self.name}: {time.monotonic() - self._began:.0f} s", flush=True)
        self.clean()

    def clean(self) -> None:
        with uninterrupted():
            end_marked(STEP, self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)
