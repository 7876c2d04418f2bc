"""The programs in `benchmarks/` share these helpers."""

import subprocess
import sys
from pathlib import Path

import local

BENCHMARKS = Path(local.__file__).resolve().parents[1] / "benchmarks"

TALKS = """
import pathlib, time
print("ready", flush=True)
print("a line of the log\\n" * 100_000, flush=True)  # more than a pipe holds
pathlib.Path("said").touch()
time.sleep(150)
"""
RUNS = f"""
import pathlib, sys, time
sys.path.insert(0, {str(BENCHMARKS)!r})
import jobs
with jobs.program(sys.executable, "-c", {TALKS!r}, wait_for="ready"):
    while not pathlib.Path("said").exists():
        time.sleep(0.01)
"""


def test_a_program_that_says_much_is_not_held_up(tmp_path):
    subprocess.run([sys.executable, "-P", "-c", RUNS], cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "said").exists()
